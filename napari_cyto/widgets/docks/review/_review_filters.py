"""Which cells are reviewed and in which order: the controls for a `ReviewQuery`."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.measurements import TABLE_COLUMNS
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice
from napari_cyto.widgets.docks.number_line import NumberLine
from napari_cyto.widgets.docks.section import Section

SORTS = (
    (Sort.RISK, "Riskiest first", "Sum over classes of severity times score."),
    (
        Sort.AMBIGUOUS,
        "Ambiguous first (prediction sets)",
        "Cells that the model should not decide alone: first those that may be normal or high grade, then others with "
        "several possible classes, or none.",
    ),
    (Sort.ENTROPY, "Least certain first (entropy)", "Cells whose scores are spread over many classes."),
    (Sort.MARGIN, "Least certain first (margin)", ("Cells whose two most likely classes have nearly the same score.")),
    (
        Sort.DISAGREEMENT,
        "Model disagrees with label",
        ("Cells for which the model predicts another class than the annotated one."),
    ),
    (
        Sort.ATTENTION,
        "Most attended",
        "Cells that the model of whole slides looked at most (see Score of the slide in the Predict dock), reviewed "
        "ones among them.",
    ),
    (Sort.CLASS, "By class, most severe first", "Most severe class first, then by score."),
    (
        Sort.TAUGHT,
        "Most like the class taught",
        "Cells most like the class of the Teach dock first; the order follows each example.",
    ),
    (
        Sort.RANDOM,
        "Random (control cells)",
        "Every cell is a control cell: the fastest way to estimate what remains unreviewed.",
    ),
    (
        Sort.MEASURED,
        "Largest measurement first",
        "By the measurement chosen below, such as the N:C ratio; cells without one come last.",
    ),
    (Sort.PLACE, "By position on the slide", "In bands across the slide, back and forth."),
)
UNREVIEWED, AMBIGUOUS, ALL_CELLS = "Unreviewed", "Ambiguous", "All cells"
STATUSES = (
    (UNREVIEWED, (Status.UNREVIEWED,)),
    (AMBIGUOUS, (Status.UNREVIEWED,)),
    ("Accepted", (Status.ACCEPTED,)),
    ("Rejected", (Status.REJECTED,)),
    (ALL_CELLS, tuple(Status)),
)


class ReviewFilters(QWidget):
    """``changed`` says that `query` has another answer."""

    changed = Signal()
    limit_changed = Signal(float)  # share, 0 to 1

    def __init__(self) -> None:
        super().__init__()
        self._quiet = False
        # Whether all cells are shown because of the order, not because a person asked for them.
        self._is_widened = False
        self.sort = _combo("order", "Order of the cells; it stays until you refresh the list.")
        for value, words, tip in SORTS:
            self.sort.addItem(words, value)
            self.sort.setItemData(self.sort.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.status = _combo(
            "status",
            "Shows unreviewed, accepted, rejected or all cells.\nAmbiguous: unreviewed cells whose prediction set has "
            "several classes, or none.",
        )
        for words, statuses in STATUSES:
            self.status.addItem(words, statuses)
        self.which = _combo("class", "Shows cells of one class.")
        self.slide = _combo("slide", "Shows cells of one slide.")
        self.low, self.high = _score("minimum score", 0.0), _score("maximum score", 1.0)
        self.measurement = _combo("measurement", "What is measured on outlines (Measure dock), to filter or order by.")
        self.measurement.addItem("Any measurement", "")
        for column in TABLE_COLUMNS:
            self.measurement.addItem(column.short, column.name)
            self.measurement.setItemData(self.measurement.count() - 1, column.formula, Qt.ItemDataRole.ToolTipRole)
        self.least, self.most = NumberLine("from"), NumberLine("to")
        self.by_slide = _check("Keep slides together", "Shows all cells of one slide before the next.")
        self.controls = QSpinBox()
        self.controls.setRange(0, 50)
        self.controls.setValue(round(100 * ReviewQuery().control_share))
        self.controls.setSuffix(" %")
        self.controls.setAccessibleName("share of control cells")
        self.controls.setToolTip(
            "Control cells are drawn at random (the same ones each time) and mixed in unseen. What you find "
            "among them, one by one, shows how many abnormal cells remain among those not reviewed."
        )
        self.controls.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.limit = QDoubleSpinBox()
        self.limit.setRange(0.1, 50)
        self.limit.setDecimals(1)
        self.limit.setSingleStep(0.5)
        self.limit.setSuffix(" %")
        self.limit.setAccessibleName("limit for stopping")
        self.limit.setToolTip(
            "Review may stop when the control cells show that at most this share of the unreviewed cells is "
            "abnormal. Half the limit needs about twice as many control cells."
        )
        self.limit.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.limit.setKeyboardTracking(False)
        self.limit.valueChanged.connect(self._report_limit)
        self._lay_out()
        self.sort.currentIndexChanged.connect(self._follow_order)
        self.status.activated.connect(self._status_chosen)
        for line in (self.least, self.most):
            line.editingFinished.connect(self._report)
        for combo in (self.sort, self.status, self.which, self.slide, self.measurement):
            combo.currentIndexChanged.connect(self._report)
        for spin in (self.low, self.high, self.controls):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self._report)
        self.by_slide.toggled.connect(self._report)

    def query(self) -> ReviewQuery:
        """Return what the controls say."""
        class_id, slide_id = self.which.currentData(), self.slide.currentData()
        low, high = sorted((self.low.value(), self.high.value()))
        sort = Sort(self.sort.currentData())
        measurement = self.measurement.currentData() or ("nc_ratio" if sort is Sort.MEASURED else "")
        return ReviewQuery(
            statuses=self.status.currentData(),
            class_ids=(class_id,) if class_id else (),
            slide_ids=(slide_id,) if slide_id else (),
            score_range=(low, high),
            sort=sort,
            measurement=measurement,
            measured_range=(self.least.value, self.most.value),
            ambiguous_only=self.status.currentText() == AMBIGUOUS,
            by_slide=self.by_slide.isChecked(),
            control_share=self.controls.value() / 100,
        )

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Offer the classes of ``scheme``; the choice made before stays where it can."""
        classes = scheme.classes if scheme is not None else ()
        self._offer(self.which, "All classes", [(c.id, c.id) for c in classes])
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
            self._report()

    def _follow_order(self, _row: int) -> None:
        """Show reviewed cells, too, among those that a score rests on; in the next order what was shown before."""
        is_of_all = Sort(self.sort.currentData()) is Sort.ATTENTION
        before, after = (UNREVIEWED, ALL_CELLS) if is_of_all else (ALL_CELLS, UNREVIEWED)
        if is_of_all == self._is_widened or self.status.currentText() != before:
            return
        self._is_widened = is_of_all
        self._quiet = True
        self.status.setCurrentIndex(self.status.findText(after))
        self._quiet = False

    def _status_chosen(self, _row: int) -> None:
        self._is_widened = False

    def _report(self, *_value: object) -> None:
        if not self._quiet:
            self.changed.emit()

    def show_limit(self, share: float) -> None:
        """Show under which share of abnormal cells, 0 to 1, one may stop."""
        self._quiet = True
        self.limit.setValue(100 * share)
        self._quiet = False

    def _report_limit(self, percent: float) -> None:
        if not self._quiet:
            self.limit_changed.emit(percent / 100)

    def _lay_out(self) -> None:
        more = parts.column(
            parts.row(QLabel("Score from"), self.low, QLabel("to"), self.high),
            parts.row(self.measurement, self.least, self.most, stretch=0),
            parts.row(parts.text("Random control cells"), self.controls, stretch=0),
            parts.row(parts.text("Stop when the abnormal share of the rest is at most"), self.limit, stretch=0),
            self.by_slide,
        )
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(parts.row(self.sort, self.status, stretch=0))
        layout.addWidget(parts.row(self.which, self.slide))
        self.more = Section(
            "Score, size, control cells", more, ("Filters by score and measurement, and sets the control cells.")
        )
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
    spin.setToolTip(
        "The model's score for the most likely class, 0 to 1. Control cells are drawn regardless of their score."
    )
    spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return spin


def _check(words: str, tip: str) -> QCheckBox:
    check = Check(words)
    check.setToolTip(tip)
    check.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return check
