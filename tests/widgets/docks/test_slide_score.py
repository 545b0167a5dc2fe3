"""Promise: a slide is scored from the window, with what the model looked at on the slide and first in Review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_slides import KIND

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.errors import CytoError
from napari_cyto.models.attention_mil import AttentionMil, MilSettings
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.library import add_model, find_model, remove_model
from napari_cyto.review.predictions import ShownFilter, with_review
from napari_cyto.review.query import Sort
from napari_cyto.training.request import SlideTrainRequest
from napari_cyto.vectors import attention_of, cell_places, open_vectors
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.train.dock import TrainDock

pytestmark = pytest.mark.networks

LONGEST_MS = 60_000


def planted(bench: Any, tmp_path: Path) -> tuple[str, list[str]]:
    """Give the slide on screen twelve cells with vectors, of which one stands out, and the library a model."""
    project, slide = bench.session.project, bench.session.slide
    chance = np.random.default_rng(0)
    places = chance.uniform(60, 500, (12, 2))
    made = [Annotation(slide_id=slide.id, geometry=Point(*place), class_id="NILM") for place in places]
    bench.session.annotations_changed.emit(project.apply(add(made, "Planted"), "anna"))
    where = cell_places(project, slide.id)
    vectors = np.zeros((12, KIND.length), np.float32)
    vectors[4] = 5.0
    open_vectors(project, KIND).add(where.ids, [slide.id] * 12, where.centres_yx, vectors)
    settings = MilSettings(
        length=KIND.length,
        hidden=4,
        attention=2,
        seeds=2,
        positive="HSIL",
        encoder=KIND.encoder,
        encoder_sha256=KIND.sha256,
        crop=KIND.crop,
    )
    network = AttentionMil(settings)
    for each in network.networks:
        for value in each.parameters():
            value.data.fill_(0.1)
    fields = {"kind": "slide", "architecture": "gated-attention", "settings": settings.model_dump(), "classes": ()}
    fields |= {"mpp": 0.5, "input_px": 96, "crop_rule": {"windows": [48.0], "unit": "um", "size_px": 96, "icc": False}}
    if find_model("attends") is not None:
        remove_model("attends")
    add_model(write_bundle(tmp_path / "attends", fields, network.state_dict()).path)
    return where.ids[4], list(where.ids)


def test_a_slide_is_scored_and_shows_what_was_looked_at(window_bench: Any, tmp_path: Path) -> None:
    bench = window_bench
    foremost, ids = planted(bench, tmp_path)
    dock = bench.dock(PredictDock)
    box = dock.slide_score
    dock.whole_slide.set_open(True)
    box.refresh()
    assert box.model.currentData() == "attends"
    assert box.map.isHidden()
    box.score_here()
    bench.qtbot.waitUntil(lambda: not box.job.running, timeout=LONGEST_MS)
    bench.settle()
    kept = box.newest()
    assert kept is not None, box.job.words.text()
    assert (kept.looked_at, kept.without, kept.positive) == (12, 0, "HSIL")
    assert f"HSIL or worse: {kept.score:.2f}" in box.score.text()
    assert "not a diagnosis" in box.words.text()

    canvas = bench.window.canvas
    assert not canvas.layers.attention.node.visible
    bench.click(box.map)
    assert canvas.layers.attention.node.visible
    bench.click(box.map)
    assert not canvas.layers.attention.node.visible
    bench.click(box.map)
    bench.session.slides.next()
    bench.settle()
    assert bench.session.view.attention is None
    assert not canvas.layers.attention.node.visible
    assert box.score.isHidden()
    bench.session.slides.next(-1)
    bench.settle()

    project = bench.session.project
    attention = attention_of(project, bench.session.slide.id, kept.sha256)
    assert attention is not None
    assert attention.ids[int(np.argmax(attention.weights))] == foremost
    review = bench.dock(ReviewDock)
    seen = project.annotation(foremost)
    accepted = replace_all([(seen, with_review(seen, "anna", Status.ACCEPTED))], "Accept")
    bench.session.annotations_changed.emit(project.apply(accepted, "anna"))
    bench.bring_to_front(review)
    assert foremost not in {cell.id for cell in review.review.cells}
    order, status = review.filters.sort, review.filters.status
    order.setCurrentIndex(order.findData(Sort.ATTENTION))
    bench.settle()
    assert status.currentText() == "All cells"
    assert len(review.review.cells) == len(ids)
    assert review.review.cells[0].id == foremost, "what the score rests on is first, reviewed as it is"
    assert "Of 2 slides no model of whole slides has said" in review.hint.text()
    order.setCurrentIndex(0)
    bench.settle()
    assert status.currentText() == "Unreviewed"
    assert not review.hint.text()
    bench.session.view.show_only(ShownFilter(blind=True))
    bench.settle()
    assert box.score.isHidden()
    assert "hidden" in box.words.text()


def test_a_damaged_file_of_attention_is_a_sentence(bench: Any, tmp_path: Path) -> None:
    planted(bench, tmp_path)
    box = bench.dock(PredictDock).slide_score
    bench.dock(PredictDock).whole_slide.set_open(True)
    box.refresh()
    box.score_here()
    bench.qtbot.waitUntil(lambda: not box.job.running, timeout=LONGEST_MS)
    for place in bench.session.project.folder.glob("vectors/attention/*/*.npz"):
        place.write_bytes(b"nothing")
    said: list[str] = []
    bench.session.message.connect(said.append)
    bench.click(box.map)
    assert "score the slide again" in said[-1]
    assert not box.map.isChecked()


def test_a_run_on_slides_starts_from_the_train_dock(bench: Any, tmp_path: Path) -> None:
    planted(bench, tmp_path)
    project = bench.session.project
    dock = bench.dock(TrainDock)
    dock.slides.section.set_open(True)
    assert not dock.slides.start.isEnabled()
    assert "0 slides with an interpretation" in dock.slides.counts.text()
    ids = [record.id for record in project.slides()]
    bench.session.facts.interpret({ids[0]: Interpretation("SCC"), ids[1]: Interpretation("NILM")})
    bench.settle()
    assert "2 slides with an interpretation, 1 HSIL or worse" in dock.slides.counts.text()
    request = dock.slide_request()
    assert isinstance(request, SlideTrainRequest)
    assert request.words()[:3] == ["train", "slide", "--out"]
    assert str(project.folder) in request.words()
    assert request.out.name.startswith("slide-attention-")
    dock.name.selectAll()
    bench.type(dock.name, "slides of anna")
    with pytest.raises(CytoError, match="a model name of letters"):
        dock.slide_request()
    dock.name.selectAll()
    bench.type(dock.name, "slides-of-anna")
    assert dock.slide_request().out == request.out.with_name("slides-of-anna")
    dock.slide_request().out.mkdir(parents=True)
    with pytest.raises(CytoError, match="already exists"):
        dock.slide_request()
