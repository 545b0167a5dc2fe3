"""Guards what a detector learns from: a field whole, of a slide only what somebody looked at, and that it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets.training.annotated_area import AreaRule, area_used
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project


def slide(n: int = 40, side_px: int = 20_000, **more: Any) -> TrainingSlide:
    """A slide of 0.25 µm per px with cells 400 px apart; 20,000 px a side are 25 mm²."""
    rows = np.arange(n)
    known: dict[str, Any] = {
        "centres_yx": np.stack([200.0 + 400 * (rows // 40), 200.0 + 400 * (rows % 40)], axis=1),
        "boxes_yxyx": np.full((n, 4), np.nan),
        "class_index": np.zeros(n, np.intp),
        "size_hw": (side_px, side_px),
    }
    names = ("key", "path", "name", "patient", "smear", "source")
    return TrainingSlide(**dict.fromkeys(names, "s"), mpp=0.25, **(known | more))


def test_a_field_counts_whole_and_a_slide_where_annotations_are() -> None:
    rule = AreaRule(around_um=15, field_mm2=1)
    assert rule.area(slide(side_px=3999)).is_everywhere
    of_slide = rule.area(slide(side_px=4001))
    assert of_slide.reach_px == 60
    assert len(of_slide.spots_yx) == 40
    assert rule.area(slide(n=0)).is_everywhere, "what a data set of fields calls empty is empty"
    assert AreaRule(field_mm2=100).area(slide()).is_everywhere
    assert not AreaRule(field_mm2=0).area(slide(side_px=100)).is_everywhere


def test_regions_count_and_besides_them_the_annotations_outside() -> None:
    region = Polygon(((0, 0), (0, 1000), (1000, 1000), (1000, 0)))
    of_slide = AreaRule().area(slide(regions=(region,)))
    assert of_slide.regions == (region,)
    assert len(of_slide.spots_yx) == 38
    of_field = AreaRule().area(slide(side_px=3000, regions=(region,)))
    assert (of_field.regions, of_field.reach_px) == ((region,), 0)
    denied = AreaRule().area(slide(side_px=3000, regions=(region,), rejected_yx=np.array([[1500.0, 1500], [9, 9]])))
    assert denied.spots_yx.tolist() == [[1500, 1500]], "what lies inside the region is known anyway"


def test_what_is_used_and_what_is_left_out_is_said() -> None:
    assert area_used([slide(side_px=3000), slide(n=0)]).sentence("Trained on") == ""
    sentence = area_used([slide(rejected_yx=np.array([[9000.0, 9000.0]]))]).sentence("Trained on")
    assert sentence.startswith(
        "Trained on 0.029 mm² within 15 µm of 40 annotations and 1 rejected prediction; 99.9 % of "
    )
    assert "it may hold cells that nobody annotated" in sentence
    region = Polygon(((0, 0), (0, 16_000), (16_000, 16_000), (16_000, 0)))
    result = area_used([slide(regions=(region,)), slide()]).sentence("Trained on")
    assert result.startswith("Trained on 16.0 mm² inside 1 region and within 15 µm of 40 annotations; 68 % of these 2")


def test_rejected_predictions_come_along_from_a_project(tmp_path: Path) -> None:
    """A reviewed prediction is evidence both ways; one that nobody looked at is none."""
    Image.fromarray(np.full((200, 200, 3), 230, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((200, 200, 3), 220, np.uint8)).save(tmp_path / "b.png")
    with Project.create(tmp_path / "p", preset("bethesda")) as project:
        for name in ("a.png", "b.png"):
            record = SlideRecord(name=name, path=str(tmp_path / name), size_hw=(200, 200), mpp=0.25, fingerprint=name)
            project.add_slides([record])
            marks = [(30, Status.ACCEPTED), (90, Status.REJECTED), (150, Status.UNREVIEWED)]
            marks = marks if name == "a.png" else marks[1:]
            result = [
                Annotation(slide_id=record.id, geometry=Point(y, 40), class_id="HSIL", status=s) for y, s in marks
            ]
            square = Polygon(((0, 0), (0, 9), (9, 9)))
            result.append(Annotation(slide_id=record.id, geometry=square, class_id=None, status=Status.REJECTED))
            project.apply(add(result, "made"), "reader")
    data = read_training_set([f"{tmp_path / 'p'}@0.25"])
    slides = {s.name: s for s in data.slides}
    assert [(len(slides[n]), slides[n].rejected_yx.tolist()) for n in ("a.png", "b.png")] == [
        (1, [[90, 40]]),
        (0, [[90, 40]]),
    ]
    of_b = AreaRule().area(slides["b.png"])
    assert of_b.contains(np.array([[92.0, 40.0], [170.0, 40.0]])).tolist() == [True, False], "nobody called it empty"
    without = read_training_set([f"{tmp_path / 'p'}@0.25,HSIL=SCC"])
    assert without.fingerprint != data.fingerprint


@pytest.mark.parametrize("mpp", [None, 0.25])
def test_without_a_scale_an_image_is_a_field(mpp: float | None) -> None:
    assert AreaRule().area(replace(slide(), mpp=mpp)).is_everywhere == (mpp is None)
