"""What a report tells of a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from napari_cyto.evaluation.report import _charts as charts
from napari_cyto.evaluation.report import tables
from napari_cyto.evaluation.report.content import ReportCurves
from napari_cyto.evaluation.report.markup import Html, element, join, percent, shown
from napari_cyto.evaluation.report.parts import section, tile

Plain = Mapping[str, Any]

VIEWS = (("four_class", "Four classes"), ("normal_abnormal", "Normal or abnormal"))


def screening_page(result: Plain) -> Iterator[Html]:
    """Yield page one: what must not be missed, in words, in figures and with intervals."""
    page = result["screening"]
    if page is None:
        yield from _without_screening(result)
        return
    high, worst = ", ".join(page["high_grade"]), " or ".join(page["undercalled_from"])
    called = f"called {page['negative']}{' or not found' if 'missed' in page else ''}"
    undercalled = round((page["undercall"]["value"] or 0) * page["undercall"]["n"])
    missed = round((page["fnr"]["value"] or 0) * page["fnr"]["n"])
    yield element(
        "p",
        f"Of {page['recall']['n']:,} high-grade cells ({high}), {missed:,} were not called high-grade; of "
        f"{page['undercall']['n']:,} cells of {worst}, {undercalled:,} were {called}.",
        cls="verdict",
    )
    at = page["recall_at_specificity"]
    yield element(
        "div",
        tile("HSIL+ recall", page["recall"]),
        tile(f"{worst} {called}", page["undercall"]),
        tile("NPV", page["npv"]),
        tile(f"Recall at specificity {at['specificity']:.2f}", at),
        cls="tiles",
    )
    yield tables.estimates_table(_screening_rows(result, page, f"{worst} {called}", high))
    yield element(
        "p",
        f"HSIL+: {high}. Intervals treat whole patients as independent, or smears or images where patients are "
        f"unknown ({page['n_groups']:,} of them; the number beside each figure is how many of them have such "
        "cells). NPV depends on how common high-grade cells are in this data, which differs from screening.",
        cls="note",
    )
    yield element("p", tables.FEW_WORDS, cls="note") if tables.has_few(page) else join(())
    yield element(
        "p",
        "How the intervals are computed, and how often they cover: docs/statistics.md.",
        cls="note",
    )


def _screening_rows(result: Plain, page: Plain, worst: str, high: str) -> Iterator[tables.Row]:
    at = page["recall_at_specificity"]
    yield "HSIL+ recall", page["recall"], f"{page['recall']['n']:,} cells of {high}"
    yield "HSIL+ missed (FNR)", page["fnr"], f"{page['fnr']['n']:,} cells"
    if "missed" in page:
        yield "HSIL+ not found by the detector", page["missed"], f"{page['missed']['n']:,} cells"
    yield worst, page["undercall"], f"{page['undercall']['n']:,} cells"
    yield "NPV of not being HSIL+", page["npv"], f"{page['npv']['n']:,} cells not called HSIL+"
    yield "specificity for HSIL+", page["specificity"], f"{page['specificity']['n']:,} other cells"
    yield f"HSIL+ recall at specificity {at['specificity']:.2f}", at, f"{at['n']:,} cells"
    yield "AUROC, HSIL+ against the rest", page["auroc"], f"{result['classification']['n']:,} cells"
    yield from _view_rows(result["classification"])


def _view_rows(own: Plain) -> Iterator[tables.Row]:
    two, four = own.get("normal_abnormal"), own.get("four_class")
    if two:
        yield "AUROC, abnormal against normal", two["intervals"]["auroc"], f"{two['n']:,} cells"
        on = f"{two['n']:,} cells"
        yield "balanced accuracy, normal or abnormal", two["intervals"]["balanced_accuracy"], on
    if four:
        yield "macro F1, four classes", four["intervals"]["macro_f1"], f"{four['n']:,} cells"
    yield f"macro F1, {len(own['classes'])} classes", own["intervals"]["macro_f1"], f"{own['n']:,} cells"


def _without_screening(result: Plain) -> Iterator[Html]:
    own = result["classification"]
    yield element(
        "p",
        "None of these classes is high-grade, so there are no screening scores; the scores over all classes follow.",
        cls="verdict",
    )
    intervals = own["intervals"]
    names = (("accuracy", "Accuracy"), ("macro_f1", "Macro F1"), ("macro_auroc", "Macro AUROC"))
    yield element("div", *(tile(title, intervals[name]) for name, title in names), cls="tiles")
    yield tables.estimates_table(_view_rows(own))


def classifier_sections(result: Plain, curves: ReportCurves) -> Iterator[Html]:
    """Yield what follows page one: matrices, curves, operating points, classes."""
    own = result["classification"]
    matrix = tables.confusion_table(own["classes"], own["confusion"])
    yield section("Confusion matrix", matrix, _summary(own))
    yield section(
        "Curves and calibration",
        element(
            "div",
            charts.roc_chart("ROC, screening", curves.binary) if curves.binary else None,
            charts.precision_recall_chart("Precision and recall", curves.binary) if curves.binary else None,
            charts.roc_chart("ROC, each class against the rest", curves.per_class) if curves.per_class else None,
            charts.precision_recall_chart("Precision and recall, each class", curves.per_class)
            if curves.per_class
            else None,
            charts.reliability_chart(result["calibration"]),
            _high_grade_chart(result["calibration"]["high_grade"]),
            cls="plots",
        ),
        _calibration_table(result["calibration"]),
        _calibration_words(result["calibration"]),
    )
    if result["screening"] and result["screening"]["operating_points"]:
        yield section(
            "Operating points",
            tables.operating_table(result["screening"]["operating_points"]),
            element(
                "p",
                "A cell is called high-grade when its high-grade probabilities sum to the threshold or more. The "
                "thresholds were chosen on these very cells; expect slightly lower figures on others.",
                cls="note",
            ),
        )
    yield section("Each class", tables.class_table(own["per_class"], own.get("per_class_intervals")))
    for name, title in VIEWS:
        view = own.get(name)
        if view:
            yield section(title, tables.confusion_table(view["classes"], view["confusion"]), _summary(view))


def _summary(own: Plain) -> Html:
    names = (
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("macro_f1", "macro F1"),
        ("weighted_f1", "weighted F1"),
        ("macro_auroc", "macro AUROC"),
        ("quadratic_kappa", "quadratic-weighted kappa"),
    )
    figures = [join((element("b", shown(own[name])), f" {title}; ")) for name, title in names]
    return element(
        "p",
        *figures,
        f"{own['n']:,} cells of {own['n_groups']:,} patients, smears or images. ",
        _kappa_words(own),
        cls="note",
    )


def _kappa_words(own: Plain) -> str:
    """Return what the kappa rests on: grades of severity, without classes that have none."""
    left_out = own.get("kappa_left_out", [])
    if own["quadratic_kappa"] is None and left_out:
        return "No kappa: it weighs errors by severity, and fewer than two of these classes have a severity grade."
    if not left_out:
        return "Kappa weighs errors by severity."
    return (
        f"Kappa weighs errors by severity; classes without a severity grade are left out: {', '.join(left_out)} "
        f"({own['kappa_left_out_cells']:,} cells)."
    )


def _high_grade_chart(result: Plain | None) -> Html | None:
    if result is None:
        return None
    return charts.reliability_chart(result, "Calibration, HSIL+", "probability of HSIL+", "share that is HSIL+")


def _calibration_table(calibration: Plain) -> Html:
    named = {"most likely class": calibration, **calibration["per_class"]}
    if calibration["high_grade"]:
        named["HSIL+"] = calibration["high_grade"]
    fields = ("ece", "ece_equal_mass", "brier")
    rows = [
        (name, percent(of["mean_probability"]), percent(of["share"]), *(shown(of[f]) for f in fields))
        for name, of in named.items()
    ]
    heads = ("probability of", "on average", "holds for", "expected error", "with equal mass", "Brier score")
    return tables.table(heads, rows)


def _calibration_words(calibration: Plain) -> Html:
    return element(
        "p",
        f"Expected calibration error {shown(calibration['ece'])} (15 bins of equal width; "
        f"{shown(calibration['ece_equal_mass'])} with bins of equal mass), mean over the classes "
        f"{shown(calibration['class_wise_ece'])}. Probabilities ignore costs: a model with costs may not call the "
        "most probable class. Bars: number of cells with such a probability.",
        cls="note",
    )
