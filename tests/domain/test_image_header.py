"""Promise: the header of an image is told as the format's own text has it, and what cannot be true is refused.

The files are written here field by field, from each format's specification, and never by what reads them.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.image_header import (
    MOST_PROFILE_BYTES,
    DamagedImage,
    ImageHeader,
    least_bytes,
    read_image_header,
)

EXIF = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHH", 2, 0x0100, 3, 1, 9, 0) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
EXIF_BIG = b"MM\0*\0\0\0\x0a\0\0" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 8, 0)
FILLING = bytes(4000)


def png(
    *, chunks: bytes = b"", size: tuple[int, int] = (70, 300), bits: int = 8, kind: int = 2, rest: bytes = b"\0\0\0"
) -> bytes:
    ihdr = struct.pack(">IIBB", size[1], size[0], bits, kind) + rest
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunks + chunk(b"IDAT", FILLING)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + b"crc!"


def profile(body: bytes) -> bytes:
    return b"name\0\0" + zlib.compress(body)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def frame(
    marker: int = 0xC0, factors: tuple[int, ...] = (0x22, 0x11, 0x11), size: tuple[int, int] = (70, 301)
) -> bytes:
    parts = b"".join(bytes((k, factor, 0)) for k, factor in enumerate(factors))
    return segment(marker, struct.pack(">BHHB", 8, *size, len(factors)) + parts)


SCAN = segment(0xDA, b"\0" * 10) + FILLING


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + SCAN


def icc(number: int, body: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes((number, 2)) + body)


def bmp(
    size: tuple[int, int] = (70, 300), bits: int = 24, packing: int = 0, header: int = 40, pixels_at: int | None = None
) -> bytes:
    at = 14 + header if pixels_at is None else pixels_at
    if header == 12:
        info = struct.pack("<HHHH", size[1], size[0], 1, bits)
    else:
        info = struct.pack("<iiHH", size[1], size[0], 1, bits) + struct.pack("<I", packing)
    return b"BM" + bytes(8) + struct.pack("<II", at, header) + info[: header - 4].ljust(header - 4, b"\0") + FILLING


def webp(name: bytes, body: bytes, rest: bytes = b"") -> bytes:
    return b"RIFF\0\0\0\0WEBP" + name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) + rest


def webp_chunk(name: bytes, body: bytes) -> bytes:
    return webp(name, body)[12:]


def extended(flags: int, *chunks: bytes) -> bytes:
    body = bytes((flags, 0, 0, 0)) + (299).to_bytes(3, "little") + (69).to_bytes(3, "little")
    return webp(b"VP8X", body, b"".join(chunks))


def siz(
    ends: tuple[int, int] = (310, 80),
    begins: tuple[int, int] = (10, 10),
    tiles: tuple[int, int, int, int] = (64, 64, 0, 0),
    bits: tuple[int, ...] = (7, 7, 7),
) -> bytes:
    numbers = struct.pack(">8I", *ends, *begins, *tiles)
    return (
        b"\xff\x4f\xff\x51\0\x2f\0\0"
        + numbers
        + struct.pack(">H", len(bits))
        + b"".join(bytes((each, 1, 1)) for each in bits)
    )


def boxed(*before: bytes, last: bytes = b"") -> bytes:
    return b"\0\0\0\x0cjP  \r\n\x87\n" + b"".join(before) + (last or struct.pack(">I", 0) + b"jp2c") + siz()


SIZE = (70, 300)
GRAY_CURVE = b"a profile" * 40
HEADERS: dict[str, tuple[bytes, ImageHeader]] = {
    "PNG": (png(), ImageHeader("PNG", SIZE, 3, 8, 2, in_rows=True, pixels_at=33)),
    "PNG, 16 bits of grey, interlaced": (
        png(bits=16, kind=0, rest=b"\0\0\1"),
        ImageHeader("PNG", SIZE, 1, 16, 0, False, 33),
    ),
    "PNG, palette of 1 bit": (
        png(bits=1, kind=3, chunks=chunk(b"PLTE", bytes(6))),
        ImageHeader("PNG", SIZE, 1, 1, 3, True, 51),
    ),
    "PNG, colours and cover": (png(kind=6), ImageHeader("PNG", SIZE, 4, 8, 6, True, 33)),
    "PNG, grey and cover": (png(kind=4), ImageHeader("PNG", SIZE, 2, 8, 4, True, 33)),
    "PNG with all": (
        png(
            chunks=chunk(b"iCCP", profile(GRAY_CURVE)) + chunk(b"eXIf", EXIF) + chunk(b"acTL", struct.pack(">II", 7, 0))
        ),
        ImageHeader(
            "PNG",
            SIZE,
            3,
            8,
            2,
            True,
            33 + 3 * 12 + len(profile(GRAY_CURVE)) + len(EXIF) + 8,
            icc=GRAY_CURVE,
            orientation=6,
            frames=7,
        ),
    ),
    "PNG with no frame by its own word": (
        png(chunks=chunk(b"acTL", bytes(8))),
        ImageHeader("PNG", SIZE, 3, 8, 2, True, 53, frames=1),
    ),
    "PNG with a count that is none": (
        png(chunks=chunk(b"acTL", b"\0\0\0\x07" * 3)),
        ImageHeader("PNG", SIZE, 3, 8, 2, True, 57, frames=1),
    ),
    "PNG with an empty profile": (
        png(chunks=chunk(b"iCCP", profile(b""))),
        ImageHeader("PNG", SIZE, 3, 8, 2, True, 45 + len(profile(b""))),
    ),
    "PNG with a broken profile": (
        png(chunks=chunk(b"iCCP", b"name\0\0nothing")),
        ImageHeader("PNG", SIZE, 3, 8, 2, True, 33 + 12 + 13, icc_left_out="it cannot be unpacked"),
    ),
    "PNG with the largest profile": (
        png(chunks=chunk(b"iCCP", profile(bytes(MOST_PROFILE_BYTES)))),
        ImageHeader(
            "PNG", SIZE, 3, 8, 2, True, 45 + len(profile(bytes(MOST_PROFILE_BYTES))), icc=bytes(MOST_PROFILE_BYTES)
        ),
    ),
    "PNG with too large a profile": (
        png(chunks=chunk(b"iCCP", profile(bytes(MOST_PROFILE_BYTES + 1)))),
        ImageHeader(
            "PNG",
            SIZE,
            3,
            8,
            2,
            True,
            45 + len(profile(bytes(MOST_PROFILE_BYTES + 1))),
            icc_left_out="it has more than 4,194,304 bytes",
        ),
    ),
    "JPEG": (jpeg(frame()), ImageHeader("JPEG", (70, 301), 3, 8, 0xC0, pixels_at=21)),
    "JPEG of grey, filled": (
        jpeg(b"\xff\xff\xff\x01", b"\xff\xd0", frame(factors=(0x11,))),
        ImageHeader("JPEG", (70, 301), 1, 8, 0xC0, pixels_at=21),
    ),
    "JPEG, progressive, 4 colours in 1": (
        jpeg(frame(0xC2)),
        ImageHeader("JPEG", (70, 301), 3, 8, 0xC2, pixels_at=21, coefficient_bytes=2 * (70 * 301 + 2 * 35 * 150)),
    ),
    "JPEG, progressive, 2 in 1, 4 parts": (
        jpeg(frame(0xCA, (0x21, 0x11, 0x11, 0x41))),
        ImageHeader(
            "JPEG",
            (70, 301),
            4,
            8,
            0xCA,
            pixels_at=24,
            coefficient_bytes=2 * 70 * (301 * 2 // 4 + 2 * (301 // 4) + 301),
        ),
    ),
    "JPEG with all": (
        jpeg(
            segment(0xE0, b"JFIF\0"),
            segment(0xE1, b"http://xmp"),
            segment(0xE1, b"Exif\0\0" + EXIF_BIG),
            icc(2, b"b" * 50),
            segment(0xE2, b"MPF\0and more than that"),
            icc(1, b"a"),
            icc(2, b"again"),
            frame(),
            frame(size=(1, 1)),
            segment(0xE1, b"Exif\0\0" + EXIF),
        ),
        ImageHeader("JPEG", (70, 301), 3, 8, 0xC0, icc=b"a" + b"b" * 50, orientation=8, pixels_at=277),
    ),
    "BMP": (bmp(), ImageHeader("BMP", SIZE, 3, 8, 0, True, 54)),
    "BMP from the top": (bmp((-70, 300), 32, 3), ImageHeader("BMP", SIZE, 4, 8, 3, True, 54)),
    "BMP, 1 bit, OS/2": (bmp(bits=1, header=12), ImageHeader("BMP", SIZE, 1, 8, 0, False, 26)),
    "BMP, short header": (bmp(bits=8, packing=1, header=16), ImageHeader("BMP", SIZE, 1, 8, 0, True, 30)),
    "BMP, OS/2 2": (bmp(bits=8, packing=1, header=64), ImageHeader("BMP", SIZE, 1, 8, 1, False, 78)),
    "BMP, long header, 16 bits": (bmp(bits=16, packing=6, header=256), ImageHeader("BMP", SIZE, 2, 8, 6, True, 270)),
    "BMP, pixels at the end": (bmp(pixels_at=4054), ImageHeader("BMP", SIZE, 3, 8, 0, True, 4054)),
    "WebP, lossy": (
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300 | 0x4000, 70 | 0xC000)),
        ImageHeader("WEBP", SIZE),
    ),
    "WebP, lossless": (
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 69 << 14 | 5 << 28)),
        ImageHeader("WEBP", SIZE, 4),
    ),
    "WebP with all": (
        extended(0x28, webp_chunk(b"ICCP", b"odd"), webp_chunk(b"EXIF", b"Exif\0\0" + EXIF), b"VP8 "),
        ImageHeader("WEBP", SIZE, 4, kind=0x28, icc=b"odd", orientation=6),
    ),
    "WebP, moving": (
        extended(2, webp_chunk(b"ANIM", b"123"), webp_chunk(b"ANMF", b"a"), webp_chunk(b"ANMF", b"bc")),
        ImageHeader("WEBP", SIZE, 4, kind=2, frames=2),
    ),
    "WebP, moving without frames": (extended(2), ImageHeader("WEBP", SIZE, 4, kind=2)),
    "WebP with the largest profile": (
        extended(0x20, webp_chunk(b"ICCP", bytes(MOST_PROFILE_BYTES))),
        ImageHeader("WEBP", SIZE, 4, kind=0x20, icc=bytes(MOST_PROFILE_BYTES)),
    ),
    "WebP with too large a profile": (
        extended(0x20, webp_chunk(b"ICCP", bytes(MOST_PROFILE_BYTES + 2))),
        ImageHeader("WEBP", SIZE, 4, kind=0x20, icc_left_out="it has more than 4,194,304 bytes"),
    ),
    "JPEG 2000, bare": (siz(), ImageHeader("JPEG2000", SIZE, 3, 8)),
    "JPEG 2000, bits with a sign": (siz(bits=(0x80 | 11, 3)), ImageHeader("JPEG2000", SIZE, 2, 12)),
    "JPEG 2000, most bits, one tile": (
        siz(tiles=(2**32 - 1, 2**32 - 1, 10, 10), bits=(37,)),
        ImageHeader("JPEG2000", SIZE, 1, 38),
    ),
    "JPEG 2000, most tiles": (siz((65_535, 1), (0, 0), (1, 1, 0, 0)), ImageHeader("JPEG2000", (1, 65_535), 3, 8)),
    "JPEG 2000, boxed": (
        boxed(struct.pack(">I", 8) + b"free", struct.pack(">I", 1) + b"uuid" + struct.pack(">Q", 20) + b"more"),
        ImageHeader("JPEG2000", SIZE, 3, 8),
    ),
    "JPEG 2000, in a long box": (
        boxed(last=struct.pack(">I", 1) + b"jp2c" + struct.pack(">Q", 0)),
        ImageHeader("JPEG2000", SIZE, 3, 8),
    ),
    "PBM, text": (b"P1\n300 70\n", ImageHeader("PPM", SIZE, 1, 1, 1, False, 10)),
    "PGM, text": (b"P2 300 70 65535 ", ImageHeader("PPM", SIZE, 1, 16, 2, False, 16)),
    "PPM, text": (b"P3 300 70 256\n", ImageHeader("PPM", SIZE, 3, 16, 3, False, 14)),
    "PBM": (b"P4 300 70 ", ImageHeader("PPM", SIZE, 1, 1, 4, True, 10)),
    "PGM with remarks": (b"P5#a\n#b\n300 #c\r70 255#d\n\n", ImageHeader("PPM", SIZE, 1, 8, 5, True, 24)),
    "PPM": (b"P6\t300\n70\r1\n", ImageHeader("PPM", SIZE, 3, 8, 6, True, 12)),
    "GIF": (b"GIF89a" + struct.pack("<HH", 300, 70) + FILLING, ImageHeader("GIF", SIZE, 1)),
}


@pytest.mark.parametrize(("made", "header"), HEADERS.values(), ids=HEADERS)
def test_a_header_is_read_as_the_formats_text_has_it(made: bytes, header: ImageHeader) -> None:
    assert read_image_header(made) == header


def test_a_file_says_what_its_bytes_say(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    assert read_image_header(path) == HEADERS["PNG"][1]


@pytest.mark.parametrize("made", [b"", b"P7 1 1", b"RIFF0000WAVE", b"II*\0", b"GIF7"])
def test_other_formats_are_none_of_these(made: bytes) -> None:
    assert read_image_header(made) is None


ENDS = {
    "PNG": 40,
    "JPEG": 24,
    "BMP": 30,
    "WebP, lossy": 29,
    "WebP, lossless": 24,
    "WebP with all": 29,
    "JPEG 2000, bare": 50,
    "JPEG 2000, boxed": 90,
    "PPM": 11,
    "GIF": 9,
}


@pytest.mark.parametrize(("name", "end"), ENDS.items())
def test_a_file_that_ends_within_its_header_is_refused(name: str, end: int) -> None:
    made = HEADERS[name][0]
    for length in range(16, end + 1):
        with pytest.raises(DamagedImage):
            read_image_header(made[:length])


TOO_SHORT = "cannot hold"
REFUSED: dict[str, tuple[bytes, str]] = {
    "PNG changed on its way": (b"\x89PNG\n\x1a\n\0" + bytes(99), "changed on its way"),
    "PNG without size": (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", bytes(99)), "expected IHDR as the first"),
    "PNG of 3 bits": (png(bits=3), "of the kind 2 with 3 bits"),
    "PNG of grey with cover in 4 bits": (png(bits=4, kind=4), "of the kind 4 with 4 bits"),
    "PNG of no kind": (png(kind=1), "of the kind 1 with 8 bits"),
    "PNG packed otherwise": (png(rest=b"\1\0\0"), "no pixels of the kind"),
    "PNG filtered otherwise": (png(rest=b"\0\1\0"), "no pixels of the kind"),
    "PNG woven otherwise": (png(rest=b"\0\0\2"), "no pixels of the kind"),
    "PNG too wide": (png(size=(1, 2**31)), "below 2,147,483,648 px, got 2,147,483,648 x 1"),
    "PNG as wide as can be": (png(size=(1, 2**31 - 1)), TOO_SHORT),
    "PNG without palette": (png(kind=3), "lacks the palette"),
    "PNG that ends": (png(chunks=chunk(b"IEND", b"")), "expected pixels in a PNG"),
    "PNG of parts without end": (png(chunks=chunk(b"tEXt", b"") * 100_000), "expected pixels in a PNG"),
    "PNG with a chunk beyond the end": (png(chunks=struct.pack(">I", 5000) + b"tEXt"), "should lie at byte 5,045"),
    "PNG without rows": (png(size=(0, 5)), "1 px or more, got 5 x 0"),
    "PNG without columns": (png(size=(5, 0)), "1 px or more, got 0 x 5"),
    "PNG cut off": (png(size=(4000, 4000)), f"4,045 bytes {TOO_SHORT} 4,000 x 4,000 px"),
    "JPEG without a frame": (jpeg(), "size of a JPEG before its pixels"),
    "JPEG that ends": (b"\xff\xd8\xff\xd9" + frame() + SCAN, "size of a JPEG before its pixels"),
    "JPEG of filling": (b"\xff\xd8" + b"\xff" * 4097 + frame() + SCAN, "size of a JPEG before its pixels"),
    "JPEG out of step": (jpeg(frame(), b"\0"), "expected a marker of a JPEG at byte 21"),
    "JPEG with a segment of 1 byte": (jpeg(b"\xff\xe0\0\1"), "2 bytes or more at byte 4"),
    "JPEG with a short frame": (jpeg(segment(0xC0, b"\x08\0\1\0\1")), "too short for its components"),
    "JPEG without components": (jpeg(frame(factors=())), "too short for its components"),
    "JPEG of five components": (jpeg(frame(factors=(0x11,) * 5)), "too short for its components"),
    "JPEG with fewer components": (
        jpeg(segment(0xC0, b"\x08\0\1\0\1\x02\0\x11\0\0\x11")),
        "too short for its components",
    ),
    "JPEG, sampled 0 times": (jpeg(frame(factors=(0x10,))), "expected 1 to 4 for the sampling"),
    "JPEG, sampled 5 times": (jpeg(frame(factors=(0x51,))), "expected 1 to 4 for the sampling"),
    "JPEG without rows": (jpeg(frame(size=(0, 9))), "1 px or more"),
    "JPEG cut off": (jpeg(frame(size=(3000, 3000))), TOO_SHORT),
    "BMP, header of 13": (bmp(header=13), "no header of 13 bytes"),
    "BMP, header of 257": (bmp(header=257), "no header of 257 bytes"),
    "BMP of 5 bits": (bmp(bits=5), "5 bits a px and the compression 0"),
    "BMP with a JPEG in it": (bmp(packing=4), "24 bits a px and the compression 4"),
    "BMP, pixels in its header": (bmp(pixels_at=53), "should begin at byte 53 of 4,054"),
    "BMP, pixels beyond the end": (bmp(pixels_at=4055), "should begin at byte 4,055 of 4,054"),
    "BMP from the right": (bmp((5, -5)), "1 px or more, got -5 x 5"),
    "WebP, no frame": (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2b" + bytes(4)), "does not begin as one"),
    "WebP, no lossless frame": (webp(b"VP8L", b"\x2e" + bytes(4)), "does not begin as one"),
    "WebP of something else": (webp(b"ANIM", bytes(9)), "does not begin with b'ANIM'"),
    "WebP too wide": (
        webp(b"VP8X", bytes(4) + (16_384).to_bytes(3, "little") + bytes(3)),
        "up to 16,384 px a side.*16,385 x 1$",
    ),
    "WebP too high": (webp(b"VP8X", bytes(7) + (16_384).to_bytes(3, "little")), "up to 16,384 px a side.*1 x 16,385$"),
    "JPEG 2000, wrong stream": (boxed()[:20] + b"\xff\x4e" + siz()[2:], "do not begin as they should"),
    "JPEG 2000, box of 7": (boxed(struct.pack(">I", 7) + b"free"), "8 bytes or more, got 7"),
    "JPEG 2000, box beyond the end": (boxed(struct.pack(">I", 999) + b"free"), "should lie at byte 1,011"),
    "JPEG 2000, box to the end": (boxed(struct.pack(">I", 0) + b"free"), "ends within its header"),
    "JPEG 2000 without size": (
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2c\xff\x4f\xff\x52" + bytes(60),
        "expected the size",
    ),
    "JPEG 2000, no columns": (siz((10, 80)), "0 x 70 px in 3 channels"),
    "JPEG 2000, no rows": (siz((310, 10)), "300 x 0 px in 3 channels"),
    "JPEG 2000, no channels": (siz(bits=()), "in 0 channels"),
    "JPEG 2000, too many channels": (siz(bits=(7,) * 16_385), "in 16,385 channels"),
    "JPEG 2000, tiles of no width": (siz(tiles=(0, 64, 0, 0)), "cannot be"),
    "JPEG 2000, tiles of no height": (siz(tiles=(64, 0, 0, 0)), "cannot be"),
    "JPEG 2000, tiles from the right": (siz(tiles=(64, 64, 11, 0)), "65,535 tiles"),
    "JPEG 2000, tiles from below": (siz(tiles=(64, 64, 0, 11)), "65,535 tiles"),
    "JPEG 2000, too many tiles": (siz((65_536, 1), (0, 0), (1, 1, 0, 0)), "65,535 tiles"),
    "JPEG 2000, 39 bits": (siz(bits=(7, 38)), "up to 38 bits a sample, got 39"),
    "PNM of words": (b"P5 wide high 255 ", "expected width, height"),
    "PNM of too large a number": (b"P4 30000000000 70 ", "expected width, height"),
    "PGM of 0": (b"P5 300 70 0 ", "1 to 65,535, got 0"),
    "PGM of 65,536": (b"P5 300 70 65536 ", "1 to 65,535, got 65,536"),
    "PBM without rows": (b"P4 300 0 ", "1 px or more, got 300 x 0"),
}


@pytest.mark.parametrize(("made", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(made: bytes, says: str) -> None:
    with pytest.raises(DamagedImage, match=says):
        read_image_header(made)


@pytest.mark.parametrize(
    ("exif", "orientation"),
    [
        (EXIF, 6),
        (EXIF_BIG, 8),
        (EXIF[:-1], None),
        (EXIF.replace(b"\x12\x01", b"\x13\x01"), None),
        (b"XX" + EXIF[2:], None),
        (b"", None),
        (EXIF[:4] + b"\xff\xff\xff\xff" + EXIF[8:], None),
    ],
)
def test_the_orientation_is_that_of_the_first_directory(exif: bytes, orientation: int | None) -> None:
    for prefix in (b"", b"Exif\0\0"):
        header = read_image_header(png(chunks=chunk(b"eXIf", prefix + exif)))
        assert header is not None
        assert header.orientation == orientation


def test_the_least_a_file_can_have_is_bounded_by_the_best_packing() -> None:
    header = ImageHeader("PNG", (1_100, 100), 3, 8)
    assert least_bytes(header) == 300
    assert least_bytes(replace(header, size_hw=(1_100, 9), channels=1, bits=1)) == 2
    assert least_bytes(replace(header, format="JPEG", size_hw=(1_024, 77))) == 77
    assert least_bytes(replace(header, format="GIF", size_hw=(10**6, 10**6))) == 0
    # All that Pillow writes of one colour, as large as may be, is whole.
    image = pytest.importorskip("PIL.Image")
    for format_, side in (("PNG", 3000), ("JPEG", 3000)):
        file = io.BytesIO()
        image.new("L", (side, side)).save(file, format_, optimize=True, quality=1)
        assert read_image_header(file.getvalue()) is not None


def test_profiles_of_a_jpeg_are_bounded() -> None:
    """Of more than 4 MiB no part is kept: the rest would be no profile."""
    many = [icc(k, bytes(65_000)) for k in range(80)]
    header = read_image_header(jpeg(*many, frame()))
    assert header is not None
    assert (header.icc, header.icc_left_out) == (None, "it has more than 4,194,304 bytes")
    few = read_image_header(jpeg(*many[:64], frame()))
    assert few is not None
    assert few.icc == bytes(64 * 65_000)
