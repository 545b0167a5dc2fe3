"""Two label sets, one taken for the truth: their images paired, their cells matched within a radius in µm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Geometry, Polygon
from napari_cyto.domain.image_names import closeness
from napari_cyto.domain.json_values import to_plain
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.evaluation._image_pairs import ImagePair, paired_images
from napari_cyto.evaluation.detected_field import is_known_area
from napari_cyto.evaluation.detection import Detection, score_detections
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM

SHOWN_NAMES = 3

TRUTH_STATUSES = frozenset({Status.ACCEPTED})
PREDICTED_STATUSES = frozenset({Status.ACCEPTED, Status.UNREVIEWED})


@dataclass(frozen=True)
class Comparison:
    """How the cells of one label set were found by another.

    Parameters
    ----------
    detection : Detection
        The scores over all images.
    median_error_um : float or None
        Median distance of a found cell from its detection, µm; None when none was found.
    radius_um : float
        The radius within which a detection is the cell, µm.
    mpp : mapping of image name to float
        The µm per px that was used for each image.
    remarks : tuple of str
        Sentences on what was left out or assumed; for people.
    """

    detection: Detection
    median_error_um: float | None
    radius_um: float
    mpp: Mapping[str, float]
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-able values."""
        found = self.detection
        return {
            "detection": {
                **found.overall.to_json(),
                "per_class": to_plain(found.per_class),
                "macro_f1": found.macro_f1,
                "median_error_um": self.median_error_um,
            },
            "radius_um": self.radius_um,
            "mpp": dict(self.mpp),
            "images": len(self.mpp),
            "remarks": list(self.remarks),
        }


def compare(
    truth: LabelSet,
    pred: LabelSet,
    radius_um: float,
    mpp: float | None = None,
    missing_are_empty: bool = False,
    nameless: tuple[str, str] = ("", ""),
) -> Comparison:
    """Compare two label sets image by image.

    Of the truth the accepted cells count, of the predictions the accepted and the proposed; regions are no cells. Where
    the truth has regions on an image, every cell is marked inside them only, so detections outside that find no marked
    cell are not held false.

    Parameters
    ----------
    truth, pred : LabelSet
        Cells by points, boxes or outlines, of which the centres are matched; level-0 px of their images.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    mpp : float, optional
        µm per px of all images, whatever the label sets say.
    missing_are_empty : bool
        Whether an image that only one of the two lists has no cells in the other; else it is refused.
    nameless : tuple of str
        What a single image of the truth, and of the prediction, is called when its file does not name it.

    Raises
    ------
    CytoError
        When images have no counterpart or a name twice, the µm per px is unknown or differs, or the radius is not
        above 0.

    Notes
    -----
    Source: Patherea, section 5.
    """
    if not (np.isfinite(radius_um) and radius_um > 0):
        raise CytoError(f"Expected a matching radius above 0 µm, got {radius_um}.")
    if mpp is not None and not (np.isfinite(mpp) and mpp > 0):
        raise CytoError(f"Expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, got {mpp}.")
    if mpp is not None:
        _refuse_absurd("--mpp", mpp)
    cells, doubled = _once(_cells(truth, TRUTH_STATUSES))
    detections = _cells(pred, PREDICTED_STATUSES)
    regions = _regions(truth)
    total, errors_um, used = Detection(), [np.empty(0)], {}
    pairs = _image_pairs(truth.slides, pred.slides, missing_are_empty, nameless)
    for name, of_truth, of_pred in pairs:
        scale = used[name] = mpp if mpp is not None else _mpp(name, of_truth, of_pred)
        left, right = _of(cells, of_truth), _of(detections, of_pred)
        found_yx = _centres(right)
        counts = is_known_area(found_yx, () if of_truth is None else regions.get(of_truth.id, ()))
        scores = score_detections(_centres(left), _classes(left), found_yx, _classes(right), radius_um / scale, counts)
        errors_um.append(scores.distances_px * scale)
        total = total + scores
    errors = np.concatenate(errors_um)
    median = float(np.median(errors)) if len(errors) else None
    return Comparison(total, median, radius_um, used, (*doubled, *_remarks(truth, pred, mpp, pairs)))


def _cells(labels: LabelSet, statuses: frozenset[Status]) -> dict[str, list[Annotation]]:
    """Return the cells that count, by slide id."""
    found: dict[str, list[Annotation]] = {}
    for a in labels.annotations:
        if not a.is_region and a.status in statuses:
            found.setdefault(a.slide_id, []).append(a)
    return found


def _once(cells: Mapping[str, list[Annotation]]) -> tuple[dict[str, list[Annotation]], tuple[str, ...]]:
    """Return the cells with each shape of a class once, and a sentence on those that were there again."""
    kept: dict[str, list[Annotation]] = {}
    doubled = contradicting = 0
    for slide_id, listed in cells.items():
        by_shape: dict[tuple[str | None, Geometry], Annotation] = {}
        for cell in listed:
            by_shape.setdefault((cell.class_id, cell.geometry), cell)
        kept[slide_id] = list(by_shape.values())
        doubled += len(listed) - len(by_shape)
        contradicting += len(by_shape) - len({shape for _, shape in by_shape})
    said = []
    if doubled:
        said.append(f"Cells that appear more than once in the ground truth are counted once: {doubled:,} left out.")
    if contradicting:
        said.append(f"The ground truth gives {counted(contradicting, 'shape')} more than one class; each class counts.")
    return kept, tuple(said)


