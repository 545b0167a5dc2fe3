"""How many cells of each class a run would train on, steer by and be judged on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.training.preview import SETS
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.fact_table import FactTable
from napari_cyto.widgets.docks.train.words import plain

TABLE_TIP = "Cells of each class in the training, validation and test set"


class TrainSplitTable(QWidget):
    """Shows the result of ``session.training_preview``."""

    def __init__(self) -> None:
        super().__init__()
        self.words = parts.text(selectable=True)
        self.table = FactTable(TABLE_TIP)
        self.area = parts.text(colour=style.WARN, selectable=True)
        self.remarks = parts.text(colour=style.WARN, selectable=True)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.table, self.words, self.area, self.remarks):
            layout.addWidget(widget)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        for widget in (self.words, self.table, self.area, self.remarks):
            widget.hide()

    def show_preview(self, result: Mapping[str, Any], of_detector: bool = False) -> None:
        """Show what a run would be given, or why it would be refused; of a detector also what it leaves out."""
        self.clear()
        refusal = str(result["refusal"])
        divided = "all" not in result["slides"]
        sets = SETS if divided else ("all",)
        rows = [
            [str(row["class"]), *(parts.number(row["cells"].get(side, 0)) for side in sets)]
            for row in result["classes"]
        ]
        sums = [sum(row["cells"].get(side, 0) for row in result["classes"]) for side in sets]
        rows.append(["All", *(parts.number(n) for n in sums)])
        self.table.show_rows(rows, ["Class", *(("Training", "Validation", "Test") if divided else ("Cells",))])
        self.table.show()
        self.words.setText(plain(refusal) or (split_words(result) if divided else ""))
        style.tint(self.words, style.BAD if refusal else style.QUIET)
        self.words.setVisible(bool(self.words.text()))
        self.area.setText(plain(str(result["area"])) if of_detector else "")
        self.area.setVisible(bool(self.area.text()))
        remarks = list(map(plain, result["remarks"]))
        self.remarks.setText("\n".join(remarks[:5]) + (f"\n… and {len(remarks) - 5} more" if len(remarks) > 5 else ""))
        self.remarks.setVisible(bool(remarks))


def split_words(result: Mapping[str, Any]) -> str:
    """Return what keeps the sides apart, in a sentence."""
    slides = result["slides"]
    counts = " / ".join(parts.number(slides.get(side, 0)) for side in SETS)
    unit = {"patient": "patient", "smear": "smear"}.get(str(result["unit"]), "slide or image")
    return f"{counts} slides. All cells of a {unit} are in one set."
