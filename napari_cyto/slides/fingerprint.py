"""Recognise a slide again after it was moved or renamed, without reading all of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from openslide import OpenSlide, OpenSlideError

from napari_cyto.errors import SlideError

_CHUNK_BYTES = 2**16
_CHUNKS = 16


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return 32 hexadecimal digits that stay the same wherever the slide lies, whatever it is called.

    It hashes the size and 16 evenly spaced pieces of 64 KiB, the first and the last bytes among them. For MIRAX it
    is made of the files in its folder; for DICOM of the identity of its series, whichever of its files is given.

    Raises
    ------
    SlideError
        When the file or its folder cannot be read.
    """
    target = Path(path)
    digest = hashlib.sha256()
    try:
        if target.is_dir():
            target = next(iter(sorted(p for p in target.iterdir() if p.suffix.lower() == ".dcm")), target)
        if target.suffix.lower() == ".mrxs" and target.with_suffix("").is_dir():
            for member in sorted(p for p in target.with_suffix("").iterdir() if p.is_file()):
                digest.update(member.name.encode())
                _add(digest, member)
        elif series := _dicom_series(target):
            digest.update(series.encode())
        else:
            _add(digest, target)
    except OSError as error:
        raise SlideError(f"{target.name} cannot be read to recognise it again: {error.strerror or error}.") from error
    return digest.hexdigest()[:32]


def _add(digest: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    last = max(0, size - _CHUNK_BYTES)
    with path.open("rb") as handle:
        for start in sorted({last * k // (_CHUNKS - 1) for k in range(_CHUNKS)}):
            handle.seek(start)
            digest.update(handle.read(_CHUNK_BYTES))


def _dicom_series(path: Path) -> str:
    if path.suffix.lower() != ".dcm" and not _is_dicom(path):
        return ""
    try:
        with OpenSlide(path) as handle:
            return handle.properties.get("dicom.SeriesInstanceUID", "")
    except OpenSlideError:
        return ""


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"
