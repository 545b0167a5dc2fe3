"""Promise: the tags of a TIFF are read as TIFF 6.0, BigTIFF and NDPI lay them out, and nothing beyond the file is."""

from __future__ import annotations

import io
import struct

import pytest

from napari_cyto.domain.tiff_layout import (
    LENGTH,
    MOST_ENTRIES,
    NDPI_MARK,
    SUB_PAGES,
    WIDTH,
    Tag,
    TiffFault,
    TiffLayout,
    first_size_hw,
    tag_name,
)

LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


def numbers(kind: int, *values: int, order: str = "<") -> tuple[int, int, bytes]:
    """Return type, count and bytes of a tag's value."""
    return kind, len(values), struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)


def made(
    tags: list[tuple[int, tuple[int, int, bytes]]],
    order: str = "<",
    big: bool = False,
    following: int = 0,
    first: int = 64,
) -> bytes:
    """Return a TIFF of one page at byte 64; values that are too long for their entry lie at byte 1,000 and after."""
    word, inline = ("Q", 8) if big else ("I", 4)
    start = b"II" if order == "<" else b"MM"
    head = start + (struct.pack(f"{order}HHHQ", 43, 8, 0, first) if big else struct.pack(f"{order}HI", 42, first))
    table, values = struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)), b""
    for code, (kind, count, data) in tags:
        room = data.ljust(inline, b"\0")
        if len(data) > inline:
            room, values = struct.pack(f"{order}{word}", 1000 + len(values)), values + data
        table += struct.pack(f"{order}HH{word}", code, kind, count) + room
    page = head.ljust(64, b"\0") + table + struct.pack(f"{order}{word}", following)
    return page.ljust(1000, b"\0") + values


def layout(data: bytes) -> TiffLayout:
    return TiffLayout(io.BytesIO(data))


def entry(code: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", code, kind, count, value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_page_has_the_numbers_that_were_written(order: str, big: bool) -> None:
    wide = (0, 1, 2**32 - 1)
    tags = [
        (254, numbers(1, 5, 6, order=order)),
        (WIDTH, numbers(3, 30, order=order)), (LENGTH, numbers(4, 40, order=order)),
        (WIDTH, numbers(3, 99, order=order)), (273, numbers(4, *wide, order=order)), (274, numbers(13, 7, order=order)),
        (324, numbers(16, 2**40, 3, order=order)), (325, numbers(18, 2**40, order=order)), (270, (2, 5, b"a cat")),
    ]  # fmt: skip
    file = layout(made(tags, order, big))
    (page,) = file.pages()
    assert (file.order, file.is_big, file.first, page.order) == (order, big, 64, order)
    assert (page.offset, page.entries, page.following) == (64, 9, 0)
    assert set(page.tags) == {254, WIDTH, LENGTH, 273, 274, 324, 325, 270}
    assert [page.numbers(code).tolist() for code in (254, WIDTH, LENGTH, 273, 274, 324, 325)] == [
        [5, 6], [30], [40], list(wide), [7], [2**40, 3], [2**40],
    ]  # fmt: skip
    assert page.raw(270) == b"a cat"
    assert (page.size_hw(), first_size_hw(io.BytesIO(made(tags, order, big)))) == ((40, 30), (40, 30))
    assert WIDTH in page
    assert 255 not in page
    assert page.number(273) == 0
    assert (page.number(255, 9), page.number(WIDTH, 9)) == (9, 30)


def test_pages_follow_each_other_and_a_chain_ends() -> None:
    second = struct.pack("<H", 1) + entry(WIDTH, 4, 1, 8)
    file = made([(WIDTH, numbers(4, 7))], following=1000) + second
    # It ends behind its tags: there is no next page.
    assert [page.number(WIDTH) for page in layout(file).pages()] == [7, 8]
    pages = layout(file + struct.pack("<I", 1000)).pages()
    assert [next(pages).offset, next(pages).offset] == [64, 1000]
    with pytest.raises(TiffFault, match=r"expected 2 pages to be followed by others, got the first ones again"):
        next(pages)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "first bytes of a TIFF"),
        (b"II*\0" + bytes(3), "a file of 7 bytes"),
        (b"II+\0" + bytes(11), "a file of 15 bytes"),
        (b"II+\0" + struct.pack("<HHQ", 4, 0, 64), "offsets of 8 bytes in the header of a BigTIFF, got 4 and 0"),
        (b"II+\0" + struct.pack("<HHQ", 8, 1, 64), "got 8 and 1"),
        (made([(1, numbers(1, 1))], first=0), "at least one page"),
        (made([(1, numbers(1, 1))], first=7), "within the 1,000 bytes of the file, got byte 7"),
        (made([(1, numbers(1, 1))], first=999), "got byte 999"),
        (made([(1, numbers(1, 1))])[:77], "tags of a page within the 77 bytes of the file, got byte 66"),
        (made([]), "1 to 4,096 tags in a page, got 0 at byte 64"),
    ],
)
def test_what_is_no_tiff_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(TiffFault, match=says):
        list(layout(data).pages())
    with pytest.raises(TiffFault):
        first_size_hw(io.BytesIO(data))


