"""TIFFs made tag by tag, right or wrong in any way; no tests themselves."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

LETTERS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "I", 7: "s", 13: "I", 16: "Q", 17: "q"}
WIDTH, LENGTH, ROWS, PLACES, LENGTHS, SUBS = 256, 257, 278, 273, 279, 330
TILE_W, TILE_L, TILE_PLACES, TILE_LENGTHS = 322, 323, 324, 325


@dataclass(frozen=True)
class Value:
    """A tag's value: its type, its numbers or bytes, and what the file says of count and place where that differs."""

    kind: int
    what: tuple[int, ...] | bytes
    count: int | None = None
    place: int | None = None

    def pack(self, order: str) -> bytes:
        if isinstance(self.what, bytes):
            return self.what
        return struct.pack(f"{order}{len(self.what)}{LETTERS[self.kind]}", *self.what)

    @property
    def true_count(self) -> int:
        return len(self.what) // (2 if self.kind == 5 else 1)


Tags = dict[int, Value]


@dataclass(frozen=True)
class Made:
    """A TIFF to be written: pages of tags, pixels behind the header, how it is laid out."""

    pages: tuple[Tags, ...]
    pixels: bytes = b""
    order: str = "<"
    big: bool = False
    following: tuple[int | None, ...] = ()
    sub_pages: tuple[Tags, ...] = field(default=())

    def written(self) -> bytes:
        """Return the bytes; places of pixels are counted from byte 16, where they lie."""
        out = bytearray(b"II" if self.order == "<" else b"MM")
        first = 16 + len(self.pixels)
        out += struct.pack(
            f"{self.order}HHHQ" if self.big else f"{self.order}HI", *((43, 8, 0) if self.big else (42,)), first
        )
        out = out.ljust(16, b"\0") + self.pixels
        subs = []
        at = first
        for k, tags in enumerate((*self.pages, *self.sub_pages)):
            if k == 0 and self.sub_pages:
                # Their places are known once all pages are laid out; as long as the numbers they stand for.
                tags = tags | {SUBS: Value(4, (0,) * len(self.sub_pages))}
            subs.append(at)
            at += len(self._page(tags, at, 0))
        for k, tags in enumerate((*self.pages, *self.sub_pages)):
            if k == 0 and self.sub_pages:
                tags = tags | {SUBS: Value(4, tuple(subs[len(self.pages) :]))}
            following = subs[k + 1] if k + 1 < len(self.pages) else 0
            following_value = self.following[k] if k < len(self.following) else None
            out += self._page(tags, subs[k], following if following_value is None else subs[following_value])
        return bytes(out)

    def _page(self, tags: Tags, at: int, following: int) -> bytes:
        o, inline = self.order, 8 if self.big else 4
        word = "Q" if self.big else "I"
        table = struct.pack(f"{o}{'Q' if self.big else 'H'}", len(tags))
        behind, values = at + len(table) + len(tags) * (20 if self.big else 12) + inline, bytearray()
        for code, value in sorted(tags.items()):
            data = value.pack(o)
            if value.place is not None:
                room = struct.pack(f"{o}{word}", value.place)
            elif len(data) <= inline:
                room = data.ljust(inline, b"\0")
            else:
                room, values = struct.pack(f"{o}{word}", behind + len(values)), values + data
            count = value.true_count if value.count is None else value.count
            table += struct.pack(f"{o}HH{word}", code, value.kind, count) + room
        return table + struct.pack(f"{o}{word}", following) + values


def long(*numbers: int) -> Value:
    return Value(4, numbers)


def short(*numbers: int) -> Value:
    return Value(3, numbers)


def striped(height: int = 40, width: int = 30, rows: int = 16, samples: int = 3, at: int = 16) -> Tags:
    strips = -(-height // rows)
    row = width * samples
    return {
        WIDTH: long(width), LENGTH: long(height), 258: short(*[8] * samples), 259: short(1),
        262: short(2 if samples == 3 else 1), 277: short(samples), ROWS: long(rows),
        PLACES: long(*(at + k * rows * row for k in range(strips))),
        LENGTHS: long(*(min(rows, height - k * rows) * row for k in range(strips))), 284: short(1),
    }  # fmt: skip


def tiled(height: int = 40, width: int = 30, side: int = 16, at: int = 16) -> Tags:
    many = -(-height // side) * -(-width // side)
    return {
        WIDTH: long(width), LENGTH: long(height), 258: short(8, 8, 8), 259: short(1), 262: short(2), 277: short(3),
        284: short(1), TILE_W: long(side), TILE_L: long(side),
        TILE_PLACES: long(*(at + k * side * side * 3 for k in range(many))),
        TILE_LENGTHS: long(*[side * side * 3] * many),
    }  # fmt: skip


PIXELS = bytes(np.random.default_rng(0).integers(0, 255, 8192, np.uint8))
