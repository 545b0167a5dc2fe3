"""Go from a cell that a run speaks of (slide file and centre) to that cell in the open project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cyto.session._session import Session

# A run's centre is the mark's own; a box that was rounded since is off by a px or two.
NEAR_PX = 12.0


def is_in_project(session: Session, slide_path: str | Path) -> bool:
    """Whether the open project has the slide file."""
    return session.project is not None and session.project.find_slide(path=Path(slide_path).absolute()) is not None


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
    session.go_to_slide(record.id)
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
    session.add_slides([slide_path])
    go_to_cell(session, slide_path, centre_yx)
