"""What a model of slides said of the slide on screen: score, interval, model, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.reporting.slide_score import ReportedScore
from napari_cyto.vectors import SCORE_HIDDEN, SCORE_NOTICE
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_gallery import CellGallery

SHOWN = 6


class ResultScore(QWidget):
    """Shows the newest of a slide's scores; ``cell_chosen`` carries the id and the place (y, x), level-0 px."""

    cell_chosen = Signal(str, float, float)

    def __init__(self) -> None:
        super().__init__()
        self.words = parts.text(bold=True, selectable=True)
        self.out_of_date = parts.text(colour=style.WARN)
        self.notice = parts.text(colour=style.QUIET)
        self.cells = CellGallery("what the score of the slide rests on")
        self.cells.chosen.connect(self._go)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for block in (self.words, self.out_of_date, self.cells, self.notice):
            layout.addWidget(block)
        self.show_scores(None, None, is_blind=False)

    def show_scores(self, scores: Sequence[ReportedScore] | None, path: Path | None, *, is_blind: bool) -> None:
        """Show the first of the scores, the newest; None while they are read.

        Parameters
        ----------
        scores : sequence of ReportedScore or None
            Of the slide.
        path : Path or None
            Of the slide's file; None where it is missing.
        is_blind : bool
            Whether what models say is hidden.
        """
        newest = scores[0] if scores else None
        self.setVisible(newest is not None)
        shown = None if is_blind else newest
        self.words.setText("" if shown is None else f"Score of the slide: {shown.sentence}")
        self.out_of_date.setText("" if shown is None else shown.out_of_date)
        for block in (self.words, self.out_of_date):
            block.setVisible(bool(block.text()))
        self.notice.setText(SCORE_HIDDEN if is_blind else SCORE_NOTICE)
        self.cells.show_cells([] if shown is None or path is None else _places(shown, path))

    def _go(self, cell: dict[str, Any]) -> None:
        self.cell_chosen.emit(cell["id"], *cell["centre_yx"])


def _places(reported: ReportedScore, path: Path) -> list[dict[str, Any]]:
    """Return what the score rests on as the gallery takes it; of patches no cell is selected."""
    of_cells = reported.score.bag == "cells"
    return [
        {
            "id": place.id if of_cells else "",
            "slide": str(path),
            "centre_yx": place.centre_yx,
            "words": f"{100 * place.attention:.0f} %\n{place.class_id or ''}".strip(),
            "tip": f"{place.words}; x {place.centre_yx[1]:,.0f}, y {place.centre_yx[0]:,.0f} px.\nClick to go there.",
        }
        for place in reported.most_attended[:SHOWN]
    ]
