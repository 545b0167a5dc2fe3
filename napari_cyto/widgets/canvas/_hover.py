"""What a model says of the cell under the mouse, on a card beside it; the keys that judge mean that cell."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_cyto.domain.annotation import STATUS_NAMES, Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import CytoError
from napari_cyto.review.predictions import is_from_model
from napari_cyto.session import Session
from napari_cyto.widgets.canvas._annotation_style import is_dark
from napari_cyto.widgets.canvas.drags import Place

REACH_SCREEN_PX = 7.0
_BESIDE_PX = 16
_MOST_CLASSES = 4


class Hover(QObject):
    """Knows which of the drawn cells the mouse is over, and tells of it.

    Parameters
    ----------
    canvas : QWidget
        The widget with the slide.
    session : Session
        Whose cells they are.
    """

    def __init__(self, canvas: QWidget, session: Session) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._session = session
        self._drawn: frozenset[str] = frozenset()
        self._place: Place | None = None
        self.card = QLabel(canvas)
        self.card.setTextFormat(Qt.TextFormat.RichText)
        self.card.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.card.setStyleSheet(
            "QLabel { background: rgba(24, 27, 33, 235); color: #f2f3f5; border: 1px solid #6f7885;"
            " border-radius: 5px; padding: 4px 8px; }"
        )
        self.card.hide()
        canvas.installEventFilter(self)

    def show_cells(self, drawn: Sequence[Annotation]) -> None:
        """Take note of the cells that are drawn now."""
        self._drawn = frozenset(a.id for a in drawn if not a.is_region)
        if self._place is not None and not self.card.isHidden():
            self._report()

    def move(self, place: Place) -> None:
        """Follow the mouse, of which no button is down."""
        self._place = place
        self._report()

    def leave(self) -> None:
        """The mouse is elsewhere, or the slide has moved away under it."""
        self._place = None
        self.card.hide()

    def cell(self) -> Annotation | None:
        """Return the cell under the mouse, as it is stored now: of those drawn the one with the nearest middle."""
        return None if self._place is None else self.cell_at(self._place)

    def cell_at(self, place: Place) -> Annotation | None:
        """Return the cell that a place points at, as `cell` does."""
        project, slide = self._session.project, self._session.slide
        if project is None or slide is None or not self._drawn:
            return None
        reach = place.reach(REACH_SCREEN_PX)
        return project.cell_at(slide.id, place.yx, reach, among=self._drawn, bounds_count=True)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's hook: the mouse left the canvas, or one of its buttons went down."""
        if event is not None and event.type() in (QEvent.Type.Leave, QEvent.Type.Wheel):
            self.leave()
        elif event is not None and event.type() == QEvent.Type.MouseButtonPress:
            self.card.hide()
        return bool(super().eventFilter(watched, event))

    def _report(self) -> None:
        project = self._session.project
        try:
            found = self.cell()
        except CytoError:
            # Of a project that cannot be read any more a click or a key says so, once.
            found = None
        words = ""
        if found is not None and project is not None and is_from_model(found):
            words = card_of(found, project.scheme, blind=self._session.shown_filter.blind)
        if not words or self._place is None:
            self.card.hide()
            return
        if self.card.text() != words:
            self.card.setText(words)
            self.card.adjustSize()
        x, y = (int(v) for v in self._place.screen_xy)
        right = x + _BESIDE_PX + self.card.width() > self._canvas.width()
        low = y + _BESIDE_PX + self.card.height() > self._canvas.height()
        self.card.move(
            x - _BESIDE_PX - self.card.width() if right else x + _BESIDE_PX,
            y - _BESIDE_PX - self.card.height() if low else y + _BESIDE_PX,
        )
        self.card.show()


def card_of(cell: Annotation, scheme: ClassScheme, *, blind: bool) -> str:
    """Return what the card says of a cell that a model proposed, as rich text; to a blind reader no scores."""
    if blind and cell.status is Status.UNREVIEWED:
        return "<b>Prediction</b><br>class and scores hidden (blind)"
    colours = {c.id: c.colour for c in scheme.classes}
    model = cell.origin.removeprefix("model:").partition("@")[0]
    state = STATUS_NAMES[cell.status]
    if cell.status is not Status.UNREVIEWED:
        state += f" by {cell.author}"
    lines = [_name(str(cell.class_id), colours) + f", {escape(state)}"]
    if not blind:
        ranked = sorted(cell.scores, key=lambda pair: -pair[1])[:_MOST_CLASSES]
        rows = "".join(
            f"<tr><td>{_name(name, colours)}&nbsp;&nbsp;</td><td align=right>{score:.2f}</td></tr>"
            for name, score in ranked
        )
        lines.append(f"<table cellspacing=0>{rows}</table>" if rows else "no scores")
    lines.append(f"<span style='color:#b9bec6'>{escape(model)}</span>")
    return "<br>".join(lines[:1]) + "".join(f"<div>{line}</div>" for line in lines[1:])


def _name(class_id: str, colours: dict[str, str]) -> str:
    colour = colours.get(class_id, "#9aa0a8")
    # The card is dark; a dark class has its square on a pale ground.
    ground = " background-color:#f2f3f5;" if is_dark([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]) else ""
    return f"<span style='color:{colour};{ground}'>&#9632;</span>&nbsp;{escape(class_id)}"
