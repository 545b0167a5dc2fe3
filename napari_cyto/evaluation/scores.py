"""The scores of a classifier and of a detector, as reports, the command line and model cards have them.

Each value's JSON is its fields, and is read back by ``from_json`` or refused in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.json_values import JsonFields, from_plain, to_plain
from napari_cyto.domain.statistics.bootstrap import Estimate
from napari_cyto.evaluation._boxes import AveragePrecision
from napari_cyto.evaluation.classification import ClassScores
from napari_cyto.evaluation.detection import Counts
from napari_cyto.evaluation.screening import OperatingPoint

_WHERE = "The scores of a model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationIntervals(JsonFields):
    """The intervals of what follows from a confusion matrix, and of the mean AUROC."""

    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    weighted_f1: Estimate
    quadratic_kappa: Estimate
    macro_auroc: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassIntervals(JsonFields):
    """The intervals of one class's shares."""

    sensitivity: Estimate
    specificity: Estimate
    precision: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewScores(JsonFields):
    """The scores of a classifier, its classes taken as they are or merged to fewer.

    Parameters
    ----------
    n, n_groups : int
        Cells, and the patients, else smears, else images that they are of.
    classes : tuple of str (k,)
        Ids, in the order of severity.
    confusion : tuple of tuple of int (k, k)
        Cells by true class (row) and predicted class (column).
    accuracy, balanced_accuracy, macro_f1, weighted_f1, macro_auroc, quadratic_kappa, kappa_left_out, \
kappa_left_out_cells, per_class
        As in `Classification`.
    intervals : ClassificationIntervals
        Of these.
    per_class_intervals : mapping of class id to ClassIntervals
        Of the shares of each class.
    """

    n: int
    n_groups: int
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: float | None
    balanced_accuracy: float | None
    macro_f1: float | None
    weighted_f1: float | None
    macro_auroc: float | None
    quadratic_kappa: float | None
    kappa_left_out: tuple[str, ...]
    kappa_left_out_cells: int
    per_class: Mapping[str, ClassScores]
    intervals: ClassificationIntervals
    per_class_intervals: Mapping[str, ClassIntervals]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoClassScores(ViewScores):
    """The scores of normal against abnormal, with the one AUROC that these have."""

    @property
    def auroc(self) -> float | None:
        """The area under the ROC curve."""
        return self.macro_auroc

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON-able values; the AUROC is there under its own name too."""
        intervals = self.intervals.to_json()
        own = {"intervals": intervals | {"auroc": intervals["macro_auroc"]}, "auroc": self.auroc}
        return ViewScores.to_json(self) | own


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationScores(ViewScores):
    """The scores over all classes of a classifier, and over views of them; None where the classes give no such view.

    Parameters
    ----------
    four_class : ViewScores or None
        NILM, ASC-US, LSIL, HSIL.
    normal_abnormal : TwoClassScores or None
        Normal against abnormal.
    """

    four_class: ViewScores | None
    normal_abnormal: TwoClassScores | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtSpecificity(Estimate):
    """The recall of high-grade cells at a specificity, 0 to 1."""

    specificity: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, the specificity first."""
        return {"specificity": self.specificity} | Estimate.to_json(self)


