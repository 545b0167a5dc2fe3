"""Guards which mpp is believed, and that truncated sizes do not bend the pyramid."""

from __future__ import annotations

import pytest

from napari_cyto.slides import believe_mpp
from napari_cyto.slides.slide_info import true_factors_yx


@pytest.mark.parametrize("mpp", [0.05, 0.228, 0.499, 20.0])
def test_what_microscopes_give_is_believed(mpp: float) -> None:
    believed = believe_mpp(mpp, mpp)
    assert (believed.mpp, believed.source, believed.rejected) == (mpp, "file", "")


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (None, None, "does not state"),
        (896.06, 896.06, "896.1 µm per pixel, which no microscope gives"),
        (0.01, 0.01, "0.01 µm"),
        (0.0, 0.0, "0 µm"),
        (float("nan"), 0.25, "nan µm"),
        (-0.25, -0.25, "-0.25 µm"),
        (0.25, 0.5, "0.25 µm per pixel across but 0.5 down"),
    ],
)
def test_what_cannot_be_is_not(x: float | None, y: float | None, says: str) -> None:
    believed = believe_mpp(x, y)
    assert (believed.mpp, believed.source) == (None, "")
    assert says in believed.rejected


def test_one_axis_speaks_for_both_and_small_differences_are_averaged() -> None:
    assert believe_mpp(0.25, None).mpp == 0.25
    assert believe_mpp(0.250, 0.252).mpp == pytest.approx(0.251)


@pytest.mark.parametrize(("size0", "size", "factor"), [(2500, 312, 8.0), (4443, 2221, 2.0), (7003, 3502, 2.0)])
def test_truncated_sizes_have_whole_factors(size0: int, size: int, factor: float) -> None:
    assert true_factors_yx((size0, size0), ((size, size),)) == ((factor, factor),)


def test_resampled_sizes_keep_their_ratio() -> None:
    # One axis may fit a whole factor by chance; the other tells.
    assert true_factors_yx((1000, 900), ((300, 270),)) == ((pytest.approx(10 / 3), pytest.approx(10 / 3)),)
