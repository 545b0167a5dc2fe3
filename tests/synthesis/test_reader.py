"""Guards the promise that the demo project starts with sensible marks: a part read in full, proposals beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.slides import open_slide
from napari_cyto.synthesis import MadeSmear, SmearSpec, obtain_smear
from napari_cyto.synthesis._overview import render_overview, write_overview
from napari_cyto.synthesis._reader import annotated, predictions, read_part


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeSmear:
    return obtain_smear(SmearSpec((2600, 4400), seed=5), "small", tmp_path_factory.mktemp("cache"))


def test_the_part_that_was_read_is_made_of_whole_slices_on_the_slide(made: MadeSmear) -> None:
    y0, x0, y1, x1 = read_part(made, (1, 1))
    assert (y0 % 2000, x0 % 2000) == (0, 0)
    assert 0 < y1 - y0 <= 2000
    assert 0 < x1 - x0 <= 2000
    assert (y1, x1) <= (2600, 4400)


def test_inside_the_region_every_cell_is_annotated(made: MadeSmear) -> None:
    part = read_part(made, (1, 1))
    region, *marks = annotated(made, part)
    assert region.is_region
    inside = [
        c
        for c in made.truth.annotations
        if part[0] <= c.geometry.centre_yx[0] < part[2] and part[1] <= c.geometry.centre_yx[1] < part[3]
    ]
    assert {m.id for m in marks} == {a.id for a in inside}
    assert {m.status for m in marks} == {Status.ACCEPTED}
    assert any(isinstance(m.geometry, Point) for m in marks)


def test_predictions_lie_outside_and_carry_their_model_and_scores(made: MadeSmear) -> None:
    part = read_part(made, (1, 1))
    found = predictions(made, part)
    assert found
    assert not {p.id for p in found} & {m.id for m in annotated(made, part)}
    for prediction in found:
        assert prediction.status is Status.UNREVIEWED
        assert prediction.origin.startswith("model:")
        assert prediction.class_id == max(prediction.scores, key=lambda pair: pair[1])[0]
    assert found == predictions(made, part)


def test_the_overview_shows_each_class_in_its_colour(made: MadeSmear, tmp_path: Path) -> None:
    scheme = preset("bethesda")
    marks = annotated(made, read_part(made, (1, 1)))
    with open_slide(made.slide_path) as slide:
        image = render_overview(slide, marks, scheme, "small")
    write_overview(image, tmp_path / "overview.png")
    assert [p.name for p in tmp_path.iterdir()] == ["overview.png"]
    pixels = np.asarray(image).reshape(-1, 3)
    for class_id in {m.class_id for m in marks} - {None}:
        assert (pixels == np.array(scheme[str(class_id)].rgb)).all(axis=1).sum() > 20


def test_a_slide_without_annotations_or_scale_still_gives_an_overview(made: MadeSmear) -> None:
    with open_slide(made.slide_path) as slide:
        assert render_overview(slide, (), preset("bethesda"), "small").width > 1000
