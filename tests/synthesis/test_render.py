"""Guards the promise that a smear is the same everywhere: by seed, whatever the order or size of the tiles drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import CancelToken
from napari_cyto.synthesis import Smear, SmearSpec, lay_out
from napari_cyto.synthesis._catalogue import Catalogue
from napari_cyto.synthesis._fields import interpolate
from napari_cyto.synthesis._specs import KINDS
from napari_cyto.synthesis._sprite import turned
from napari_cyto.synthesis._stains import WHITE_RGB

SMALL = SmearSpec((1500, 1500), seed=11)


def test_the_same_seed_gives_the_same_pixels_and_truth() -> None:
    first, second = lay_out(SMALL), lay_out(SMALL)
    assert first.truth == second.truth
    assert np.array_equal(first.renderer.draw(0, 0, 1500, 1500), second.renderer.draw(0, 0, 1500, 1500))


def test_another_seed_gives_another_smear() -> None:
    assert lay_out(SMALL).truth != lay_out(SmearSpec((1500, 1500), seed=12)).truth


@pytest.mark.parametrize("tile", [1024, 300, 177])
def test_tiles_of_any_size_join_to_the_same_image(smear: Smear, tile: int) -> None:
    height, width = smear.spec.size_hw
    whole = smear.renderer.draw(0, 0, height, width)
    corners = [(y, x) for y in range(0, height, tile) for x in range(0, width, tile)]
    for y, x in reversed(corners):
        h, w = min(tile, height - y), min(tile, width - x)
        assert np.array_equal(smear.renderer.draw(y, x, h, w), whole[y : y + h, x : x + w])


def test_sprites_do_not_depend_on_the_order_they_are_requested() -> None:
    kind = KINDS[0]
    forward, backward = Catalogue(0.25, 1), Catalogue(0.25, 1)
    first = [forward.body(kind, n).planes for n in (0, 1, 2)]
    second = [backward.body(kind, n).planes for n in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("orientation", range(8))
def test_a_turned_sprite_keeps_its_box_and_anchor_on_its_pixels(orientation: int) -> None:
    tadpole = next(k for k in KINDS if k.body.form == "tadpole")
    catalogue = Catalogue(0.25, 4)
    body = turned(catalogue.body(tadpole, 5), orientation)
    shown = body.planes.sum(axis=0, dtype=int) > 40
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    seen = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    assert np.abs(np.subtract(seen, body.extent_yxyx)).max() <= 4
    y, x = (int(v) for v in body.anchor_yx)
    assert shown[y, x]


def test_blank_glass_is_nearly_white_and_smears_have_some(smear: Smear) -> None:
    pixels = smear.renderer.draw(0, 0, *smear.spec.size_hw)
    near_white = (np.abs(pixels.astype(int) - np.array(WHITE_RGB)) < 14).all(axis=2)
    assert 0.15 < near_white.mean() < 0.9


@settings(max_examples=30)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 90), st.integers(1, 90))
def test_a_map_is_read_the_same_in_any_box(y0: int, x0: int, height: int, width: int) -> None:
    grid = np.random.default_rng(0).integers(0, 255, (9, 9)).astype(np.int32)
    whole = interpolate(grid, 0, 0, 490, 490)
    assert np.array_equal(interpolate(grid, y0, x0, height, width), whole[y0 : y0 + height, x0 : x0 + width])


def test_laying_out_stops_on_request() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled, match="No smear was made"):
        lay_out(SMALL, token)
