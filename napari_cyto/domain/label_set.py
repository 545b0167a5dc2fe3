"""What label formats exchange: slides, the annotations on them, and the classes these speak of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.slide_record import SlideRecord


@dataclass(frozen=True, slots=True, eq=False)
class CellNumbers:
    """What was measured on cells, to be written beside their labels.

    Parameters
    ----------
    names : tuple of str
        Of the measurements, with their units.
    row_of : mapping of annotation id to int
        Where in ``values`` a cell stands; those that were not measured are missing.
    values : ndarray, float64 (n, len(names))
        NaN where there is no number.
    """

    names: tuple[str, ...]
    row_of: Mapping[str, int]
    values: npt.NDArray[np.float64]

    def of(self, annotation_id: str) -> Iterator[tuple[str, float]]:
        """Yield the name and the number of each measurement that a cell has."""
        row = self.row_of.get(annotation_id)
        if row is not None:
            values = self.values[row].tolist()
            yield from ((name, value) for name, value in zip(self.names, values, strict=True) if value - value == 0)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Slides with their annotations, as read from or to be written to a label format.

    Parameters
    ----------
    slides : tuple of SlideRecord
        Each slide once; an image without cells is listed too.
    annotations : tuple of Annotation, or AnnotationSource
        In memory, or read anew each time; ``slide_id`` of each is that of one of ``slides``, level-0 px of it.
    classes : tuple of str
        All class ids that the source knows, in its order, those without cells included.
    colours : tuple of (class id, "#rrggbb")
        The colours that the source gives its classes, as far as it does.
    remarks : tuple of str
        Sentences on what of the source could not be read as it stands; for people, empty as a rule.
    numbers : CellNumbers, optional
        What was measured on the cells, for formats that carry it.
    """

    slides: tuple[SlideRecord, ...]
    annotations: Collection[Annotation]
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    numbers: CellNumbers | None = None

    def of_slide(self, slide_id: str) -> tuple[Annotation, ...]:
        """Return the annotations of one slide, in their order."""
        return tuple(a for a in self.annotations if a.slide_id == slide_id)
