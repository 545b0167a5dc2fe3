"""Beside the cell under review: its nearest accepted cells one grade lower and one grade higher."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_images import CellCrops, Wish
from napari_cyto.widgets.latest import Latest

SIDE_PX = 64


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A cell to compare with: its id and class, and how to get its image."""

    cell_id: str
    class_id: str
    wish: Wish | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for a cell."""

    cell_id: str
    lower: _Neighbour | None
    higher: _Neighbour | None


class _Side(QWidget):
    """An image with its words."""

    def __init__(self, words: str, tip: str) -> None:
        super().__init__()
        self.image, self.caption = QLabel(), parts.text(colour=style.QUIET)
        self.image.setFixedSize(SIDE_PX, SIDE_PX)
        self.image.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.image.setStyleSheet("background: rgba(128, 134, 144, 60);")
        self.setToolTip(tip)
        self.setAccessibleName(words)
        self.caption.setMinimumWidth(72)
        layout = parts.row(self.image, self.caption, stretch=1)
        outer = QVBoxLayout(self)
        parts.tighten(outer)
        outer.addWidget(layout)


class GradeStrip(QWidget):
    """Shows two accepted cells beside the one under review, or nothing where there are none.

    Parameters
    ----------
    session : Session
        Whose cells they are. Nothing is shown in a blind reading.
    crops : CellCrops
        Makes the images.
    """

    def __init__(self, session: Session, crops: CellCrops) -> None:
        super().__init__()
        self._session, self._crops = session, crops
        self._reader = Latest("grades", self)
        self._found: _Found | None = None
        self.lower = _Side("one grade lower", "The accepted cell most like this one, of the next lower grade.")
        self.higher = _Side("one grade higher", "The accepted cell most like this one, of the next higher grade.")
        layout = QHBoxLayout(self)
        parts.tighten(layout)
        for side in (self.lower, self.higher):
            layout.addWidget(side, 1)
        self._reader.made.connect(self._take)
        crops.ready.connect(lambda _cell: self._draw())
        self.hide()

    def show_for(self, cell_id: str) -> None:
        """Look for cells to compare with; an empty id shows none."""
        session = self._session
        project = session.project
        if not cell_id or project is None or session.shown_filter.blind:
            self.clear()
            return
        if self._found is not None and self._found.cell_id != cell_id:
            self.clear()

        def find(_may_go_on: object) -> _Found:
            try:
                grades = session.similar.grades(cell_id)
                return _Found(cell_id, *(neighbour(each) for each in (grades.lower, grades.higher)))
            except CytoError:
                # Without vectors there is nothing to compare a cell with; the gallery says so where it is asked.
                return _Found(cell_id, None, None)

        def neighbour(found: str) -> _Neighbour | None:
            cell = project.annotation(found) if found else None
            if cell is None:
                return None
            record = project.slide(cell.slide_id)
            try:
                path = project.slide_path(record) if record.path else None
            except CytoError:
                path = None
            wish = None if path is None else Wish((cell.id, cell.geometry.centre_yx), path, record.mpp, SIDE_PX)
            return _Neighbour(cell.id, str(cell.class_id), wish)

        self._reader.ask(find)

    def clear(self) -> None:
        """Show none."""
        self._reader.drop()
        self._found = None
        self.hide()

    def close_reader(self) -> None:
        """Stop looking."""
        self._reader.close()

    def _take(self, found: _Found) -> None:
        self._found = found
        self._draw()

    def _draw(self) -> None:
        found = self._found
        if found is None or self._session.shown_filter.blind:
            self.hide()
            return
        for side, words, neighbour in (
            (self.lower, "One grade lower:", found.lower),
            (self.higher, "One grade higher:", found.higher),
        ):
            side.setVisible(neighbour is not None)
            if neighbour is None:
                continue
            side.caption.setText(f"{words} {neighbour.class_id}, accepted")
            image = None if neighbour.wish is None else self._crops.get(neighbour.wish)
            if image is not None:
                side.image.setPixmap(image)
            else:
                side.image.clear()
        self.setVisible(found.lower is not None or found.higher is not None)
