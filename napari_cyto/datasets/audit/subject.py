"""What an audit looks at, the same for a folder of slices, one of crops, and a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from napari_cyto.datasets._crops import RGB
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.slide_record import SlideRecord

NamedCrop = tuple[str, str, Callable[[], RGB]]
"""Side, name, and how to get the pixels ((h, w, 3), uint8, RGB)."""

Tick = Callable[[], None]
"""Called several times a second by long work; what it raises ends the work."""


def no_tick() -> None:
    """Let work that nobody can stop go on."""


@dataclass(frozen=True, slots=True)
class AuditedCell:
    """A labelled box in px of its slide, which stands at ``line`` (1-based) of its label file, 0 where there is none.

    ``class_id`` is None for a class that the scheme does not know, whose name or number is then in ``said``. Where
    ``is_point``, the box is only what was put round a point.
    """

    slide_id: str
    class_id: str | None
    said: str
    box: Box
    line: int = 0
    is_point: bool = False


@dataclass
class Audited:
    """A dataset as an audit sees it.

    Parameters
    ----------
    source : str
        What it is called in the report.
    slides : list of SlideRecord
        Its slices or slides; ``side`` says on which side each is.
    cells : list of AuditedCell
        Every labelled cell.
    findings : list of Finding
        What was found on the way: files that cannot be read, and the like.
    crops : callable
        Yields the crops to compare; opened once, in an order that reads each image once.
    sets_came : bool
        Whether the sides are the dataset's own; False when they are what an export would choose.
    """

    source: str
    slides: list[SlideRecord] = field(default_factory=list)
    cells: list[AuditedCell] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    crops: Callable[[], Iterator[NamedCrop]] = lambda: iter(())
    sets_came: bool = True
