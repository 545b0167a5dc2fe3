"""Which class becomes which: one compact row a class, for classes that have no counterpart by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QWidget

from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice

NOT_CHOSEN = "choose…"


class ClassMapRows(QWidget):
    """Class names, each with a list of what it can become; ``changed`` speaks when the user chooses."""

    changed = Signal()

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self._sentence = sentence
        self._layout = QGridLayout(self)
        parts.tighten(self._layout)
        # A label that wraps asks for no width of its own.
        self._layout.setColumnStretch(0, 2)
        self._layout.setColumnStretch(1, 3)
        self._targets: tuple[tuple[str, str], ...] = ()
        self.words = parts.text()
        self._layout.addWidget(self.words, 0, 0, 1, 2)
        self._labels: list[QWidget] = []
        self.boxes: dict[str, QComboBox] = {}
        self.hide()

    def show_rows(self, chosen: Mapping[str, str], targets: Sequence[tuple[str, str]]) -> None:
        """Show a row for each class of ``chosen`` and what it becomes; hide where there is none.

        Parameters
        ----------
        chosen : mapping
            Class id to the id of its target; an empty text is not chosen yet.
        targets : sequence of (str, str)
            Ids and words of what can be chosen.
        """
        if list(chosen) != list(self.boxes) or tuple(targets) != self._targets:
            self._targets = tuple(targets)
            self._fill(chosen)
        self.setVisible(bool(chosen))
        self._report()

    def values(self) -> dict[str, str]:
        """Return what each class becomes; an empty text where nothing is chosen."""
        return {class_id: str(box.currentData()) for class_id, box in self.boxes.items()}

    def open_classes(self) -> tuple[str, ...]:
        """Return the classes for which nothing is chosen yet."""
        return tuple(class_id for class_id, target in self.values().items() if not target)

    def _fill(self, chosen: Mapping[str, str]) -> None:
        for old in (*self._labels, *self.boxes.values()):
            self._layout.removeWidget(old)
            parts.discard(old)
        self._labels, self.boxes = [], {}
        for place, (class_id, target) in enumerate(chosen.items(), start=1):
            label = parts.text(class_id if " " in class_id else parts.breakable(class_id))
            box = self._box(class_id, target)
            self._layout.addWidget(label, place, 0)
            self._layout.addWidget(box, place, 1)
            self._labels.append(label)
            self.boxes[class_id] = box

    def _box(self, class_id: str, target: str) -> QComboBox:
        box = Choice()
        box.addItem(NOT_CHOSEN, "")
        for target_id, words in self._targets:
            box.addItem(words, target_id)
        box.setCurrentIndex(max(0, box.findData(target)))
        box.setToolTip(f"Class that {class_id} is mapped to")
        box.setAccessibleName(f"class that {class_id} is mapped to")
        box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        box.currentIndexChanged.connect(lambda _index: self._chosen())
        return box

    def _chosen(self) -> None:
        self._report()
        self.changed.emit()

    def _report(self) -> None:
        missing = self.open_classes()
        self.words.setText(f"{self._sentence} Not mapped yet: {', '.join(missing)}." if missing else self._sentence)
        style.tint(self.words, style.WARN if missing else style.QUIET)
