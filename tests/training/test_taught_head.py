"""Promise: what was taught in clicks is a classifier like any other, and its card says of what it was made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from encoder_project import tiny_encoder, two_kinds

from napari_cyto.domain.taught import counterexample_edit, example_edit
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.jobs.events import Done, Failed, Noted
from napari_cyto.models.bundle import Bundle, read_bundle
from napari_cyto.slides import open_slide
from napari_cyto.store import Project
from napari_cyto.training.taught_head import SavedHead, SaveOptions, save_head
from napari_cyto.vectors.teaching.project_lesson import newest_kind, open_lesson

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_encoder(tmp_path_factory.mktemp("models") / "seer")


@pytest.fixture
def taught(tmp_path: Path, encoder: Bundle) -> tuple[Path, dict[str, int]]:
    """A project in which 12 dark cells are HSIL and 12 pale ones NILM, on three slides."""
    place = tmp_path / "p.cyto"
    kinds = two_kinds(place, encoder)
    with Project.open(place) as project:
        for record in project.slides():
            cells = list(project.annotations(record.id))
            for kind, name in ((1, "HSIL"), (0, "NILM")):
                edit = example_edit([cell for cell in cells if kinds[cell.id] == kind][:4], "anna", name)
                project.apply(edit, "anna")
    return place, kinds


def saved(place: Path, out: Path, encoder: Bundle) -> tuple[SavedHead, list[str]]:
    events = list(save_head(place, out, SaveOptions(encoder=str(encoder.path))))
    assert isinstance(events[-1], Done), events[-1]
    return events[-1].result, [event.message for event in events if isinstance(event, Noted)]


def test_the_bundle_calls_cells_as_the_lesson_does_in_both_runtimes(taught, encoder, tmp_path):
    place, kinds = taught
    result, notes = saved(place, tmp_path / "model", encoder)
    assert notes == []
    bundle = read_bundle(result.bundle)
    assert (bundle.manifest.kind, bundle.manifest.architecture) == ("classifier", "timm-encoder-head")
    assert bundle.manifest.class_ids == ("NILM", "HSIL")
    with Project.open(place) as project:
        lesson = open_lesson(project, newest_kind(project))
        lesson.learn(afresh=True)
        record = project.slides()[0]
        cells = list(project.annotations(record.id))[:40]
    expected = lesson.scores[[lesson.row_of[cell.id] for cell in cells]]
    for runtime in ("torch", "openvino"):
        classifier = CellClassifier(bundle, device="cpu", runtime=runtime)
        with open_slide(record.path) as slide:
            crops = classifier.rule.cut(slide, [cell.geometry.centre_yx for cell in cells], None)
        logits = classifier.logits(crops)[:, 0]
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert np.abs(shares - expected).max() < 0.02, runtime
    called = np.array(lesson.head.classes)[lesson.scores.argmax(axis=1)]
    truth = np.array(["HSIL" if kinds[cell] else "NILM" for cell in lesson.ids])
    assert (called == truth).mean() > 0.8


def test_its_card_names_encoder_examples_audit_and_cross_validation(taught, encoder, tmp_path):
    place, _ = taught
    result, _ = saved(place, tmp_path / "model", encoder)
    manifest = read_bundle(result.bundle).manifest
    assert [(p.id, p.sha256) for p in manifest.parents] == [(encoder.id, encoder.sha256)]
    with Project.open(place) as project:
        accepted = sorted(cell.id for cell in project.annotations() if cell.status == "accepted")
        prints = {slide.fingerprint.partition("-")[0][:16] for slide in project.slides()}
    examples = manifest.card.data["examples"]
    assert sorted(examples["HSIL"] + examples["NILM"]) == accepted
    # Known by their pixels, so that an evaluation on these slides is refused.
    assert set(manifest.card.split["sides"]["train"]) == prints
    assert set(manifest.card.split["audit"].values()) == {0}
    across = manifest.card.metrics["cross-validated by slide"]
    assert across["accuracy"]["groups"] == 3
    assert across["accuracy"]["of"] == 24
    assert "On slides that it has not seen" in result.on_other_slides
    text = (Path(result.bundle) / "model.json").read_text(encoding="utf-8")
    # A model is handed on: no folder of this machine is in it.
    assert str(tmp_path) not in text


def test_with_one_slide_it_says_that_there_are_not_enough_to_tell(tmp_path, encoder):
    place = tmp_path / "one.cyto"
    kinds = two_kinds(place, encoder, slides=1)
    with Project.open(place) as project:
        cells = list(project.annotations())
        dark = [cell for cell in cells if kinds[cell.id]][:5]
        pale = [cell for cell in cells if not kinds[cell.id]][:5]
        project.apply(example_edit(dark, "anna", "HSIL"), "anna")
        project.apply(counterexample_edit(pale, "HSIL"), "anna")
    result, notes = saved(place, tmp_path / "model", encoder)
    assert "not enough slides to tell" in result.on_other_slides
    manifest = read_bundle(result.bundle).manifest
    assert manifest.card.metrics["cross-validated by slide"].startswith("not enough slides to tell")
    # Cells that are none of what was taught have a class of their own.
    assert manifest.class_ids == ("HSIL", "other")
    assert "add a class other to a project's scheme" in notes[0]
    assert len(manifest.card.data["examples"]["other"]) == 5


def test_one_class_alone_is_no_model(tmp_path, encoder):
    place = tmp_path / "one.cyto"
    kinds = two_kinds(place, encoder, slides=1)
    with Project.open(place) as project:
        dark = [cell for cell in project.annotations() if kinds[cell.id]][:5]
        project.apply(example_edit(dark, "anna", "HSIL"), "anna")
    last = list(save_head(place, tmp_path / "model", SaveOptions(encoder=str(encoder.path))))[-1]
    assert isinstance(last, Failed)
    assert "Expected examples of at least two classes" in last.message
    assert not (tmp_path / "model").exists()


def test_an_encoder_that_is_gone_or_another_is_refused(taught, tmp_path):
    place, _ = taught
    last = list(save_head(place, tmp_path / "model", SaveOptions()))[-1]
    assert isinstance(last, Failed)
    assert "not in the model library" in last.message
    other = tiny_encoder(tmp_path / "other", seed=5)
    last = list(save_head(place, tmp_path / "model", SaveOptions(encoder=str(other.path))))[-1]
    assert isinstance(last, Failed)
    assert json.dumps(last.message)
    assert "Expected vectors of the encoder" in last.message


def test_the_verb_saves_it_from_a_process_of_its_own(taught, encoder, tmp_path):
    place, _ = taught
    out = tmp_path / "model"
    words = ["teach", str(place), "--class", "HSIL", "--encoder", str(encoder.path), "--save-model", str(out), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "napari_cyto", *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["model"]["classes"] == {"NILM": 12, "HSIL": 12}
    assert facts["stored"] == 0
    assert read_bundle(out).sha256 == facts["model"]["sha256"]
