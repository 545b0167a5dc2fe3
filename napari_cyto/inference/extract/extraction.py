"""What an extraction came to."""

from __future__ import annotations

from dataclasses import dataclass, fields

from napari_cyto.domain.json_values import JsonFields


@dataclass(frozen=True, slots=True)
class Fates(JsonFields):
    """What became of the parts of the mask.

    Parameters
    ----------
    kept : int
        Cells.
    too_small, too_large, not_round : int
        Parts that are none, by area and by roundness.
    large_components : int
        Connected parts of the mask that were dropped before the erosions.
    """

    kept: int = 0
    too_small: int = 0
    too_large: int = 0
    not_round: int = 0
    large_components: int = 0

    def __add__(self, other: Fates) -> Fates:
        return Fates(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideExtracted(JsonFields):
    """What the extraction on one slide came to.

    Parameters
    ----------
    slide : str
        Its path.
    slices : int
        Looked at: those where something is stained, or a nucleus was found.
    nuclei, without_outline : int
        Found by the detector, and how many of them the outline model could not outline.
    fates : Fates
        What became of the parts of the mask.
    clipped : int
        Boxes that lost a part at the border of their slice or of the slide.
    written : int
        Crops, or predictions, that were written.
    there_before : int
        Cells that the project had; nothing was written for them.
    remarks : tuple of str
        Sentences to know.
    """

    slide: str
    slices: int
    nuclei: int
    without_outline: int
    fates: Fates
    clipped: int
    written: int
    there_before: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut(JsonFields):
    """A slide on which no cell was extracted, and why."""

    slide: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction(JsonFields):
    """What an extraction came to.

    Parameters
    ----------
    out : str
        Where the cells are.
    kind : str
        ``project`` or ``crops``.
    mask : str
        What the mask held.
    done : tuple of SlideExtracted
        In the order asked for.
    left_out : tuple of LeftOut
        The others.
    """

    out: str
    kind: str
    mask: str
    done: tuple[SlideExtracted, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def cells(self) -> int:
        """Cells that were written."""
        return sum(each.written for each in self.done)
