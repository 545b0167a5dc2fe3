"""Figures of a model in rows that people read: name, value, interval; what must not be missed comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from napari_cyto.domain.statistics import FEW_GROUPS

Row = tuple[str, str, str]

METRIC_HEADINGS = ("Metric", "Value", "95 % interval (groups)")
FEW = f"* Fewer than {FEW_GROUPS} patients, smears or images"
# Group, where it stands, and what of it is shown: page one of the report, then the rest in its order.
GROUPS: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], ...] = (
    (
        "Screening: ASC-H, HSIL, SCC",
        ("screening",),
        (
            ("recall", "Recall"),
            ("specificity", "Specificity"),
            ("npv", "Negative predictive value"),
            ("fnr", "Missed"),
            ("undercall", "HSIL, SCC called NILM"),
            ("auroc", "AUROC"),
        ),
    ),
    (
        "Classes",
        ("classification",),
        (
            ("accuracy", "Accuracy"),
            ("balanced_accuracy", "Balanced accuracy"),
            ("macro_f1", "Macro F1"),
            ("weighted_f1", "Weighted F1"),
            ("macro_auroc", "Macro AUROC"),
            ("quadratic_kappa", "Weighted kappa"),
        ),
    ),
    ("Four classes", ("classification", "four_class"), (("macro_f1", "Macro F1"),)),
    ("Normal or abnormal", ("classification", "normal_abnormal"), (("auroc", "AUROC"),)),
    (
        "Calibration",
        ("calibration",),
        (("ece", "Expected calibration error (ECE)"), ("class_wise_ece", "ECE, mean of the classes")),
    ),
    (
        "Calibration of ASC-H, HSIL, SCC together",
        ("calibration", "high_grade"),
        (("ece", ("Expected calibration error (ECE)")),),
    ),
    (
        "Detection",
        ("detection",),
        (
            ("recall", "Recall"),
            ("precision", "Precision"),
            ("f1", "F1"),
            ("macro_f1", "Macro F1 of classes"),
            ("median_error_um", "Median error, µm"),
            ("detections_per_cell", "Detections per cell"),
        ),
    ),
    (
        "Screening, all annotated cells",
        ("found_cells", "screening"),
        (
            ("recall", "Recall of ASC-H, HSIL, SCC"),
            ("missed", "not detected, of these"),
            ("undercall", "HSIL, SCC called NILM or not detected"),
        ),
    ),
    ("Classes of detected cells", ("found_cells", "classification"), (("macro_f1", "Macro F1"),)),
    (
        "Held-out folds",
        ("held_out",),
        (
            ("auroc", "AUROC"),
            ("sensitivity", "Sensitivity"),
            ("specificity", "Specificity"),
            ("brier", "Brier score"),
            ("brier_calibrated", "… calibrated"),
            ("brier_of_share", "… of share"),
        ),
    ),
    (
        "Held-out set",
        (),
        (("auroc", "AUROC"), ("sensitivity", "Sensitivity"), ("specificity", "Specificity")),
    ),
    (
        "Attention",
        ("explanation",),
        (
            ("between_seeds", "Seeds agree"),
            ("weights_shuffled", "… weights"),
            ("labels_shuffled", "… labels"),
            ("chance", "Chance"),
        ),
    ),
)
_VALUE_KEYS = {"value", "low", "high"}
# Beyond two levels stand single classes and thresholds; the report has them.
DEEPEST = 2


def metric_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """Return name, value and 95 % interval of the figures that matter; a heading has neither value nor interval.

    In brackets stands how many groups a figure rests on, with a star where they are few.

    Parameters
    ----------
    metrics : mapping
        As a run's result or a model's card holds them: the scores of ``evaluation``, else any nested figures.
    """
    rows: list[Row] = []
    for title, place, names in GROUPS:
        group = _inside(metrics, place)
        found = [(f"  {words}", *_figure(group, name)) for name, words in names if group.get(name) is not None]
        rows += [(title, "", ""), *found] if found else []
    rows = rows or list(_plain_rows(metrics))
    return [*rows, (FEW, "", "")] if any(span.endswith("*)") for _, _, span in rows) else rows


def _inside(metrics: Mapping[str, Any], place: tuple[str, ...]) -> Mapping[str, Any]:
    found: Any = metrics
    for name in place:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _figure(group: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return value and interval, which stands with the value or apart in ``intervals`` or ``NAME_interval``."""
    value = group[name]
    if isinstance(value, Mapping):
        return figure(value.get("value")), interval(value)
    apart = _inside(group, ("intervals", name)) or _inside(group, (f"{name}_interval",))
    return figure(value), interval(apart)


def _plain_rows(metrics: Mapping[str, Any], depth: int = 0) -> Iterator[Row]:
    for name, value in metrics.items():
        before = "  " * depth + readable(name)
        if isinstance(value, Mapping) and set(value) >= _VALUE_KEYS:
            yield before, figure(value["value"]), interval(value)
        elif isinstance(value, Mapping) and depth < DEEPEST:
            inner = list(_plain_rows(value, depth + 1))
            yield from [(before, "", ""), *inner] if inner else []
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield before, figure(value), ""


def readable(name: str) -> str:
    """Return a figure's name as people write it; what is in capitals already stays as it is."""
    plain = name.replace("_", " ").replace("-", " ") if name == name.lower() else name
    words = plain.replace("auroc", "AUROC").replace("f1", "F1").replace("hsil", "HSIL").replace("ece", "ECE")
    return words[:1].upper() + words[1:]


def figure(value: object) -> str:
    """Return one value: shares with three places, counts whole."""
    if isinstance(value, bool) or value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def interval(estimate: Mapping[str, Any]) -> str:
    """Return ``0.710 to 0.830 (15*)``, or nothing where it is not known; in brackets the groups, a star: few."""
    low, high = estimate.get("low"), estimate.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    groups = estimate.get("groups")
    star = "*" if estimate.get("few_groups") else ""
    return f"{low:.3f} to {high:.3f}" + (f" ({groups:,}{star})" if isinstance(groups, int) else "")
