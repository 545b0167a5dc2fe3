"""Recognise a slide again after it was moved or renamed, without reading all of it; and compare two files in whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from napari_cyto.domain.fingerprints import joined, same_fingerprint
from napari_cyto.errors import SlideError
from napari_cyto.files.special_files import special_kind
from napari_cyto.slides._native_check import open_natively

WHOLE_BYTES = 64 * 2**20
"""Up to this size all of a slide is hashed."""

_CHUNK_BYTES = 2**16
_CHUNKS = 16
_MORE_CHUNKS = 256
_COMPARED_BYTES = 4 * 2**20


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return a text that stays the same wherever the slide lies, whatever it is called.

    It finds a slide that moved. It is no proof that two files which are both there are the same, unless they are so
    small that all of them is hashed (`domain.fingerprints.proves_same`); for others `same_files` compares them.

    The first part hashes the size and 16 evenly spaced pieces of 64 KiB, the first and the last bytes among them; the
    second the whole file up to 64 MiB, else 256 such pieces. For MIRAX both are made of the files in its folder; for
    DICOM it is the identity of its series, whichever of its files is given.

    Raises
    ------
    SlideError
        When the file or its folder cannot be read.
    """
    target = Path(path)
    sampled, more = hashlib.sha256(), hashlib.sha256()
    try:
        if target.is_dir():
            target = next(iter(sorted(p for p in target.iterdir() if p.suffix.lower() == ".dcm")), target)
        if special := special_kind(target):
            raise SlideError(f"{target.name} is {special}; a slide file was expected.")
        folder = _mirax_folder(target)
        if folder is None and (series := _dicom_series(target)):
            sampled.update(series.encode())
            return sampled.hexdigest()[:32]
        members = [target] if folder is None else sorted(p for p in folder.iterdir() if p.is_file())
        whole = sum(member.stat().st_size for member in members) <= WHOLE_BYTES
        for member in members:
            if folder is not None:
                sampled.update(member.name.encode())
                more.update(member.name.encode())
            _add(sampled, member, _CHUNKS)
            if whole:
                _add_all(more, member)
            else:
                _add(more, member, _MORE_CHUNKS)
    except OSError as error:
        raise SlideError(f"{target.name} cannot be read to recognise it again: {error.strerror or error}.") from error
    return joined(sampled.hexdigest()[:32], more.hexdigest()[:32], whole=whole)


def fingerprint_as_annotated(path: Path, annotated: str) -> str:
    """Return the fingerprint of a file that has to be the slide that was annotated.

    Parameters
    ----------
    path : Path
        The file.
    annotated : str
        The fingerprint of that slide; empty where it was not known.

    Raises
    ------
    SlideError
        When the file cannot be read, or is another one.
    """
    found = fingerprint(path)
    if annotated and not same_fingerprint(found, annotated):
        raise SlideError(f"{path} is not the slide that was annotated; put that file back, or relink the project.")
    return found


def same_files(
    one: str | os.PathLike[str], other: str | os.PathLike[str], before_each: Callable[[], object] = lambda: None
) -> bool:
    """Whether two slides are the same to the last byte; read in pieces of 4 MiB, so that any size will do.

    Parameters
    ----------
    one, other : path-like
        Files; for MIRAX their folders are compared, for DICOM all files of theirs.
    before_each : callable
        Called before each piece; what it raises (when the user cancels) ends the comparison.

    Raises
    ------
    SlideError
        When one of them cannot be read.
    """
    first, second = Path(one), Path(other)
    try:
        if first.samefile(second):
            return True
        mine, theirs = _members(first), _members(second)
        if [size for _, size in mine] != [size for _, size in theirs]:
            return False
        return all(_equal(a, b, before_each) for (a, _), (b, _) in zip(mine, theirs, strict=True))
    except OSError as error:
        raise SlideError(f"{first.name} and {second.name} cannot be compared: {error.strerror or error}.") from error


def slide_bytes(path: str | os.PathLike[str]) -> int:
    """Return how many bytes a comparison of a slide reads; 0 where it is not there."""
    try:
        return sum(size for _, size in _members(Path(path)))
    except OSError:
        return 0


def _members(path: Path) -> list[tuple[Path, int]]:
    folder = _mirax_folder(path) or (path if path.is_dir() else None)
    if folder is None and path.suffix.lower() == ".dcm":
        folder = path.parent
    if folder is None:
        if special := special_kind(path):
            raise OSError(f"it is {special}")
        return [(path, path.stat().st_size)]
    return [(p, p.stat().st_size) for p in sorted(folder.iterdir()) if p.is_file()]


def _equal(one: Path, other: Path, before_each: Callable[[], object]) -> bool:
    return all(a == b for a, b in zip_longest(_pieces(one, before_each), _pieces(other, before_each)))


def _pieces(path: Path, before_each: Callable[[], object]) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while True:
            before_each()
            piece = handle.read(_COMPARED_BYTES)
            if not piece:
                return
            yield piece


def _mirax_folder(path: Path) -> Path | None:
    folder = path.with_name(path.name[: -len(".mrxs")] or path.name)
    return folder if path.suffix.lower() == ".mrxs" and folder.is_dir() else None


def _add(digest: hashlib._Hash, path: Path, pieces: int) -> None:
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    last = max(0, size - _CHUNK_BYTES)
    with path.open("rb") as handle:
        for start in sorted({last * k // (pieces - 1) for k in range(pieces)}):
            handle.seek(start)
            digest.update(handle.read(_CHUNK_BYTES))


def _add_all(digest: hashlib._Hash, path: Path) -> None:
    digest.update(path.stat().st_size.to_bytes(8, "little"))
    for piece in _pieces(path, lambda: None):
        digest.update(piece)


def _dicom_series(path: Path) -> str:
    if path.suffix.lower() != ".dcm" and not _is_dicom(path):
        return ""
    try:
        with open_natively(path) as handle:
            return handle.properties.get("dicom.SeriesInstanceUID", "")
    except SlideError:
        return ""


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"
