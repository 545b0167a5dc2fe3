"""Guards a camera's image files: each kind opens with the pixels it stores, and what is not shown as stored is said."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_cyto.errors import SlideError
from napari_cyto.formats.image_size import image_size_hw
from napari_cyto.slides import _flat_image as flat_image
from napari_cyto.slides import _flat_rows as flat_rows
from napari_cyto.slides import _flat_tiles as flat_tiles
from napari_cyto.slides import image_backend, open_slide


def pixels_of(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        pixels = slide.read_region(0, 0, 0, *slide.info.size_hw)
        assert slide.unreadable == ()
    return pixels


def remarks_of(path: Path) -> str:
    with open_slide(path) as slide:
        return " ".join(slide.info.remarks)


@pytest.mark.parametrize(
    ("name", "named", "options"),
    [
        ("a.bmp", "BMP", {}),
        ("a.dib", "BMP", {}),
        ("a.webp", "WEBP", {"lossless": True}),
        ("a.jp2", "JPEG2000", {"irreversible": False}),
        ("a.j2k", "JPEG2000", {"irreversible": False, "no_jp2": True}),
        ("a.ppm", "PPM", {}),
        ("a.png", "PNG", {}),
        # What a file is called does not matter.
        ("a.jpg", "BMP", {}),
    ],
)
def test_every_kind_gives_the_pixels_that_were_stored(
    tmp_path: Path, name: str, named: str, options: dict, paint
) -> None:
    path = tmp_path / name
    Image.fromarray(paint(60, 90)).save(path, named, **options)
    np.testing.assert_array_equal(pixels_of(path), paint(60, 90))
    assert remarks_of(path) == ""


def test_a_phones_jpeg_with_a_preview_is_the_jpeg_it_is(tmp_path: Path, paint) -> None:
    plain, phone = tmp_path / "a.jpg", tmp_path / "b.jpg"
    field, preview = Image.fromarray(paint(64, 96)), Image.fromarray(paint(16, 24))
    field.save(plain, "JPEG", quality=95)
    field.save(phone, "MPO", save_all=True, append_images=[preview], quality=95)
    np.testing.assert_array_equal(pixels_of(phone), pixels_of(plain))
    with open_slide(phone) as slide:
        assert (slide.info.vendor, slide.info.remarks) == ("jpeg", ())


def test_what_is_no_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "moving.png"
    Image.new("P", (9, 9)).save(path, "GIF")
    with pytest.raises(SlideError, match=r"got GIF: moving\.png"):
        open_slide(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pixels_stay_as_stored_and_a_rotation_is_said(tmp_path: Path, kind: str, orientation: int, paint) -> None:
    path = tmp_path / f"photo.{kind.lower()}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(paint(40, 60)).save(path, kind, exif=exif)
    with open_slide(path) as slide:
        assert slide.info.size_hw == (40, 60)
    assert ("as stored" in remarks_of(path)) is (orientation != 1)


RNG = np.random.default_rng(16)
NOISE = Image.fromarray(RNG.integers(0, 256, (67, 93, 3), np.uint8))
ALPHA = Image.fromarray(RNG.integers(0, 256, (67, 93), np.uint8))


def seen_by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if image.mode not in ("RGBA", "LA") and "transparency" not in image.info:
            return np.array(image.convert("RGB"))
        rgba = image.convert("RGBA")
    return np.array(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


@pytest.mark.parametrize("whole_px", [4096**2, 100])
@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "webp", "jpg"])
@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "P2", "P4", "RGB", "RGBA", "CMYK", "L clear", "P clear", "RGB clear"]
)
def test_every_kind_of_pixel_is_what_pillow_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, suffix: str, whole_px: int
) -> None:
    monkeypatch.setattr(flat_image, "WHOLE_PX", whole_px)
    monkeypatch.setattr(flat_rows, "BAND_BYTES", 1000)
    kind, _, clear = mode.partition(" ")
    options: dict = {"quality": 95, "lossless": True} if suffix in ("jpg", "webp") else {}
    if kind.startswith("P"):
        colours = {"P2": 4, "P4": 16}.get(kind, 256)
        image = NOISE.convert("P", palette=Image.Palette.ADAPTIVE, colors=colours)
        options |= {"bits": int(kind[1:])} if kind[1:] and suffix == "png" else {}
    else:
        image = NOISE.convert("RGBA")
        image.putalpha(ALPHA)
        image = image.convert(kind)
    if clear:
        options["transparency"] = NOISE.getpixel((3, 4)) if kind == "RGB" else 3
    path = tmp_path / f"a.{suffix}"
    try:
        image.save(path, **options)
    except (OSError, KeyError):
        return  # no such pixels in this format
    np.testing.assert_array_equal(pixels_of(path), seen_by_pillow(path))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_samples_that_are_text_are_read(tmp_path: Path, kind: int) -> None:
    shown_image = np.array(NOISE.convert({1: "1", 2: "L", 3: "RGB"}[kind])).astype(int)
    path = tmp_path / "a.pnm"
    numbers = " ".join(str(v) for v in (1 - shown_image if kind == 1 else shown_image).ravel())
    path.write_text(f"P{kind}\n# by hand\n93 67\n" + ("" if kind == 1 else "255\n") + numbers)
    np.testing.assert_array_equal(pixels_of(path), seen_by_pillow(path))
    path.write_text(path.read_text()[:-20])
    with open_slide(path) as slide:
        slide.read_region(0, 0, 0, 9, 9)
        assert slide.unreadable


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced_png(path: Path, samples: np.ndarray) -> None:
    """Write a PNG in seven passes, which Pillow cannot."""
    height, width, channels = samples.shape
    bits = 8 * samples.dtype.itemsize
    rows = b""
    for x, y, across, down in ADAM7:
        part = samples[y::down, x::across]
        if part.size:
            rows += b"".join(b"\x00" + row.astype(f">u{bits // 8}").tobytes() for row in part)
    head = struct.pack(">IIBBBBB", width, height, bits, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 1)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size_hw", [(1, 1), (1, 9), (3, 2), (21, 34)])
def test_an_interlaced_png_is_what_pillow_sees(tmp_path: Path, size_hw: tuple[int, int], channels: int) -> None:
    path = tmp_path / "a.png"
    samples = RNG.integers(0, 256, (*size_hw, channels), np.uint8)
    interlaced_png(path, samples)
    np.testing.assert_array_equal(pixels_of(path), seen_by_pillow(path))
    deep = samples[..., :1].astype(np.uint16) << 8
    deep[0, 0] = 65_535
    interlaced_png(path, deep)
    np.testing.assert_array_equal(pixels_of(path)[..., 0], deep[..., 0] >> 8)


def test_an_interlaced_png_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    interlaced_png(path, np.zeros((2, 2, 3), np.uint8))
    head, large = (struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 1) for size in ((2, 2), (30_000, 30_000)))
    path.write_bytes(path.read_bytes().replace(chunk(b"IHDR", head), chunk(b"IHDR", large)) + bytes(3_000_000))
    with pytest.raises(SlideError, match=r"30,000 x 30,000 px, and would take .* MB to be unpacked"):
        open_slide(path)


def test_fewer_bytes_than_its_px_can_have_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    NOISE.save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 60_000, 15_000)
    path.write_bytes(data)
    with pytest.raises(SlideError, match="bytes cannot hold 15,000 x 60,000 px"):
        open_slide(path)


def png16(path: Path, samples: np.ndarray) -> None:
    """A PNG of 16 bits; PIL writes grey ones only."""
    path.write_bytes(imagecodecs.png_encode(samples.astype(np.uint16)))


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_camera_of_fewer_bits_is_neither_black_nor_silent(tmp_path: Path, depth: int, channels: int) -> None:
    path = tmp_path / "deep.png"
    ramp = np.linspace(0, 2**depth - 1, 40 * 60).reshape(40, 60).astype(np.uint16)
    png16(path, ramp if channels == 1 else np.stack([ramp] * 3, axis=-1))
    shown = pixels_of(path)
    np.testing.assert_array_equal(shown[..., 0], ramp >> (depth - 8))
    assert shown[..., 1].max() == 255
    assert (f"{depth} of the 16 bits" in remarks_of(path)) is (depth < 16)


def test_a_transparent_part_is_glass(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    rgba = np.zeros((20, 30, 4), np.uint16)
    rgba[:, :10] = [1000, 2000, 3000, 65535]
    png16(path, rgba)
    shown = pixels_of(path)
    assert (shown[:, 10:] == 255).all()
    assert shown[0, 0].tolist() == [3, 7, 11]


def test_several_images_in_one_file_are_said(tmp_path: Path, paint) -> None:
    path = tmp_path / "moving.webp"
    frames = [Image.fromarray(np.roll(paint(40, 40), k, axis=0)) for k in range(3)]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert "3 images; the first is shown" in remarks_of(path)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Everything over 100 x 100 px counts as large, so that the way of large images is taken by small ones."""
    monkeypatch.setattr(flat_image, "WHOLE_PX", 10_000)
    monkeypatch.setattr(image_backend, "TILE_PX", 64)
    monkeypatch.setattr(flat_tiles, "TILE_PX", 64)
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "flat-images"


