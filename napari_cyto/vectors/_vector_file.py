"""The vectors of a project's cells by one encoder and one crop rule: a memory-mapped file that only grows.

Two files of rows lie side by side. ``vectors-N.f16`` holds the numbers; ``cells-N.bin`` says of each row which cell it
is of, where that cell was, and the checksum of both. A row counts once its entry among the cells is whole, and that is
written after the numbers have reached the disk: a program that is killed, or a disk that is full, costs the rows that
were being written, never those before them. ``about.json`` says which ``N`` counts: rows that are of no use any more
are left behind by writing the others under the next number.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_cyto.errors import CytoError, system_sentence
from napari_cyto.files.atomic import write_text
from napari_cyto.files.lock import alone_in

Vectors = npt.NDArray[np.float16]
Rows = npt.NDArray[np.intp]

FORMAT = 1
ABOUT_NAME = "about.json"

_ENTRY = np.dtype(
    [("id", "<u8", 2), ("slide", "<u8", 2), ("centre_yx", "<f8", 2), ("checksum", "<u4"), ("spare", "<u4")]
)
_CHECKED_ON_OPENING = 4096
_ROWS_AT_ONCE = 65_536
_MOST_ABOUT_BYTES = 65_536
_ID_DIGITS = 32
_HEXADECIMAL = set("0123456789abcdef")
_MOVED_PX = 0.5
"""A cell whose centre is this near to where it was cut out has not moved: centres of outlines are stored rounded."""


class VectorFileError(CytoError):
    """A file of vectors is not what it should be."""


class VectorKind(BaseModel):
    """What a file's vectors are: whose they are comparable with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    encoder: str = Field(max_length=80, description="The encoder's id, for people.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the encoder's weights.")
    crop: str = Field(max_length=10_000, description="The crop rule, as JSON.")
    length: int = Field(ge=1, le=16_384, description="Numbers of a vector.")

    @property
    def folder_name(self) -> str:
        """The name of the folder that holds such vectors."""
        return f"{self.sha256[:16]}-{zlib.crc32(self.crop.encode()):08x}"


