"""What a run has done so far, kept in a folder: a record for each tile, read back up to the first damaged one.

``request.json`` says what was asked for and into which tiles the slide was divided; records of another request are of
no use and are dropped. Whether a run goes on or starts anew is said in a sentence, never left to be guessed.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.slides import UnreadableTile

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KeptTiles:
    """How an unfinished run divided its slide.

    Parameters
    ----------
    tiles : tuple of tuple
        ``(y0, x0, height, width)`` of each, px of the model.
    side_px : int or None
        The side that they were planned with; None where an older version did not write it down.
    """

    tiles: tuple[tuple[int, ...], ...]
    side_px: int | None


_HEAD = struct.Struct("<4sIIII")
_MARK, _OLD_MARK = b"cyt2", b"cyt1"
"""The checksum of the older kind covers the table only, not its number and shape; it is still read."""

_REQUEST = "request.json"
_RESULT = "result.json"
_DAMAGE = "unreadable.jsonl"
_EARLY = "early.json"
_UNFINISHED = ("tiles.bin", "classes.bin", _DAMAGE, _EARLY)
_HOW = frozenset({"tiles", "side_px", "computed_by"})
"""What the cells of a whole run do not depend on: how the slide was divided, by the memory at hand, and by whom."""

_CHANGED = {
    "slide": "the slide's file changed",
    "detector": "the model changed",
    "models": "the models changed",
    "classifier": "the classifier changed",
    "mpp": "the µm per px changed",
    "region": "the region changed",
    "outline": "the outline of the region changed",
    "score_from": "the least score that counts changed",
    "plan": "this version of napari-cyto divides slides in another way",
    "tiles": "its tiles cannot be taken over",
}


class Records:
    """A file of numbered tables, float32, each with its checksum; only ever appended to.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Whether the last reading came to what is no whole record.
        self.cut_off = False

    def append(self, number: int, rows: Rows) -> None:
        """Add the table ``(n, columns)`` of ``number``; in the system's hands when this returns.

        Raises
        ------
        CytoError
            When the disk is full or refuses; what was added before stays whole.
        """
        body = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        head = _HEAD.pack(_MARK, number, *rows.shape, _checksum(number, rows.shape, body))
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("ab") as stream:
                stream.write(head + body)
        except OSError as error:
            with suppress(OSError):
                os.truncate(self._path, size)
            raise _cannot_keep(self._path, error) from error

    def read(self) -> Iterator[tuple[int, Rows]]:
        """Yield the tables in their order, and cut off what a process that was killed left half-written."""
        self.cut_off = False
        if not self._path.exists():
            return
        good = 0
        with self._path.open("rb") as stream:
            while len(head := stream.read(_HEAD.size)) == _HEAD.size:
                mark, number, rows, columns, checksum = _HEAD.unpack(head)
                if mark not in (_MARK, _OLD_MARK) or rows * columns * 4 > self._path.stat().st_size:
                    break
                body = stream.read(rows * columns * 4)
                right = _checksum(number, (rows, columns), body) if mark == _MARK else zlib.crc32(body)
                if len(body) != rows * columns * 4 or right != checksum:
                    break
                good = stream.tell()
                yield number, np.frombuffer(body, dtype="<f4").reshape(rows, columns)
        if good != self._path.stat().st_size:
            self.cut_off = True
            os.truncate(self._path, good)


