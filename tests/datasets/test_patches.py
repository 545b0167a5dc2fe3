"""Guards how images become patches: scale, no overlap, zero padding, what is dropped and that it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets.patches import PatchRule, cut_patch, cut_patches, patch_grid
from napari_cyto.datasets.training.image_set import read_image_set
from napari_cyto.errors import CytoError, JobCancelled, SlideError
from napari_cyto.jobs.events import Advanced, CancelToken, Noted

RULE = PatchRule()


def cut(slides, rule=RULE, **more):
    steps = cut_patches(slides, rule, **more)
    said = []
    try:
        while True:
            event = next(steps)
            said += [event.message] if isinstance(event, Noted) else []
            assert isinstance(event, Noted | Advanced)
    except StopIteration as end:
        return end.value, said


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """600 x 400 px: at 0.25 µm per px two rows (the second of 144 px) and two columns and a bit of 88 px."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "fields"
    folder.mkdir()
    Image.fromarray(rng.integers(30, 250, (400, 600, 3), dtype=np.uint8)).save(folder / "field.png")
    return folder


@pytest.mark.parametrize(
    ("size_hw", "kept", "dropped"),
    [
        ((256, 256), 1, 0),
        ((512, 768), 6, 0),
        ((384, 256), 2, 0),  # exactly half of the second is padding
        ((383, 256), 1, 1),  # a row more than half
        ((400, 600), 4, 2),
        ((100, 100), 0, 1),
    ],
)
def test_more_than_half_padding_is_dropped(size_hw: tuple[int, int], kept: int, dropped: int) -> None:
    grid = patch_grid(size_hw, 0.25, RULE)
    assert (len(grid.corners_yx), grid.padded_away) == (kept, dropped)


def test_patches_are_of_one_scale_whatever_the_image_has() -> None:
    assert patch_grid((512, 512), 0.125, RULE).side_px == 512
    assert patch_grid((512, 512), 0.5, RULE).side_px == 128
    assert len(patch_grid((512, 512), 0.5, RULE).corners_yx) == 16
    # Three patches of 0.1 µm per px, computed in floats, have no fourth of a rounding error.
    assert len(patch_grid((int(256 * 0.25 / 0.1) * 3, 640), 0.1, RULE).corners_yx) == 3


def test_a_small_image_is_kept_only_on_request() -> None:
    kept = patch_grid((100, 120), 0.25, PatchRule(small_images="kept"))
    assert len(kept.corners_yx) == 1
    np.testing.assert_allclose(kept.content_hw, [[100 / 256, 120 / 256]])
    # An image that gives a whole patch does not get those at its edges besides.
    assert len(patch_grid((300, 300), 0.25, PatchRule(small_images="kept")).corners_yx) == 1


def test_pixels_lie_where_they_were_and_padding_is_zero(field: Path) -> None:
    data = read_image_set([f"images:{field}@0.25"])
    found, _ = cut(data.slides)
    pixels = np.asarray(Image.open(field / "field.png"))
    assert len(found) == 4
    np.testing.assert_array_equal(found.patches[0], pixels[:256, :256])
    np.testing.assert_array_equal(found.patches[2][:144], pixels[256:400, :256])
    assert not found.patches[2][144:].any()
    assert found.content_hw.tolist() == [[256, 256], [256, 256], [144, 256], [144, 256]]
    covered = {tuple(corner) for corner in found.corners_yx.tolist()}
    assert covered == {(0, 0), (0, 256), (256, 0), (256, 256)}


def test_what_is_dropped_is_said(field: Path) -> None:
    found, _ = cut(read_image_set([f"images:{field}@0.25"]).slides)
    said = " ".join(found.counts.sentences(RULE, "by chance"))
    assert "4 patches of 256 px at 0.25 µm per px." in said
    assert "2 patches dropped: more than half of each would be padding" in said


def test_nothing_left_is_a_sentence(field: Path) -> None:
    with pytest.raises(CytoError, match="Expected patches to learn from, got none"):
        cut(read_image_set([f"images:{field}@0.05"]).slides)


def test_an_image_that_cannot_be_read_is_left_out_with_a_word(field: Path) -> None:
    slides = read_image_set([f"images:{field}@0.25"]).slides
    gone = replace(slides[0], path=str(field / "gone.png"), key="gone")
    found, said = cut([gone, *slides])
    assert len(found) == 4
    assert found.counts.images_unread == 1
    assert "gone.png" in said[0]


def test_of_a_whole_slide_no_glass_and_so_many_of_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_cyto.datasets.patches.SLIDE_FROM_PX", 1024)
    image = np.full((1024, 1024, 3), 240, np.uint8)
    image[:512] = np.random.default_rng(0).integers(60, 200, (512, 1024, 3))
    Image.fromarray(image).save(tmp_path / "slide.png")
    slides = read_image_set([f"images:{tmp_path}@0.25"]).slides
    rule = PatchRule(per_slide=3)
    found, _ = cut(slides, rule, rank=lambda slide, mpp, corners: corners[:, 1])
    assert len(found) == 3
    assert found.corners_yx[:, 1].tolist() == [768, 768, 768]
    # The row of glass beside the stained ones is within reach of them; the last is not.
    assert found.counts.plain == 4
    assert found.counts.not_chosen == 12 - 3
    first, second = (cut(slides, rule, seed=s)[0].corners_yx.tolist() for s in (0, 0))
    assert first == second


def test_a_slide_that_cannot_be_read_is_counted_once(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_cyto.datasets.patches.SLIDE_FROM_PX", 500)
    slides = read_image_set([f"images:{field}@0.25"]).slides
    gone = replace(slides[0], path=str(field / "gone.png"), key="gone")
    found, said = cut([gone, *slides])
    assert (found.counts.images_unread, found.counts.images_without, found.counts.kept) == (1, 0, 4)
    assert len(said) == 1


def test_what_lies_behind_a_fault_in_a_file_is_counted(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_two(slide: object, corner_yx: tuple[float, float], *more: object) -> object:
        if corner_yx[0]:
            raise SlideError("field.png: damaged.")
        return cut_patch(slide, corner_yx, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("napari_cyto.datasets.patches.cut_patch", cut_two)
    found, said = cut(read_image_set([f"images:{field}@0.25"]).slides)
    assert (found.counts.kept, found.counts.unreadable, found.counts.images_unread) == (2, 2, 0)
    assert "What was read of the image before was kept." in said[0]


def test_ranking_the_patches_of_a_slide_heeds_a_cancel(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_cyto.datasets.patches.SLIDE_FROM_PX", 500)
    monkeypatch.setattr("napari_cyto.datasets.patches._AT_ONCE", 2)
    token, ranked = CancelToken(), []

    def rank(slide: object, mpp: float, corners_yx: np.ndarray) -> np.ndarray:
        ranked.append(len(corners_yx))
        token.cancel()
        return np.ones(len(corners_yx))

    with pytest.raises(JobCancelled):
        cut(read_image_set([f"images:{field}@0.25"]).slides, PatchRule(per_slide=1), token=token, rank=rank)
    assert ranked == [2]


def test_slides_without_labels_count_too(field: Path) -> None:
    data = read_image_set([f"images:{field}"])
    assert len(data.slides) == 1
    assert len(data.slides[0]) == 0
    assert data.slides[0].mpp is None
