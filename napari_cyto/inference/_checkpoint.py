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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.json_values import to_plain
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.inference.results import SlidePrediction
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsDependOn:
    """All that the cells of a whole run depend on.

    Parameters
    ----------
    slide : str
        Fingerprint of its file.
    detector, classifier : str or None
        SHA-256 of their weights.
    mpp : float or None
        µm per px.
    region, outline : tuple or None
        Level-0 px: ``(y0, x0, y1, x1)`` and the vertices of a polygon.
    score_from : float
        The least score that counts.
    plan : int
        Version of how slides are divided.
    """

    slide: str
    detector: str
    classifier: str | None
    mpp: float | None
    region: YXYX | None
    outline: tuple[tuple[float, float], ...] | None
    score_from: float
    plan: int

    def to_json(self) -> dict[str, Any]:
        """Return the object that is compared with an earlier run's."""
        return cast(dict[str, Any], to_plain(self))


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run was asked for, as its folder keeps it.

    Parameters
    ----------
    depends_on : mapping
        All that its cells depend on, JSON-able: an earlier version's may have other names.
    tiles : tuple of tuple, optional
        ``(y0, x0, height, width)`` of each, px of the model; None where they are not told, or are damaged.
    side_px : int or None
        The side that they were planned with; None where an older version did not write it down.
    computed_by : tuple of str
        What computed those that are done.
    """

    depends_on: Mapping[str, Any]
    tiles: tuple[tuple[int, ...], ...] | None = None
    side_px: int | None = None
    computed_by: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``request.json`` holds."""
        record = dict(self.depends_on)
        if self.tiles is not None:
            record |= {"tiles": to_plain(self.tiles), "side_px": self.side_px, "computed_by": list(self.computed_by)}
        return record

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunRequest:
        """Return what ``request.json`` holds, whichever version wrote it."""
        tiles, side, by = value.get("tiles"), value.get("side_px"), value.get("computed_by", ())
        are_tiles = isinstance(tiles, list) and all(isinstance(tile, list) for tile in tiles)
        return cls(
            {name: each for name, each in value.items() if name not in _HOW},
            tuple(tuple(tile) for tile in cast(list[list[int]], tiles)) if are_tiles else None,
            side if isinstance(side, int) else None,
            tuple(str(each) for each in by) if isinstance(by, list) else (),
        )


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
    "score_from": "the minimum score changed",
    "plan": "this version of napari-cyto cuts slides into other tiles",
    "tiles": "its tiles cannot be reused",
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
                magic, number, rows, columns, checksum = _HEAD.unpack(head)
                if magic not in (_MARK, _OLD_MARK) or rows * columns * 4 > self._path.stat().st_size:
                    break
                body = stream.read(rows * columns * 4)
                right = _checksum(number, (rows, columns), body) if magic == _MARK else zlib.crc32(body)
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
    request : RunRequest
        What is asked for now.
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

    def __init__(self, folder: Path, request: RunRequest, again: bool = False) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_keep(folder, error) from error
        self.tiles, self.classes = Records(folder / "tiles.bin"), Records(folder / "classes.bin")
        self.news: str | None = None
        self.computed_by: tuple[str, ...] = ()
        now, before = _as_read(request), _read_request(folder)
        same = before is not None and before.depends_on == now.depends_on
        ended = self.result is not None
        if not (same and ended and not again):
            at_work = same and not (folder / _RESULT).exists()
            if before is not None and at_work and before.tiles == now.tiles:
                self._go_on(before, now)
            else:
                self._start(before, now, said=not (same and ended))
        self._damage = dict.fromkeys(_damage(folder / _DAMAGE))

    def _go_on(self, before: RunRequest, now: RunRequest) -> None:
        total = len(now.tiles or ())
        done = self._done(total)
        self.news = f"resuming: {done:,} of {total:,} tiles are done"
        self.computed_by = before.computed_by
        new = [each for each in now.computed_by if each not in self.computed_by]
        if done and self.computed_by and new:
            self.news += (
                f" by {' and '.join(self.computed_by)}; the others will be computed by {new[0]}, whose results "
                "differ slightly"
            )
        if self.tiles.cut_off:
            self.news += "; the last tiles written are damaged and are computed anew"
        if new:
            self._write_request(replace(before, computed_by=(*self.computed_by, *new)))

    def _start(self, before: RunRequest | None, now: RunRequest, said: bool) -> None:
        if said and any((self._folder / name).exists() for name in (*_UNFINISHED, _RESULT, _REQUEST)):
            self.news = f"starting over: {self._why_anew(before, now)}"
            if done := self._done():
                self.news += f"; {counted(done, 'finished tile is', 'finished tiles are')} discarded"
        for name in (*_UNFINISHED, _RESULT, _REQUEST):
            (self._folder / name).unlink(missing_ok=True)
        self._write_request(now)

    def _why_anew(self, before: RunRequest | None, now: RunRequest) -> str:
        if before is not None and before.depends_on == now.depends_on:
            return "the record of its result is damaged" if (self._folder / _RESULT).exists() else _CHANGED["tiles"]
        return why_anew(None if before is None else before.depends_on, now.depends_on)

    def _done(self, total: int | None = None) -> int:
        return len({number for number, _ in self.tiles.read() if total is None or number < total})

    def _write_request(self, now: RunRequest) -> None:
        write_text(self._folder / _REQUEST, json.dumps(now.to_json(), indent=1) + "\n")

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
    def result(self) -> SlidePrediction | None:
        """What the run ended with, when it did and its record is whole."""
        return _read_result(self._folder)

    def end(self, result: SlidePrediction) -> None:
        """Keep the run's last word, and drop what it would have gone on from."""
        write_text(self._folder / _RESULT, json.dumps(result.to_json(), indent=1) + "\n")
        for name in _UNFINISHED:
            (self._folder / name).unlink(missing_ok=True)


