"""Dock Result: what the slide comes to, whether it can be judged, and how much of it was looked at."""

from __future__ import annotations

import time
from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QFrame, QWidget

from napari_cyto.domain.image_names import bare_name
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.reporting.job import ReportOptions, write_result
from napari_cyto.reporting.slide_facts import CANNOT_SAY
from napari_cyto.reporting.slide_score import ReportedScore, reported_scores
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT, SlideResult, gather_result, quick_counts
from napari_cyto.session import Session
from napari_cyto.session.coverage_recorder import CoverageRecorder
from napari_cyto.store import Project
from napari_cyto.widgets import style
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.interpretation_choice import SlideInterpretation
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.report._findings import ResultFinding
from napari_cyto.widgets.docks.report._quality import ResultQuality
from napari_cyto.widgets.docks.report._score import SHOWN, ResultScore
from napari_cyto.widgets.docks.report._viewed_area import ResultSeen
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.latest import Latest, MayGoOn

# After this long without a further edit the cells are read again; of very many less often, for reading takes its share.
REST_MS, LONGEST_REST_MS = 400, 5_000
# Between parts of some thousand cells that are read the window gets its turn.
_BREATH_S = 0.002
FILTER = "Page with images (*.html);;JSON (*.json)"


class ReportDock(Dock):
    """Counts, highest grade, excess, adequacy, focus, what was looked at; and the report on them."""

    title = "Report"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.notice = parts.text(f"{DECISION_SUPPORT}.", colour=style.WARN, bold=True)
        self.interpretation = SlideInterpretation(session)
        self.score = ResultScore()
        self.finding = ResultFinding()
        self.quality = ResultQuality(session)
        self.seen = ResultSeen(session)
        limits = parts.text("\n".join(f"•  {words}" for words in CANNOT_SAY), selectable=True)
        self.limits = Section("Limitations", limits, tip=("What to keep in mind when reading these figures."))
        self.reader = Latest("result", self)
        self.result: SlideResult | None = None
        self.scores: tuple[ReportedScore, ...] | None = None
        self.report_slide = parts.button(
            "Save slide report…",
            "Saves a report of this slide, as a page with images (HTML) or as JSON.",
            self.write_slide,
        )
        self.report_project = parts.button(
            "Save project report…",
            "Saves a report of all slides of the project.",
            self.write_project,
            name=("save project report"),
        )
        self.open = parts.button("Open report", "Opens the saved report in the browser.", self._open, icon="find")
        self.job = JobBar()
        self._written: Path | None = None
        self._requested_s = 0.0
        self._rest = later(self, self._read, REST_MS)
        self._soon = self.later(self._show_slide)
        self._seen = WhenSeen(self, self._show_slide)
        self._lay_out()
        self._connect()
        self._show_slide()

    def _lay_out(self) -> None:
        results = (
            self.interpretation,
            self.score,
            _line(),
            self.finding,
            _line(),
            self.quality,
            _line(),
            self.seen,
            _line(),
        )
        blocks = (self.notice, *results, self.limits)
        for block in blocks:
            self.body.addWidget(block)
        self.body.addStretch(1)
        for block in (self.job, self.open, parts.row(self.report_slide, self.report_project)):
            self.footer.addWidget(block)
        self.open.hide()
        # There is nothing to tell before the first look at the project.
        self._offer(has_slide=False)

    def _offer(self, *, has_slide: bool) -> None:
        self.finding.setVisible(has_slide)
        for control in (self.report_slide, self.report_project):
            control.setEnabled(has_slide)

    def _connect(self) -> None:
        session = self.session
        self.finding.cell_chosen.connect(self._go)
        self.score.cell_chosen.connect(self._go)
        self.reader.made.connect(self._take)
        self.job.ended.connect(self._ended)
        # What was looked at is told of the tissue, as soon as that is known.
        self.quality.job.ended.connect(lambda _event: self.seen.show_slide())
        self.listen(session.slide_changed, self._soon)
        self.listen(session.project_changed, self._soon)
        self.listen(session.annotations_changed, self.later(self._follow))
        self.listen(session.filter_changed, self._show)
        self.listen(session.view_changed, self.seen.set_view)

    def watch(self, recorder: CoverageRecorder) -> None:
        """Show what a recorder takes down of what is looked at."""
        self.seen.watch(recorder)

    def cancel_jobs(self) -> None:
        """Stop a measurement and a report that are under way."""
        self.quality.job.stop()
        self.job.stop()

    def let_go(self) -> None:
        """Stop reading and what still runs."""
        super().let_go()
        self._rest.stop()
        self._seen.stop()
        self.reader.close()
        self.finding.cells.close_threads()
        self.score.cells.close_threads()
        self.quality.job.close_job()
        self.job.close_job()
        self.seen.let_go()

    # What is shown

    def _show_slide(self) -> None:
        """Begin anew with the slide that is on screen now, unless nobody looks."""
        self.result = self.scores = None
        self.reader.drop()
        if not self._seen.is_now():
            return
        self._offer(has_slide=self.session.project is not None and self.session.slide is not None)
        with self.session.telling():
            self.interpretation.show_slide()
            self.quality.show_slide()
            self.seen.show_slide()
            self._show()
            self._read()

    def _follow(self) -> None:
        """Show counts at once after an edit, and the rest when the hand rests."""
        if not self._seen.is_now():
            return
        with self.session.telling():
            self._show_counts()
        self._rest.start()

    def _read(self) -> None:
        project, slide = self.session.project, self.session.slide
        if project is not None and slide is not None:
            self._requested_s = time.monotonic()
            self.reader.ask(lambda may_go_on: _read_result(project, slide, may_go_on))

    def _take(self, read: tuple[str, SlideResult, tuple[ReportedScore, ...]]) -> None:
        slide, (slide_id, result, scores) = self.session.slide, read
        if slide is not None and slide.id == slide_id:
            self.result, self.scores = result, scores
            took_ms = round(1000 * (time.monotonic() - self._requested_s))
            self._rest.setInterval(max(REST_MS, min(LONGEST_REST_MS, 2 * took_ms)))
            self._show()

    def _show(self) -> None:
        if self.session.slide is None or not self._seen.is_now():
            return
        result = self.result
        if result is not None and self.session.shown_filter.blind:
            result = result.blinded()
        path = self._path()
        self.score.show_scores(self.scores, path, is_blind=self.session.shown_filter.blind)
        self.finding.show_result(result, path)
        self.quality.show_result(result)
        self._show_counts()

    def _show_counts(self) -> None:
        project, slide = self.session.project, self.session.slide
        if project is None or slide is None:
            return
        counts = quick_counts(project, slide.id, None if self.result is None else self.result.corrected)
        proposed = sum(count.proposed for count in counts)
        self.finding.show_counts(counts, proposed, self.session.shown_filter.blind)

    def _path(self) -> Path | None:
        try:
            return self.session.need_project().slide_path(self.session.need_slide())
        except CytoError:
            # The file is missing, and was told when the slide was opened.
            return None

    def _go(self, cell_id: str, y: float, x: float) -> None:
        self.session.select([cell_id] if cell_id else [])
        self.session.jump((y, x))

    # The report

    def write_slide(self) -> None:
        """Ask for a file, and write the report on the slide on screen."""
        slide = self.session.slide
        if slide is not None:
            self._write(bare_name(slide.name), slide.id)

    def write_project(self) -> None:
        """Ask for a file, and write the report on all slides."""
        project = self.session.project
        if project is not None:
            self._write(project.name, None)

    def _write(self, name: str, slide_id: str | None) -> None:
        project = self.session.need_project()
        start = project.folder.parent / f"{name}-result.html"
        chosen, kind = QFileDialog.getSaveFileName(self, "Save report as", str(start), FILTER)
        if not chosen:
            return
        out = Path(chosen)
        if not out.suffix:
            out = out.with_name(out.name + (".json" if "json" in kind else ".html"))
        if self.seen.recorder is not None:
            self.seen.recorder.keep_now()
        self.open.hide()
        self._written = out
        # The dialog asked already whether a file of the chosen name shall be replaced.
        options = ReportOptions(blind=self.session.shown_filter.blind, overwrite=out == Path(chosen))
        arguments = {"project_folder": project.folder, "out": out, "slide_id": slide_id, "options": options}
        self.job.run(write_result, arguments, "Writing the report…")

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        if isinstance(event, Done):
            notes = self.job.notes
            self.job.say("\n".join((f"Saved: {parts.breakable(event.result.out)}", *notes)), style.GOOD)
        self.open.setVisible(isinstance(event, Done))

    def _open(self) -> None:
        if self._written is not None:
            show_file(self._written)


def _read_result(
    project: Project, slide: SlideRecord, may_go_on: MayGoOn
) -> tuple[str, SlideResult, tuple[ReportedScore, ...]] | None:
    """Return a slide's id, what it comes to, and its scores, read without holding up the window."""

    def breathe() -> bool:
        time.sleep(_BREATH_S)
        return may_go_on()

    result = gather_result(project, slide.id, breathe)
    return None if result is None else (slide.id, result, reported_scores(project, slide, SHOWN))


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line


def show_file(path: Path) -> None:
    """Show a file in the program that the system has for it."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
