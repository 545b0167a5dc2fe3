"""The class palette: one row a class with its key, colour, name and count; a click chooses it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import longest_word_px

# In letters of the font's mean width.
WIDEST_ID = 13
LONG_ID = 12
LEAST_PX = 160
_BORDERS_PX = 8


class ClassRow(QPushButton):
    """A button that is as tall as the texts on it need."""

    def __init__(self, cell_class: CellClass) -> None:
        super().__init__()
        self.class_id = cell_class.id
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(cell_class.name)
        key = f"key {cell_class.key}" if cell_class.key else "no key"
        self.setToolTip(
            f"{cell_class.name} ({cell_class.id}, {key}).\nGives this class to the next annotation and to the "
            "selection."
        )
        self.setStyleSheet(_row_rules(cell_class.colour))
        self._count = _clear(QLabel("0"))
        self._count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 1, 6, 1)
        layout.setSpacing(6)
        self._digit = _clear(QLabel(cell_class.key or " "))
        self._digit.setMinimumWidth(15)
        self._digit.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred)
        self._square = _clear(QLabel())
        self._square.setPixmap(style.swatch(cell_class.colour))
        self._square.setScaledContents(True)
        self._square.setFixedSize(16, 16)
        layout.addWidget(self._digit)
        layout.addWidget(self._square)
        self.short, self.long = _names(cell_class)
        layout.addWidget(self.short)
        layout.addWidget(self.long, 1)
        layout.addWidget(self._count)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_count(self, here: int, in_project: int) -> None:
        """Show how many cells of the class this slide has; the tooltip tells of the project."""
        self._count.setText(parts.number(here))
        self._count.setToolTip(f"{parts.number(here)} on this slide, {parts.number(in_project)} in the project")

    def room_for_words_px(self, width: int) -> int:
        """Return how much of a row ``width`` px wide is left for id and name, px."""
        margins, gap = self.layout().contentsMargins(), self.layout().spacing()
        taken = self._digit.sizeHint().width() + self._square.width() + self._count.sizeHint().width()
        return int(width - taken - margins.left() - margins.right() - 4 * gap - _BORDERS_PX)

    @property
    def count_text(self) -> str:
        """The count as shown."""
        return str(self._count.text())

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As large as the texts on it."""
        return self.layout().sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As small as the texts on it may become."""
        return self.layout().minimumSize()

    def heightForWidth(self, width: int) -> int:  # noqa: N802  Qt's name
        """As tall as the name, wrapped into ``width`` px."""
        return max(24, int(self.layout().heightForWidth(width)))


class Palette(QWidget):
    """All classes of a scheme; ``chosen`` carries the class id of the row that was clicked."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)
        self._group = QButtonGroup(self)
        self.rows: dict[str, ClassRow] = {}
        self._classes: tuple[CellClass, ...] = ()

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Make the rows anew when the classes differ from those shown."""
        classes = scheme.classes if scheme is not None else ()
        if classes == self._classes:
            return
        self._classes = classes
        for old in self.rows.values():
            self._group.removeButton(old)
            self._layout.removeWidget(old)
            parts.discard(old)
        self.rows = {c.id: self._row(c) for c in classes}
        self._align()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Align once the window has given the rows their font."""
        super().showEvent(event)
        self._align()

    def _align(self) -> None:
        """Ids stand in a column of their own, so that names begin below each other."""
        rows = self.rows.values()
        for row in rows:
            row.short.ensurePolished()
            row.short.setMinimumWidth(0)
            row.short.setMaximumWidth(_letters(row.short, WIDEST_ID))
        widest = max((row.short.sizeHint().width() for row in rows), default=0)
        room = min((row.room_for_words_px(self.width()) for row in rows), default=0)
        ids_px = min(widest, room, max((_letters(row.short, WIDEST_ID) for row in rows), default=0))
        names_px = max((longest_word_px(row.long) for row in rows), default=0)
        for row in rows:
            row.short.setFixedWidth(max(1, ids_px))
            row.long.setVisible(room - ids_px >= names_px)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As narrow as the dock may become: ids then wrap, and names go."""
        return QSize(LEAST_PX, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        """Show names only where they have the room."""
        super().resizeEvent(event)
        self._align()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Align again when the letters have another size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and self.isVisible():
            self._align()

    def _row(self, cell_class: CellClass) -> ClassRow:
        made = ClassRow(cell_class)
        made.clicked.connect(lambda _checked=False: self._clicked(made))
        self._group.addButton(made)
        self._layout.addWidget(made)
        return made

    def _clicked(self, source: ClassRow) -> None:
        self.chosen.emit(source.class_id)
        parts.focus_canvas(self)

    def show_current(self, class_id: str) -> None:
        """Show which class the next mark gets."""
        if class_id in self.rows:
            self.rows[class_id].setChecked(True)

    def show_counts(self, here: Mapping[str | None, int], in_project: Mapping[str | None, int]) -> None:
        """Show the cells per class on this slide and in the project."""
        for class_id, shown in self.rows.items():
            shown.show_count(here.get(class_id, 0), in_project.get(class_id, 0))


def coarse_sentence(scheme: ClassScheme, counts: Mapping[str | None, int]) -> str:
    """Return the counts in the scheme's coarser view, or nothing where it has none."""
    if all(c.parent is None for c in scheme.classes):
        return ""
    graded = [c for c in scheme.classes if c.severity is not None]
    parent = dict(scheme.coarse().pairs)
    totals: dict[str, int] = {}
    for cell_class in graded:
        coarse = parent[cell_class.id]
        totals[coarse] = totals.get(coarse, 0) + counts.get(cell_class.id, 0)
    return f"{len(totals)} classes: " + ", ".join(f"{name} {parts.number(n)}" for name, n in totals.items())


def _names(cell_class: CellClass) -> tuple[QLabel, QLabel]:
    """The label in bold, and the name where it says more; both wrap."""
    short = _clear(QLabel(cell_class.label))
    short.setStyleSheet("QLabel { font-weight: bold; background: transparent; }")
    short.setWordWrap(" " in cell_class.label or len(cell_class.label) > LONG_ID)
    name = _clear(QLabel(cell_class.name if cell_class.name != cell_class.label else ""))
    name.setProperty(style.TONE, style.QUIET)
    name.setWordWrap(True)
    name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return short, name


def _letters(label: QLabel, count: int) -> int:
    return int(label.fontMetrics().averageCharWidth() * count)


def _clear(label: QLabel) -> QLabel:
    """A label that lets clicks through to the button under it."""
    label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    label.setIndent(0)
    label.setStyleSheet("QLabel { background: transparent; }")
    return label


def _row_rules(colour: str) -> str:
    return (
        "ClassRow { text-align: left; border-left: 4px solid transparent; }"
        f"ClassRow:checked {{ border-left: 6px solid {colour}; }}"
    )
