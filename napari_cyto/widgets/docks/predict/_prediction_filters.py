"""Which marks are shown: from what score, of which classes and statuses, and how where they are too many to draw."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QSlider, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.review.predictions import Heat, ShownFilter
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice, FlowLayout

_STEPS = 100
_STATUS_WORDS = {
    Status.UNREVIEWED: ("Unreviewed", "Predictions that nobody has reviewed"),
    Status.ACCEPTED: ("Accepted", "Cells that a person annotated or accepted"),
    Status.REJECTED: ("Rejected", "Predictions that a person rejected"),
}
_HEAT_WORDS = {
    Heat.RISK: "Map of risk: severity × score",
    Heat.DENSITY: "Map of density: how many",
}


class PredictionFilters(QWidget):
    """Controls over the session's filter; every change acts at once, without a new run."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.threshold = _threshold()
        self.threshold.valueChanged.connect(self._ask)
        self.threshold_words = parts.text()
        self.statuses = {status: self._check(*words) for status, words in _STATUS_WORDS.items()}
        self.classes: dict[str, QCheckBox] = {}
        self._class_grid = QWidget()
        self._class_flow = FlowLayout(self._class_grid, columns=2, gap_px=parts.GAP)
        self.heat = Choice()
        self.heat.setToolTip(
            "What the map shows in place of single predictions: when more than 2,000 are in view, or always "
            "if ticked below."
        )
        self.heat.setAccessibleName("map of many predictions")
        self.heat.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for heat, words in _HEAT_WORDS.items():
            self.heat.addItem(words, heat)
        self.heat.activated.connect(self._ask)
        self.map_always = self._check(
            "Always show the map",
            "Shows the map at any number of predictions; otherwise only when more than 2,000 are in view.",
        )
        self.blind = self._check(
            "Blind reading: hide scores and classes",
            "Hides the model's scores and classes until you have reviewed a cell.",
        )
        self.everything = parts.button("Reset filters", "Shows all cells.", self._show_everything)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            self.threshold_words,
            self.threshold,
            parts.row(*self.statuses.values()),
            self._class_grid,
            self.heat,
            self.map_always,
            self.blind,
            self.everything,
        ):
            layout.addWidget(widget)
        self.show_filter()

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Offer the classes of a project."""
        for check in self.classes.values():
            parts.discard(check)
        self.classes = {}
        for cell_class in scheme.classes if scheme is not None else ():
            check = self._check(cell_class.label, f"Shows cells of the class {cell_class.name}.")
            check.setIcon(style.swatch_icon(cell_class.colour))
            self._class_flow.addWidget(check)
            self.classes[cell_class.id] = check
        self.show_filter()

    def show_filter(self) -> None:
        """Show the filter that the session has."""
        shown = self._session.shown_filter
        checks = [(self.blind, shown.blind), (self.map_always, shown.map_always)]
        checks += [(check, status in shown.statuses) for status, check in self.statuses.items()]
        checks += [(check, class_id not in shown.hidden_classes) for class_id, check in self.classes.items()]
        for check, checked in checks:
            check.blockSignals(True)
            check.setChecked(checked)
            check.blockSignals(False)
        self.threshold.blockSignals(True)
        self.threshold.setValue(round(shown.threshold * _STEPS))
        self.threshold.blockSignals(False)
        self.heat.setCurrentIndex(self.heat.findData(shown.heat))
        self.heat.setEnabled(not shown.blind)
        words = f"Score {shown.threshold:.2f} or more" if shown.threshold else "Any score"
        self.threshold_words.setText(words)
        self.everything.setEnabled(not shown.hides_nothing)

    def _check(self, words: str, tip: str) -> QCheckBox:
        check = Check(words)
        check.setToolTip(tip)
        check.setAccessibleName(words)
        check.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        check.toggled.connect(self._ask)
        check.clicked.connect(lambda _on: parts.focus_canvas(self))
        return check

    def _ask(self, _value: object = None) -> None:
        self._session.view.show_only(
            ShownFilter(
                threshold=self.threshold.value() / _STEPS,
                hidden_classes=frozenset(c for c, check in self.classes.items() if not check.isChecked()),
                statuses=frozenset(s for s, check in self.statuses.items() if check.isChecked()),
                blind=self.blind.isChecked(),
                heat=Heat(self.heat.currentData()),
                map_always=self.map_always.isChecked(),
            )
        )

    def _show_everything(self) -> None:
        now = self._session.shown_filter
        self._session.view.show_only(replace(ShownFilter(), blind=now.blind, heat=now.heat, map_always=now.map_always))


def _threshold() -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, _STEPS)
    slider.setPageStep(5)
    slider.setToolTip("Shows predictions with at least this score; a person's annotations are always shown.")
    slider.setAccessibleName("minimum score shown")
    slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return slider