@dataclass(frozen=True, slots=True)
class FalseCalls(JsonFields):
    """Normal cells called high-grade.

    Parameters
    ----------
    called_high, cells : int
        How many were, of how many normal cells.
    groups : int
        Patients, else smears, else images that hold normal cells.
    effective_n : float
        How many independent cells the normal ones are worth.
    """

    called_high: int
    cells: int
    groups: int
    effective_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningScores:
    """Page one: what must not be missed, with intervals.

    Parameters
    ----------
    recall, fnr, specificity, npv, undercall, auroc, n_groups
        As in `Screening`.
    recall_at_specificity : RecallAtSpecificity
        At 90 %.
    false_calls : FalseCalls
        Normal cells called high-grade.
    operating_points : tuple of OperatingPoint
        What thresholds would mean.
    high_grade, undercalled_from : tuple of str
        Ids of the classes that must not be missed, and whose being called ``negative`` is the worst mistake.
    negative : str
        Id of the normal class.
    confidence : float
        Level of the intervals, 0 to 1.
    draws : int
        Resamples.
    missed : Estimate or None
        Share of the high-grade cells that a detector did not find; None for a classifier.
    """

    recall: Estimate
    fnr: Estimate
    specificity: Estimate
    npv: Estimate
    undercall: Estimate
    auroc: Estimate | None
    n_groups: int
    recall_at_specificity: RecallAtSpecificity
    false_calls: FalseCalls
    operating_points: tuple[OperatingPoint, ...]
    high_grade: tuple[str, ...]
    undercalled_from: tuple[str, ...]
    negative: str
    confidence: float
    draws: int
    missed: Estimate | None = None

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Every figure that has an interval."""
        shares = (self.recall, self.fnr, self.specificity, self.npv, self.undercall, self.auroc)
        return tuple(e for e in (*shares, self.recall_at_specificity, self.missed) if e is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON-able values; ``missed`` only of a detector."""
        plain: dict[str, Any] = to_plain(self)
        return {name: value for name, value in plain.items() if name != "missed" or value is not None}


