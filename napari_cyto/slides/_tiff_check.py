"""A TIFF's pages, each checked before any library sees them: sizes, counts, strips, tiles, tables and profiles.

What is handed to tifffile is not the file's own header but one that is made anew from what was checked, so nothing in
a stranger's tags reaches it.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tifffile

from napari_cyto.domain.counts import counted
from napari_cyto.domain.tiff_layout import (
    LONGEST_SIDE_PX,
    MOST_ENTRIES_IN_ALL,
    MOST_ENTRIES_OF_PARTS,
    MOST_PAGES,
    MOST_SUB_PAGES,
    MOST_VALUE_BYTES,
    SUB_PAGES,
    Directory,
    TiffFault,
    TiffLayout,
    tag_name,
)
from napari_cyto.errors import SlideError
from napari_cyto.slides._encoded_size import encoded_size_hw
from napari_cyto.slides._focal_planes import MOST_PLANES
from napari_cyto.slides.backend import TileError

MOST_SEGMENT_PX: Final = 2**25
"""The largest tile or packed strip that is unpacked, px: 5,792 x 5,792."""
MOST_SEGMENT_BYTES: Final = 2**27
"""The most bytes that one tile or strip may unpack to, in all of its planes."""
MOST_COSTLY_PX: Final = 2**24
"""The largest tile of JPEG 2000 and JPEG XL, whose decoders take many times the room and the time of others, and the
largest of several strips, of which a view shows many."""
MOST_SEGMENTS: Final = 4_000_000
"""How many tiles or strips the levels of a file may have together."""
MOST_PX: Final = 2**38
"""The most px of a page: 524,288 x 524,288, several times the largest glass at the finest scale."""
WIDEST_STRIP_PX: Final = 2**20
"""The widest strip, px: whatever is looked at, strips are read from end to end."""
SMALLEST_TILE_PX: Final = 16
"""TIFF 6.0, section 15: the sides of tiles are multiples of 16."""
_BAND_ROWS, _BAND_PX = 256, 2**22
_MOST_SAMPLES = 64
_MOST_DUMMIES = 10_000
# The levels of each plane of a stack: of three colours and as many focal planes as are shown.
_MOST_WITH_PARTS = 3 * MOST_PLANES
_MOST_ICC_BYTES = 8 * 2**20
_UNPACKED = 1
_PALETTE, _SEPARATE = 3, 2
_TEXT, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_PLACES, _LENGTHS = (324, 273, 513), (325, 279, 514)
_BYTES_TYPES = frozenset({1, 7})
_WAVELETS = frozenset({33003, 33004, 33005, 34712, 50002, 52546})
_MOST_TEXT_BYTES = 8 * 2**20


class DamagedTiffError(SlideError):
    """A TIFF whose header cannot be right, or asks for more than is ever unpacked."""


Cleaned = dict[int, tuple[int, bytes]]
"""Tags of the header that tifffile is given: type and bytes of each."""


@dataclass(frozen=True, slots=True)
class CheckedPage:
    """A page whose tags were checked.

    Parameters
    ----------
    name : str
        What sentences call it: ``page 1``, ``part 2 of page 1``.
    directory : Directory
        Its tags.
    size_hw : tuple of int
        Height and width, px.
    segment_hw : tuple of int
        Height and width of a tile, or of a strip as it is read: unpacked strips are read in bands.
    is_tiled : bool
        Whether it is stored in tiles.
    planes : int
        How many planes lie one after another: 1, or one for each sample.
    samples, bits : int
        How many samples a pixel has, and how many bits each.
    compression, photometric : int
        As TIFF numbers them.
    stored_rows : int
        How many rows a strip has in the file; of a tile, its height.
    page : TiffPage
        The page as tifffile decodes its tiles, made from the checked tags alone.
    """

    name: str
    directory: Directory
    size_hw: tuple[int, int]
    segment_hw: tuple[int, int]
    is_tiled: bool
    planes: int
    samples: int
    bits: int
    compression: int
    photometric: int
    stored_rows: int
    cleaned: Cleaned = field(repr=False)
    page: tifffile.TiffPage = field(default=None, repr=False)  # type: ignore[assignment]
    below: list[CheckedPage] = field(default_factory=list, repr=False)

    @property
    def grid(self) -> tuple[int, int]:
        """How many segments there are down and across."""
        return (-(-self.size_hw[0] // self.segment_hw[0]), -(-self.size_hw[1] // self.segment_hw[1]))

    @property
    def stored_segments(self) -> int:
        """How many tiles or strips the file should have for this page."""
        if self.is_tiled:
            return self.planes * math.prod(self.grid)
        return self.planes * -(-self.size_hw[0] // self.stored_rows)

    @property
    def bytes_per_row(self) -> int:
        """How many bytes a row of an unpacked strip has."""
        return -(-self.size_hw[1] * (1 if self.planes > 1 else self.samples) * self.bits // 8)

    def places(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Return where each tile or strip begins and how many bytes it has; shorter where the file's tables are.

        Raises
        ------
        TiffFault
            When the file has no such table.
        """
        offsets = self._table(_PLACES)
        if self.compression == _UNPACKED and not any(code in self.directory for code in _LENGTHS):
            return offsets, np.full(len(offsets), LONGEST_SIDE_PX, np.uint64)
        return offsets, self._table(_LENGTHS)

    def palette(self) -> npt.NDArray[np.uint8] | None:
        """Return uint8 RGB ``(colours, 3)`` of a palette image, else None."""
        if self.photometric != _PALETTE:
            return None
        values = self.directory.numbers(320, MOST_VALUE_BYTES)
        return (values.reshape(3, -1).T >> np.uint64(8)).astype(np.uint8)

    def jpeg_tables(self) -> bytes | None:
        """Return the tables that the JPEGs of this page share."""
        return self.directory.raw(347, 2**20) if 347 in self.directory and self.compression == 7 else None

    def icc(self) -> bytes | None:
        """Return the ICC profile as the file has it.

        Raises
        ------
        TiffFault
            When it lies beyond the file, is no bytes, or is longer than 8 MiB.
        """
        if 34675 not in self.directory:
            return None
        _expect_bytes(self.directory, 34675)
        return self.directory.raw(34675, _MOST_ICC_BYTES)

    def _table(self, codes: tuple[int, ...]) -> npt.NDArray[np.uint64]:
        code = next((c for c in codes if c in self.directory), codes[0 if self.is_tiled else 1])
        return self.directory.numbers(code, MOST_VALUE_BYTES)[: self.stored_segments]


