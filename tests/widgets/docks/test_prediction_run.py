"""Promise: the Propose dock asks for what one sees and clicks, and tells in a sentence how it goes and how it ended."""

from __future__ import annotations

import pytest
from psygnal import Signal

from napari_cyto.errors import CytoError
from napari_cyto.inference.results import ModelUsed, SlidePrediction, StoredCells, UnreadableArea
from napari_cyto.jobs.events import Cancelled
from napari_cyto.widgets.docks.predict import _run as prediction_run
from napari_cyto.widgets.docks.predict._run import outcome_words
from napari_cyto.widgets.docks.predict.dock import PredictDock


class RequestRecorder:
    """Stands in for the process that looks: notes what is asked of it, and says what a test has it say."""

    advanced = Signal(int, int, str)
    noted = Signal(str)
    arrived = Signal(int)
    finished = Signal(object)
    failed = Signal(str)

    def __init__(self, _session) -> None:
        self.running = False
        self.questions: list[tuple] = []
        self.cancelled = self.closed = 0
        self.refusal = ""

    def ask(self, scope, detector, classifier) -> None:
        if self.refusal:
            raise CytoError(self.refusal)
        self.questions.append((scope, detector, classifier))
        self.running = True

    def cancel(self) -> None:
        self.cancelled += 1

    def warm(self, _detector, _classifier) -> None:
        """Nothing to prepare; whether it is asked for depends on where the pointer stands on the screen."""

    def poll(self) -> None:
        """Nothing comes by itself."""

    def close(self) -> None:
        self.closed += 1

    def end(self, result) -> None:
        self.running = False
        self.finished.emit(result)


def came_to(added=0, there=0, replaced=0, **changes) -> SlidePrediction:
    stored = StoredCells(
        project="p.cyto", slide_id="1", added=added, there_before=there, judged_before=0, replaced=replaced
    )
    changes = {"megapixels": 1.0, "seconds": 0.5, "device": "cpu"} | changes
    return SlidePrediction(slide="s.svs", cells=added, detector=ModelUsed("finder", "0"), stored=stored, **changes)


@pytest.fixture
def run(bench, monkeypatch):
    monkeypatch.setattr(prediction_run, "Predictor", RequestRecorder)
    made = bench.dock(PredictDock).run
    made.detector.clear()
    made.detector.addItem("finder", "finder")
    made.classifier.addItem("namer", "namer")
    made.show_state()
    return made


def test_a_run_asks_for_the_chosen_models_and_scope(bench, run):
    bench.click(run.run)
    assert run.predictor.questions == [("field", "finder", None)]
    assert not run.run.isEnabled()
    assert run.bar.isVisible()
    assert run.cancel.isVisible()
    run.predictor.end(came_to(3))
    assert run.run.isEnabled()
    assert not run.bar.isVisible()
    for scope in ("region", "slide"):
        bench.click(run.scopes[scope])
        assert [name for name, button in run.scopes.items() if button.isChecked()] == [scope]
        run.classifier.setCurrentIndex(run.classifier.findData("namer"))
        bench.click(run.run)
        assert run.predictor.questions[-1] == (scope, "finder", "namer")
        run.predictor.end(came_to(0))


def test_progress_comes_as_numbers_and_words(bench, run):
    bench.click(run.run)
    run.predictor.advanced.emit(3, 12, "smear_a: 40 cells")
    assert (run.bar.value(), run.bar.maximum()) == (3, 12)
    assert run.words.text() == "smear_a: 40 cells"
    run.predictor.arrived.emit(25)
    run.predictor.arrived.emit(1000)
    assert run.words.text() == "1,025 cells so far"


def test_that_a_run_goes_on_stays_in_view_until_its_end(bench, run):
    bench.click(run.run)
    run.predictor.noted.emit("smear_a: resuming: 1,204 of 3,800 tiles are done.")
    run.predictor.advanced.emit(1205, 3800, "smear_a: 40 cells")
    assert run.words.text() == "smear_a: 40 cells\nsmear_a: resuming: 1,204 of 3,800 tiles are done."
    run.predictor.end(came_to(3, seconds=2.0, remarks=("smear_a: resuming: 1,204 of 3,800 tiles are done.",)))
    assert run.words.text().endswith("(2.0 s on cpu). smear_a: resuming: 1,204 of 3,800 tiles are done.")


def test_cancel_asks_once_and_says_what_is_kept(bench, run):
    bench.click(run.run)
    bench.click(run.cancel)
    assert run.predictor.cancelled == 1
    assert run.words.text() == "Stopping…"
    run.predictor.end(Cancelled("Cancelled. What was stored so far is kept."))
    assert run.words.text() == "Cancelled. What was stored so far is kept."
    assert run.run.isEnabled()


def test_what_cannot_be_requested_and_what_fails_is_one_sentence(bench, run):
    run.predictor.refusal = "Select one region first: draw it with R, or click its outline with V."
    bench.click(run.run)
    assert run.words.text() == run.predictor.refusal
    assert run.run.isEnabled()
    run.predictor.refusal = ""
    bench.click(run.run)
    run.predictor.running = False
    run.predictor.failed.emit("The process that looks for cells was ended from outside.")
    assert run.words.text() == "The process that looks for cells was ended from outside."
    assert run.run.isEnabled()


def test_without_a_slide_nothing_can_be_requested(bench, run):
    bench.session.close()
    bench.settle()
    assert not run.run.isEnabled()


def test_the_process_ends_with_the_dock(bench, run):
    dock = bench.dock(PredictDock)
    bench.click(run.run)
    dock.cancel_jobs()
    assert run.predictor.cancelled == 1
    dock.let_go()
    assert run.predictor.closed == 1


def test_an_outcome_in_words():
    assert outcome_words(came_to(1, seconds=0.42)) == "1 new prediction (0.4 s on cpu)."
    hole = UnreadableArea((0, 0, 8, 8), "gone")
    words = outcome_words(came_to(1200, 7, 3, seconds=61.0, device="cuda", unreadable=(hole,)))
    assert words == (
        "1,200 new predictions, 3 replacing another model's; 7 already annotated (61.0 s on cuda). "
        "1 part of the slide could not be read."
    )
