"""A job that must end before its window goes on: a modal dialog with its progress and a way to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QDialog, QVBoxLayout, QWidget

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.child import JobFunction
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.widgets.docks.job_bar import JobBar

WIDTH_PX = 460


class JobDialog(QDialog):
    """Runs one job in a child process; the window behind it is drawn but waits."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setMinimumWidth(WIDTH_PX)
        self.bar = JobBar()
        self.bar.ended.connect(self._ended)
        self._last: Done | Failed | Cancelled | None = None
        layout = QVBoxLayout(self)
        layout.addWidget(self.bar)

    def run(self, function: JobFunction, kwargs: Mapping[str, Any]) -> Any:
        """Run the job to its end and return its result, which is of the job's own kind.

        Raises
        ------
        JobCancelled
            When its user stopped it.
        CytoError
            The sentence of a job that failed.
        """
        self.bar.run(function, kwargs, self.windowTitle())
        self.exec()
        self.bar.close_job()
        self.deleteLater()
        match self._last:
            case Done(result):
                return result
            case Failed(expected=expected):
                raise self._last.error if expected else RuntimeError(self._last.traceback)
            case _:
                raise JobCancelled("Cancelled; nothing was changed.")

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        self._last = event
        self.accept()

    def reject(self) -> None:
        """Escape stops the job; the dialog goes when that has ended."""
        self.bar.stop()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  Qt's name
        """The window's x stops the job, as Escape does."""
        if self._last is None:
            event.ignore()
            self.bar.stop()
        else:
            event.accept()
