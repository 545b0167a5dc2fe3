"""Promise: who is refused for want of the µm per px is offered what nuclei say of it, and nothing is taken silently."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from drawn_nuclei import drawn
from PIL import Image
from syntax_trees import tree_of
from verb_calls import refusal

import napari_cyto
from napari_cyto.cli.entry import run
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.errors import HOW_TO_ESTIMATE, ScaleUnknownError
from napari_cyto.inference.model_view import model_view
from napari_cyto.jobs.outcome import failed
from napari_cyto.slides import open_slide
from napari_cyto.slides.nuclear_scale import with_offer
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.store import Project

PACKAGE = Path(napari_cyto.__file__).parent
LACKING = ("unknown", "got none", "got neither", "are needed", "needs it")
QUPATH = "Image,Classification,Centroid X µm,Centroid Y µm\nfield.png,HSIL,25,25\n"
OFFER = "By the nuclei of field.png: About 0.2"


def test_every_refusal_for_want_of_a_scale_carries_the_offer() -> None:
    refusals, silent = 0, []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(tree_of(path)):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
                continue
            parts = [part.value for part in ast.walk(node.exc) if isinstance(part, ast.Constant)]
            words = " ".join(part for part in parts if isinstance(part, str))
            if ("µm per px" in words or "pixel size" in words) and any(each in words for each in LACKING):
                refusals += 1
                if ast.unparse(node.exc.func) != "ScaleUnknownError":
                    silent.append(f"{path.name}:{node.lineno}")
    assert silent == []
    assert refusals >= 10


def test_verbs_offer_the_estimate_and_store_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(drawn(nucleus_px=6.676 / 0.25)).save(tmp_path / "field.png")
    labels, project = tmp_path / "labels.csv", tmp_path / "p.cyto"
    labels.write_text("x,y,label,image\n100,100,HSIL,field.png\n", encoding="utf-8")
    (tmp_path / "um.csv").write_text(QUPATH, encoding="utf-8")
    assert run(["import", "csv", str(labels), str(project), "--scheme", "bethesda"]) == 0
    capsys.readouterr()
    for argv in (
        ["evaluate", "labels", "--truth", str(labels), "--pred", str(labels), "--radius-um", "5"],
        ["import", "csv", str(tmp_path / "um.csv"), str(project)],
        ["export", "yolo", str(project), str(tmp_path / "out")],
    ):
        sentence = refusal(argv, capsys)
        assert HOW_TO_ESTIMATE in sentence, argv
        assert OFFER in sentence, argv
        assert "from 20 nuclei in 1 field; 95 %" in sentence
    with Project.open(project) as opened:
        assert [slide.mpp for slide in opened.slides()] == [None]
    assert not (tmp_path / "out").exists()


def test_a_job_in_another_process_says_of_which_images(tmp_path: Path) -> None:
    Image.fromarray(drawn(nucleus_px=6.676 / 0.25)).save(tmp_path / "field.png")
    rule = CropRule(windows=(45.6,), size_px=64)
    with open_slide(tmp_path / "field.png") as slide:
        for refused in (
            lambda: rule.sides_px(None, "field", [slide.info.path]),
            lambda: model_view(SlidePixels(slide), None, 0.5, "field"),
        ):
            with pytest.raises(ScaleUnknownError) as caught:
                refused()
            last = failed(caught.value)
            assert last.without_scale == (str(tmp_path / "field.png"),)
            assert str(last.error) == str(caught.value)
    assert OFFER in with_offer(last.error)


def test_where_no_image_can_be_read_the_way_to_an_estimate_is_said() -> None:
    said = with_offer(ScaleUnknownError("Expected the µm per px, got none.", ["/nowhere.png"]))
    assert said == f"Expected the µm per px, got none. {HOW_TO_ESTIMATE}."
