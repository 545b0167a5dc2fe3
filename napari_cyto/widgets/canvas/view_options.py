"""How annotations are drawn, as each person likes it: kept for the user, not with the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.files.user_choices import read_choice, write_choice

FILE_NAME = "view.json"
# Told apart at 14 px; a scheme has nine classes with a key at most, and further ones begin anew.
SHAPES = (
    ("disc", "●"),
    ("square", "■"),
    ("triangle_up", "▲"),
    ("star", "★"),
    ("diamond", "◆"),
    ("triangle_down", "▼"),
    ("clobber", "♣"),
    ("hbar", "▬"),
    ("vbar", "▮"),
)
LINE_PX = (1, 6)
OPACITY = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the view panel offers.

    Parameters
    ----------
    shapes : bool
        Whether each class has a shape of its own beside its colour, for eyes that do not tell all colours apart. What
        nobody reviewed is hollow then.
    points_only : bool
        Whether boxes and outlines are left out, but of what is selected.
    line_px : int
        How wide outlines are on the screen, px.
    opacity : float
        Of points and outlines, 0.2 to 1.
    """

    shapes: bool = False
    points_only: bool = False
    line_px: int = 2
    opacity: float = 1.0


def load(path: Path | None = None) -> ViewOptions:
    """Return what the user chose last; what cannot be read, or makes no sense, is as it is by itself."""
    usual = ViewOptions()

    def made(kept: Mapping[str, Any]) -> ViewOptions:
        return ViewOptions(**{f.name: _checked(kept.get(f.name), getattr(usual, f.name)) for f in fields(usual)})

    return read_choice(FILE_NAME, made, usual, path)


def save(options: ViewOptions, path: Path | None = None) -> None:
    """Keep what the user chose.

    Raises
    ------
    CytoError
        When the user's folder cannot be written.
    """
    write_choice(FILE_NAME, asdict(options), path)


def shapes_of(scheme: ClassScheme) -> dict[str, tuple[str, str]]:
    """Return for each class vispy's name of a shape and the sign that stands for it in a text."""
    return {c.id: SHAPES[place % len(SHAPES)] for place, c in enumerate(scheme.classes)}


def _checked(value: Any, usual: Any) -> Any:
    if isinstance(usual, bool):
        return value if isinstance(value, bool) else usual
    if isinstance(value, bool) or not isinstance(value, int | float):
        return usual
    if isinstance(usual, int):
        return int(min(max(value, LINE_PX[0]), LINE_PX[1]))
    return float(min(max(value, OPACITY[0]), OPACITY[1]))
