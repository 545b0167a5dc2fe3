"""Guards the contract of outlines: rings in the frame of the slide, the same at any scale, refusals in a sentence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from napari_cyto.errors import CytoError
from napari_cyto.inference.outline._crops import cut
from napari_cyto.inference.outline._rings import dice, mask_of, part_at, ring_of
from napari_cyto.inference.outline.outlines import outlines_at
from napari_cyto.slides.pixel_source import ImagePixels

NUCLEUS, CELL = (60.3, 81.7, 13.0, 10.0), (64.0, 76.0, 44.0, 48.0)
MPP = 0.35


def ellipse(size_hw: tuple[int, int], of: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in an ellipse (y, x, radius along y, along x)."""
    y, x = np.mgrid[0 : size_hw[0], 0 : size_hw[1]] + 0.5
    return np.asarray(((y - of[0]) / of[2]) ** 2 + ((x - of[1]) / of[3]) ** 2 <= 1)


def cell_image(times: int = 1) -> npt.NDArray[np.uint8]:
    """Return a cell on glass whose nucleus and border are known, blown up ``times``."""
    image = np.full((140, 160, 3), 240, np.uint8)
    image[ellipse((140, 160), CELL)] = (190, 205, 215)
    image[ellipse((140, 160), NUCLEUS)] = (90, 80, 130)
    noise = np.random.default_rng(1).integers(-5, 6, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(image).resize((160 * times, 140 * times), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("mpp", [MPP, None])
def test_the_watershed_finds_nucleus_and_cell_under_a_click_beside_the_middle(mpp: float | None) -> None:
    (found,) = outlines_at(cell_image(), [(NUCLEUS[0] + 3, NUCLEUS[1] - 4)], mpp)
    assert dice(mask_of(found.nucleus_yx, (140, 160)), ellipse((140, 160), NUCLEUS)) > 0.93
    assert dice(mask_of(found.cytoplasm_yx, (140, 160)), ellipse((140, 160), CELL)) > 0.95
    assert 0.5 < found.score <= 1


def test_the_outline_of_a_finer_scan_is_the_same_in_um() -> None:
    (found,) = outlines_at(cell_image(3), [(NUCLEUS[0] * 3, NUCLEUS[1] * 3)], MPP / 3)
    truth = ellipse((420, 480), tuple(3 * v for v in NUCLEUS))  # type: ignore[arg-type]
    assert dice(mask_of(found.nucleus_yx, (420, 480)), truth) > 0.93


def test_blank_glass_has_no_outline() -> None:
    (found,) = outlines_at(np.full((100, 100, 3), 240, np.uint8), [(50.0, 50.0)], MPP)
    assert found.nucleus_yx == found.cytoplasm_yx == ()
    assert found.score == 0


def test_a_click_beside_the_image_is_refused() -> None:
    with pytest.raises(CytoError, match="points on the image of 160 x 140 px, got one at x 200, y 10"):
        list(outlines_at(cell_image(), [(10.0, 200.0)], MPP))


def test_a_ring_is_that_of_its_mask_to_the_pixel() -> None:
    truth = ellipse((90, 90), (41.0, 50.5, 17.0, 25.0))
    ring = ring_of(truth, (41.0, 50.0))
    assert dice(mask_of(ring, (90, 90)), truth) > 0.99
    ys, xs = np.transpose(ring)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == pytest.approx((24, 58, 25.5, 75.5), abs=0.6)


def test_of_two_parts_the_one_under_the_click_stays_and_holes_are_filled() -> None:
    mask = np.zeros((20, 40), bool)
    mask[5:15, 3:13] = mask[4:16, 20:36] = True
    mask[9:11, 7:9] = False
    assert part_at(mask, (9.5, 8.0)).sum() == 100
    assert part_at(mask, (9.5, 17.9)).sum() == 12 * 16


def test_a_crop_knows_its_way_back_and_repeats_the_border() -> None:
    image = np.zeros((50, 60, 3), np.uint8)
    image[20:30, 10:16] = 255
    crop = cut(ImagePixels(image), (25.0, 13.0), 0.5, 64)
    ys, xs = np.nonzero(crop.rgb[..., 0] > 127)
    corners = crop.to_level0(((float(ys.min()), float(xs.min())), (ys.max() + 1.0, xs.max() + 1.0)))
    assert np.allclose(corners, ((20, 10), (30, 16)), atol=0.51)
    assert crop.to_level0((crop.click_yx,)) == ((25.0, 13.0),)
    assert cut(ImagePixels(np.full((8, 8, 3), 77, np.uint8)), (4.0, 4.0), 3.0).rgb.min() == 77