def unfinished_tiles(folder: Path, depends_on: Mapping[str, Any]) -> KeptTiles | None:
    """Return how the unfinished run of a request divided its slide; None where there is none that can go on.

    Parameters
    ----------
    folder : Path
        The run's; nothing is written there.
    depends_on : mapping
        All that the answers depend on, JSON-able.
    """
    before = _read_request(folder)
    if before is None or before.tiles is None or _read_result(folder) is not None:
        return None
    if before.depends_on != _as_read(RunRequest(depends_on)).depends_on:
        return None
    return KeptTiles(before.tiles, before.side_px)


def unfinished_side(folder: Path) -> int | None:
    """Return the side, px of the model, with which the tiles of an unfinished run were cut; None where none is."""
    before = _read_request(folder)
    return None if before is None or (folder / _RESULT).exists() else before.side_px


def why_anew(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Return why a run cannot go on from one before it, as the end of a sentence: what else was asked for then."""
    if before is None:
        return "the record of its settings is damaged"
    changed = [n for n in {**now, **before} if n not in _HOW and before.get(n) != now.get(n)]
    return " and ".join(dict.fromkeys(_CHANGED.get(name, f"{name} changed") for name in changed))


def _as_read(request: RunRequest) -> RunRequest:
    """Return a request as it is read back, so that it compares with one that was."""
    return RunRequest.from_json(json.loads(json.dumps(request.to_json())))


def _read_request(folder: Path) -> RunRequest | None:
    record = read_record(folder / _REQUEST)
    return None if record is None else RunRequest.from_json(record)


def _read_result(folder: Path) -> SlidePrediction | None:
    record = read_record(folder / _RESULT)
    try:
        return None if record is None else SlidePrediction.from_json(record)
    except CytoError:
        # As damaged as half a file: what it cannot tell is found anew.
        return None


def _checksum(number: int, shape: tuple[int, ...], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(struct.pack("<III", number, *shape)))


def _cannot_keep(path: Path, error: OSError) -> CytoError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "the disk is full" if full else f"the system refused to write ({error.strerror or error})"
    return CytoError(
        f"{path}: intermediate results cannot be saved here, {what}. What was found before that is kept; free space "
        "or fix the permissions, and start the same run again to resume it."
    )


def _damage(path: Path) -> Iterator[UnreadableTile]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
            yield UnreadableTile(**record | {"bounds_yxyx": tuple(record["bounds_yxyx"])})
        except (ValueError, TypeError, KeyError):
            continue


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None when it is not there or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
