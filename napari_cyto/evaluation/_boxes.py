"""Box scores of COCO: average precision of each class, by COCO's own code (the extra ``evaluation``)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classification import class_indices, mean_known

AP50, AP75 = 0.50, 0.75


@dataclass(frozen=True)
class ImageBoxes:
    """The boxes of one image.

    Parameters
    ----------
    boxes_yxyx : float64 array (n, 4)
        ``y0, x0, y1, x1``, half-open, px.
    classes : sequence of str (n,)
        The class of each.
    scores : float64 array (n,) or None
        How sure each detection is; None for the truth.
    """

    boxes_yxyx: npt.NDArray[np.float64]
    classes: Sequence[str]
    scores: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.classes)
        boxes = np.asarray(self.boxes_yxyx, dtype=np.float64)
        if boxes.size != 4 * n or (self.scores is not None and np.shape(self.scores) != (n,)):
            raise CytoError(
                f"Expected y0, x0, y1, x1 and one score for each of the {n} boxes, got the shape {boxes.shape}."
            )
        boxes = boxes.reshape(-1, 4)
        if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
            raise CytoError("Expected finite boxes with y1 > y0 and x1 > x0, got one that is not.")


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """COCO's scores; None where there is no box of that class in the truth.

    Parameters
    ----------
    ap : float or None
        Mean over the overlaps (IoU) 0.50, 0.55 ... 0.95.
    ap50, ap75 : float or None
        At an overlap of 0.50 and of 0.75.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None


@dataclass(frozen=True)
class BoxScores:
    """COCO's scores of each class, and their means over the classes that have boxes."""

    mean: AveragePrecision
    per_class: Mapping[str, AveragePrecision]


def score_boxes(truth: Sequence[ImageBoxes], pred: Sequence[ImageBoxes], classes: Sequence[str]) -> BoxScores:
    """Score detected boxes.

    COCO looks at the 100 surest detections of an image; a field of a smear has more cells, so here all count.

    Parameters
    ----------
    truth, pred : sequence of ImageBoxes
        One of each for each image, in the same order.
    classes : sequence of str
        All class ids.

    Raises
    ------
    CytoError
        When pycocotools is not installed, the numbers of images differ, a class is unknown, or a detection has no
        score.

    Notes
    -----
    Source: Lin et al. 2014, Microsoft COCO, and its evaluation page; precision at 101 recalls.
    """
    if len(truth) != len(pred):
        raise CytoError(
            f"Expected ground truth and predictions of the same images, got {len(truth)} and {len(pred)} images."
        )
    if any(image.scores is None for image in pred):
        raise CytoError("Average precision needs a score for each detection, but some images have none.")
    precision = _precision(truth, pred, classes)
    per_class = {name: _of_class(precision[:, :, c]) for c, name in enumerate(classes)}
    every = list(per_class.values())
    mean = AveragePrecision(*(mean_known([getattr(s, field) for s in every]) for field in AveragePrecision.__slots__))
    return BoxScores(mean, per_class)


def _of_class(precision: npt.NDArray[np.float64]) -> AveragePrecision:
    """Return the scores of precisions (overlap, recall); COCO writes -1 where there is no truth."""
    if (precision < 0).all():
        return AveragePrecision(None, None, None)
    at = {overlap: float(precision[round((overlap - 0.5) / 0.05)].mean()) for overlap in (AP50, AP75)}
    return AveragePrecision(float(precision.mean()), at[AP50], at[AP75])


def _precision(truth: Sequence[ImageBoxes], pred: Sequence[ImageBoxes], classes: Sequence[str]) -> Any:
    """Return COCO's precisions, float64 (overlap, recall, class)."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise CytoError(
            "Average precision of boxes needs pycocotools, which is not installed; install it with: pip install "
            '"napari-cyto[evaluation]".'
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress by print
        left, right = COCO(), COCO()
        for coco, images in ((left, truth), (right, pred)):
            coco.dataset = _dataset(images, classes)
            coco.createIndex()
        run = COCOeval(left, right, "bbox")
        run.params.maxDets = [max([1, *(len(image.classes) for image in pred)])]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e18]], ["all"]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, :, 0, 0]


def _dataset(images: Sequence[ImageBoxes], classes: Sequence[str]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, start=1):
        scores = np.ones(len(image.classes)) if image.scores is None else image.scores
        boxes = np.asarray(image.boxes_yxyx, np.float64).reshape(-1, 4)
        for box, place, score in zip(boxes, class_indices(image.classes, classes), scores, strict=True):
            y0, x0, y1, x1 = (float(v) for v in box)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image_id,
                    "category_id": int(place) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (y1 - y0) * (x1 - x0),
                    "iscrowd": 0,
                    "score": float(score),
                }
            )
    return {
        "images": [{"id": image_id} for image_id in range(1, len(images) + 1)],
        "annotations": entries,
        "categories": [{"id": place, "name": name} for place, name in enumerate(classes, start=1)],
    }
