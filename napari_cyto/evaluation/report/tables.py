"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from napari_cyto.domain.statistics import FEW_GROUPS
from napari_cyto.domain.statistics.bootstrap import Estimate
from napari_cyto.evaluation.classification import ClassScores
from napari_cyto.evaluation.detection import Counts
from napari_cyto.evaluation.report._charts import interval_bar
from napari_cyto.evaluation.report.markup import Html, element, groups_text, interval_text, join, percent, shown
from napari_cyto.evaluation.scores import BoxTable, ClassIntervals
from napari_cyto.evaluation.screening import OperatingPoint

Row = tuple[str, Estimate | None, str]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], cls: str | None = None) -> Html:
    """Return a table; the first column names its rows."""
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in columns)))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    return element("table", head, element("tbody", *body), cls=cls)


FEW_WORDS = f"* Fewer than {FEW_GROUPS} patients, smears or images have such cells: one more may change the figure."


def estimates_table(rows: Iterable[Row]) -> Html:
    """Return scores with their intervals, drawn and told; rows of name, estimate, what it rests on."""
    made = [
        (name, shown(None if e is None else e.value), interval_bar(e), interval_text(e), on, groups_text(e))
        for name, e, on in rows
    ]
    return table(("score", "value", "0 to 1", "95 % interval", "rests on", "groups"), made, "scores")


def has_few(estimates: Iterable[Estimate]) -> bool:
    """Whether one of these estimates rests on so few groups that it is flagged."""
    return any(e.few_groups for e in estimates)


def confusion_table(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> Html:
    """Return a confusion matrix: rows are the truth, shades the share of the row."""
    rows = []
    for name, counts in zip(classes, confusion, strict=True):
        total = sum(counts)
        cells = [_count(count, total, is_right=classes[i] == name) for i, count in enumerate(counts)]
        rows.append(element("tr", element("th", name, scope="row"), *cells, element("td", f"{total:,}", cls="total")))
    called = [sum(row[i] for row in confusion) for i in range(len(classes))]
    rows.append(
        element(
            "tr",
            element("th", "predicted", scope="row"),
            *(element("td", f"{n:,}", cls="total") for n in called),
            element("td", f"{sum(called):,}", cls="total"),
        )
    )
    names = ("truth \\ answer", *classes, "cells")
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in names)))
    return element("table", head, element("tbody", *rows), cls="confusion")


def _count(count: int, total: int, is_right: bool) -> Html:
    share = count / total if total else 0.0
    tone = "11,110,153" if is_right else "213,94,0"
    shade = 0.06 + 0.84 * share if count else 0.0
    style = f"background:rgba({tone},{shade:.2f});color:{'#fff' if share > 0.5 else 'inherit'}"
    return element("td", f"{count:,}", element("small", percent(share, 0)) if count else None, style=style)


def class_table(per_class: Mapping[str, ClassScores], intervals: Mapping[str, ClassIntervals]) -> Html:
    """Return the scores of each class against the rest."""
    rows = []
    for name, s in per_class.items():
        of = intervals[name]
        shares = (s.sensitivity, of.sensitivity), (s.specificity, of.specificity), (s.precision, of.precision)
        groups = groups_text(of.sensitivity)
        rows.append(
            (name, shown(s.support), groups, *(_with_interval(*each) for each in shares), shown(s.f1), shown(s.auroc))
        )
    heads = ("class", "cells", "groups", "sensitivity", "specificity", "precision", "F1", "AUROC")
    return table(heads, rows)


def _with_interval(value: object, estimate: Estimate) -> Html:
    small = element("small", f" {interval_text(estimate)}") if estimate.low is not None else None
    return join((shown(value), small))


def operating_table(points: Iterable[OperatingPoint]) -> Html:
    """Return what each threshold would mean."""
    rows = [
        (
            p.aim.replace(">=", "≥"),
            f"{p.threshold:.4f}",
            *map(percent, (p.recall, p.specificity, p.ppv, p.npv, p.flagged)),
        )
        for p in points
    ]
    return table(("aim", "threshold", "recall", "specificity", "PPV", "NPV", "shown for review"), rows)


def detection_table(per_class: Mapping[str, Counts]) -> Html:
    """Return found, false and missed cells of each class."""
    rows = [(name, *map(shown, (c.tp, c.fp, c.fn, c.precision, c.recall, c.f1))) for name, c in per_class.items()]
    return table(("class", "found", "false", "missed", "precision", "recall", "F1"), rows)


def box_table(boxes: BoxTable) -> Html:
    """Return COCO's average precision."""
    rows = {"any cell": boxes.class_agnostic, **({"mean of classes": boxes.mean} if boxes.mean else {})}
    rows |= boxes.per_class
    return table(("class", "AP", "AP50", "AP75"), ((n, *map(shown, (s.ap, s.ap50, s.ap75))) for n, s in rows.items()))


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Return names and values; what is empty is left out."""
    filled = [(name, value) for name, value in rows if value not in (None, "", [], {}, ())]
    return element("dl", *(part for name, value in filled for part in (element("dt", name), element("dd", value))))
