"""Promise: no tile with a cell in it is left out, however large the slide, and bare glass is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.domain.geometry import YXYX
from napari_cyto.slides import open_slide
from napari_cyto.slides.pixel_source import ImagePixels, SlidePixels
from napari_cyto.slides.stain import BLOCK_PX, COARSEST_UM, CONTRAST, LowView, Stain, look_over, stain_of
from napari_cyto.slides.tiff_writer import write_pyramid

GLASS = (236, 233, 238)


@given(st.integers(0, 2**31), st.data())
def test_blocks_are_found_as_by_looking_at_each(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 30)), int(rng.integers(1, 30))
    blocks = rng.random((rows, columns)) < 0.05
    y0, x0 = data.draw(st.integers(-50, rows * 37 - 1)), data.draw(st.integers(-50, columns * 41 - 1))
    y1, x1 = (
        data.draw(st.integers(max(y0 + 1, 1), rows * 37 + 50)),
        data.draw(st.integers(max(x0 + 1, 1), columns * 41)),
    )
    covered = blocks[max(y0, 0) // 37 : -(-y1 // 37), max(x0, 0) // 41 : -(-x1 // 41)]
    assert Stain(blocks, (37.0, 41.0)).within((y0, x0, y1, x1)) == bool(covered.any())


@settings(max_examples=40)
@given(
    mpp=st.sampled_from([0.228, 0.25, 0.37, 0.5, 1.0, 2.0]),
    um=st.floats(7.0, 30.0),
    contrast=st.integers(CONTRAST + 6, 120),
    channel=st.sampled_from([(1, 1, 1), (1, 0, 0), (0, 1, 0), (0.2, 0.2, 1.0)]),
    noise=st.floats(0, 2),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 99),
)
def test_a_pale_nucleus_anywhere_is_never_left_out(mpp, um, contrast, channel, noise, where, seed) -> None:
    rng = np.random.default_rng(seed)
    height, width = int(130 / mpp), int(110 / mpp)
    image = np.full((height, width, 3), GLASS, np.float32)
    y, x = where[0] * (height - 1), where[1] * (width - 1)
    ys, xs = np.ogrid[:height, :width]
    inside = np.hypot(ys - y, xs - x) <= um / 2 / mpp
    image -= inside[..., None] * contrast * np.array(channel)
    image += rng.normal(0, noise, image.shape)
    pixels = ImagePixels(np.clip(image.round(), 0, 255).astype(np.uint8))
    stain = stain_of(pixels, mpp)
    # At the picture's own corner a quarter of it is left, which is less than the smallest nucleus.
    reach = um / 2 / mpp
    if min(y, x, height - y, width - x) > reach / 2 or um > 14:
        assert stain.within((y, x, y + 1, x + 1))
    box = (max(y - 1, 0.0), max(x - 1, 0.0), y + 1, x + 1)
    assert np.array_equal(stain_of(pixels, mpp, box).within(box), stain.within(box)), "a region answers as the whole"


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0, None])
@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128), GLASS, (9, 6, 8)])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_what_is_even_holds_nothing(mpp: float | None, ground: tuple[int, int, int], noise: float) -> None:
    rng = np.random.default_rng(1)
    image = np.array(ground) + rng.normal(0, noise, (700, 900, 3))
    # Light falls off towards the edges of a camera's field.
    image *= 1 - 0.05 * np.linspace(0, 1, 900)[:, None]
    assert not stain_of(ImagePixels(np.clip(image, 0, 255).astype(np.uint8)), mpp).blocks.any()


class SparsePixels:
    """A slide of any size of glass with a few cells, drawn where it is read; of one level, or of many."""

    def __init__(
        self, size_hw: tuple[int, int], cells: list[tuple[float, float, int]], levels: tuple[int, ...]
    ) -> None:
        self.size_hw, self.cells = size_hw, cells
        self.factors_yx = [(float(f), float(f)) for f in levels]
        self.level_sizes_hw = [(-(-size_hw[0] // f), -(-size_hw[1] // f)) for f in levels]
        self.most_px = 0

    def read(self, level: int, y0: int, x0: int, height: int, width: int) -> np.ndarray:
        self.most_px = max(self.most_px, height * width)
        out = np.full((height, width, 3), GLASS, np.uint8)
        factor = self.factors_yx[level][0]
        for y, x, depth in self.cells:
            cy, cx, r = y / factor - y0, x / factor - x0, 16 / factor
            if -r < cy < height + r and -r < cx < width + r:
                top, left = max(int(cy - r), 0), max(int(cx - r), 0)
                part = out[top : int(cy + r) + 2, left : int(cx + r) + 2]
                ys, xs = np.ogrid[: part.shape[0], : part.shape[1]]
                part[np.hypot(ys + top + 0.5 - cy, xs + left + 0.5 - cx) <= r] = np.array(GLASS) - depth
        return out

    def damage(self, level: int, bounds_yxyx: YXYX) -> list[YXYX]:
        return [(4096.0, 0.0, 4608.0, 512.0)] if level else []


@pytest.mark.parametrize("levels", [(1, 2, 4, 8, 16, 32), (1, 4, 16, 64), (1, 32), (1,)])
def test_lone_cells_on_a_whole_slide_are_seen_in_bounded_memory(levels: tuple[int, ...]) -> None:
    size = {2: (100_000, 220_000), 4: (20_000, 30_000)}.get(levels[min(1, len(levels) - 1)], (6_000, 9_000))
    rng = np.random.default_rng(3)
    cells = [(*(rng.uniform(40, length - 40) for length in size), depth) for depth in (20, 40, 200) for _ in range(8)]
    pixels = SparsePixels(size, cells, levels)
    *tissue_found, stain = look_over(pixels, 0.25)
    assert isinstance(stain, Stain)
    assert all(stain.within((y, x, y + 1, x + 1)) for y, x, _ in cells)
    assert stain.blocks.sum() <= 9 * 4 * len(cells) + 16, "glass is left out"
    assert pixels.most_px <= 2**23
    assert tissue_found[-1] == (len(tissue_found), len(tissue_found))
    if len(levels) > 2:
        assert stain.within((4200, 100, 4210, 110)), "what cannot be read is looked at"
    mask = stain.over((100, 220), size)
    places = np.array([(y / size[0] * 100, x / size[1] * 220) for y, x, _ in cells]).astype(int)
    assert mask[places[:, 0], places[:, 1]].all()


def test_the_coarsest_view_is_never_coarser_than_two_micrometres() -> None:
    for levels in ((1,), (1, 2, 4, 8, 16), (1, 4, 16), (1, 3), (1, 40)):
        for mpp in (0.05, 0.1, 0.228, 0.3, 0.5, 0.9, 1.9):
            view = LowView.of(SparsePixels((900, 700), [], levels), mpp)
            assert COARSEST_UM / 2.01 <= view.step_yx[0] * mpp <= COARSEST_UM * 1.001
        assert LowView.of(SparsePixels((900, 700), [], levels), None).step_yx[0] <= 4


def test_a_written_slide_answers_as_its_image(tmp_path: Path) -> None:
    image = np.full((3000, 4100, 3), GLASS, np.uint8)
    for y, x in ((15, 20), (1500, 2047), (2990, 4090)):
        image[y - 8 : y + 8, x - 8 : x + 8] = (190, 150, 200)
    write_pyramid(tmp_path / "s.tif", (3000, 4100), lambda y, x, h, w: image[y : y + h, x : x + w], mpp=0.5)
    with open_slide(tmp_path / "s.tif") as slide:
        found = stain_of(SlidePixels(slide), 0.5)
        assert np.array_equal(found.blocks, stain_of(ImagePixels(image), 0.5).blocks)
    assert found.blocks.shape == (-(-750 // BLOCK_PX), -(-1025 // BLOCK_PX))
    assert 3 <= found.blocks.sum() < 40
