"""The directories of a TIFF as its bytes have them, with every count and place checked against the file first.

Nothing here trusts the file: a table that would lie beyond its end is told as a fault instead of being read, chains
of directories that come back to themselves end, and how much is read is bounded. Source: TIFF 6.0, section 2; BigTIFF
(https://www.awaresystems.be/imaging/tiff/bigtiff.html); for NDPI, OpenSlide's description of its 64-bit offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted

MOST_PAGES: Final = 1000
"""How many pages of a file are looked at."""
MOST_SUB_PAGES: Final = 64
"""How many pages that one page lists as belonging to it (SubIFDs) are looked at."""
MOST_ENTRIES: Final = 4096
"""How many tags a page may have."""
MOST_ENTRIES_IN_ALL: Final = 100_000
"""How many tags all pages together may have: a hundred for each page that is looked at."""
MOST_ENTRIES_OF_PARTS: Final = 30_000
"""How many tags the pages that one page lists may have together."""
MOST_VALUE_BYTES: Final = 32 * 2**20
"""The longest value of a tag that is read: 4,194,304 places of tiles in a file beyond 4 GB."""
SHORT_VALUE_BYTES: Final = 4096
"""The longest value of a tag that describes a page in a few numbers."""
LONGEST_SIDE_PX: Final = 2**31 - 1

STARTS: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
WIDTH, LENGTH, SUB_PAGES, NDPI_MARK = 256, 257, 330, 65420
NAMES: Final = {
    254: "NewSubfileType", 255: "SubfileType", 256: "ImageWidth", 257: "ImageLength", 258: "BitsPerSample",
    259: "Compression", 262: "PhotometricInterpretation", 266: "FillOrder", 270: "ImageDescription", 271: "Make",
    272: "Model", 273: "StripOffsets", 274: "Orientation", 277: "SamplesPerPixel", 278: "RowsPerStrip",
    279: "StripByteCounts", 282: "XResolution", 283: "YResolution", 284: "PlanarConfiguration", 296: "ResolutionUnit",
    305: "Software", 317: "Predictor", 320: "ColorMap", 322: "TileWidth", 323: "TileLength", 324: "TileOffsets",
    325: "TileByteCounts", 330: "SubIFDs", 338: "ExtraSamples", 339: "SampleFormat", 347: "JPEGTables",
    530: "YCbCrSubSampling", 531: "YCbCrPositioning", 532: "ReferenceBlackWhite", 32997: "ImageDepth",
    32998: "TileDepth", 34675: "ICC profile",
}  # fmt: skip
_BYTES_OF_TYPE: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
                         17: 8, 18: 8}  # fmt: skip
_WHOLE_NUMBERS: Final = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}

Order = Literal["<", ">"]


class TiffFault(ValueError):
    """What is wrong with a TIFF: "expected ..., got ...", without the name of the file and without a full stop."""


def tag_name(code: int) -> str:
    """Return a tag's name as TIFF has it, with its number for those who look it up."""
    return f"{NAMES[code]} (tag {code})" if code in NAMES else f"tag {code}"


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: its type and count, and where its value lies, which is within the file unless ``fault`` says why not."""

    code: int
    kind: int
    count: int
    place: int
    fault: str = ""

    @property
    def n_bytes(self) -> int:
        """How many bytes its value has."""
        return self.count * _BYTES_OF_TYPE.get(self.kind, 1)


class Directory:
    """The tags of one page.

    Parameters
    ----------
    layout : TiffLayout
        The file that it is of.
    offset : int
        Where it begins, bytes from the beginning of the file.
    tags : dict of int to Tag
        By their numbers; of one that comes twice the first counts.
    entries : int
        How many tags it lists, those that come again among them.
    following : int
        Where the next page's directory begins; 0 for none.
    """

    def __init__(self, layout: TiffLayout, offset: int, tags: dict[int, Tag], entries: int, following: int) -> None:
        self._layout, self.offset, self.tags = layout, offset, tags
        self.entries, self.following = entries, following

    def __contains__(self, code: int) -> bool:
        return code in self.tags

    @property
    def order(self) -> Order:
        """The order of bytes in the file."""
        return self._layout.order

    def raw(self, code: int, most_bytes: int = SHORT_VALUE_BYTES) -> bytes:
        """Return the bytes of a tag's value.

        Raises
        ------
        TiffFault
            When it is missing, lies beyond the file, or is longer than is ever read.
        """
        tag = self.tags.get(code)
        if tag is None:
            raise TiffFault(f"expected the tag {tag_name(code)}, got a page without it")
        if tag.fault:
            raise TiffFault(tag.fault)
        if tag.n_bytes > most_bytes:
            raise TiffFault(f"expected at most {most_bytes:,} bytes in {tag_name(code)}, got {tag.n_bytes:,} of them")
        return self._layout.read(tag.place, tag.n_bytes)

    def numbers(self, code: int, most_bytes: int = SHORT_VALUE_BYTES) -> npt.NDArray[np.uint64]:
        """Return the whole numbers of a tag, at least one.

        Raises
        ------
        TiffFault
            When it is missing, empty, of another type, or cannot be read.
        """
        data, tag = self.raw(code, most_bytes), self.tags[code]
        if tag.kind not in _WHOLE_NUMBERS or not tag.count:
            raise TiffFault(
                f"expected whole numbers in {tag_name(code)}, got {counted(tag.count, 'value')} of the type {tag.kind}"
            )
        return np.frombuffer(data, self._layout.order + _WHOLE_NUMBERS[tag.kind]).astype(np.uint64)

    def number(self, code: int, default: int | None = None) -> int:
        """Return the first whole number of a tag, or ``default`` where the page has none.

        Raises
        ------
        TiffFault
            As `numbers` does; a missing tag only where there is no default.
        """
        if code not in self.tags and default is not None:
            return default
        return int(self.numbers(code)[0])

    def bounded(self, code: int, lowest: int, highest: int, default: int | None = None) -> int:
        """Return `number` when it lies within bounds.

        Raises
        ------
        TiffFault
            When it does not, or cannot be read.
        """
        value = self.number(code, default)
        if not lowest <= value <= highest:
            allowed = f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"
            if highest >= LONGEST_SIDE_PX:
                allowed = f"{lowest:,} or more" if value < lowest else f"at most {highest:,}"
            raise TiffFault(f"expected {allowed} in {tag_name(code)}, got {value:,}")
        return value

    def size_hw(self) -> tuple[int, int]:
        """Return height and width, px.

        Raises
        ------
        TiffFault
            When one of them is missing, 0, or beyond 2,147,483,647.
        """
        return (self.bounded(LENGTH, 1, LONGEST_SIDE_PX), self.bounded(WIDTH, 1, LONGEST_SIDE_PX))


class TiffLayout:
    """The directories of a TIFF, read from a stream that can seek.

    Parameters
    ----------
    stream : binary file
        The TIFF, open for as long as the layout is used.

    Raises
    ------
    TiffFault
        When its first bytes are not those of a TIFF, or name no page.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.seek(0, 2)
        self.n_bytes = stream.tell()
        head = self._up_to(0, 16)
        if head[:4] not in STARTS:
            raise TiffFault("expected the first bytes of a TIFF (II or MM, then 42 or 43), got others")
        self.order: Order = "<" if head[:2] == b"II" else ">"
        self.is_big = head[2:4] in (b"+\x00", b"\x00+")
        if len(head) < (16 if self.is_big else 8):
            raise TiffFault(f"expected a TIFF's header, got a file of {self.n_bytes} bytes")
        if self.is_big:
            size, zero, first = struct.unpack(f"{self.order}HHQ", head[4:16])
            if (size, zero) != (8, 0):
                raise TiffFault(f"expected offsets of 8 bytes in the header of a BigTIFF, got {size} and {zero}")
        else:
            first = struct.unpack(f"{self.order}I", head[4:8])[0]
        self.first: int = first
        self._entry_bytes, self._entry = (20, f"{self.order}HHQ8s") if self.is_big else (12, f"{self.order}HHI4s")
        self._is_ndpi = False
        if not self.is_big and self.order == "<":
            self._is_ndpi = self._looks_like_ndpi(head)

    def read(self, place: int, n_bytes: int) -> bytes:
        """Return bytes of the file.

        Raises
        ------
        TiffFault
            When the file ends before them.
        """
        data = self._up_to(place, n_bytes)
        if len(data) < n_bytes:
            raise TiffFault(f"expected {n_bytes:,} bytes at byte {place:,}, got a file that ends at {self.n_bytes:,}")
        return data

    def pages(self) -> Iterator[Directory]:
        """Return the directories of the pages, one after another.

        Raises
        ------
        TiffFault
            Where a directory cannot be read or the chain comes back to an earlier page; for the first page as for
            any other, so who has pages already may stop there and say so.
        """
        seen: set[int] = set()
        place = self.first
        if not place:
            raise TiffFault("expected at least one page, got a file that names none")
        while place:
            if place in seen:
                raise TiffFault(
                    f"expected {counted(len(seen), 'page')} to be followed by others, got the first ones again"
                )
            seen.add(place)
            directory = self.directory(place)
            yield directory
            place = directory.following

    def directory(self, place: int) -> Directory:
        """Return the directory that begins at a place.

        Raises
        ------
        TiffFault
            When it does not lie within the file, or lists no tags or more than 4,096.
        """
        counting = 8 if self.is_big else 2
        count = int.from_bytes(self._table(place, counting), "little" if self.order == "<" else "big")
        if not 1 <= count <= MOST_ENTRIES:
            raise TiffFault(f"expected 1 to {MOST_ENTRIES:,} tags in a page, got {count:,} at byte {place:,}")
        begin = place + counting
        table = self._table(begin, count * self._entry_bytes)
        highs = self._ndpi_highs(begin + len(table) + 8, count)
        tags: dict[int, Tag] = {}
        for k in range(count):
            at = k * self._entry_bytes
            tag = self._tag(table[at : at + self._entry_bytes], begin + at, highs[k])
            tags.setdefault(tag.code, tag)
        return Directory(self, place, tags, count, self._following(begin + len(table)))

    def _up_to(self, place: int, n_bytes: int) -> bytes:
        if place >= self.n_bytes:
            return b""
        self._stream.seek(place)
        return self._stream.read(n_bytes)

    def _table(self, place: int, n_bytes: int) -> bytes:
        if place < 8 or place + n_bytes > self.n_bytes:
            raise TiffFault(
                f"expected the tags of a page within the {self.n_bytes:,} bytes of the file, got byte {place:,}"
            )
        return self.read(place, n_bytes)

    def _following(self, place: int) -> int:
        size = 8 if self.is_big or self._is_ndpi else 4
        # A file that ends behind its last page's tags is read to there.
        return int.from_bytes(self._up_to(place, size), "little" if self.order == "<" else "big")

    def _tag(self, entry: bytes, at: int, high: int) -> Tag:
        code, kind, count, value = struct.unpack(self._entry, entry)
        each = _BYTES_OF_TYPE.get(kind)
        if each is None:
            return Tag(code, kind, count, 0, f"expected one of TIFF's types in {tag_name(code)}, got type {kind}")
        if count * each <= len(value):
            return Tag(code, kind, count, at + self._entry_bytes - len(value))
        place = int.from_bytes(value, "little" if self.order == "<" else "big") + (high << 32)
        fault = ""
        if place < 8 or place + count * each > self.n_bytes:
            fault = (
                f"expected the {count * each:,} bytes of {tag_name(code)} within the file's {self.n_bytes:,}, "
                f"got byte {place:,}"
            )
        return Tag(code, kind, count, place, fault)

    def _looks_like_ndpi(self, head: bytes) -> bool:
        """Whether the first page carries NDPI's mark; in such a file, offsets have 64 bits in places of their own."""
        wide = struct.unpack("<Q", head[4:12])[0] if len(head) >= 12 else self.first
        for first in dict.fromkeys((wide, self.first)):
            try:
                is_ndpi = NDPI_MARK in self.directory(first)
            except TiffFault:
                continue
            if is_ndpi:
                self.first = first
            return is_ndpi
        return False

    def _ndpi_highs(self, place: int, count: int) -> tuple[int, ...]:
        data = self._up_to(place, 4 * count) if self._is_ndpi else b""
        return struct.unpack(f"<{count}I", data) if len(data) == 4 * count else (0,) * count


def first_size_hw(stream: BinaryIO) -> tuple[int, int]:
    """Return height and width of a TIFF's first page, px.

    Raises
    ------
    TiffFault
        When its header or first page is damaged.
    """
    layout = TiffLayout(stream)
    return layout.directory(layout.first).size_hw()