def test_the_shortest_tiff_is_read() -> None:
    """Every limit is the last that is let through: a header of 8 bytes, tags up to the end, as many as may be."""
    shortest = b"II*\0" + struct.pack("<IH", 8, 1) + entry(WIDTH, 4, 1, 5)
    (page,) = layout(shortest).pages()
    assert page.number(WIDTH) == 5
    many = b"II*\0" + struct.pack("<IH", 8, MOST_ENTRIES) + b"".join(entry(k, 3, 1, k) for k in range(MOST_ENTRIES))
    (page,) = layout(many).pages()
    assert (page.entries, page.number(4095)) == (4096, 4095)
    with pytest.raises(TiffFault, match="got 4,097 at byte 8"):
        list(layout(b"II*\0" + struct.pack("<IH", 8, MOST_ENTRIES + 1) + many[10:] + bytes(99)).pages())


def test_a_value_lies_within_the_file_or_says_that_it_does_not() -> None:
    head = b"II*\0" + struct.pack("<IH", 8, 5)
    table = b"".join((entry(1, 4, 2, 74), entry(2, 4, 2, 75), entry(3, 4, 2, 7), entry(4, 99, 1, 0), entry(5, 4, 2, 8)))
    data = (head + table + bytes(4)).ljust(82, b"\0")
    (page,) = layout(data).pages()
    assert page.tags[1] == Tag(1, 4, 2, 74)
    assert page.tags[5] == Tag(5, 4, 2, 8)
    assert page.tags[1].n_bytes == 8
    assert page.raw(1) == bytes(8)
    for code, says in ((2, "8 bytes of tag 2 within the file's 82, got byte 75"), (3, "got byte 7"),
                       (4, "expected one of TIFF's types in tag 4, got type 99")):  # fmt: skip
        with pytest.raises(TiffFault, match=says):
            page.raw(code)
    assert page.tags[4].n_bytes == 1