class Checkpoint:
    """The folder of one slide's run.

    Parameters
    ----------
    folder : Path
        Made when it is not there.
    request : dict
        All that the answers depend on, JSON-able.
    again : bool
        Whether a run that came to its end is forgotten.

    Attributes
    ----------
    news : str or None
        That an earlier run goes on, or why it does not; None where there was none.
    computed_by : tuple of str
        What computed the tiles that are done.

    Raises
    ------
    CytoError
        When the folder cannot be written or its disk is full.
    """

    def __init__(self, folder: Path, request: dict[str, Any], again: bool = False) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_keep(folder, error) from error
        self.tiles, self.classes = Records(folder / "tiles.bin"), Records(folder / "classes.bin")
        self.news: str | None = None
        self.computed_by: tuple[str, ...] = ()
        asked, before = json.loads(json.dumps(request)), read_record(folder / _REQUEST)
        same = before is not None and _cells_depend_on(before) == _cells_depend_on(asked)
        ended = self.result is not None
        if not (same and ended and not again):
            at_work = same and not (folder / _RESULT).exists()
            if before is not None and at_work and before.get("tiles") == asked.get("tiles"):
                self._go_on(before, asked)
            else:
                self._start(before, asked, said=not (same and ended))
        self._damage = dict.fromkeys(_damage(folder / _DAMAGE))

    def _go_on(self, before: dict[str, Any], asked: dict[str, Any]) -> None:
        total = len(asked.get("tiles", ()))
        done = self._done(total)
        self.news = f"going on: {done:,} of {total:,} tiles are done"
        self.computed_by = tuple(str(each) for each in before.get("computed_by", ()))
        new = [each for each in asked.get("computed_by", ()) if each not in self.computed_by]
        if done and self.computed_by and new:
            self.news += (
                f" by {' and '.join(self.computed_by)}, the others will be by {new[0]}, whose answers differ a little"
            )
        if self.tiles.cut_off:
            self.news += "; what was written last is damaged and is done again"
        if new:
            self._write_request(before | {"computed_by": [*self.computed_by, *new]})

    def _start(self, before: dict[str, Any] | None, asked: dict[str, Any], said: bool) -> None:
        if said and any((self._folder / name).exists() for name in (*_UNFINISHED, _RESULT, _REQUEST)):
            self.news = f"starting anew, for {self._why_anew(before, asked)}"
            if done := self._done():
                self.news += f"; {done:,} tiles that were done before do not count"
        for name in (*_UNFINISHED, _RESULT, _REQUEST):
            (self._folder / name).unlink(missing_ok=True)
        self._write_request(asked)

    def _why_anew(self, before: dict[str, Any] | None, asked: dict[str, Any]) -> str:
        if before is not None and _cells_depend_on(before) == _cells_depend_on(asked):
            return "the record of its result is damaged" if (self._folder / _RESULT).exists() else _CHANGED["tiles"]
        return why_anew(before, asked)

    def _done(self, total: int | None = None) -> int:
        return len({number for number, _ in self.tiles.read() if total is None or number < total})

    def _write_request(self, asked: dict[str, Any]) -> None:
        write_text(self._folder / _REQUEST, json.dumps(asked, indent=1) + "\n")

    @property
    def damage(self) -> tuple[UnreadableTile, ...]:
        """What of the slide could not be read so far: who goes on does not read it again."""
        return tuple(self._damage)

    def note_damage(self, tiles: Iterable[UnreadableTile]) -> None:
        """Keep what could not be read; written once, and before the tile whose pixels it was."""
        new = [tile for tile in tiles if tile not in self._damage]
        if new:
            try:
                with (self._folder / _DAMAGE).open("a", encoding="utf-8") as stream:
                    # A line that a killed process left half-written spoils itself and not the next.
                    stream.writelines(f"\n{json.dumps(asdict(tile))}" for tile in new)
            except OSError as error:
                raise _cannot_keep(self._folder / _DAMAGE, error) from error
            self._damage.update(dict.fromkeys(new))

    @property
    def early(self) -> tuple[str, ...]:
        """Ids of annotations that a stopped run stored although a tile to come may tell of their cells otherwise."""
        try:
            return tuple(map(str, json.loads((self._folder / _EARLY).read_bytes())))
        except (OSError, ValueError, TypeError):
            return ()

    def note_early(self, ids: Iterable[str]) -> None:
        """Keep which annotations a run stored when it was stopped, before their cells were settled."""
        write_text(self._folder / _EARLY, json.dumps(sorted({*self.early, *ids})) + "\n")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run ended with, when it did."""
        return read_record(self._folder / _RESULT)

    def end(self, result: dict[str, Any]) -> None:
        """Keep the run's last word, and drop what it would have gone on from."""
        write_text(self._folder / _RESULT, json.dumps(result, indent=1) + "\n")
        for name in _UNFINISHED:
            (self._folder / name).unlink(missing_ok=True)


def unfinished_tiles(folder: Path, request: dict[str, Any]) -> KeptTiles | None:
    """Return how the unfinished run of a request divided its slide; None where there is none that can go on.

    Parameters
    ----------
    folder : Path
        The run's; nothing is written there.
    request : dict
        All that the answers depend on, JSON-able; the tiles may be missing.
    """
    before = read_record(folder / _REQUEST)
    if before is None or read_record(folder / _RESULT) is not None:
        return None
    if _cells_depend_on(before) != _cells_depend_on(json.loads(json.dumps(request))):
        return None
    tiles, side = before.get("tiles"), before.get("side_px")
    if not isinstance(tiles, list) or not all(isinstance(tile, list) for tile in tiles):
        return None
    return KeptTiles(tuple(tuple(tile) for tile in tiles), side if isinstance(side, int) else None)


def unfinished_side(folder: Path) -> int | None:
    """Return the side, px of the model, with which the tiles of an unfinished run were cut; None where none is."""
    before = read_record(folder / _REQUEST)
    side = None if before is None or (folder / _RESULT).exists() else before.get("side_px")
    return side if isinstance(side, int) else None


def why_anew(before: dict[str, Any] | None, asked: dict[str, Any]) -> str:
    """Return why a run cannot go on from one before it, as the end of a sentence: what else was asked for then."""
    if before is None:
        return "the record of what was asked for is damaged"
    changed = [n for n in {**asked, **before} if n not in _HOW and before.get(n) != asked.get(n)]
    return " and ".join(dict.fromkeys(_CHANGED.get(name, f"{name} changed") for name in changed))


def _cells_depend_on(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name not in _HOW}


def _checksum(number: int, shape: tuple[int, ...], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(struct.pack("<III", number, *shape)))


def _cannot_keep(path: Path, error: OSError) -> CytoError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "the disk is full" if full else f"the system refused this ({error.strerror or error})"
    return CytoError(
        f"{path}: what is done cannot be kept here, {what}. What was found till then is kept; put that right, and the "
        "same run goes on from there."
    )


def _damage(path: Path) -> Iterator[UnreadableTile]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            told = json.loads(line)
            yield UnreadableTile(**told | {"bounds_yxyx": tuple(told["bounds_yxyx"])})
        except (ValueError, TypeError, KeyError):
            continue


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None when it is not there or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
