"""Guards which patches are learned from: the head that ranks them, and images brought to scale by their nuclei."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_cyto.datasets.patches import PatchRule
from napari_cyto.datasets.training.image_set import read_image_set
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.statistics.nuclear_scale import NUCLEUS_UM
from napari_cyto.errors import CytoError
from napari_cyto.slides import open_slide
from napari_cyto.training.encoder._relevance import Relevance, patch_labels
from napari_cyto.training.encoder._scale import scaled_by_nuclei

pytestmark = pytest.mark.networks
RULE = PatchRule(side_px=64, mpp=0.25)


def labelled(folder: Path, seed: int, cells: bool = True) -> TrainingSlide:
    """A field of 4 x 4 patches of 64 px, half of which hold a dark cell in their middle; small debris lies on all."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (256, 256), (235, 232, 240))
    draw = ImageDraw.Draw(image)
    centres = []
    for patch in rng.permutation(16)[:8].tolist() if cells else ():
        y, x = patch // 4 * 64 + 32, patch % 4 * 64 + 32
        draw.ellipse((x - 22, y - 22, x + 22, y + 22), fill=(170, 190, 200))
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=(70, 50, 110))
        centres.append((float(y), float(x)))
    for y, x in rng.uniform(0, 256, (20, 2)).tolist():
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(90, 90, 90))
    path = folder / f"field_{seed}.png"
    image.save(path)
    (slide,) = (s for s in read_image_set([f"images:{folder}@0.25"]).slides if s.name == path.name)
    n = len(centres)
    return replace(
        slide,
        centres_yx=np.array(centres).reshape(-1, 2),
        boxes_yxyx=np.full((n, 4), np.nan),
        class_index=np.zeros(n, dtype=np.intp),
    )


def test_the_head_ranks_patches_with_cells_first_and_says_how_well(tmp_path: Path) -> None:
    slides = [labelled(tmp_path, seed) for seed in range(6)]
    rank = Relevance(RULE)
    rank.fit(slides[:5], {}, 0, None)
    assert "40 patches with cells from 40 bare ones" in rank.sentence
    assert "AUROC" in rank.sentence
    assert "95 %" in rank.sentence
    assert rank.auroc.value is not None
    assert rank.auroc.value > 0.9
    unseen = patch_labels(slides[5], RULE)
    with open_slide(slides[5].path) as opened:
        scores = rank(opened, 0.25, unseen.corners_yx)
    assert unseen.holds_cell[np.argsort(-scores)[:8]].mean() >= 7 / 8


def test_labels_that_say_nothing_are_no_better_than_chance_and_that_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slides = [labelled(tmp_path, seed, cells=False) for seed in range(6)]
    places = [np.array([(p // 4 * 64 + 32.0, p % 4 * 64 + 32.0) for p in rng.permutation(16)[:8]]) for _ in slides]
    shuffled = [
        replace(s, centres_yx=at, boxes_yxyx=np.full((8, 4), np.nan), class_index=np.zeros(8, dtype=np.intp))
        for s, at in zip(slides, places, strict=True)
    ]
    rank = Relevance(RULE)
    rank.fit(shuffled, {}, 0, None)
    assert "no better than chance" in rank.sentence


def test_a_patch_is_bare_only_where_somebody_looked(tmp_path: Path) -> None:
    field = labelled(tmp_path, 1)
    assert len(patch_labels(field, RULE).corners_yx) == 16
    # The same as a slide of more than 1 mm²: only cells, what was rejected, and what lies within a region are known.
    slide = replace(field, mpp=5.0)
    rule = RULE.model_copy(update={"mpp": 5.0})
    known = patch_labels(slide, rule)
    assert known.holds_cell.all()
    assert len(known.holds_cell) == 8
    region = Polygon(((0.0, 0.0), (0.0, 256.0), (64.0, 256.0), (64.0, 0.0)))
    known = patch_labels(replace(slide, regions=(region,)), rule)
    bare = known.corners_yx[~known.holds_cell]
    assert (bare[:, 0] == 0).all()
    other = replace(slide, class_index=np.ones(8, dtype=np.intp))
    # Debris that somebody annotated makes a patch neither one that holds a cell nor a bare one.
    assert not len(patch_labels(other, rule).corners_yx)


def test_too_few_patches_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CytoError, match=r"at least 20 patches with annotated cells.*got 8 and 8 of 1"):
        Relevance(RULE).fit([labelled(tmp_path, 1)], {}, 0, None)


def test_images_of_a_source_get_the_scale_that_its_nuclei_say(tmp_path: Path) -> None:
    px = NUCLEUS_UM / 0.25
    for number in range(3):
        image = Image.new("RGB", (700, 700), (240, 240, 242))
        draw = ImageDraw.Draw(image)
        for y in range(70, 700, 140):
            for x in range(70, 700, 140):
                draw.ellipse((x - 60, y - 60, x + 60, y + 60), fill=(180, 205, 205))
                draw.ellipse((x - px / 2, y - px / 2, x + px / 2, y + px / 2), fill=(70, 60, 110 + number))
        image.save(tmp_path / f"{number}.png")
    slides = read_image_set([f"images:{tmp_path}"]).slides
    scaled, said = scaled_by_nuclei(slides)
    assert len({slide.mpp for slide in scaled}) == 1
    assert scaled[0].mpp == pytest.approx(0.25, rel=0.1)
    assert "states no µm per px. By its nuclei: About 0.2" in said[0]


def test_a_scale_that_is_known_stays_and_none_is_made_up(tmp_path: Path) -> None:
    labelled(tmp_path, 1, cells=False)
    slides = read_image_set([f"images:{tmp_path}@0.3"]).slides
    assert scaled_by_nuclei(slides) == (list(slides), [])
    unknown = read_image_set([f"images:{tmp_path}"]).slides
    scaled, said = scaled_by_nuclei(unknown)
    assert scaled[0].mpp is None
    assert "Expected at least 15 nuclei" in said[0]
