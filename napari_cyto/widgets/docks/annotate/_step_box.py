"""Going from annotation to annotation, all of them or some."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.annotate.tool_row import hint_of
from napari_cyto.widgets.docks.controls import Check, Choice


class ReviewBox(QWidget):
    """Previous and next annotation on the slide, of one class or all, reviewed or not."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.which = Choice()
        self.which.setToolTip("Class that the buttons below step through.")
        self.which.setAccessibleName("class to step through")
        self.which.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.which.activated.connect(lambda _index: parts.focus_canvas(self))
        self.unreviewed = Check("Unreviewed predictions only")
        self.unreviewed.setToolTip("Steps only through predictions that nobody has accepted or rejected.")
        self.unreviewed.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.unreviewed.clicked.connect(lambda _on: parts.focus_canvas(self))
        self.previous = parts.button(
            "", hint_of("previous"), lambda: self._step(-1), icon="previous", name="previous annotation"
        )
        self.next = parts.button("", hint_of("next"), lambda: self._step(1), icon="next", name="next annotation")
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (parts.row(self.which, self.previous, self.next, stretch=0), self.unreviewed):
            layout.addWidget(widget)

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Offer the classes of ``scheme``; the choice made before stays where it can."""
        before = self.which.currentData()
        self.which.clear()
        self.which.addItem("Every class", None)
        for cell_class in scheme.classes if scheme is not None else ():
            self.which.addItem(style.swatch_icon(cell_class.colour), f"Only {cell_class.id}", cell_class.id)
        self.which.setCurrentIndex(max(0, self.which.findData(before)))

    def _step(self, step: int) -> None:
        with self.session.telling():
            self.session.view.step(step, class_id=self.which.currentData(), unreviewed=self.unreviewed.isChecked())
