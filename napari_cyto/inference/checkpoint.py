"""What a run has done so far, kept in a folder: a record for each tile, read back up to the first damaged one.

``request.json`` says what was asked for; records of another request are of no use and are dropped.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.formats.atomic import write_text

Rows = npt.NDArray[np.float32]

_HEAD = struct.Struct("<4sIIII")
_MARK = b"cyt1"
_REQUEST = "request.json"
_RESULT = "result.json"


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
            for name in ("tiles.bin", "classes.bin", _RESULT):
                (folder / name).unlink(missing_ok=True)
            write_text(folder / _REQUEST, json.dumps(asked, indent=1) + "\n")
        elif again:
            (folder / _RESULT).unlink(missing_ok=True)

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run ended with, when it did."""
        return _read(self._folder / _RESULT)

    def end(self, result: dict[str, Any]) -> None:
        """Keep the run's last word, and drop what it would have gone on from."""
        write_text(self._folder / _RESULT, json.dumps(result, indent=1) + "\n")
        for name in ("tiles.bin", "classes.bin"):
            (self._folder / name).unlink(missing_ok=True)


def _less_tiles(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the cells of a whole run depend on: tiles are cut by the memory that is free, and make no others."""
    return {name: value for name, value in asked.items() if name != "tiles"}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
