"""Cells of a run in pictures, and the way from each to its place on the slide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_gallery import SHOWN_AT_MOST, Cell, CellGallery

NEAR_PX = 12.0
"""A run's centre is the annotation's own; a box that was rounded since is off by a px or two."""


class CellBrowser(QWidget):
    """A titled gallery; a click centres the slide on the cell, or offers to add its slide to the project."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__()
        self.session = session
        self.head = parts.text(name, bold=True)
        self.gallery = CellGallery(name)
        self.gallery.chosen.connect(self._go)
        self.words = parts.text(colour=style.QUIET)
        self.add = parts.button(
            "Add this slide to the project", "Adds the slide of that cell and shows the cell on it.", self._add
        )
        self._requested: Cell | None = None
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.head, self.gallery, self.words, self.add):
            layout.addWidget(widget)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._requested = None
        self.gallery.show_cells(())
        for widget in (self, self.words, self.add):
            widget.hide()

    def show_cells(self, cells: Sequence[Cell], folder: Path | None = None, title: str = "") -> None:
        """Show ``cells`` under ``title``; stored pictures lie in ``folder``."""
        if title:
            self.head.setText(title)
        self.gallery.show_cells(cells, folder)
        self._report(f"First {SHOWN_AT_MOST} shown." if len(cells) > SHOWN_AT_MOST else "")
        self.show()

    def let_go(self) -> None:
        """Stop reading pictures."""
        self.gallery.close_threads()

    def _go(self, cell: Cell) -> None:
        with self.session.telling():
            there = go_to_cell(self.session, cell["slide"], cell["centre_yx"])
            self._report("" if there else f"{Path(str(cell['slide'])).name} is not in this project.")
            self._requested = None if there or self.session.project is None else cell
            self.add.setVisible(self._requested is not None)
            if there:
                parts.focus_canvas(self)

    def _add(self) -> None:
        if self._requested is not None:
            cell, self._requested = self._requested, None
            self.add.hide()
            self._report("")
            with self.session.telling():
                add_and_go(self.session, cell["slide"], cell["centre_yx"])

    def _report(self, words: str) -> None:
        self.words.setText(words)
        self.words.setVisible(bool(words))


def go_to_cell(session: Session, slide_path: str | Path, centre_yx: Sequence[float]) -> bool:
    """Put a cell in the middle of the view and select its mark; return whether its slide is in the project.

    Parameters
    ----------
    session : Session
        With or without a project.
    slide_path : str or Path
        The slide's file.
    centre_yx : sequence of float
        Level-0 px.
    """
    project = session.project
    record = None if project is None else project.find_slide(path=Path(slide_path).absolute())
    if project is None or record is None:
        session.message.emit(f"{Path(slide_path).name} is not in this project, so the cell cannot be shown on it.")
        return False
    session.slides.go_to(record.id)
    y, x = (float(v) for v in centre_yx)
    found = project.nearest(record.id, (y, x), NEAR_PX)
    session.select([] if found is None else [found.id])
    session.jump((y, x))
    return True


def add_and_go(session: Session, slide_path: str | Path, centre_yx: Sequence[float]) -> None:
    """Add the cell's slide to the project, and go to the cell.

    Raises
    ------
    CytoError
        When no project is open, or the slide cannot be opened.
    """
    session.slides.add([slide_path])
    go_to_cell(session, slide_path, centre_yx)
