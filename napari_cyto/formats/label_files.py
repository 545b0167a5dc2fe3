"""Label files that are packed, and the names that they give to what is in them."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import is_disk_file
from napari_cyto.files.special_files import special_kind

PACKED_SUFFIXES = (".gz", ".zip")
MAX_UNPACKED_BYTES = 1 << 29
"""Largest content of a packed label file: 512 MiB, far more than any slide's labels and bearable for most computers."""

LABEL_SUFFIXES = (".geojson", ".geojsonl", ".geojsons", ".ndjson", ".jsonl", ".json", ".xml", ".csv", ".tsv", ".txt")
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_CHUNK = 1 << 20
# What the two libraries raise on archives that are broken, encrypted or of a method that they do not know.
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)
_MOST_ENTRIES = 10_000


def label_stem(path: Path) -> str:
    """Return a label file's name without its endings: ``S1.2`` for ``S1.2.geojson`` and for ``S1.2.geojson.gz``.

    Of a zip archive it is the name of the label file in it, since archives of several slides may have one name.
    """
    name = _zipped_name(path) or path.name if path.suffix.lower() == ".zip" else path.name
    for suffixes in (PACKED_SUFFIXES, LABEL_SUFFIXES):
        ending = PurePosixPath(name).suffix
        if ending.lower() in suffixes and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def inner_suffix(path: Path) -> str:
    """Return the ending of a label file, lower case; of a packed one that of its content: ``.csv`` for a.csv.gz."""
    packed = path.suffix.lower()
    name = path.name[: -len(packed)] if packed in PACKED_SUFFIXES else path.name
    ending = PurePosixPath(name).suffix.lower()
    return ending if ending in LABEL_SUFFIXES or packed != ".zip" else _zipped_suffix(path)


def unpacked(content: bytes, path: Path) -> bytes:
    """Return the content of a label file, out of gzip or a zip archive where it is such.

    Raises
    ------
    FormatError
        When the archive is damaged, holds none or several label files, or more than ``MAX_UNPACKED_BYTES``.
    """
    try:
        if content.startswith(GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
                return _limited(stream, path)
        if content.startswith(ZIP):
            return _of_zip(content, path)
    except DAMAGED as error:
        raise FormatError(f"the packed file is damaged or of an unknown kind ({str(error)[:80]}).", path) from error
    return content


def _of_zip(content: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(only_label(archive, path)) as stream:
        return _limited(stream, path)


def only_label(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Return the one label file in an archive.

    Raises
    ------
    FormatError
        When it holds none or several.
    """
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise FormatError(f"the archive has {len(entries):,} entries; unpack it and choose a file in it.", path)
    labels = [entry for entry in entries if _is_label(entry)]
    if len(labels) != 1:
        names = ", ".join(entry.filename for entry in labels[:5])
        held = f"{len(labels)} ({names:.200})" if names else "none"
        raise FormatError(
            f"expected an archive with one label file, but it holds {held}; unpack it and choose the file or folder.",
            path,
        )
    return labels[0]


def _is_label(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    if entry.is_dir() or not parts or any(map(is_disk_file, parts)):
        return False
    return PurePosixPath(parts[-1]).suffix.lower() in LABEL_SUFFIXES


def _limited(stream: object, path: Path) -> bytes:
    """Read to the end, or refuse once more comes than is believed: a few bytes can unpack to terabytes."""
    pieces, total = [], 0
    while piece := stream.read(_CHUNK):  # type: ignore[attr-defined]
        total += len(piece)
        if total > MAX_UNPACKED_BYTES:
            raise too_much(path)
        pieces.append(piece)
    return b"".join(pieces)


def too_much(path: Path) -> FormatError:
    """Return what is said of an archive that holds more than is believed."""
    return FormatError(f"unpacked, it has more than {MAX_UNPACKED_BYTES:,} bytes, so it is not read.", path)


def _zipped_suffix(path: Path) -> str:
    return PurePosixPath(_zipped_name(path)).suffix.lower()


def _zipped_name(path: Path) -> str:
    """Return the name of the one label file in a zip archive; empty where there are none or several."""
    try:
        if special_kind(path):
            return ""
        with zipfile.ZipFile(path) as archive:
            labels = [entry for entry in archive.infolist()[:_MOST_ENTRIES] if _is_label(entry)]
    except DAMAGED:
        return ""
    return PurePosixPath(labels[0].filename.replace("\\", "/")).name if len(labels) == 1 else ""


def packed_head(path: Path, most: int) -> bytes:
    """Return the first ``most`` bytes of a label file's content, out of its archive; empty where there are none."""
    try:
        if special_kind(path):
            return b""
        with path.open("rb") as stream:
            head = stream.read(most)
        if head.startswith(GZIP):
            with gzip.open(path) as unpacking:
                return unpacking.read(most)
        if head.startswith(ZIP):
            with zipfile.ZipFile(path) as archive:
                labels = [entry for entry in archive.infolist()[:_MOST_ENTRIES] if _is_label(entry)]
                with archive.open(labels[0]) as unpacking:
                    return unpacking.read(most)
    except (
        OSError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        LookupError,
    ):
        return b""
    return head
