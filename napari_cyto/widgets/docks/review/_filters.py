"""Which cells are reviewed and in which order: the controls for a `ReviewQuery`."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice
from napari_cyto.widgets.docks.section import Section

SORTS = (
    (Sort.RISK, "Riskiest first", "Severity of each class times its score, added up."),
    (Sort.ENTROPY, "Least certain first (entropy)", "Where the model spreads its scores over many classes."),
    (Sort.MARGIN, "Least certain first (margin)", "Where the two likeliest classes have nearly the same score."),
    (Sort.DISAGREEMENT, "Model against label", "Where the model finds another class likelier than the cell's."),
    (Sort.CLASS, "By class, severe first", "The most severe class first, in it the highest scores."),
    (
        Sort.RANDOM,
        "At random (control cells)",
        "Each cell is a control cell: the quickest way to a figure for what is unread.",
    ),
    (Sort.PLACE, "By place on the slide", "In bands across the slide, to and fro."),
)
STATUSES = (
    ("Waiting", (Status.PROPOSED,)),
    ("Accepted", (Status.ACCEPTED,)),
    ("Rejected", (Status.REJECTED,)),
    ("All cells", tuple(Status)),
)


class ReviewFilters(QWidget):
    """``changed`` says that `query` has another answer."""

    changed = Signal()
    limit_changed = Signal(float)  # share, 0 to 1

    def __init__(self) -> None:
        super().__init__()
        self._quiet = False
        self.sort = _combo("order", "In which order the cells are shown; it stays until the list is made anew.")
        for value, words, tip in SORTS:
            self.sort.addItem(words, value)
            self.sort.setItemData(self.sort.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.status = _combo("status", "Cells that wait for a verdict, or those that have one.")
        for words, statuses in STATUSES:
            self.status.addItem(words, statuses)
        self.which = _combo("class", "Cells of which class.")
        self.slide = _combo("slide", "Cells of which slide.")
        self.low, self.high = _score("least score", 0.0), _score("largest score", 1.0)
        self.by_slide = _check("Keep slides together", "Finish one slide before the next.")
        self.controls = QSpinBox()
        self.controls.setRange(0, 50)
        self.controls.setValue(round(100 * ReviewQuery().control_share))
        self.controls.setSuffix(" %")
        self.controls.setAccessibleName("share of control cells")
        self.controls.setToolTip(
            "Control cells are drawn at random, the same ones each time, and strewn in unmarked: what you find among "
            "them, one by one, tells how many abnormal cells are left where nobody looks."
        )
        self.controls.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.limit = QDoubleSpinBox()
        self.limit.setRange(0.1, 50)
        self.limit.setDecimals(1)
        self.limit.setSingleStep(0.5)
        self.limit.setSuffix(" %")
        self.limit.setAccessibleName("limit for stopping")
        self.limit.setToolTip(
            "You may stop when the control cells show that at most this share of the unreviewed cells is abnormal. "
            "Half the limit needs about twice as many control cells."
        )
        self.limit.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.limit.setKeyboardTracking(False)
        self.limit.valueChanged.connect(self._tell_limit)
        self._lay_out()
        for combo in (self.sort, self.status, self.which, self.slide):
            combo.currentIndexChanged.connect(self._tell)
        for spin in (self.low, self.high, self.controls):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self._tell)
        self.by_slide.toggled.connect(self._tell)

    def query(self) -> ReviewQuery:
        """Return what the controls say."""
        class_id, slide_id = self.which.currentData(), self.slide.currentData()
        low, high = sorted((self.low.value(), self.high.value()))
        return ReviewQuery(
            statuses=self.status.currentData(),
            class_ids=(class_id,) if class_id else (),
            slide_ids=(slide_id,) if slide_id else (),
            score_range=(low, high),
            sort=Sort(self.sort.currentData()),
            by_slide=self.by_slide.isChecked(),
            control_share=self.controls.value() / 100,
        )

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Offer the classes of ``scheme``; the choice made before stays where it can."""
        classes = scheme.classes if scheme is not None else ()
        self._offer(self.which, "Every class", [(c.id, c.id) for c in classes])
        for row, cell_class in enumerate(classes, start=1):
            self.which.setItemIcon(row, style.swatch_icon(cell_class.colour))

    def show_slides(self, records: Sequence[SlideRecord]) -> None:
        """Offer the slides of the project; the choice made before stays where it can."""
        self._offer(self.slide, "All slides", [(record.name, record.id) for record in records])

    def _offer(self, combo: QComboBox, every: str, choices: Sequence[tuple[str, str]]) -> None:
        before = combo.currentData()
        self._quiet = True
        combo.clear()
        combo.addItem(every, "")
        for words, value in choices:
            combo.addItem(words, value)
        combo.setCurrentIndex(max(0, combo.findData(before)))
        self._quiet = False
        if combo.currentData() != (before or ""):
            self._tell()

    def _tell(self, *_value: object) -> None:
        if not self._quiet:
            self.changed.emit()

    def show_limit(self, share: float) -> None:
        """Show under which share of abnormal cells, 0 to 1, one may stop."""
        self._quiet = True
        self.limit.setValue(100 * share)
        self._quiet = False

    def _tell_limit(self, percent: float) -> None:
        if not self._quiet:
            self.limit_changed.emit(percent / 100)

    def _lay_out(self) -> None:
        more = parts.column(
            parts.row(QLabel("Score from"), self.low, QLabel("to"), self.high),
            parts.row(parts.text("Control cells, at random"), self.controls, stretch=0),
            parts.row(parts.text("Stop when the abnormal share of the rest is at most"), self.limit, stretch=0),
            self.by_slide,
        )
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(parts.row(self.sort, self.status, stretch=0))
        layout.addWidget(parts.row(self.which, self.slide))
        self.more = Section("Score, control cells, slides", more, "Narrow the list further; what controls are drawn.")
        layout.addWidget(self.more)


def _combo(name: str, tip: str) -> QComboBox:
    combo = Choice()
    combo.setAccessibleName(name)
    combo.setToolTip(tip)
    combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    # Names of slides are long; the dock is not.
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo


def _score(name: str, value: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(0.0, 1.0)
    spin.setSingleStep(0.05)
    spin.setDecimals(2)
    spin.setValue(value)
    spin.setAccessibleName(name)
    spin.setToolTip("The model's score of the likeliest class, 0 to 1. Control cells are drawn whatever their score.")
    spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return spin


def _check(words: str, tip: str) -> QCheckBox:
    check = Check(words)
    check.setToolTip(tip)
    check.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return check
