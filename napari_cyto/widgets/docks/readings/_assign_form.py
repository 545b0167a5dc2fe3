"""The form that assigns a reading: who reads what, and how."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QFormLayout, QLabel, QLineEdit, QSpinBox, QWidget

from napari_cyto.domain.quantities import GIVEN_CELLS, KNOWN_SHARE
from napari_cyto.files.reader import LONGEST
from napari_cyto.readings.assignment import Request
from napari_cyto.readings.reading import Mode
from napari_cyto.review.ambiguity import AMBIGUOUS, ambiguous_ids
from napari_cyto.session import Session
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice

WHATS = (
    ("random", "Cells drawn at random"),
    ("stratified", "Cells drawn by class and score"),
    ("ambiguous", "Cells whose class is ambiguous"),
    ("all", "All cells"),
    ("free", "Free reading, bare slide"),
)
_DRAWN = ("random", "stratified", "ambiguous")
WHERES = (("slide", "This slide"), ("view", "The part in view"), ("project", "All slides"))


class AssignForm(QWidget):
    """Reader, cells or bare slide, where, how many, known cells, and the model's opinion.

    Parameters
    ----------
    session : Session
        Whose slide and view it may be of.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.reader = QLineEdit()
        self.reader.setAccessibleName("who reads")
        self.reader.setPlaceholderText("Name")
        self.reader.setToolTip("Who reads; the name that this person has as reader in the Slides dock.")
        self.reader.setMaxLength(LONGEST)
        self.what = _choice("what is read", "Given cells without their class, or a slide without annotations.", WHATS)
        self.where = _choice("where", "The slides, or the part of this slide, that is read.", WHERES)
        self.count = QSpinBox()
        self.count.setRange(int(GIVEN_CELLS.low), int(GIVEN_CELLS.high))
        self.count.setValue(200)
        self.count.setAccessibleName("number of cells")
        self.count.setToolTip("How many cells are drawn.")
        self.known = QSpinBox()
        self.known.setRange(0, int(100 * KNOWN_SHARE.high))
        self.known.setSuffix(" %")
        self.known.setAccessibleName("known cells")
        self.known.setToolTip("Share of accepted cells among those given, for sensitivity and specificity; hidden.")
        self.opinion = Check("Show the model's class")
        self.opinion.setToolTip("Not a blind reading then; what was shown is kept with each cell.")
        form = QFormLayout(self)
        parts.tighten(form)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for words, field in (
            ("Reader", self.reader),
            ("What", self.what),
            ("Where", self.where),
            ("Cells", self.count),
            ("Known", self.known),
        ):
            form.addRow(QLabel(words), field)
        form.addRow(self.opinion)
        self.what.currentIndexChanged.connect(lambda _index: self._fit())
        self._fit()

    def request(self) -> Request:
        """Return what is asked for."""
        what, where = self.what.currentData(), self.where.currentData()
        is_free, is_drawn, is_ambiguous = what == "free", what in _DRAWN, what == "ambiguous"
        slides = () if where == "project" else (self._session.need_slide().id,)
        return Request(
            reader=self.reader.text().strip(),
            mode=Mode.FREE if is_free else Mode.CLASSIFY,
            slides=slides,
            region_yxyx=self._session.view_yxyx if where == "view" else None,
            of_cells=frozenset(ambiguous_ids(self._session.need_project(), slides)) if is_ambiguous else None,
            population=AMBIGUOUS if is_ambiguous else "",
            strategy="random" if is_ambiguous else what if is_drawn else "all",
            count=self.count.value() if is_drawn else 0,
            known_share=0.0 if is_free else self.known.value() / 100,
            opinion=self.opinion.isChecked() and not is_free,
        )

    def _fit(self) -> None:
        what = self.what.currentData()
        self.count.setEnabled(what in _DRAWN)
        for control in (self.known, self.opinion):
            control.setEnabled(what != "free")


def _choice(name: str, tip: str, rows: Sequence[tuple[str, str]]) -> Choice:
    made = Choice()
    made.setAccessibleName(name)
    made.setToolTip(tip)
    for value, words in rows:
        made.addItem(words, value)
    return made
