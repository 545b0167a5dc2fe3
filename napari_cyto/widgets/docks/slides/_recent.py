"""The projects and slides that were open last, kept for the user: the way back to one is a click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_cyto.files.user_choices import read_choice, write_choice
from napari_cyto.session import Session

_FILE_NAME = "recent.json"
_MOST = 8


@dataclass(frozen=True, slots=True)
class Recent:
    """A project, or one of its slides, that was open.

    Parameters
    ----------
    folder : str
        The project's folder.
    project : str
        What people call the project.
    slide_id, slide, file : str
        Id, name and file of the slide; empty for the project as a whole.
    """

    folder: str
    project: str
    slide_id: str = ""
    slide: str = ""
    file: str = ""

    @property
    def missing(self) -> str:
        """What is no longer where it was, in words; empty while all is there."""
        if not Path(self.folder).is_dir():
            return "project folder not found"
        return "slide file not found" if self.file and not Path(self.file).exists() else ""

    @property
    def words(self) -> str:
        """Return what a menu says of it; its folder tells projects of one name apart."""
        name = f"{self.slide}  ({self.project})" if self.slide_id else f"{self.project}  ({Path(self.folder).parent})"
        return f"{name}: {self.missing}" if self.missing else name


@dataclass(frozen=True, slots=True)
class RecentList:
    """What was open, the last first: at most eight projects and eight slides."""

    projects: tuple[Recent, ...] = ()
    slides: tuple[Recent, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what is kept."""
        return {name: [asdict(each) for each in getattr(self, name)] for name in ("projects", "slides")}

    def with_open(self, session: Session) -> RecentList:
        """Return the list with what a session has open now in front."""
        project, slide = session.project, session.slide
        if project is None:
            return self
        here = Recent(str(project.folder), project.name)
        slides = self.slides
        if slide is not None:
            slides = _first(Recent(here.folder, here.project, slide.id, slide.name, slide.path or ""), slides)
        return RecentList(_first(here, self.projects), slides)


def load() -> RecentList:
    """Return what was open last; what cannot be read, or makes no sense, is an empty list."""
    return read_choice(_FILE_NAME, _made, RecentList())


def save(recent: RecentList) -> None:
    """Keep what was open last.

    Raises
    ------
    CytoError
        When the user's folder cannot be written.
    """
    write_choice(_FILE_NAME, recent.to_json())


def _made(kept: Mapping[str, Any]) -> RecentList:
    lists = [tuple(Recent(**each) for each in kept[name])[:_MOST] for name in ("projects", "slides")]
    if not all(isinstance(value, str) for each in lists for one in each for value in asdict(one).values()):
        raise ValueError("expected names and paths")
    return RecentList(*lists)


def _first(new: Recent, before: tuple[Recent, ...]) -> tuple[Recent, ...]:
    others = (each for each in before if (each.folder, each.slide_id) != (new.folder, new.slide_id))
    return (new, *others)[:_MOST]
