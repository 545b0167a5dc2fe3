"""What label formats exchange: slides, the annotations on them, and the classes these speak of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.slide_record import SlideRecord


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
    """

    slides: tuple[SlideRecord, ...]
    annotations: Collection[Annotation]
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def of_slide(self, slide_id: str) -> tuple[Annotation, ...]:
        """Return the annotations of one slide, in their order."""
        return tuple(a for a in self.annotations if a.slide_id == slide_id)