def test_a_large_image_is_read_through_tiles_that_are_made_once(small_limits: Path, tmp_path: Path, paint) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(paint(150, 333)).save(path)
    np.testing.assert_array_equal(pixels_of(path), paint(150, 333))
    (made,) = small_limits.glob("*.rgb")
    before = made.stat().st_ino
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 70, 100, 60, 200), paint(150, 333)[70:130, 100:300])
    assert made.stat().st_ino == before


def test_damaged_tiles_in_the_cache_are_made_anew_and_old_ones_go(small_limits: Path, tmp_path: Path, paint) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(paint(150, 200)).save(path)
    pixels_of(path)
    (made,) = small_limits.glob("*.rgb")
    made.write_bytes(b"II*\x00")
    np.testing.assert_array_equal(pixels_of(path), paint(150, 200))
    for k in range(flat_tiles.KEPT + 2):
        other = tmp_path / f"{k}.png"
        Image.fromarray(paint(150 + k, 200)).save(other)
        pixels_of(other)
    assert len(list(small_limits.glob("*.rgb"))) == flat_tiles.KEPT


def test_of_a_large_image_that_is_cut_off_the_upper_part_is_shown(
    small_limits: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(flat_rows, "BAND_BYTES", 2000)
    path = tmp_path / "large.png"
    noise = RNG.integers(0, 256, (300, 90, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_slide(path) as slide:
        shown = slide.read_region(0, 0, 0, 300, 90)
        np.testing.assert_array_equal(shown[:128], noise[:128])
        assert [tile.bounds_yxyx[0] for tile in slide.unreadable][:2] == [128, 128]
    assert not list(small_limits.glob("*"))
    assert not list(small_limits.glob(".*"))


def test_without_room_on_the_disk_it_is_hatched_and_said(
    small_limits: Path, tmp_path: Path, monkeypatch, paint
) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(paint(150, 200)).save(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flat_tiles, "_make_room", full)
    with open_slide(path) as slide:
        slide.read_region(0, 0, 0, 9, 9)
        assert "there is no room in" in slide.unreadable[0].reason
    assert not list(small_limits.glob(".*"))


def test_a_file_edited_in_place_is_not_shown_from_the_cache(small_limits: Path, tmp_path: Path, paint) -> None:
    path = tmp_path / "large.bmp"
    Image.fromarray(paint(150, 200)).save(path)
    pixels_of(path)
    Image.fromarray(255 - paint(150, 200)).save(path)
    np.testing.assert_array_equal(pixels_of(path), 255 - paint(150, 200))


def test_a_cache_that_cannot_be_written_costs_memory_only(small_limits: Path, tmp_path: Path, paint) -> None:
    small_limits.parent.mkdir(parents=True)
    small_limits.write_text("a file where the folder should be")
    path = tmp_path / "large.png"
    Image.fromarray(paint(150, 200)).save(path)
    np.testing.assert_array_equal(pixels_of(path), paint(150, 200))


def blank_png(path: Path, height: int, width: int) -> None:
    """A PNG of any size in some kilobytes, without its pixels in memory."""
    packer = zlib.compressobj(1)
    row = b"\x00" + b"\xff" * ((width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_a_stitched_field_of_196_megapixels_opens(tmp_path: Path) -> None:
    path = tmp_path / "stitched.png"
    blank_png(path, 14_000, 14_000)
    with open_slide(path) as slide:
        assert slide.info.size_hw == (14_000, 14_000)
        assert slide.tile_shape_hw(0) == (1024, 1024)
    assert image_size_hw(path) == (14_000, 14_000)


def test_what_would_take_all_memory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    blank_png(path, 40_000, 40_000)
    with pytest.raises(SlideError, match=r"bomb\.png has 40,000 x 40,000 px.*pyramidal TIFF"):
        open_slide(path)
    assert flat_image.MOST_PX < 40_000**2