class _About(VectorKind):
    """What ``about.json`` holds: the kind, and the number of the two files that count."""

    number: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Which cells have no vector that still holds.

    Parameters
    ----------
    missing : ndarray, intp
        Positions, in the list of cells, of those that never had one.
    moved : ndarray, intp
        Positions of cells that lie elsewhere, or on another slide, than where their vector was taken.
    """

    missing: Rows
    moved: Rows

    @property
    def positions(self) -> Rows:
        """Both, in order."""
        return np.sort(np.concatenate([self.missing, self.moved]))


class VectorFile:
    """The vectors of one kind that a project has.

    Parameters
    ----------
    folder : Path
        Where they are kept, a folder for each kind.
    kind : VectorKind
        What they are.

    Raises
    ------
    VectorFileError
        When what lies there is of another kind, or of a later version.
    CytoError
        When the folder cannot be read.
    """

    def __init__(self, folder: Path, kind: VectorKind) -> None:
        self.folder, self.kind = folder / kind.folder_name, kind
        self._number = 0
        self.dropped_rows = 0
        """Rows that were found damaged or half-written when the file was opened."""
        self._check_kind()
        self._load()

    def __len__(self) -> int:
        """The number of cells that have a vector."""
        return len(self._sorted)

    @property
    def rows_on_disk(self) -> int:
        """Rows of the file, those of cells that moved since counted too."""
        return len(self._entries)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Return the row of each cell's newest vector, -1 where it has none."""
        sought = _ids(ids)
        rows = np.full(len(sought), -1, dtype=np.intp)
        if not len(sought) or not len(self._sorted):
            return rows
        known = self._entries["id"][self._sorted]
        place = np.searchsorted(known[:, 0], sought[:, 0], side="left")
        open_ = np.arange(len(sought))
        # Two random ids that share their first half are as good as never met; they are distinguished all the same.
        while len(open_):
            at = place[open_]
            inside = at < len(known)
            open_, at = open_[inside], at[inside]
            same_half = known[at, 0] == sought[open_, 0]
            open_, at = open_[same_half], at[same_half]
            same = known[at, 1] == sought[open_, 1]
            rows[open_[same]] = self._sorted[at[same]]
            open_ = open_[~same]
            place[open_] += 1
        return rows

    def lacking(self, ids: Sequence[str], slide_ids: Sequence[str], centres_yx: npt.ArrayLike) -> Lacking:
        """Return which cells have no vector of where they lie now.

        Parameters
        ----------
        ids, slide_ids : sequence of str
            The cells, and the slide of each.
        centres_yx : array-like, (n, 2), float64
            Where they lie now, level-0 px.
        """
        rows = self.rows_of(ids)
        centres = np.asarray(centres_yx, dtype=np.float64).reshape(-1, 2)
        missing = np.flatnonzero(rows < 0)
        known = np.flatnonzero(rows >= 0)
        entries = self._entries[rows[known]]
        far = np.abs(entries["centre_yx"] - centres[known]).max(axis=1, initial=0.0) > _MOVED_PX
        elsewhere = (entries["slide"] != _ids([slide_ids[k] for k in known.tolist()])).any(axis=1)
        return Lacking(missing, known[far | elsewhere])

    def vectors(self, rows: npt.ArrayLike) -> Vectors:
        """Return the vectors ``(n, length)`` of rows, as ``rows_of`` gives them."""
        chosen = np.asarray(rows, dtype=np.intp)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self._entries)):
            raise VectorFileError(f"{self.folder}: expected cells that have a vector, got one that has none.")
        return np.asarray(self._numbers[chosen])

    def add(
        self, ids: Sequence[str], slide_ids: Sequence[str], centres_yx: npt.ArrayLike, vectors: npt.ArrayLike
    ) -> None:
        """Keep vectors; those of a cell that has one take its place. On the disk when this returns.

        Parameters
        ----------
        ids, slide_ids : sequence of str
            The cells, and the slide of each.
        centres_yx : array-like, (n, 2), float64
            Where they were cut out, level-0 px.
        vectors : array-like, (n, length)
            Finite; kept as float16.

        Raises
        ------
        VectorFileError
            When a number is NaN, infinite or over 65,504, or the shapes do not fit; nothing is kept then.
        CytoError
            When the disk is full or another program adds vectors of the same kind; nothing is kept then.
        """
        entries, numbers = self._checked(ids, slide_ids, centres_yx, vectors)
        if not len(entries):
            return
        with self._alone():
            self._append(entries, numbers)
        self._load()

    def damaged_rows(self) -> Rows:
        """Return the rows whose checksum is wrong; reads all numbers."""
        step = _ROWS_AT_ONCE
        bad = [
            start + np.flatnonzero(_checksums(part, self._numbers[start : start + step]) != part["checksum"])
            for start in range(0, len(self._entries), step)
            for part in (self._entries[start : start + step],)
        ]
        return np.concatenate([*bad, np.empty(0, dtype=np.intp)]).astype(np.intp)

    def compact(self, keep_ids: Sequence[str]) -> int:
        """Rewrite the file without rows of cells that are gone or moved; return how many rows that were.

        Raises
        ------
        CytoError
            When the disk is full or another program has it; the file is then as it was.
        """
        with self._alone():
            rows = np.sort(self.rows_of(keep_ids))
            rows = rows[rows >= 0]
            removed = len(self._entries) - len(rows)
            if removed:
                self._rewrite(rows)
        self._load()
        return removed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder while it is written, with what another program added before taken in."""
        refusal = f"{self.folder}: another program computes these vectors; wait for it, or stop it first."
        with alone_in(self.folder, refusal):
            self._check_kind()
            self._load()
            yield

    def _check_kind(self) -> None:
        if not (self.folder / ABOUT_NAME).exists():
            return
        found = _read_about(self.folder)
        self._number = found.number
        if (found.sha256, found.crop, found.length) != (self.kind.sha256, self.kind.crop, self.kind.length):
            raise VectorFileError(
                f"{self.folder / ABOUT_NAME}: expected vectors of {self.kind.encoder} of {self.kind.length} numbers, "
                f"got those of {found.encoder} of {found.length}; move the folder away and compute them again."
            )

    def _load(self) -> None:
        vectors, cells = self._paths(self._number)
        width = 2 * self.kind.length
        try:
            sizes = [path.stat().st_size if path.exists() else 0 for path in (cells, vectors)]
            count = min(sizes[0] // _ENTRY.itemsize, sizes[1] // width)
            self._entries = np.fromfile(cells, dtype=_ENTRY, count=count) if count else np.empty(0, dtype=_ENTRY)
            self._numbers: Vectors = (
                np.memmap(vectors, dtype="<f2", mode="r", shape=(count, self.kind.length))
                if count
                else np.empty((0, self.kind.length), dtype="<f2")
            )
        except OSError as error:
            raise CytoError(system_sentence(error)) from error
        whole = self._whole_rows()
        self.dropped_rows = max(-(-sizes[0] // _ENTRY.itemsize), -(-sizes[1] // width)) - whole
        self._entries, self._numbers = self._entries[:whole], self._numbers[:whole]
        self._sorted = _newest(self._entries["id"])

    def _whole_rows(self) -> int:
        """Return how many rows are whole; what a failing machine lost is at the end, so only that is looked at."""
        count = len(self._entries)
        start = max(0, count - _CHECKED_ON_OPENING)
        tail = self._entries[start:]
        right = _checksums(tail, self._numbers[start:]) == tail["checksum"]
        return count if right.all() else start + int(np.argmin(right))

    def _checked(
        self, ids: Sequence[str], slide_ids: Sequence[str], centres_yx: npt.ArrayLike, vectors: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.void], Vectors]:
        given = np.asarray(vectors)
        centres = np.asarray(centres_yx, dtype=np.float64).reshape(-1, 2)
        if given.shape != (len(ids), self.kind.length) or not len(ids) == len(slide_ids) == len(centres):
            raise VectorFileError(
                f"Expected one vector of {self.kind.length} numbers for each of {len(ids)} cells, got {given.shape}."
            )
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(given, dtype="<f2")
        if not np.isfinite(numbers).all():
            raise VectorFileError(
                f"{self.kind.encoder}: a vector holds NaN, infinity or a number over 65,504, so nothing was kept; "
                "the encoder is damaged or does not fit these slides."
            )
        entries = np.zeros(len(ids), dtype=_ENTRY)
        entries["id"], entries["slide"], entries["centre_yx"] = _ids(ids), _ids(slide_ids), centres
        entries["checksum"] = _checksums(entries, numbers)
        return entries, numbers

    def _append(self, entries: npt.NDArray[np.void], numbers: Vectors) -> None:
        before = len(self._entries)
        del self._numbers  # Windows cuts no file that is mapped
        paths = self._paths(self._number)
        sizes = [before * 2 * self.kind.length, before * _ENTRY.itemsize]
        try:
            if not (self.folder / ABOUT_NAME).exists():
                self._write_about(self._number)
            for path, size, content in zip(paths, sizes, (numbers.tobytes(), entries.tobytes()), strict=True):
                with path.open("r+b" if path.exists() else "wb") as stream:
                    stream.truncate(size)
                    stream.seek(size)
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
        except OSError as error:
            for path, size in zip(paths, sizes, strict=True):
                with suppress(OSError):
                    os.truncate(path, size)
            self._load()
            raise CytoError(system_sentence(error)) from error

    def _rewrite(self, rows: Rows) -> None:
        """Write chosen rows under the next number, which counts from when ``about.json`` names it."""
        old, new = self._paths(self._number), self._paths(self._number + 1)
        try:
            for path, source in zip(new, (self._numbers, self._entries), strict=True):
                with path.open("wb") as stream:
                    for start in range(0, len(rows), _ROWS_AT_ONCE):
                        stream.write(source[rows[start : start + _ROWS_AT_ONCE]].tobytes())
                    stream.flush()
                    os.fsync(stream.fileno())
            self._write_about(self._number + 1)
        except OSError as error:
            _remove(new)
            raise CytoError(system_sentence(error)) from error
        except CytoError:
            _remove(new)
            raise
        del self._numbers  # Windows removes no file that is mapped
        _remove(old)

    def _write_about(self, number: int) -> None:
        about = _About(**self.kind.model_dump(), number=number)
        write_text(self.folder / ABOUT_NAME, about.model_dump_json(indent=1) + "\n")
        self._number = number

    def _paths(self, number: int) -> tuple[Path, Path]:
        return self.folder / f"vectors-{number}.f16", self.folder / f"cells-{number}.bin"


def read_kind(folder: Path) -> VectorKind:
    """Return of which kind the vectors in a folder are.

    Raises
    ------
    VectorFileError
        When there is no description of them, or one of a later version.
    CytoError
        When it cannot be read.
    """
    return VectorKind(**_read_about(folder).model_dump(exclude={"number"}))


def _read_about(folder: Path) -> _About:
    path = folder / ABOUT_NAME
    try:
        found = _About.model_validate_json(path.read_bytes()[:_MOST_ABOUT_BYTES])
    except OSError as error:
        raise CytoError(system_sentence(error)) from error
    except ValidationError as error:
        raise VectorFileError(
            f"{path}: expected a description of vectors, got something else; move the folder away and compute them "
            "again."
        ) from error
    if found.format > FORMAT:
        raise VectorFileError(f"{path}: a later version of napari-cyto wrote these vectors; use that version.")
    return found


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _ids(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return ids as two numbers each, ``(n, 2)``: their 32 hexadecimal digits, or the hash of any other text."""
    try:
        content = bytes.fromhex("".join(texts)) if all(len(text) == _ID_DIGITS for text in texts) else b""
    except ValueError:
        content = b""
    if len(content) != len(texts) * _ID_DIGITS // 2:
        content = b"".join(map(_id_bytes, texts))
    return np.frombuffer(content, dtype=">u8").reshape(len(texts), 2).astype(np.uint64)


