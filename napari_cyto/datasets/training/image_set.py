"""Images to learn from without labels, as a training set whose cells say no more than where one lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_cyto.datasets.training._join import Joining
from napari_cyto.datasets.training._source_readers import SourceContent, read_content
from napari_cyto.datasets.training.scheme import named_scheme
from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.presets import PRESETS
from napari_cyto.errors import CytoError

CELL, OTHER = "cell", "other"
PLACES = ClassScheme(
    "places",
    1,
    (CellClass(CELL, "Cell with a grade", "#0072b2", severity=0), CellClass(OTHER, "Anything else", "#999999")),
)
"""All that is read of labels here: whether a marked place is a cell that a diagnosis may rest on."""


def read_image_set(specs: Iterable[SourceSpec | str]) -> TrainingSet:
    """Join the slides, fields and single-cell images of sources, those without any label among them.

    Parameters
    ----------
    specs : iterable of SourceSpec or str
        The sources.

    Returns
    -------
    TrainingSet
        In the scheme ``PLACES``; slides of which nothing is annotated have no cells.

    Raises
    ------
    CytoError
        When a source cannot be read, or none holds an image.
    """
    sources = [parse_source(spec) if isinstance(spec, str) else spec for spec in specs]
    if not sources:
        raise CytoError("Expected at least one source of images, such as images:DIR or a project folder, got none.")
    joining = Joining(PLACES)
    for spec in dict.fromkeys(sources):
        content = read_content(spec, unlabelled=True)
        joining.remarks += content.remarks
        pairs = _pairs(spec, content)
        for slide in content.slides:
            joining.add(str(spec), slide, pairs)
    if not joining.slides:
        raise CytoError("Expected images in the sources, got none. " + " ".join(joining.all_remarks()[:5]))
    slides = tuple(sorted(joining.slides, key=lambda s: s.key))
    return TrainingSet(PLACES, PLACES.ids, slides, tuple(joining.all_remarks()))


def _pairs(spec: SourceSpec, content: SourceContent) -> Mapping[str, str]:
    """Return what each class of a source becomes: a class without a grade (debris, artefacts) is no such cell."""
    used = {class_id for slide in content.slides for _, class_id in slide.cells}
    if spec.kind == "project":
        scheme: ClassScheme | None = named_scheme(str(spec.path))
    else:
        scheme = named_scheme(content.scheme_name) if content.scheme_name in PRESETS else None
    pairs = {}
    for class_id in used:
        known = scheme[class_id] if scheme is not None and class_id in scheme else None
        pairs[class_id] = OTHER if known is not None and known.severity is None else CELL
    return pairs
