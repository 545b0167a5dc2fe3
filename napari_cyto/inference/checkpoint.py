"""What a run has done so far, kept in a folder: a record for each tile, read back up to the first damaged one.

``request.json`` says what was asked for; records of another request are of no use and are dropped.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.formats.atomic import write_text
from napari_cyto.slides import UnreadableTile

Rows = npt.NDArray[np.float32]

_HEAD = struct.Struct("<4sIIII")
_MARK = b"cyt1"
_REQUEST = "request.json"
_RESULT = "result.json"
_DAMAGE = "unreadable.jsonl"
_UNFINISHED = ("tiles.bin", "classes.bin", _DAMAGE)


class Records:
    """A file of numbered tables, float32, each with its checksum; only ever appended to.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, number: int, rows: Rows) -> None:
        """Add the table ``(n, columns)`` of ``number``; in the system's hands when this returns."""
        body = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        head = _HEAD.pack(_MARK, number, rows.shape[0], rows.shape[1], zlib.crc32(body))
        with self._path.open("ab") as stream:
            stream.write(head + body)

    def read(self) -> Iterator[tuple[int, Rows]]:
        """Yield the tables in their order, and cut off what a process that was killed left half-written."""
        if not self._path.exists():
            return
        good = 0
        with self._path.open("rb") as stream:
            while len(head := stream.read(_HEAD.size)) == _HEAD.size:
                mark, number, rows, columns, checksum = _HEAD.unpack(head)
                if mark != _MARK or rows * columns * 4 > self._path.stat().st_size:
                    break
                body = stream.read(rows * columns * 4)
                if len(body) != rows * columns * 4 or zlib.crc32(body) != checksum:
                    break
                good = stream.tell()
                yield number, np.frombuffer(body, dtype="<f4").reshape(rows, columns)
        if good != self._path.stat().st_size:
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
    """

    def __init__(self, folder: Path, request: dict[str, Any], again: bool = False) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.tiles, self.classes = Records(folder / "tiles.bin"), Records(folder / "classes.bin")
        asked = json.loads(json.dumps(request))
        before, ended = _read(folder / _REQUEST) or {}, self.result is not None and not again
        if before != asked and not (ended and _less_tiles(before) == _less_tiles(asked)):
            for name in (*_UNFINISHED, _RESULT):
                (folder / name).unlink(missing_ok=True)
            write_text(folder / _REQUEST, json.dumps(asked, indent=1) + "\n")
        elif again:
            (folder / _RESULT).unlink(missing_ok=True)
        self._damage = dict.fromkeys(_damage(folder / _DAMAGE))

    @property
    def damage(self) -> tuple[UnreadableTile, ...]:
        """What of the slide could not be read so far: who goes on does not read it again."""
        return tuple(self._damage)

    def note_damage(self, tiles: Iterable[UnreadableTile]) -> None:
        """Keep what could not be read; written once, and before the tile whose pixels it was."""
        new = [tile for tile in tiles if tile not in self._damage]
        if new:
            with (self._folder / _DAMAGE).open("a", encoding="utf-8") as stream:
                # A line that a killed process left half-written spoils itself and not the next.
                stream.writelines(f"\n{json.dumps(asdict(tile))}" for tile in new)
            self._damage.update(dict.fromkeys(new))

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run ended with, when it did."""
        return _read(self._folder / _RESULT)

    def end(self, result: dict[str, Any]) -> None:
        """Keep the run's last word, and drop what it would have gone on from."""
        write_text(self._folder / _RESULT, json.dumps(result, indent=1) + "\n")
        for name in _UNFINISHED:
            (self._folder / name).unlink(missing_ok=True)


def _less_tiles(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the cells of a whole run depend on: tiles are cut by the memory that is free, and make no others."""
    return {name: value for name, value in asked.items() if name != "tiles"}


def _damage(path: Path) -> Iterator[UnreadableTile]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            told = json.loads(line)
            yield UnreadableTile(**told | {"bounds_yxyx": tuple(told["bounds_yxyx"])})
        except (ValueError, TypeError, KeyError):
            continue


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