def _regions(truth: LabelSet) -> dict[str, tuple[Polygon, ...]]:
    """Return the regions in which every cell is marked, by slide id."""
    found: dict[str, tuple[Polygon, ...]] = {}
    for a in truth.annotations:
        if a.is_region and a.status in TRUTH_STATUSES and isinstance(a.geometry, Polygon):
            found[a.slide_id] = (*found.get(a.slide_id, ()), a.geometry)
    return found


def _of(cells: Mapping[str, list[Annotation]], slide: SlideRecord | None) -> list[Annotation]:
    return [] if slide is None else cells.get(slide.id, [])


def _centres(cells: Sequence[Annotation]) -> npt.NDArray[np.float64]:
    return np.asarray([a.geometry.centre_yx for a in cells], np.float64).reshape(-1, 2)


def _classes(cells: Sequence[Annotation]) -> list[str]:
    return [a.class_id or "" for a in cells]


def _image_pairs(
    truth: Sequence[SlideRecord], pred: Sequence[SlideRecord], missing_are_empty: bool, nameless: tuple[str, str]
) -> list[ImagePair]:
    """Return name, slide of the truth and slide of the prediction of each image."""
    if len(truth) == len(pred) == 1 and (truth[0].name == nameless[0] or pred[0].name == nameless[1]):
        # A table without names speaks of one image; whoever names such a file means the image of the other.
        return [(truth[0].name, truth[0], pred[0])]
    pairs = paired_images(truth, pred)
    alone = [pair for pair in pairs if None in pair]
    if alone and not (missing_are_empty and len(alone) < len(pairs)):
        raise CytoError(_mismatch(alone, both=len(alone) < len(pairs)))
    return pairs


def _mismatch(alone: Sequence[ImagePair], both: bool) -> str:
    hint = "pass --missing-are-empty if these images have no cells in the other file, otherwise " if both else ""
    return (
        f"The images of the two files do not match by name: {_sets_named(alone)}; {hint}give files of the same images."
    )


def _sets_named(alone: Sequence[ImagePair]) -> str:
    """Return which images only one of the two has."""
    only = [[name for name, *both in alone if both[1 - side] is None] for side in (0, 1)]
    both = zip(("truth", "prediction"), only, strict=True)
    return " and ".join(f"only the {what} has {_some(names)}" for what, names in both if names)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in names[:SHOWN_NAMES]) + more


def _mpp(name: str, truth: SlideRecord | None, pred: SlideRecord | None) -> float:
    known = [slide.mpp for slide in (truth, pred) if slide is not None and slide.mpp is not None]
    if not known:
        raise ScaleUnknownError(
            f"The µm per px of {name!r} is unknown, and the radius is in µm; give it with --mpp.",
            [slide.path or slide.name for slide in (truth, pred) if slide is not None],
        )
    if max(known) > 1.01 * min(known):
        raise CytoError(
            f"The two files disagree on the µm per px of {name!r}, {known[0]:g} and {known[1]:g}; give the right "
            "one with --mpp."
        )
    _refuse_absurd(f"of {name!r}", known[0])
    return known[0]


def _refuse_absurd(whose: str, mpp: float) -> None:
    """Refuse a scale that would let every detection, or none, lie within the radius."""
    if not MPP_MIN_UM <= mpp <= MPP_MAX_UM:  # nan is not, either
        raise CytoError(
            f"Expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, as microscopes give, got {mpp:g} ({whose}); at "
            "40x it is about 0.25. Give the right one with --mpp."
        )


def _remarks(truth: LabelSet, pred: LabelSet, mpp: float | None, pairs: Sequence[ImagePair]) -> tuple[str, ...]:
    said = []
    if alone := [pair for pair in pairs if None in pair]:
        said.append(f"Counted as images without cells in the other file: {_sets_named(alone)}.")
    unreviewed = sum(a.status is Status.UNREVIEWED for a in truth.annotations)
    rejected = sum(a.status is Status.REJECTED for labels in (truth, pred) for a in labels.annotations)
    limiting = sum(len(of_slide) for of_slide in _regions(truth).values())
    regions = sum(a.is_region for labels in (truth, pred) for a in labels.annotations) - limiting
    if unreviewed:
        said.append(f"Predictions in the ground truth that nobody accepted do not count: {unreviewed:,}.")
    if rejected:
        said.append(f"Rejected annotations do not count: {rejected:,}.")
    if limiting:
        said.append(
            f"The ground truth has {counted(limiting, 'region')} in which every cell is annotated; on those images, "
            "a detection outside the regions that matches no annotated cell does not count as false."
        )
    if regions:
        said.append(f"Regions are not cells and do not count: {regions:,}.")
    known = [{a.class_id for a in labels.annotations if not a.is_region} for labels in (truth, pred)]
    if all(known) and not known[0] & known[1]:
        said.append("The two files have no class in common, so only the scores over all cells are meaningful.")
    for name, of_truth, of_pred in pairs:
        if of_truth is not None and of_pred is not None and not closeness(name, of_pred.name, either_way=True):
            said.append(f"Compared {of_truth.name!r} with {of_pred.name!r} as one image.")
    stated = [s.mpp for labels in (truth, pred) for s in labels.slides if s.mpp is not None]
    others = [value for value in stated if mpp is not None and abs(value / mpp - 1) > 0.01]
    if others:
        said.append(f"The files state other µm per px, for example {others[0]:g}, than the {mpp:g} given.")
    return tuple(said)
