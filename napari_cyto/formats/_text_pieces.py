"""The text of large label files, piece by piece, so that none of them has to fit into memory."""

from __future__ import annotations

import codecs
import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from napari_cyto.errors import FormatError
from napari_cyto.formats.label_files import DAMAGED, GZIP, MAX_UNPACKED_BYTES, ZIP, only_label, too_much
from napari_cyto.formats.text import MAX_BYTES, encoding_of, is_binary, not_text, too_large
from napari_cyto.jobs.progress import progressed

PIECE_BYTES = 1 << 20
LARGE_BYTES = 1 << 24
"""Files from here on are read in pieces: 16 MiB."""
_LARGE_PACKED_BYTES = 1 << 21
_HEAD_BYTES = 4096


def is_large(path: Path) -> bool:
    """Whether a label file is to be read in pieces; a folder, or what is not there, is not."""
    try:
        size = path.stat().st_size if path.is_file() else 0
        if size < _LARGE_PACKED_BYTES:
            return False
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return False
    return size >= (_LARGE_PACKED_BYTES if head.startswith((GZIP, ZIP)) else LARGE_BYTES)


def text_pieces(path: Path, doing: str = "Reading") -> Iterator[str]:
    """Yield the text of a label file, unpacked, in pieces of about 1 MiB; says how far it is.

    Parameters
    ----------
    path : Path
        The file.
    doing : str
        What it is read for, for people who wait.

    Raises
    ------
    FormatError
        As `text.read_text` does.
    """
    size = path.stat().st_size if path.exists() else 0
    with _opened(path) as (stream, plain, most):
        head = chunk = stream.read(PIECE_BYTES)
        head = head[:_HEAD_BYTES]
        encoding = encoding_of(head)
        decoder = codecs.getincrementaldecoder(encoding)()
        bytes_before, lines_before = 0, 0
        while True:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line = lines_before + error.object.count(b"\n", 0, error.start) + 1
                start = bytes_before + len(chunk) - len(error.object) + error.start
                raise not_text(encoding, head, start, path, line) from error
            if "\x00" in text:
                raise is_binary(head, path, lines_before + text.count("\n", 0, text.index("\x00")) + 1)
            bytes_before, lines_before = bytes_before + len(chunk), lines_before + text.count("\n")
            if most and bytes_before > most:
                raise too_much(path)
            progressed(plain.tell(), size, f"{doing} {path.name}")
            if text:
                yield text
            if not chunk:
                return
            chunk = stream.read(PIECE_BYTES)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes], int]]:
    """Give a label file's content and the file as streams, and how many bytes it may have; 0 when that was checked."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise too_large(path, size, MAX_BYTES)
        with path.open("rb") as plain:
            head = plain.read(4)
            plain.seek(0)
            if head.startswith(GZIP):
                with _damage(path), gzip.GzipFile(fileobj=plain) as unpacking:
                    yield unpacking, plain, MAX_UNPACKED_BYTES
            elif head.startswith(ZIP):
                with (
                    _damage(path),
                    zipfile.ZipFile(plain) as archive,
                    archive.open(only_label(archive, path)) as unpacking,
                ):
                    yield unpacking, plain, MAX_UNPACKED_BYTES
            else:
                yield plain, plain, 0
    except FileNotFoundError:
        raise FormatError("there is no such file.", path) from None
    except OSError as error:
        raise FormatError(f"the file cannot be read ({error.strerror or error}).", path) from error


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except DAMAGED as error:
        raise FormatError(f"the packed file is damaged or of an unknown kind ({str(error)[:80]}).", path) from error