def _id_bytes(text: str) -> bytes:
    if len(text) == _ID_DIGITS and set(text) <= _HEXADECIMAL:
        return bytes.fromhex(text)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_ID_DIGITS // 2).digest()


def _checksums(entries: npt.NDArray[np.void], numbers: Vectors) -> npt.NDArray[np.uint32]:
    """Return the checksum of each row: of its cell, its place and its numbers."""
    bare = np.ascontiguousarray(entries)
    heads = bare.view(np.uint8).reshape(len(bare), _ENTRY.itemsize)[:, : _ENTRY.fields["checksum"][1]]  # type: ignore[index]
    return np.array(
        [zlib.crc32(row.tobytes(), zlib.crc32(head.tobytes())) for head, row in zip(heads, numbers, strict=True)],
        dtype=np.uint32,
    )


def _newest(ids: npt.NDArray[np.uint64]) -> Rows:
    """Return the last row of each id, sorted by id."""
    if not len(ids):
        return np.empty(0, dtype=np.intp)
    order: Rows = np.lexsort((np.arange(len(ids)), ids[:, 1], ids[:, 0]))
    sorted_ = ids[order]
    last = np.append((sorted_[1:] != sorted_[:-1]).any(axis=1), True)
    newest: Rows = order[last]
    return newest