@dataclass(frozen=True, slots=True)
class CheckedTiff:
    """The pages of a TIFF that may be read, the first among them, and what is said of the others."""

    path: Path
    tiff: tifffile.TiffFile
    pages: list[CheckedPage]
    remarks: tuple[str, ...]


def check_tiff(path: Path) -> str:
    """Refuse a TIFF that no library is to see; return why the slide library is not to see it, empty where it may.

    Parameters
    ----------
    path : Path
        A file that begins as a TIFF does.

    Raises
    ------
    SlideError
        When its header or its first page is damaged.
    """
    try:
        with path.open("rb") as stream:
            found, remark = _directories(TiffLayout(stream))
            reasons = [remark]
            for number, directory in enumerate(found, 1):
                with _naming(f"page {number}"):
                    reasons.append(_first_fault(directory, is_first=number == 1))
            return next((reason for reason in reasons if reason), "")
    except (TiffFault, OSError) as error:
        raise damaged(path, error) from error


@contextlib.contextmanager
def checked_tiff(path: Path) -> Iterator[CheckedTiff]:
    """Check a TIFF and give its pages, with the file open for as long as their tags are looked at.

    Raises
    ------
    SlideError
        When its header or its first page is damaged.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise damaged(path, error) from error
    with stream:
        try:
            pages, remarks = _checked_pages(TiffLayout(stream))
            header = _header([page.cleaned for page in _all(pages)], pages[0].directory.order)
            opened = tifffile.TiffFile(io.BytesIO(header))
        except (TiffFault, OSError, tifffile.TiffFileError) as error:
            raise damaged(path, error) from error
        with opened as tiff:
            for page, made in zip(_all(pages), tiff.pages, strict=True):
                object.__setattr__(page, "page", made)
            yield CheckedTiff(path, tiff, pages, tuple(remarks))


def damaged(path: Path, error: Exception) -> DamagedTiffError:
    """Return the error that says of a TIFF why it cannot be read."""
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return DamagedTiffError(f"{path.name} is a damaged or unusual TIFF: {reason}; check that it was copied whole.")


def _all(pages: list[CheckedPage]) -> list[CheckedPage]:
    return pages + [below for page in pages for below in page.below]


def _directories(layout: TiffLayout) -> tuple[list[Directory], str]:
    """Return the directories of the pages as far as they can be read, and what to say of those behind them.

    Raises
    ------
    TiffFault
        When the first one cannot be read.
    """
    found: list[Directory] = []
    entries = 0
    try:
        for directory in layout.pages():
            entries += directory.entries
            if len(found) == MOST_PAGES:
                return found, f"The file holds more than {MOST_PAGES:,} pages; those behind them are ignored."
            if entries > MOST_ENTRIES_IN_ALL:
                many = f"The pages of the file have more than {MOST_ENTRIES_IN_ALL:,} tags together"
                return found, f"{many}; those behind page {len(found)} are ignored."
            found.append(directory)
    except TiffFault as fault:
        if not found:
            raise
        return found, f"What follows page {len(found)} of the file is damaged and left out: {fault}."
    return found, ""


def _first_fault(directory: Directory, *, is_first: bool) -> str:
    """Return what the slide library could stumble over in a page; of the first page it is raised."""
    try:
        _size_hw(directory)
        _tile_hw(directory)
        _bits(directory)
    except TiffFault as fault:
        if is_first:
            raise
        return str(fault)
    return ""


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except TiffFault as fault:
        raise TiffFault(f"in {name}, {fault}") from fault


def _checked_pages(layout: TiffLayout) -> tuple[list[CheckedPage], list[str]]:
    found, remark = _directories(layout)
    remarks, pages, left_out, entries = [remark], [], [], 0
    seen = {directory.offset for directory in found}
    for number, directory in enumerate(found, 1):
        name = f"page {number}"
        try:
            with _naming(name):
                page = _checked(directory, name, remarks if number == 1 else None)
        except TiffFault as fault:
            if number == 1:
                raise
            left_out.append(str(fault))
            continue
        pages.append(page)
        if len(pages) <= _MOST_WITH_PARTS and entries <= MOST_ENTRIES_IN_ALL:
            remarks.append(_add_parts(layout, page, seen, left_out))
            entries += sum(part.directory.entries for part in page.below)
    if left_out:
        many = "One page" if len(left_out) == 1 else f"{len(left_out)} pages"
        remarks.append(f"{many} of the file cannot be read and {'is' if len(left_out) == 1 else 'are'} left out: "
                       f"{left_out[0]}{', and so on' if len(left_out) > 1 else ''}.")  # fmt: skip
    return pages, [remark for remark in remarks if remark]


def _add_parts(layout: TiffLayout, page: CheckedPage, seen: set[int], left_out: list[str]) -> str:
    """Add the pages that a page lists as its own (SubIFDs); return what to say when they are not all looked at."""
    if SUB_PAGES not in page.directory:
        return ""
    try:
        offsets = page.directory.numbers(SUB_PAGES, MOST_VALUE_BYTES)
    except TiffFault as fault:
        left_out.append(str(fault))
        return ""
    entries = 0
    for part, offset in enumerate(offsets[:MOST_SUB_PAGES].tolist(), 1):
        name = f"part {part} of {page.name}"
        if offset in seen or entries > MOST_ENTRIES_OF_PARTS:
            got = "one that was met before" if offset in seen else f"more than {MOST_ENTRIES_OF_PARTS:,} tags before it"
            left_out.append(f"expected a page of its own as {name}, got {got}")
            continue
        seen.add(offset)
        try:
            with _naming(name):
                directory = layout.directory(offset)
                entries += directory.entries
                page.below.append(_checked(directory, name, None))
        except TiffFault as fault:
            left_out.append(str(fault))
    if len(offsets) <= MOST_SUB_PAGES:
        return ""
    return f"{tag_name(SUB_PAGES)} lists {len(offsets):,} pages; the first {MOST_SUB_PAGES} are used."


def _size_hw(directory: Directory) -> tuple[int, int]:
    height, width = directory.size_hw()
    if height * width > MOST_PX:
        raise TiffFault(f"expected at most {MOST_PX:,} px, got {width:,} x {height:,}")
    return (height, width)


def _tile_hw(directory: Directory) -> tuple[int, int] | None:
    """Return height and width of the tiles, None where there are strips."""
    if 322 not in directory and 323 not in directory:
        return None
    height = directory.bounded(323, SMALLEST_TILE_PX, LONGEST_SIDE_PX)
    width = directory.bounded(322, SMALLEST_TILE_PX, LONGEST_SIDE_PX)
    if height * width > MOST_SEGMENT_PX:
        raise TiffFault(f"expected tiles of at most {MOST_SEGMENT_PX:,} px, got {width:,} x {height:,}")
    return (height, width)


def _bits(directory: Directory) -> tuple[int, int]:
    """Return how many samples a pixel has, and how many bits each."""
    samples = directory.bounded(277, 1, _MOST_SAMPLES, 1)
    if 258 not in directory:
        return samples, 1
    bits = directory.numbers(258)[:samples]
    if not 1 <= int(bits[0]) <= 64 or (bits != bits[0]).any():
        got = ", ".join(str(value) for value in bits[:4].tolist())
        raise TiffFault(f"expected one number from 1 to 64 for all samples in {tag_name(258)}, got {got}")
    return samples, int(bits[0])


def _checked(directory: Directory, name: str, remarks: list[str] | None) -> CheckedPage:
    """Return a page when all that decoding it needs is right; ``remarks`` takes what is wrong with the rest."""
    size = _size_hw(directory)
    samples, bits = _bits(directory)
    planar = directory.bounded(284, 1, 2, 1)
    compression = directory.bounded(259, 1, 65535, 1)
    photometric = directory.bounded(262, 0, 65535, 0)
    for code in (32997, 32998):
        directory.bounded(code, 1, 1, 1)
    tile = _tile_hw(directory)
    planes = samples if planar == _SEPARATE and samples > 1 else 1
    stored_rows = _strip_rows(directory, size[0]) if tile is None else tile[0]
    segment = tile or _band_hw(size, stored_rows, compression)
    is_costly = compression in _WAVELETS or (tile is None and segment[0] < size[0])
    most_px = MOST_COSTLY_PX if is_costly else MOST_SEGMENT_PX
    _check_budget(segment, samples * -(-bits // 8), most_px, is_tiled=tile is not None)
    cleaned = _cleaned(directory, size, segment, is_tiled=tile is not None)
    cleaned |= _numbers({258: [bits] * samples, 259: [compression], 262: [photometric], 277: [samples],
                         284: [planar]}, directory.order)  # fmt: skip
    if remarks is not None:
        cleaned |= _said(directory, remarks)
    page = CheckedPage(name, directory, size, segment, tile is not None, planes, samples, bits, compression,
                       photometric, stored_rows, cleaned)  # fmt: skip
    _check_tables(page)
    # Tables of nothing, for tifffile complains where there are none; of very many strips it may.
    stored = math.prod(page.grid) * planes if tile is None else 1
    nothing = [0] * (stored if stored <= _MOST_DUMMIES else 1)
    cleaned |= _numbers(
        dict.fromkeys((_PLACES[0], _LENGTHS[0]) if tile else (_PLACES[1], _LENGTHS[1]), nothing), directory.order
    )
    return page


def _strip_rows(directory: Directory, height: int) -> int:
    if 278 in directory and directory.tags[278].count > 1:
        return height
    return min(directory.bounded(278, 1, 2**64 - 1, height), height)


def _band_hw(size_hw: tuple[int, int], rows: int, compression: int) -> tuple[int, int]:
    """Return the strips as they are read: of what is not packed any rows can be read, so a huge strip is cut."""
    height, width = size_hw
    if compression == _UNPACKED:
        rows = min(max(1, min(_BAND_ROWS, _BAND_PX // width)), height)
    return (rows, width)


def _check_budget(segment_hw: tuple[int, int], bytes_per_px: int, most_px: int, *, is_tiled: bool) -> None:
    px = math.prod(segment_hw)
    if not is_tiled and segment_hw[1] > WIDEST_STRIP_PX:
        raise TiffFault(f"expected strips of at most {WIDEST_STRIP_PX:,} px across, got {segment_hw[1]:,}")
    if px > most_px or px * bytes_per_px > MOST_SEGMENT_BYTES:
        what = "tiles" if is_tiled else "strips"
        raise TiffFault(
            f"expected {what} of at most {most_px:,} px and {MOST_SEGMENT_BYTES:,} bytes, got {segment_hw[1]:,} x "
            f"{segment_hw[0]:,} px of {bytes_per_px} bytes each, which must be unpacked at once (saved again with "
            "tiles, it can be read)"
        )


def _check_tables(page: CheckedPage) -> None:
    """Check the tables of a page: where its tiles or strips lie, its palette, what its JPEGs share."""
    directory = page.directory
    if page.stored_segments > MOST_SEGMENTS:
        (height, width), (th, tw) = page.size_hw, (page.stored_rows, page.segment_hw[1])
        raise TiffFault(
            f"expected at most {MOST_SEGMENTS:,} tiles or strips, got {width:,} x {height:,} px in "
            f"{page.stored_segments:,} of {tw:,} x {th:,}"
        )
    for codes in (_PLACES, _LENGTHS):
        code = next((c for c in codes if c in directory), codes[0 if page.is_tiled else 1])
        if code not in directory and codes is _LENGTHS and page.compression == _UNPACKED:
            continue
        if code not in directory or directory.tags[code].fault or not directory.tags[code].count:
            directory.numbers(code)
        if directory.tags[code].count < page.stored_segments:
            what = "tiles" if page.is_tiled else "strips"
            raise TiffFault(
                f"expected {page.stored_segments:,} numbers in {tag_name(code)}, one for each of the {what}, "
                f"got {directory.tags[code].count:,}"
            )
    if page.photometric == _PALETTE:
        _check_palette(page)
    if 347 in directory and page.compression == 7:
        _expect_bytes(directory, 347)
        _check_jpeg_tables(directory.raw(347, 2**20))


def _check_jpeg_tables(tables: bytes) -> None:
    if tables[:2] != b"\xff\xd8":
        raise TiffFault(f"expected a JPEG's first bytes in {tag_name(347)}, got others")
    with contextlib.suppress(TileError):
        size = encoded_size_hw(7, tables)
        raise TiffFault(f"expected tables alone in {tag_name(347)}, got an image of {size} px")


def _check_palette(page: CheckedPage) -> None:
    expected = 3 << page.bits if page.bits <= 16 else 0
    if not expected:
        raise TiffFault(f"expected at most 16 bits in {tag_name(258)} of a palette image, got {page.bits}")
    tag = page.directory.tags.get(320)
    if tag is None or tag.count != expected or tag.kind != _SHORT:
        got = "no such tag" if tag is None else f"{tag.count:,} of type {tag.kind}"
        raise TiffFault(f"expected {expected:,} numbers of 16 bits in {tag_name(320)}, got {got}")
    page.directory.raw(320, MOST_VALUE_BYTES)


def _expect_bytes(directory: Directory, code: int) -> None:
    tag = directory.tags[code]
    if not tag.fault and (tag.kind not in _BYTES_TYPES or tag.count < 4):
        raise TiffFault(f"expected bytes in {tag_name(code)}, got {counted(tag.count, 'value')} of the type {tag.kind}")


def _cleaned(directory: Directory, size_hw: tuple[int, int], segment_hw: tuple[int, int], *, is_tiled: bool) -> Cleaned:
    values = {256: [size_hw[1]], 257: [size_hw[0]], 266: [directory.bounded(266, 1, 2, 1)]}
    values |= {322: [segment_hw[1]], 323: [segment_hw[0]]} if is_tiled else {278: [segment_hw[0]]}
    values[317] = [directory.bounded(317, 1, 65535, 1)]
    for code in (338, 339):
        if code in directory:
            values[code] = directory.numbers(code)[:_MOST_SAMPLES].tolist()
    if 530 in directory:
        sampling = directory.numbers(530)[:2].tolist()
        if len(sampling) != 2 or not set(sampling) <= {1, 2, 4}:
            raise TiffFault(f"expected two of 1, 2 and 4 in {tag_name(530)}, got {sampling}")
        values[530] = sampling
    return _numbers(values, directory.order)


def _numbers(values: dict[int, list[int]], order: str) -> Cleaned:
    cleaned: Cleaned = {}
    for code, numbers in values.items():
        wide = max(numbers) > 0xFFFF
        if max(numbers) > 0xFFFFFFFF:
            raise TiffFault(f"expected a number of at most 32 bits in {tag_name(code)}, got {max(numbers):,}")
        kind, letter = (_LONG, "I") if wide else (_SHORT, "H")
        cleaned[code] = (kind, struct.pack(f"{order}{len(numbers)}{letter}", *numbers))
    return cleaned


def _said(directory: Directory, remarks: list[str]) -> Cleaned:
    """Return the tags that only say something of the first page; what cannot be read is said and left out."""
    cleaned: Cleaned = {}
    for code in (270, 305, 274, 296, 282, 283):
        if code not in directory:
            continue
        try:
            cleaned[code] = _saying(directory, code)
        except TiffFault as fault:
            remarks.append(f"What the file says in {tag_name(code)} is left out: {fault}.")
    return cleaned


def _saying(directory: Directory, code: int) -> tuple[int, bytes]:
    tag = directory.tags[code]
    if code in (270, 305):
        text = directory.raw(code, _MOST_TEXT_BYTES)
        if tag.kind not in (_TEXT, *_BYTES_TYPES):
            raise TiffFault(f"expected text, got {counted(tag.count, 'value')} of the type {tag.kind}")
        return (_TEXT, text)
    if code in (274, 296):
        return _numbers({code: [directory.number(code)]}, directory.order)[code]
    data = directory.raw(code)
    if tag.kind != _RATIONAL or tag.count != 1 or not all(struct.unpack(f"{directory.order}II", data)):
        got = "{} / {}".format(*struct.unpack(f"{directory.order}II", data)) if len(data) == 8 else f"type {tag.kind}"
        raise TiffFault(f"expected a fraction of two numbers above 0, got {got}")
    return (_RATIONAL, data)


def _header(pages: list[Cleaned], order: str) -> bytes:
    """Return a BigTIFF that has these tags for its pages, and no pixels."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 16))
    sizes = {_TEXT: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}
    for number, tags in enumerate(pages, 1):
        behind = len(out) + 8 + 20 * len(tags) + 8
        table, values = struct.pack(f"{order}Q", len(tags)), bytearray()
        for code, (kind, data) in sorted(tags.items()):
            place = data.ljust(8, b"\0") if len(data) <= 8 else struct.pack(f"{order}Q", behind + len(values))
            table += struct.pack(f"{order}HHQ", code, kind, len(data) // sizes[kind]) + place
            values += b"" if len(data) <= 8 else data
        following = 0 if number == len(pages) else behind + len(values)
        out += table + struct.pack(f"{order}Q", following) + values
    return bytes(out)
