"""Let a model answer for labelled cells, slide by slide, in steps short enough to stop in between."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training.annotated_area import RULE, AreaRule, area_used
from napari_cyto.datasets.training.training_set import TrainingSlide
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, bounds_of, boxes_overlap, points_in_box
from napari_cyto.domain.known_area import KnownArea
from napari_cyto.errors import ScaleUnknownError, SlideError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.evaluation.views import Graded
from napari_cyto.jobs.events import Advanced, Event, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.nuclear_scale import with_offer

STEP_S = 0.3
"""What one step should last: a job must stop within a second."""

FEWEST, MOST = 4, 256
WHOLE_MAX_PX = 64_000_000
"""Pictures up to this many px are searched whole; of larger ones with regions, only these."""

MARGIN_UM = 20.0
SQUARE_UM = 200.0
"""Side of the squares that the surroundings of single annotations are searched in."""

KEPT = "Nothing was written."


class Classifier(Protocol):
    """What must be known of a cell classifier."""

    def classify(self, slide: Slide, centres_yx: npt.NDArray[np.float64], mpp: float | None) -> npt.NDArray[np.float64]:
        """Return probabilities, float64 (n, k), of cells at centres (n, 2), level-0 px."""
        ...


class Detector(Protocol):
    """What must be known of a cell detector."""

    def detect(self, slide: Slide, mpp: float, region_yxyx: YXYX | None = None, token: Token | None = None) -> Any:
        """Return centres_yx, boxes_yxyx (level-0 px), scores and class_scores of all that may be cells."""
        ...


@dataclass
class LeftOut:
    """Sentences on what could not be judged, gathered on the way."""

    sentences: list[str] = field(default_factory=list)

    def slide(self, name: str, why: object) -> Noted:
        """Remember that a slide was left out, and why; returns the event that tells it."""
        self.sentences.append(f"{name} was left out: {why}")
        return Noted(self.sentences[-1])


def classified(
    model: Classifier,
    classes: Sequence[Graded],
    slides: Sequence[TrainingSlide],
    class_ids: Sequence[str],
    token: Token | None,
    left_out: LeftOut,
    miss_costs: Sequence[float] = (),
) -> Generator[Event, None, ScoredCells]:
    """Let a classifier answer for the cells of slides; yields its progress, returns the answers.

    Parameters
    ----------
    model : Classifier
        What answers.
    classes : sequence of Graded (k,)
        Its classes.
    slides : sequence of TrainingSlide
        Labelled cells.
    class_ids : sequence of str
        What ``class_index`` of the slides counts.
    token : Token or None
        Asks to stop.
    left_out : LeftOut
        Is told of cells of classes that the model does not know, and of slides that cannot be read.
    miss_costs : sequence of float (k,)
        What the model is told that missing each class costs; empty for the same.
    """
    ids = [c.id for c in classes]
    place = np.asarray([ids.index(c) if c in ids else -1 for c in class_ids], dtype=np.intp)
    known = [place[s.class_index] >= 0 for s in slides]
    _report_unknown(slides, class_ids, ids, left_out)
    total, done = sum(int(k.sum()) for k in known), 0
    rows: list[tuple[TrainingSlide, npt.NDArray[np.intp], npt.NDArray[np.float64]]] = []
    for slide, keep in zip(slides, known, strict=True):
        cells = np.flatnonzero(keep)
        if not len(cells):
            continue
        answers: list[npt.NDArray[np.float64]] = []
        try:
            for part in _answers(model, slide, cells, token):
                answers.append(part)
                yield Advanced(done + sum(map(len, answers)), total, slide.name)
        except SlideError as error:
            yield left_out.slide(slide.name, error)
        else:
            rows.append((slide, cells, np.concatenate(answers)))
        done += len(cells)
    cells_of_all = _gathered(rows, classes, place)
    return replace(cells_of_all, costs=costs_of(len(cells_of_all.truth), miss_costs))


def _answers(
    model: Classifier, slide: TrainingSlide, cells: npt.NDArray[np.intp], token: Token | None
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield probabilities of some cells at a time, as many as a step's time allows."""
    size, start = FEWEST, 0
    with open_slide(slide.path) as opened:
        while start < len(cells):
            stop_if_cancelled(token, KEPT)
            part = cells[start : start + size]
            began = time.monotonic()
            yield model.classify(opened, slide.centres_yx[part], slide.mpp)
            took = time.monotonic() - began
            start += len(part)
            size = min(MOST, size * 2) if took < STEP_S / 2 else max(FEWEST, size // 2) if took > STEP_S else size
        _refuse_damaged(opened)


def _refuse_damaged(slide: Slide) -> None:
    """Refuse a slide of which something could not be read: what the model saw there was no cell but a hatching."""
    if slide.unreadable:
        raise SlideError(str(slide.unreadable[0]))


def _report_unknown(
    slides: Iterable[TrainingSlide], class_ids: Sequence[str], ids: Sequence[str], left_out: LeftOut
) -> None:
    counts: dict[str, int] = {}
    for slide in slides:
        for place, n in enumerate(np.bincount(slide.class_index, minlength=len(class_ids)).tolist()):
            counts[class_ids[place]] = counts.get(class_ids[place], 0) + n
    unknown = {name: n for name, n in counts.items() if n and name not in ids}
    if unknown:
        names = ", ".join(f"{n:,} {name}" for name, n in unknown.items())
        left_out.sentences.append(f"Cells of classes that the model does not know were left out: {names}.")


def _gathered(
    rows: Sequence[tuple[TrainingSlide, npt.NDArray[np.intp], npt.NDArray[np.float64]]],
    classes: Sequence[Graded],
    place: npt.NDArray[np.intp],
) -> ScoredCells:
    truth = [place[slide.class_index[cells]] for slide, cells, _ in rows]
    return ScoredCells(
        classes,
        np.concatenate([np.empty(0, np.intp), *truth]),
        np.concatenate([np.empty((0, len(classes))), *(scores for _, _, scores in rows)]),
        tuple(group_of(slide) for slide, cells, _ in rows for _ in cells),
        tuple(slide.path for slide, cells, _ in rows for _ in cells),
        np.concatenate([np.empty((0, 2)), *(slide.centres_yx[cells] for slide, cells, _ in rows)]),
    )


def costs_of(n: int, miss_costs: Sequence[float]) -> npt.NDArray[np.float64] | None:
    """Return what missing each class costs for each of ``n`` cells, float64 (n, k); None where it is the same."""
    return np.tile(np.asarray(miss_costs, dtype=np.float64), (n, 1)) if miss_costs else None


def group_of(slide: TrainingSlide) -> str:
    """Return whose a slide is: the patient, else the smear, else itself; what intervals draw as a whole."""
    if slide.patient:
        return f"patient {slide.patient}"
    return f"smear {slide.smear}" if slide.smear else f"image {slide.key}"


def detected(
    model: Detector,
    n_classes: int,
    slides: Sequence[TrainingSlide],
    class_ids: Sequence[str],
    token: Token | None,
    left_out: LeftOut,
    rule: AreaRule = RULE,
) -> Generator[Event, None, tuple[DetectedField, ...]]:
    """Let a detector search slides; yields its progress, returns each slide's cells and detections.

    Parameters
    ----------
    model : Detector
        What searches.
    n_classes : int
        How many class scores it gives.
    slides : sequence of TrainingSlide
        Labelled cells.
    class_ids : sequence of str
        What ``class_index`` of the slides counts.
    token : Token or None
        Asks to stop.
    left_out : LeftOut
        Is told of slides without a scale, of slides that cannot be read, and of cells outside the parts searched.
    rule : AreaRule
        Which part of a slide counts that nobody annotated whole.
    """
    fields: list[DetectedField] = []
    unknown: list[str] = []
    limits = area_used([slide for slide in slides if slide.mpp is not None], rule).sentence("Evaluating")
    if limits:
        left_out.sentences.append(limits)
        yield Noted(limits)
    for number, slide in enumerate(slides):
        stop_if_cancelled(token, KEPT)
        yield Advanced(number, len(slides), slide.name)
        if slide.mpp is None:
            unknown.append(slide.path)
            left_out.slide(slide.name, "its µm per px is unknown; add it after the source, as in @mpp=0.25.")
            continue
        try:
            fields.append(_searched(model, n_classes, slide, slide.mpp, class_ids, token, left_out, rule))
        except SlideError as error:
            yield left_out.slide(slide.name, error)
    if unknown:
        many = counted(len(unknown), "image")
        said = with_offer(ScaleUnknownError(f"{many} left out for want of the µm per px.", unknown))
        left_out.sentences.append(said)
        yield Noted(said)
    return tuple(fields)


def _searched(
    model: Detector,
    n_classes: int,
    slide: TrainingSlide,
    mpp: float,
    class_ids: Sequence[str],
    token: Token | None,
    left_out: LeftOut,
    rule: AreaRule,
) -> DetectedField:
    known = rule.area(slide, mpp)
    parts = parts_to_search(slide, mpp, known)
    with open_slide(slide.path) as opened:
        found = [model.detect(opened, mpp, part, token) for part in (parts or (None,))]
        _refuse_damaged(opened)
    stop_if_cancelled(token, KEPT)
    inside = np.full(len(slide), not parts)
    for part in parts:
        inside |= points_in_box(slide.centres_yx, part)
    if not inside.all():
        outside = int((~inside).sum())
        left_out.sentences.append(f"{slide.name}: {counted(outside, 'cell')} outside its regions left out.")
    scores = [
        np.asarray(f.class_scores, np.float64).reshape(len(f.scores), -1 if len(f.scores) else n_classes)[:, :n_classes]
        for f in found
    ]
    return DetectedField(
        name=slide.path,
        mpp=mpp,
        group=group_of(slide),
        truth_yx=slide.centres_yx[inside],
        truth_classes=tuple(class_ids[i] for i in slide.class_index[inside]),
        truth_boxes_yxyx=slide.boxes_yxyx[inside],
        found_yx=np.concatenate([np.asarray(f.centres_yx, np.float64).reshape(-1, 2) for f in found]),
        found_boxes_yxyx=np.concatenate([np.asarray(f.boxes_yxyx, np.float64).reshape(-1, 4) for f in found]),
        scores=np.concatenate([np.asarray(f.scores, np.float64) for f in found]),
        class_scores=np.concatenate([s if s.size else np.empty((len(s), n_classes)) for s in scores]),
        regions=slide.regions,
        known_yx=known.spots_yx,
        reach_px=known.reach_px,
    )


def parts_to_search(slide: TrainingSlide, mpp: float, known: KnownArea | None = None) -> list[YXYX]:
    """Return the parts of a slide to search, level-0 px: none means all of it.

    A whole slide takes long; where regions say that every cell inside is marked, these with a margin are enough, and
    where single places are known, what lies around them.
    """
    height, width = slide.size_hw
    if known is not None and known.reach_px and height * width > WHOLE_MAX_PX:
        return known.windows(slide.size_hw, SQUARE_UM / mpp, MARGIN_UM / mpp)
    if height * width <= WHOLE_MAX_PX or not slide.regions:
        return []
    margin = MARGIN_UM / mpp
    parts: list[YXYX] = []
    for region in slide.regions:
        y0, x0, y1, x1 = region.bounds_yxyx
        part = (max(0.0, y0 - margin), max(0.0, x0 - margin), min(height, y1 + margin), min(width, x1 + margin))
        parts = _joined(parts, part)
    return parts


def _joined(parts: list[YXYX], part: YXYX) -> list[YXYX]:
    """Return the parts with one more, those that overlap it made one with it, so that nothing is searched twice."""
    apart = []
    for other in parts:
        if boxes_overlap(part, other):
            part = bounds_of((part, other))
        else:
            apart.append(other)
    return [*apart, part] if len(apart) == len(parts) else _joined(apart, part)
