"""Guards that plain TIFFs of every layout give the pixels that were written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_cyto.errors import SlideError
from napari_cyto.slides import _tiff_tiles as tiff_tiles
from napari_cyto.slides import open_slide
from napari_cyto.slides._tiff_backend import TiffBackend

LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (64, 64), "compression": "deflate"},
    "zstd tiles": {"tile": (64, 64), "compression": "zstd"},
    "strips": {"rowsperstrip": 7, "compression": "lzw"},
    "one strip": {"rowsperstrip": 300},
    "planes": {"planarconfig": "separate", "tile": (64, 64), "compression": "deflate"},
    "planes in strips": {"planarconfig": "separate", "rowsperstrip": 50},
}


def write(path: Path, pixels: np.ndarray, **layout: Any) -> None:
    if layout.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **layout)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("size", [(300, 401), (64, 128), (1, 1)])
def test_lossless_layouts(tmp_path: Path, layout: dict[str, Any], size: tuple[int, int], paint) -> None:
    path = tmp_path / "plain.tif"
    write(path, paint(*size), **layout)
    with open_slide(path) as slide:
        assert slide.info.size_hw == size
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, *size), paint(*size))
        assert slide.unreadable == ()


def test_sixteen_bit_grey_is_shown_in_eight(tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    tifffile.imwrite(path, np.full((40, 50), 0x8001, np.uint16), metadata=None)
    with open_slide(path) as slide:
        assert (slide.read_region(0, 0, 0, 40, 50) == 0x80).all()


def test_white_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    tifffile.imwrite(path, np.zeros((20, 20), np.uint8), photometric="miniswhite", metadata=None)
    with open_slide(path) as slide:
        assert (slide.read_region(0, 0, 0, 20, 20) == 255).all()


def test_palette(tmp_path: Path) -> None:
    path = tmp_path / "palette.tif"
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 7] = (0x1000, 0x2000, 0x3000)
    tifffile.imwrite(path, np.full((9, 9), 7, np.uint8), photometric="palette", colormap=colours, metadata=None)
    with open_slide(path) as slide:
        assert tuple(slide.read_region(0, 0, 0, 9, 9)[4, 4]) == (0x10, 0x20, 0x30)


@pytest.mark.parametrize("kind", ["SubIFDs", "pages"])
def test_levels_lie_in_subifds_or_pages(tmp_path: Path, kind: str, paint) -> None:
    path = tmp_path / "levels.tif"
    full = paint(400, 600)
    options: dict[str, Any] = {"tile": (64, 64), "photometric": "rgb", "metadata": None, "compression": "zstd"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(full, **options, subifds=2 if kind == "SubIFDs" else None, resolution=(4e4, 4e4), resolutionunit=3)
        for step in (2, 4):
            writer.write(full[::step, ::step], subfiletype=1, **options)
    with open_slide(path) as slide:
        assert slide.info.level_sizes_hw == ((400, 600), (200, 300), (100, 150))
        assert slide.info.mpp == pytest.approx(0.25)
        np.testing.assert_array_equal(slide.read_region(2, 0, 0, 100, 150), full[::4, ::4])


def test_ome_states_the_mpp(tmp_path: Path, paint) -> None:
    path = tmp_path / "scan.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.3, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.3}
    tifffile.imwrite(path, paint(64, 64), photometric="rgb", metadata=metadata, compression="zstd", tile=(64, 64))
    with open_slide(path) as slide:
        assert slide.info.mpp == pytest.approx(0.3)


def test_other_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heat.tif"
    tifffile.imwrite(path, np.zeros((20, 20), np.float32), metadata=None)
    with pytest.raises(SlideError, match=r"heat\.tif cannot be shown: .* float32"):
        open_slide(path)


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
def test_colours_that_would_come_out_wrong_are_refused(tmp_path: Path, compression: str | None, paint) -> None:
    path = tmp_path / "ycbcr.tif"
    tifffile.imwrite(path, paint(64, 64), photometric="ycbcr", compression=compression, metadata=None)
    with pytest.raises(SlideError, match="cannot be shown"):
        open_slide(path)


def test_half_a_file_is_refused_in_one_sentence(tmp_path: Path, paint) -> None:
    path = tmp_path / "half.tif"
    write(path, paint(300, 400), compression="deflate")
    whole = path.read_bytes()
    # Many writers put the directory last, so that a copy that stopped early lacks it.
    path.write_bytes(whole[:4] + len(whole).to_bytes(4, "little") + whole[8 : len(whole) // 2])
    with pytest.raises(SlideError, match="check that it was copied whole"):
        open_slide(path)
    # In a process of its own: a test's handlers hide what Python prints for a library that nobody listens to.
    result = subprocess.run([sys.executable, "-m", "napari_cyto", "info", str(path)], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (2, b"", 1)


def test_equal_bytes_of_bare_glass_are_decoded_once_and_only_they(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most tiles of a smear are the same few bytes; each tile must still be its own."""
    pixels = np.full((256, 256, 3), 238, np.uint8)
    pixels[:64, 128:192] = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    pixels[192:, 64:128] = 120
    path = tmp_path / "glass.tif"
    write(path, pixels, tile=(64, 64), compression="jpeg", compressionargs={"level": 95})
    decode, decoded = tiff_tiles._strict_jpeg, []
    monkeypatch.setattr(tiff_tiles, "_strict_jpeg", lambda *a: (decoded.append(a), decode(*a))[1])
    tiles = TiffBackend(path)
    decoded.clear()
    shown = np.block([[[tiles.decode_tile(0, r, c)] for c in range(4)] for r in range(4)])
    assert len(decoded) == 4  # grain drives nothing out, another even tile does
    np.testing.assert_array_equal(shown, tifffile.imread(path))
