"""What somebody has marked on a demo smear so far: one part read in full, proposals waiting next to it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from scipy.special import softmax

from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point, Polygon, box_contains_point
from napari_cyto.synthesis._cache import GENERATOR_VERSION, MadeSmear
from napari_cyto.synthesis._specs import CLASSES
from napari_cyto.synthesis._truth import IntBox, SmearTruth

READER = "Demo reader"
READER_ID = "demo-proposals"

_SLICE_PX = 2000
# A reader marks some cells with a click only.
_POINT_EVERY = 9
_PREDICTED = 60
_CLASS_NOISE = 0.12


def read_part(made: MadeSmear, slices_hw: tuple[int, int]) -> IntBox:
    """Return the part of the smear with most to see, level-0 px: whole slices of 2000 px, as an export cuts them.

    Parameters
    ----------
    made : MadeSmear
        The smear.
    slices_hw : tuple of int
        How many slices it is high and wide; one less than the slide has, at most, so that something is left to do.
    """
    height, width = made.size_hw
    rows, columns = (
        min(n_slices, max(1, -(-length // _SLICE_PX) - 1))
        for n_slices, length in zip(slices_hw, made.size_hw, strict=True)
    )
    best: tuple[tuple[int, int], IntBox] | None = None
    for y0 in range(0, max(1, height - (rows - 1) * _SLICE_PX), _SLICE_PX):
        for x0 in range(0, max(1, width - (columns - 1) * _SLICE_PX), _SLICE_PX):
            box = (y0, x0, min(y0 + rows * _SLICE_PX, height), min(x0 + columns * _SLICE_PX, width))
            score = _worth(made.smear_truth, box)
            if best is None or score > best[0]:
                best = (score, box)
    assert best is not None, "a smear has at least one slice"
    return best[1]


def annotated(made: MadeSmear, part: IntBox) -> tuple[Annotation, ...]:
    """Return the marks of a reader who has finished ``part``: a region, every cell in it, all accepted."""
    inside = [a for a in made.truth.annotations if box_contains_point(part, a.geometry.centre_yx)]
    made_annotations: list[Annotation] = []
    for number, annotation in enumerate(inside):
        reread = replace(annotation, author=READER)
        if annotation.class_id == "NILM" and number % _POINT_EVERY == 0:
            reread = replace(reread, geometry=Point(*annotation.geometry.centre_yx))
        made_annotations.append(reread)
    y0, x0, y1, x1 = (float(v) for v in part)
    outline = Polygon(((y0, x0), (y0, x1), (y1, x1), (y1, x0)))
    region = Annotation(
        id=hashlib.sha256(f"{made.record.id}/region".encode()).hexdigest()[:32],
        slide_id=made.record.id,
        geometry=outline,
        class_id=None,
        author=READER,
        created_utc=next(iter(made.truth.annotations)).created_utc,
        note="Every cell inside is annotated.",
    )
    return (region, *made_annotations)


def predictions(made: MadeSmear, part: IntBox) -> tuple[Annotation, ...]:
    """Return what a model could have proposed next to ``part``: near cells, some of a wrong neighbouring class."""
    rng = np.random.default_rng([GENERATOR_VERSION, int(made.record.id[:8], 16)])
    middle = ((part[0] + part[2]) / 2, (part[1] + part[3]) / 2)
    near = sorted(
        (
            a
            for a in made.truth.annotations
            if a.class_id in CLASSES and not box_contains_point(part, a.geometry.centre_yx)
        ),
        key=lambda a: max(abs(a.geometry.centre_yx[0] - middle[0]), abs(a.geometry.centre_yx[1] - middle[1])),
    )
    origin = origin_of_model(READER_ID, hashlib.sha256(f"{READER_ID} {GENERATOR_VERSION}".encode()).hexdigest())
    made_annotations = []
    for annotation in near[:_PREDICTED]:
        scores = _scores(rng, CLASSES.index(str(annotation.class_id)))
        made_annotations.append(
            replace(
                annotation,
                class_id=max(scores, key=lambda pair: pair[1])[0],
                status=Status.UNREVIEWED,
                author=READER_ID,
                origin=origin,
                scores=scores,
            )
        )
    return tuple(made_annotations)


def _scores(rng: np.random.Generator, truth: int) -> tuple[tuple[str, float], ...]:
    """Return a score per class: highest near the true grade, now and then one grade off."""
    guessed = truth if rng.random() > _CLASS_NOISE else int(np.clip(truth + rng.choice((-1, 1)), 0, len(CLASSES) - 1))
    logits = -1.6 * np.abs(np.arange(len(CLASSES)) - guessed) + rng.normal(0, 0.25, len(CLASSES))
    logits[guessed] = logits.max() + rng.uniform(0.2, 1.5)
    shares = softmax(logits)
    return tuple((class_id, round(float(share), 4)) for class_id, share in zip(CLASSES, shares, strict=True))


def _worth(truth: SmearTruth, part: IntBox) -> tuple[int, int]:
    inside = [c.class_id for c in truth.cells if box_contains_point(part, c.nucleus_yx)]
    return (len(set(inside)), sum(class_id != "NILM" for class_id in inside))