@dataclass(frozen=True, slots=True)
class ReliabilityBin(JsonFields):
    """Cells of like probability: how many, their mean probability, and the share that it holds for."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability(JsonFields):
    """How far a probability is from the share of cells that it holds for.

    Parameters
    ----------
    ece, ece_equal_mass : float or None
        Expected calibration error, with bins of equal width and of equal mass.
    brier : float or None
        Mean squared difference.
    mean_probability, share : float or None
        The mean probability, and the share of cells that it holds for.
    n : int
        Cells.
    bins : tuple of ReliabilityBin
        Of equal width; empty ones are left out.
    """

    ece: float | None
    ece_equal_mass: float | None
    brier: float | None
    mean_probability: float | None
    share: float | None
    n: int
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationScores(Reliability):
    """How well calibrated the probabilities are: of the likeliest class, of each class, of being high-grade.

    Parameters
    ----------
    mean_confidence, accuracy : float or None
        ``mean_probability`` and ``share`` of the likeliest class.
    class_wise_ece : float or None
        Mean of the classes' calibration errors.
    per_class : mapping of class id to Reliability
        Of each class by itself.
    high_grade : Reliability or None
        Of the sum of the high-grade classes; None where there are none.
    """

    mean_confidence: float | None
    accuracy: float | None
    class_wise_ece: float | None
    per_class: Mapping[str, Reliability]
    high_grade: Reliability | None


@dataclass(frozen=True, slots=True)
class ClassifierScores(JsonFields):
    """Every score of a classifier; ``screening`` is None without high-grade classes."""

    classification: ClassificationScores
    screening: ScreeningScores | None
    calibration: CalibrationScores

    @classmethod
    def from_json(cls, value: object, where: str = _WHERE) -> ClassifierScores:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is not that.
        """
        return from_plain(cls, value, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionIntervals(JsonFields):
    """The intervals of what detections are worth; that of recall stands beside it.

    The ``n`` of an estimate: the detections that precision rests on, the found cells that the error does, the
    annotated cells that the others do, of a class those of that class.
    """

    precision: Estimate
    f1: Estimate
    macro_f1: Estimate
    detections_per_cell: Estimate
    median_error_um: Estimate
    per_class_f1: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtDetections(JsonFields):
    """The recall of the surest detections of all images together, as many as a budget allows.

    Parameters
    ----------
    per_cell : float
        The budget, detections per annotated cell.
    threshold : float or None
        The score from which a detection counts, 0 to 1; None without detections.
    detections : int
        How many count.
    detections_per_cell : float or None
        Per annotated cell.
    recall : float or None
        Share of the annotated cells found.
    recall_interval : Estimate
        The same with its interval.
    """

    per_cell: float
    threshold: float | None
    detections: int
    detections_per_cell: float | None
    recall: float | None
    recall_interval: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtFieldBudget(JsonFields):
    """The recall of the surest ``per_field`` detections of each image; the rest as in `RecallAtDetections`."""

    per_field: int
    detections: int
    detections_per_cell: float | None
    recall: float | None
    recall_interval: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTable(JsonFields):
    """COCO's average precision.

    Parameters
    ----------
    fields : int
        Images whose every cell has a box, on which it is measured.
    class_agnostic : AveragePrecision
        Of cells as cells.
    mean : AveragePrecision or None
        Over the classes; None for a detector of one class.
    per_class : mapping of class id to AveragePrecision
        Of each class.
    """

    fields: int
    class_agnostic: AveragePrecision
    mean: AveragePrecision | None
    per_class: Mapping[str, AveragePrecision]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScores:
    """What a detector finds.

    Parameters
    ----------
    counts : Counts
        Found, false and missed cells, whatever their class.
    per_class : mapping of class id to Counts
        Of each class; empty for a detector of one class.
    macro_f1 : float or None
        Mean F1 of the classes.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    median_error_um : float or None
        Median distance of a found cell from its detection, µm.
    errors_um : tuple of float
        The quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of these distances, µm; empty when nothing was found.
    recall_interval : Estimate
        The recall with its interval.
    intervals : DetectionIntervals
        Of the other figures.
    fields, fields_with_regions : int
        Images, and how many of them have regions in which every cell is annotated.
    cells, detections : int
        Annotated cells, and detections that count.
    cells_in_known_area, detections_in_known_area : int
        Of these where it is known what is a cell.
    detections_per_cell : float or None
        Their ratio.
    precision_is : str
        ``measured`` or ``a lower bound``.
    threshold, highest_threshold : float
        Scores from which a detection counts, 0 to 1: the least and the highest of several models.
    at_detections_per_cell : RecallAtDetections
        The recall at a budget of detections over all images.
    at_detections_per_field : tuple of RecallAtFieldBudget
        The recall at budgets of each image.
    boxes : BoxTable or None
        None where there are no boxes.
    """

    counts: Counts
    per_class: Mapping[str, Counts]
    macro_f1: float | None
    radius_um: float
    median_error_um: float | None
    errors_um: tuple[float, ...]
    recall_interval: Estimate
    intervals: DetectionIntervals
    fields: int
    fields_with_regions: int
    cells: int
    detections: int
    cells_in_known_area: int
    detections_in_known_area: int
    detections_per_cell: float | None
    precision_is: str
    threshold: float
    highest_threshold: float
    at_detections_per_cell: RecallAtDetections
    at_detections_per_field: tuple[RecallAtFieldBudget, ...]
    boxes: BoxTable | None

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON-able values, the counts first."""
        plain: dict[str, Any] = to_plain(self)
        counts: dict[str, Any] = plain.pop("counts")
        return counts | plain

    @classmethod
    def from_json(cls, value: object, where: str = _WHERE) -> DetectionScores:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is not that.
        """
        rest = {**value, "counts": value} if isinstance(value, Mapping) else value
        return from_plain(cls, rest, where)


@dataclass(frozen=True, slots=True)
class DetectorScores(JsonFields):
    """Every score of a detector; of one with classes, those of a classifier on the cells that it found too."""

    detection: DetectionScores
    found_cells: ClassifierScores | None

    @classmethod
    def from_json(cls, value: object, where: str = _WHERE) -> DetectorScores:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is not that.
        """
        parts = value if isinstance(value, Mapping) else {}
        found = parts.get("found_cells")
        return cls(
            DetectionScores.from_json(parts.get("detection"), f"{where}: detection"),
            None if found is None else ClassifierScores.from_json(found, f"{where}: found cells"),
        )