def test_a_tag_is_requested_within_bounds() -> None:
    (page,) = layout(
        made([(WIDTH, numbers(4, 8)), (LENGTH, numbers(4, 2**31)), (258, (2, 3, b"abc")), (262, (3, 0, b""))])
    ).pages()
    assert [page.bounded(WIDTH, low, high) for low, high in ((8, 9), (7, 8), (8, 8))] == [8, 8, 8]
    assert page.bounded(277, 1, 4, 2) == 2
    for arguments, says in (
        ((WIDTH, 9, 12), r"expected 9 to 12 in ImageWidth \(tag 256\), got 8"),
        ((WIDTH, 3, 7), "expected 3 to 7 in"),
        ((WIDTH, 7, 7), "expected 7 in"),
        ((WIDTH, 9, 2**31 - 1), "expected 9 or more in"),
        ((LENGTH, 1, 2**31 - 1), r"expected at most 2,147,483,647 in ImageLength \(tag 257\), got 2,147,483,648"),
        ((277, 1, 4), r"expected the tag SamplesPerPixel \(tag 277\), got a page without it"),
        ((258, 1, 4), r"whole numbers in BitsPerSample \(tag 258\), got 3 values of the type 2"),
        ((262, 1, 4), r"got 0 values of the type 3"),
    ):
        with pytest.raises(TiffFault, match=says):
            page.bounded(*arguments)
    with pytest.raises(TiffFault, match="ImageLength"):
        page.size_hw()
    assert page.raw(258, 3) == b"abc"
    assert page.numbers(WIDTH, 4).tolist() == [8]
    with pytest.raises(TiffFault, match=r"at most 2 bytes in BitsPerSample .* got 3 of them"):
        page.raw(258, 2)
    with pytest.raises(TiffFault, match="at most 3 bytes"):
        page.numbers(WIDTH, 3)
    assert (tag_name(SUB_PAGES), tag_name(1)) == ("SubIFDs (tag 330)", "tag 1")


def test_bytes_are_those_of_the_file_or_it_ends_before_them() -> None:
    data = made([(WIDTH, numbers(4, 8))])
    file = layout(data)
    assert (file.n_bytes, file.read(0, 12), file.read(990, 10)) == (1000, data[:12], data[990:])
    for place, n_bytes in ((991, 10), (1000, 1), (5000, 1)):
        with pytest.raises(
            TiffFault, match=f"expected {n_bytes} bytes at byte {place:,}, got a file that ends at 1,000"
        ):
            file.read(place, n_bytes)


def ndpi(mark: int = NDPI_MARK, first: int = 64, highs: tuple[int, ...] = (0, 0, 0)) -> bytes:
    """Return a Hamamatsu file: places of 64 bits, of whose upper halves there is a table behind the next page's."""
    tags = entry(WIDTH, 4, 1, 30) + entry(273, 4, 2, 200) + entry(mark, 4, 1, 0)
    page = struct.pack("<H", 3) + tags + struct.pack("<Q", 2**33) + struct.pack("<3I", *highs)
    return (b"II*\0" + struct.pack("<Q", first)).ljust(64, b"\0") + page.ljust(300, b"\0")


def test_places_of_a_hamamatsu_file_have_64_bits() -> None:
    file = layout(ndpi())
    page = file.directory(file.first)
    assert page.following == 2**33
    assert page.numbers(273).tolist() == [0, 0]
    beyond = layout(ndpi(highs=(0, 1, 0)))
    with pytest.raises(TiffFault, match=f"got byte {2**32 + 200:,}"):
        beyond.directory(64).raw(273)
    # What fits into its entry lies there, whatever the table says.
    assert layout(ndpi(highs=(1, 1, 1))).directory(64).number(WIDTH) == 30
    # Without the mark it is a TIFF like any other.
    plain = layout(ndpi(mark=65421, highs=(0, 1, 0)))
    assert plain.directory(64).following == 0
    assert plain.directory(64).numbers(273).tolist() == [0, 0]
    # A writer that leaves rubbish behind the first place of 32 bits is understood as well.
    other = layout(ndpi(first=64 + (5 << 32)))
    assert (other.first, other.directory(64).following) == (64, 2**33)


def test_a_hamamatsu_files_first_page_may_lie_beyond_4_gb() -> None:
    class Sparse(io.BytesIO):
        """A file whose page lies at 4 GB + 64."""

        def seek(self, place: int, whence: int = 0) -> int:
            self.place = 2**32 + len(page) if whence == 2 else place
            return self.place

        def tell(self) -> int:
            return self.place

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            data = head if self.place < 64 else page[self.place - 2**32 :] if self.place >= 2**32 else b""
            return data[:size] if self.place >= 2**32 else data[self.place : self.place + size]

    head, page = ndpi(first=64 + 2**32)[:64], ndpi()
    file = TiffLayout(Sparse())
    assert file.first == 2**32 + 64
    assert file.directory(file.first).number(WIDTH) == 30
