"""Guards: nuclei of mature cells are measured at any scale, and what only looks like them is not."""

from __future__ import annotations

import numpy as np
from drawn_nuclei import GLASS, NUCLEUS, drawn
from PIL import Image, ImageDraw

from napari_cyto.slides._nuclei import nuclei_in
from napari_cyto.slides.nuclear_scale import MOST_FIELDS, estimate_scale
from napari_cyto.slides.pixel_source import ImagePixels


def test_diameters_are_those_that_were_drawn() -> None:
    found = nuclei_in(drawn())
    assert len(found.diameters_px) == 20
    assert abs(np.exp(np.log(found.diameters_px).mean()) / 28 - 1) < 0.06


def test_half_the_scale_is_half_the_diameter() -> None:
    image = drawn(nucleus_px=40)
    half = np.asarray(Image.fromarray(image).reduce(2))
    whole, small = (np.median(nuclei_in(each).diameters_px) for each in (image, half))
    assert abs(small / (whole / 2) - 1) < 0.08


def test_dark_round_things_on_plain_glass_are_no_nuclei() -> None:
    image = Image.new("RGB", (400, 400), GLASS)
    draw = ImageDraw.Draw(image)
    for x in range(40, 400, 60):
        draw.ellipse((x, 100, x + 20, 120), fill=NUCLEUS)
    assert not len(nuclei_in(np.asarray(image)).diameters_px)


def test_an_empty_image_has_none() -> None:
    assert not len(nuclei_in(np.full((200, 300, 3), 240, np.uint8)).diameters_px)
    assert estimate_scale([ImagePixels(np.full((200, 300, 3), 240, np.uint8))]).mpp is None


def test_the_scale_of_a_drawn_field_is_found() -> None:
    found = estimate_scale([ImagePixels(drawn(nucleus_px=6.676 / 0.25))])
    assert found.low is not None
    assert found.low < 0.25 < found.high


def test_no_more_fields_are_looked_at_than_needed() -> None:
    looked = []
    image = np.full((1024 * 6, 1024 * 6, 3), 240, np.uint8)
    stripes = np.flatnonzero(np.arange(1024 * 6) % 64 < 12)
    image[np.ix_(stripes, stripes)] = 60
    estimate_scale([ImagePixels(image)], pulse=lambda: looked.append(1), most=3)
    assert 1 <= len(looked) <= 3 < MOST_FIELDS
