"""One marked cell or region, as an immutable value."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from napari_cyto.domain.geometry import CellOutline, Geometry, Polygon

DRAWN = "drawn"


class Status(StrEnum):
    """Where an annotation stands between a model's proposal and a person's word."""

    UNREVIEWED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


STATUS_NAMES = {Status.UNREVIEWED: "unreviewed", Status.ACCEPTED: "accepted", Status.REJECTED: "rejected"}
"""What people read for each status."""


def new_id() -> str:
    """Return a fresh random identity: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now_utc() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def imported_from(source: str) -> str:
    """Return the origin of an annotation read from the file or folder ``source``."""
    return f"imported:{source}"


def origin_of_model(model_id: str, sha256: str) -> str:
    """Return the origin of an annotation proposed by the model bundle ``model_id`` with hash ``sha256``."""
    return f"model:{model_id}@{sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A cell (point, box or outline) or a region on one slide.

    Parameters
    ----------
    slide_id : str
        The slide it lies on; its coordinates are that slide's level-0 px.
    geometry : Point | Box | Polygon | CellOutline
        Where it is, level-0 px.
    class_id : str or None
        A class of the project's scheme. None only for a polygon: a region, which says
        "inside me every cell is marked".
    status : Status
        What a person has said of it.
    author : str
        The person, or the model bundle's id.
    origin : str
        ``drawn``, ``imported:FILE`` or ``model:ID@HASH``.
    scores : tuple of (class id, score)
        A model's score per class, 0 to 1; empty for a person's own mark.
    created_utc : datetime
        When it came to be, aware, UTC.
    note : str
        Free text.
    id : str
        Its identity for life, 32 hexadecimal digits.
    """

    slide_id: str
    geometry: Geometry
    class_id: str | None
    status: Status = Status.ACCEPTED
    author: str = ""
    origin: str = DRAWN
    scores: tuple[tuple[str, float], ...] = ()
    created_utc: datetime = field(default_factory=now_utc)
    note: str = ""
    id: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        if self.class_id is None and (not isinstance(self.geometry, Polygon) or isinstance(self.geometry, CellOutline)):
            raise ValueError("Only a region (polygon) can be without a class; a point, box or cell needs one.")

    @property
    def is_region(self) -> bool:
        """Whether this is a region inside which every cell is marked, rather than a cell."""
        return self.class_id is None
