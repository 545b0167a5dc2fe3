"""The charts of a report: ROC, precision-recall, reliability, recall against detections, intervals."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cyto.domain.statistics.bootstrap import Estimate
from napari_cyto.evaluation._ranking import Curve
from napari_cyto.evaluation.report._svg import GRID, SOFT, Frame, dot, legend, line, rectangle
from napari_cyto.evaluation.report.content import Curves
from napari_cyto.evaluation.report.markup import Html, element, join, shown
from napari_cyto.evaluation.scores import Reliability, ReliabilityBin

ACCENT = "#0b6e99"


def roc_chart(title: str, curves: Sequence[Curves]) -> Html:
    """Return ROC curves with their areas."""
    frame = Frame(title, "1 - specificity", "recall (sensitivity)")
    chance = frame.curve([(0, 0), (1, 1)], SOFT, 1, "3 3")
    names = [(f"{c.name}  {shown(c.area)}", c.colour) for c in curves]
    return frame.drawn(chance, *(frame.curve(c.roc, c.colour) for c in curves), legend(frame, names))


def precision_recall_chart(title: str, curves: Sequence[Curves]) -> Html:
    """Return precision-recall curves, in the colours of the ROC curves beside; dashes: what guessing would give."""
    frame = Frame(title, "recall (sensitivity)", "precision")
    guessed = [frame.curve([(0, c.prevalence), (1, c.prevalence)], c.colour, 1, "2 4") for c in curves]
    drawn = [frame.curve(c.precision_recall, c.colour) for c in curves]
    return frame.drawn(*guessed, *drawn)


def reliability_chart(
    calibration: Reliability,
    title: str = "Calibration",
    across: str = "probability of the most likely class",
    up: str = "share of cells that are of this class",
) -> Html:
    """Return a reliability diagram: how often a probability holds against how large it is, dots as large as bins."""
    frame = Frame(title, across, up)
    bins = calibration.bins
    most = max((b.count for b in bins), default=1)
    bars = [_bar(frame, b, most) for b in bins]
    points = [(b.confidence, b.accuracy) for b in bins]
    sizes = [2 + 4 * (b.count / most) ** 0.5 for b in bins]
    dots = [dot(frame.x(x), frame.y(y), size, ACCENT) for (x, y), size in zip(points, sizes, strict=True)]
    perfect = frame.curve([(0, 0), (1, 1)], SOFT, 1, "3 3")
    return frame.drawn(*bars, perfect, frame.curve(points, ACCENT, 1.4), *dots)


def _bar(frame: Frame, of_bin: ReliabilityBin, most: int) -> Html:
    """Return a bar at the bottom that tells how many cells a bin has."""
    height = 36 * of_bin.count / most
    return rectangle(frame.x(of_bin.confidence) - 6, frame.y(0) - height, 12, height, "#bcd7e3")


def budget_chart(curve: Curve, at: float, recall: float | None) -> Html:
    """Return the recall against the detections spent on it, with the point that page one tells."""
    furthest = max(4.0, float(curve[-1, 0]) if len(curve) else 0.0)
    furthest = min(furthest, 10.0)
    ticks = [float(i) for i in range(int(furthest) + 1)]
    frame = Frame(
        "Recall by number of detections", "detections per annotated cell", "recall", (0, furthest), x_ticks=ticks
    )
    inside = [p for p in curve.tolist() if p[0] <= furthest]
    operating_dot = dot(frame.x(at), frame.y(recall), 4, ACCENT) if recall is not None else None
    limit = line([(frame.x(at), frame.y(0)), (frame.x(at), frame.y(1))], SOFT, 1, "3 3")
    return frame.drawn(limit, frame.curve(inside, ACCENT), join((operating_dot,)))


def interval_bar(estimate: Estimate | None) -> Html:
    """Return a value with its interval on a line from 0 to 1."""
    width, height = 150, 14

    def x(share: float) -> float:
        return 6 + (width - 12) * share

    parts = [line([(x(0), 7), (x(1), 7)], GRID, 5)]
    parts += [line([(x(tick), 3), (x(tick), 11)], "#ffffff", 1) for tick in (0.25, 0.5, 0.75)]
    value, low, high = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    if low is not None and high is not None:
        parts.append(line([(x(low), 7), (x(high), 7)], ACCENT, 5))
    if value is not None:
        parts.append(dot(x(value), 7, 4, ACCENT))
    return element("svg", *parts, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img")
