"""Guards that each focal plane of a file is shown true at every level, and that nothing else is taken for one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_cyto.errors import SlideError
from napari_cyto.slides import TileCache, open_slide

STACK = np.random.default_rng(0).integers(0, 255, (5, 150, 200, 3), dtype=np.uint8)
OME = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 500.0, "PhysicalSizeZUnit": "nm"}


def write_ome_pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        parts: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64)}
        writer.write(STACK, subifds=1, metadata={"axes": "ZYXS", **OME}, **parts)
        writer.write(STACK[:, ::2, ::2], subfiletype=1, **parts)


def write_in_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for pages in (STACK, STACK[:, ::2, ::2]):
            for page in pages:
                writer.write(page, photometric="rgb", tile=(64, 64), metadata=None)


WRITERS = {
    "z.ome.tif": lambda path: tifffile.imwrite(path, STACK, photometric="rgb", metadata={"axes": "ZYXS", **OME}),
    "sub.ome.tif": write_ome_pyramid,
    "colours.ome.tif": lambda path: tifffile.imwrite(
        path, np.moveaxis(STACK, 3, 1), photometric="minisblack", metadata={"axes": "ZCYX", **OME}
    ),
    "imagej.tif": lambda path: tifffile.imwrite(
        path, STACK, imagej=True, resolution=(4, 4), metadata={"axes": "ZYXS", "spacing": 0.5, "unit": "um"}
    ),
    "shaped.tif": lambda path: tifffile.imwrite(path, STACK, photometric="rgb", metadata={"axes": "ZYXS"}),
    "pages.tif": write_in_pages,
}


@pytest.mark.parametrize("name", list(WRITERS))
def test_every_plane_has_its_own_pixels_at_every_level(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    with open_slide(tmp_path / name, TileCache()) as slide:
        info = slide.info
        assert (info.planes.count, info.planes.default, info.planes.shown) == (5, 2, 2)
        assert info.planes.spacing_um == (None if name in ("shaped.tif", "pages.tif") else pytest.approx(0.5))
        assert info.levels == (2 if name in ("sub.ome.tif", "pages.tif") else 1)
        assert any("taken for focal planes" in remark for remark in info.remarks) == (name == "pages.tif")
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 150, 200), STACK[2])
        for plane in range(5):
            for level, step in enumerate((1, 2)[: info.levels]):
                true = STACK[plane, ::step, ::step]
                np.testing.assert_array_equal(slide.at_plane(plane).read_region(level, 0, 0, *true.shape[:2]), true)
        assert slide.at_plane(None) is slide
        assert slide.at_plane(4).at_plane(2) is slide
        with pytest.raises(SlideError, match="from 1 to 5"):
            slide.at_plane(5)
        with pickle.loads(pickle.dumps(slide.at_plane(3))) as again:
            np.testing.assert_array_equal(again.read_region(0, 5, 5, 9, 9), STACK[3, 5:14, 5:14])
        last = slide.at_plane(4)
    assert last.closed


def test_what_may_be_no_stack_is_shown_as_one_plane(tmp_path: Path) -> None:
    grey = STACK[:3, :, :, 0]
    tifffile.imwrite(tmp_path / "grey.tif", grey, photometric="minisblack", metadata=None)
    tifffile.imwrite(tmp_path / "rgb.ome.tif", grey, photometric="minisblack", metadata={"axes": "CYX"})
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as writer:
        for step in (1, 2, 4):
            writer.write(STACK[0, ::step, ::step], photometric="rgb", tile=(16, 16), metadata=None)
    xml = tifffile.tiffcomment  # planes that lie in another file are not among these pages
    tifffile.imwrite(tmp_path / "parts.ome.tif", STACK, photometric="rgb", metadata={"axes": "ZYXS"})
    said = xml(tmp_path / "parts.ome.tif")
    block = '<TiffData IFD="0" FirstZ="{}" PlaneCount="1"><UUID FileName="{}.ome.tif">u</UUID></TiffData>'
    start, end = said.index("<TiffData"), said.index("</Pixels>")
    xml(tmp_path / "parts.ome.tif", (said[:start] + block.format(0, "a") + block.format(1, "b") + said[end:]).encode())
    remarks = {"grey.tif": "3 images of this size; the first", "parts.ome.tif": "5 focal planes; the first is shown"}
    for name in ("grey.tif", "rgb.ome.tif", "pyramid.tif", "parts.ome.tif"):
        with open_slide(tmp_path / name, TileCache()) as slide:
            assert slide.info.planes.count == 1
            assert remarks.get(name, "") in " ".join(slide.info.remarks)
            assert slide.at_plane(0) is slide
