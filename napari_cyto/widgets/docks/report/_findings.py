"""What was found on the slide: highest grade with its best cells, excess, counts of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.reporting.images import best_words
from napari_cyto.reporting.slide_summary import ClassCount, Grade, SlideResult
from napari_cyto.review.slide_risk import ORDER, ORDER_SOURCE, risk_words
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_gallery import CellGallery
from napari_cyto.widgets.docks.fact_table import FactTable
from napari_cyto.widgets.docks.section import Section

EXAMPLES = 6
HEADINGS = ("Class", "accepted", "corrected", "predicted")
BLIND = "Blind reading: the models' classes and scores are hidden."


class ResultFinding(QWidget):
    """Shows a `SlideResult`; ``cell_chosen`` carries the id and the place (y, x), level-0 px, of a clicked cell."""

    cell_chosen = Signal(str, float, float)

    def __init__(self) -> None:
        super().__init__()
        self.accepted = parts.text(bold=True)
        self.proposed = parts.text()
        self.cells = CellGallery("best cells of the highest grade")
        self.cells.chosen.connect(self._go)
        self.risk = parts.text()
        self.formula = Section(
            "Order of slides",
            parts.text(f"{ORDER} {ORDER_SOURCE}", colour=style.QUIET, selectable=True),
            tip="Explains the excess of predicted high-grade cells.",
        )
        self.counts = FactTable("Cells per class; corrected: accepted with another class than predicted")
        self.blind = parts.text(BLIND, colour=style.WARN)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for block in (
            self.blind,
            self.accepted,
            self.proposed,
            self.cells,
            self.risk,
            self.formula,
            self.counts,
        ):
            layout.addWidget(block)
        self.blind.hide()

    def show_counts(self, counts: Sequence[ClassCount], proposed_cells: int, is_blind: bool) -> None:
        """Show how many cells each class has; what is only proposed has no class in a blind reading."""
        hidden = "–"
        rows = [
            (
                c.class_id,
                parts.number(c.accepted),
                hidden if is_blind else parts.number(c.corrected),
                hidden if is_blind else parts.number(c.proposed),
            )
            for c in counts
        ]
        accepted, corrected = sum(c.accepted for c in counts), sum(c.corrected for c in counts)
        last = ("All", parts.number(accepted), hidden if is_blind else parts.number(corrected))
        rows.append((*last, parts.number(proposed_cells)))
        self.counts.show_rows(rows, HEADINGS)

    def show_result(self, result: SlideResult | None, path: Path | None) -> None:
        """Show grade, cells and excess; None while they are being read."""
        self.blind.setVisible(result is not None and result.is_blind)
        if result is None:
            self.accepted.setText("Reading the cells…")
            self.proposed.setText("")
            self.risk.setText("")
            self.cells.show_cells([])
            return
        self.accepted.setText(f"Highest grade accepted: {grade(result.accepted)}")
        self.proposed.setText(f"Highest grade predicted only: {grade(result.proposed)}")
        self.proposed.setVisible(not result.is_blind)
        risk = None if result.is_blind else result.risk
        self.risk.setText("" if risk is None else risk_words(risk))
        for block in (self.risk, self.formula):
            block.setVisible(bool(self.risk.text()))
        self.cells.show_cells([] if path is None else shown_cells(result, path))

    def _go(self, cell: dict[str, Any]) -> None:
        self.cell_chosen.emit(cell["id"], *cell["centre_yx"])


def grade(found: Grade | None) -> str:
    """Return a grade in words."""
    if found is None:
        return "none"
    score = "" if found.score is None else f", best score {found.score:.2f}"
    return f"{found.class_id}, {counted(found.cells, 'cell')}{score}"


def shown_cells(result: SlideResult, path: Path) -> list[dict[str, Any]]:
    """Return the best cells as the gallery takes them: half of them at most of one kind, as far as both are there."""
    kinds = [[c for c in result.best if c.is_accepted is flag] for flag in (True, False)]
    share = [max(EXAMPLES // 2, EXAMPLES - len(other)) for other in reversed(kinds)]
    chosen = {c.id for kind, most in zip(kinds, share, strict=True) for c in kind[:most]}
    return [
        {
            "id": cell.id,
            "slide": str(path),
            "centre_yx": cell.centre_yx,
            "words": best_words(cell).replace(", ", "\n"),
            "tip": (
                f"{best_words(cell)}; x {cell.centre_yx[1]:,.0f}, y {cell.centre_yx[0]:,.0f} px.\nClick to go there."
            ),
        }
        for cell in result.best
        if cell.id in chosen
    ]
