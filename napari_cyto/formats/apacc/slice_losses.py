"""What slices cannot or shall not carry, counted; told alike of label files alone and of a data set with images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.formats._losses import count

_SENTENCES = {
    "rejected": ("rejected annotation", "is left out.", "are left out."),
    "proposed": (
        "unreviewed prediction",
        "is left out unless you include it.",
        ("are left out unless you include them."),
    ),
    "untold": (
        "unreviewed prediction",
        "can no longer be distinguished from accepted ones.",
        "can no longer be distinguished from accepted ones.",
    ),
    "regions": (
        "region",
        "(inside which every cell is annotated) is left out.",
        "(inside which every cell is annotated) are left out.",
    ),
    "points": (
        "point",
        "becomes the box of its class's size around it.",
        "each become the box of its class's size around it.",
    ),
    "outlines": ("outline", "is written as its bounding box.", "are written as their bounding boxes."),
    "rounded": ("box", "is rounded to whole pixels.", "are rounded to whole pixels."),
    "clipped": ("box", "is clipped at the border of a slice.", "are clipped at the borders of slices."),
    "dropped": (
        "annotation",
        "across the border of a slice is left out, as asked.",
        "across the borders of slices are left out, as asked.",
    ),
    "outside": (
        "annotation",
        "with the centre outside the slide left out.",
        "with the centre outside the slide left out.",
    ),
    "without_image": (
        "slice",
        "has no image; only its label file is written.",
        "have no image; only their label files are written.",
    ),
    "large_crops": (
        "crop",
        "larger than the padded size keeps its own size.",
        "larger than the padded size keep their own size.",
    ),
    "notes": ("note", "is not written.", "are not written."),
}


@dataclass
class SliceLosses:
    """Losses by kind; kinds are the keys of the sentences here."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, number: int = 1) -> None:
        """Count ``number`` more of a kind."""
        self.counts[kind] += number

    def add_annotation(self, annotation: Annotation, statuses: frozenset[Status]) -> bool:
        """Count what is lost of an annotation where ``statuses`` are written; return whether it becomes a cell."""
        status, geometry = annotation.status, annotation.geometry
        if annotation.class_id is None and status in statuses:
            self.add("regions")
        elif status not in statuses:
            self.add(str(status))
        if annotation.class_id is None or status not in statuses:
            return False
        self.add("untold", status is Status.UNREVIEWED)
        self.add("notes", bool(annotation.note))
        if isinstance(geometry, Point):
            self.add("points")
        else:
            self.add("outlines", not isinstance(geometry, Box))
            self.add("rounded", any(v != int(v) for v in geometry.bounds_yxyx))
        return True

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each kind that occurred."""
        return tuple(
            f"{count(self.counts[kind], noun)} {one if self.counts[kind] == 1 else many}"
            for kind, (noun, one, many) in _SENTENCES.items()
            if self.counts[kind]
        )
