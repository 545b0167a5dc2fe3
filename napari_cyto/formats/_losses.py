"""Sentences on what a format cannot carry, with counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_source import Alike, AnnotationSource, tally
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Box, CellOutline, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.formats.label_format import FormatOptions

Feature = Literal["author", "note", "score", "identity", "time", "origin", "status"]

Shapes = Literal["boxes", "points", "boxes and points", "boxes and outlines"]
"""What a format writes as it is."""

_WORDS: dict[Feature, tuple[str, Callable[[Annotation], bool]]] = {
    "author": ("The author of {n} is not written.", lambda a: bool(a.author)),
    "note": ("The note of {n} is not written.", lambda a: bool(a.note)),
    "score": ("The scores of {n} are not written.", lambda a: bool(a.scores)),
    "time": ("Time, origin and identity of all {n} are not written.", lambda a: bool(a.id)),
}

_NOUNS = {Status.REJECTED: "rejected annotation", Status.UNREVIEWED: "unreviewed prediction"}


def count(number: int, what: str = "annotation") -> str:
    """Return ``1 annotation`` or ``12 annotations``, ``3 empty boxes``, ``2 entries``."""
    return counted(number, what)


def how_many(cells: Iterable[Annotation], fits: Callable[[Annotation], bool]) -> int:
    """Return how many annotations fit."""
    return tally(cells, fits)[True]


def has_other_scores(annotation: Annotation) -> bool:
    """Whether it has scores of classes other than its own."""
    return any(name != annotation.class_id for name, _ in annotation.scores)


def written(labels: LabelSet, options: FormatOptions, *, regions: bool = True) -> Collection[Annotation]:
    """Return the annotations that an export writes: of the chosen statuses, with or without regions."""
    if isinstance(labels.annotations, AnnotationSource | Alike):
        return labels.annotations.where(options.statuses, regions)
    # A tuple is searched by identity first, a set by a hash that Python computes.
    statuses = tuple(options.statuses)
    return [a for a in labels.annotations if a.status in statuses and (regions or a.class_id is not None)]


def status_losses(labels: LabelSet, options: FormatOptions, *, carries_status: bool = False) -> list[str]:
    """Return what is left out because of its status, and statuses that are not told apart any more."""
    counts = tally(labels.annotations, lambda a: a.status)
    sentences = [
        f"{count(counts[status], _NOUNS[status])} {_is(counts[status])} left out."
        for status in (Status.REJECTED, Status.UNREVIEWED)
        if counts[status] and status not in options.statuses
    ]
    unreviewed = counts[Status.UNREVIEWED] if Status.UNREVIEWED in options.statuses else 0
    if unreviewed and not carries_status:
        sentences.append(
            f"{count(unreviewed, _NOUNS[Status.UNREVIEWED])} can no longer be distinguished from accepted ones."
        )
    return sentences


def shape_losses(cells: Iterable[Annotation], kept: Shapes) -> list[str]:
    """Return what becomes of geometries that the format does not know; regions are dropped."""
    kinds = tally(cells, _shape)
    outlines, whole = kinds["outline"] + kinds["nucleus"], kinds["cell"]
    sentences = []
    if kinds[Point] and "points" not in kept:
        sentences.append(f"{count(kinds[Point], 'point')} {_becomes(kinds[Point])} of its class's size around it.")
    if kinds[Box] and "boxes" not in kept:
        sentences.append(f"{count(kinds[Box], 'box')} {_is(kinds[Box])} written as the point in the middle.")
    if "outlines" not in kept:
        what = "its bounding box" if "boxes" in kept else "the point in its middle"
        if outlines:
            sentences.append(f"{count(outlines, 'outline')} {_is(outlines)} written as {what}.")
        if whole:
            what = "the bounding box of the cytoplasm" if "boxes" in kept else "the point in the middle of the nucleus"
            sentences.append(f"{count(whole, 'outline')} of a cell {_is(whole)} written as {what}.")
    else:
        if whole:
            sentences.append(f"The cytoplasm of {count(whole, 'outline')} of a cell is not written.")
        if known := kinds["nucleus"] + whole:
            sentences.append(f"That {count(known, 'outline')} {_is(known)} of a nucleus is not written.")
    return sentences


def _shape(a: Annotation) -> object:
    """Return what kind of shape a cell has; None for a region."""
    if a.is_region or not isinstance(a.geometry, Polygon):
        return None if a.is_region else type(a.geometry)
    if not isinstance(a.geometry, CellOutline):
        return "outline"
    return "cell" if a.geometry.cytoplasm_yx else "nucleus"


def region_losses(labels: LabelSet, options: FormatOptions) -> list[str]:
    """Return the sentence on regions for formats that know none."""
    regions = how_many(labels.annotations, lambda a: a.is_region and a.status in options.statuses)
    return [f"{count(regions, 'region')} (inside which every cell is annotated) left out."] if regions else []


def feature_losses(cells: Iterable[Annotation], *features: Feature) -> list[str]:
    """Return a sentence for each of ``features`` that some of ``cells`` has."""
    listed = cells if isinstance(cells, Alike) else list(cells)
    sentences = []
    for feature in features:
        words, has = _WORDS[feature]
        number = how_many(listed, has)
        if number:
            sentences.append(words.format(n=count(number)))
    return sentences


def plain_losses(
    labels: LabelSet,
    options: FormatOptions,
    kept: Shapes,
    *features: Feature,
) -> list[str]:
    """Return what a format of cells alone cannot carry: statuses, regions, other shapes, ``features``."""
    cells = written(labels, options, regions=False)
    return [
        *status_losses(labels, options),
        *region_losses(labels, options),
        *shape_losses(cells, kept),
        *feature_losses(cells, *features),
    ]


def colour_losses(labels: LabelSet) -> list[str]:
    """Return the sentence on colours for formats that know none."""
    return ["The colours of the classes are not written."] if labels.colours else []


def empty_slide_losses(labels: LabelSet, cells: Iterable[Annotation]) -> list[str]:
    """Return the sentence on slides that vanish because nothing is marked on them."""
    number = len(labels.slides) - len(tally(cells, lambda a: a.slide_id))
    return [f"{count(number, 'image')} without annotations {_is(number)} not listed."] if number > 0 else []


def slide_losses(labels: LabelSet, **missing: str) -> list[str]:
    """Return a sentence for each slide field (``field="what people call it"``) that some slide has a value for."""
    sentences = []
    for field, words in missing.items():
        number = sum(bool(getattr(slide, field)) for slide in labels.slides)
        if number:
            sentences.append(f"The {words} of {count(number, 'image')} {_is(1)} not written.")
    return sentences


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _becomes(number: int) -> str:
    return "becomes the box" if number == 1 else "each become the box"
