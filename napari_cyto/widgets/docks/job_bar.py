"""A job's progress: a bar, the time that is left, its last word, and a button that stops it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_cyto.jobs.child import JobFunction
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Failed, Measured, Noted
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.jobs import Job

# Before this much is behind, a guess at the rest would jump about.
ETA_AFTER_S = 1.5
# "1 s left" that stays is not believed.
LEAST_LEFT_S = 2.0


class JobBar(QWidget):
    """Runs one job at a time and shows how it goes; ``ended`` carries its last word, ``measured`` numbers before."""

    ended = Signal(object)
    measured = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None
        self._retired: list[Job] = []
        self._started_s = 0.0
        self.notes: list[str] = []
        self.bar = QProgressBar()
        self.bar.setToolTip("Progress")
        self.bar.setTextVisible(True)
        self.cancel = parts.button(
            "Cancel", "Stops the job; what was there before stays untouched.", self.stop, icon="stop"
        )
        self.words = parts.text(selectable=True)
        self.running_row = parts.row(self.bar, self.cancel, stretch=0)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.running_row)
        layout.addWidget(self.words)
        self.running_row.hide()
        self.words.hide()

    @property
    def running(self) -> bool:
        """Whether a job is at work."""
        return self.job is not None and self.job.running

    def run(self, function: JobFunction, kwargs: Mapping[str, Any], beginning: str) -> None:
        """Start a job; one that is at work is stopped."""
        self._retire()
        self.notes = []
        self._started_s = time.monotonic()
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.running_row.show()
        self.say(beginning)
        self.job = Job(function, kwargs, self)
        self.job.progressed.connect(self._progressed)
        self.job.ended.connect(self._ended)
        self.job.start()

    def stop(self) -> None:
        """Ask the job to stop."""
        if self.job is not None and self.job.running:
            self.say("Stopping…")
            self.job.cancel()

    def close_job(self) -> None:
        """End what still runs, within a second, and leave nothing behind."""
        for job in filter(None, (self.job, *self._retired)):
            job.close()
            job.deleteLater()
        self.job = None
        self._retired.clear()

    def _retire(self) -> None:
        """Stop the job before without waiting for it; nobody hears of it any more."""
        self._retired = [job for job in self._retired if job.alive]
        if self.job is not None:
            self.job.progressed.disconnect(self._progressed)
            self.job.ended.disconnect(self._ended)
            self.job.cancel()
            self._retired.append(self.job)
            self.job = None

    def say(self, words: str, colour: str = "") -> None:
        """Show a sentence under the bar."""
        style.tint(self.words, colour)
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def _progressed(self, event: Advanced | Noted | Measured) -> None:
        if isinstance(event, Measured):
            self.measured.emit(event)
            return
        if isinstance(event, Noted):
            self.notes.append(event.message)
            self.say(event.message)
            return
        if event.total != self.bar.maximum():
            # Another stretch of the work goes at a pace of its own.
            self._started_s = time.monotonic()
        self.bar.setRange(0, event.total)
        self.bar.setValue(event.done)
        left = eta_words(event.done, event.total, time.monotonic() - self._started_s)
        self.bar.setFormat(f"%p %{left}" if event.total else "")
        if event.message:
            self.say(event.message)

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        self.running_row.hide()
        if isinstance(event, Done):
            self.say("\n".join(self.notes))
        elif isinstance(event, Cancelled):
            self.say(event.message, style.WARN)
        else:
            bug = "" if event.expected else "\nThis is a bug; please report it."
            self.say(event.message + bug, style.BAD)
            self.words.setToolTip(event.traceback)
        self.ended.emit(event)


def eta_words(done: int, total: int, passed_s: float) -> str:
    """Return how much time is left, in words that begin with a comma, or nothing while nobody can know."""
    if not total or not done or passed_s < ETA_AFTER_S or done >= total:
        return ""
    left_s = passed_s * (total - done) / done
    if left_s < LEAST_LEFT_S:
        return ""
    if left_s < 90:
        return f", {round(left_s)} s left"
    if left_s < 90 * 60:
        return f", {round(left_s / 60)} min left"
    return f", {left_s / 3600:.1f} h left"
