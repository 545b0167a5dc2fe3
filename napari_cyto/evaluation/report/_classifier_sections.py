"""What a report tells of a classifier."""

from __future__ import annotations

from collections.abc import Iterator

from napari_cyto.evaluation.report import _charts as charts
from napari_cyto.evaluation.report import tables
from napari_cyto.evaluation.report.content import ReportCurves
from napari_cyto.evaluation.report.markup import Html, element, join, percent, shown
from napari_cyto.evaluation.report.parts import section, tile
from napari_cyto.evaluation.scores import (
    CalibrationScores,
    ClassificationScores,
    ClassifierScores,
    Reliability,
    ScreeningScores,
    ViewScores,
)


def screening_page(scores: ClassifierScores) -> Iterator[Html]:
    """Yield page one: what must not be missed, in words, in figures and with intervals."""
    page = scores.screening
    if page is None:
        yield from _without_screening(scores.classification)
        return
    high, worst = ", ".join(page.high_grade), " or ".join(page.undercalled_from)
    called = f"called {page.negative}{' or not found' if page.missed is not None else ''}"
    undercalled = round((page.undercall.value or 0) * page.undercall.n)
    missed = round((page.fnr.value or 0) * page.fnr.n)
    yield element(
        "p",
        f"Of {page.recall.n:,} high-grade cells ({high}), {missed:,} were not called high-grade; of "
        f"{page.undercall.n:,} cells of {worst}, {undercalled:,} were {called}.",
        cls="verdict",
    )
    at = page.recall_at_specificity
    yield element(
        "div",
        tile("HSIL+ recall", page.recall),
        tile(f"{worst} {called}", page.undercall),
        tile("NPV", page.npv),
        tile(f"Recall at specificity {at.specificity:.2f}", at),
        cls="tiles",
    )
    yield tables.estimates_table(_screening_rows(scores.classification, page, f"{worst} {called}", high))
    yield element(
        "p",
        f"HSIL+: {high}. Intervals treat whole patients as independent, or smears or images where patients are "
        f"unknown ({page.n_groups:,} of them; the number beside each figure is how many of them have such "
        "cells). NPV depends on how common high-grade cells are in this data, which differs from screening.",
        cls="note",
    )
    yield element("p", tables.FEW_WORDS, cls="note") if tables.has_few(page.estimates) else join(())
    yield element(
        "p",
        "How the intervals are computed, and how often they cover: docs/statistics.md.",
        cls="note",
    )


def _screening_rows(own: ClassificationScores, page: ScreeningScores, worst: str, high: str) -> Iterator[tables.Row]:
    at = page.recall_at_specificity
    yield "HSIL+ recall", page.recall, f"{page.recall.n:,} cells of {high}"
    yield "HSIL+ missed (FNR)", page.fnr, f"{page.fnr.n:,} cells"
    if page.missed is not None:
        yield "HSIL+ not found by the detector", page.missed, f"{page.missed.n:,} cells"
    yield worst, page.undercall, f"{page.undercall.n:,} cells"
    yield "NPV of not being HSIL+", page.npv, f"{page.npv.n:,} cells not called HSIL+"
    yield "specificity for HSIL+", page.specificity, f"{page.specificity.n:,} other cells"
    yield f"HSIL+ recall at specificity {at.specificity:.2f}", at, f"{at.n:,} cells"
    yield "AUROC, HSIL+ against the rest", page.auroc, f"{own.n:,} cells"
    yield from _view_rows(own)


def _view_rows(own: ClassificationScores) -> Iterator[tables.Row]:
    two, four = own.normal_abnormal, own.four_class
    if two:
        yield "AUROC, abnormal against normal", two.intervals.macro_auroc, f"{two.n:,} cells"
        on = f"{two.n:,} cells"
        yield "balanced accuracy, normal or abnormal", two.intervals.balanced_accuracy, on
    if four:
        yield "macro F1, four classes", four.intervals.macro_f1, f"{four.n:,} cells"
    yield f"macro F1, {len(own.classes)} classes", own.intervals.macro_f1, f"{own.n:,} cells"


def _without_screening(own: ClassificationScores) -> Iterator[Html]:
    yield element(
        "p",
        "None of these classes is high-grade, so there are no screening scores; the scores over all classes follow.",
        cls="verdict",
    )
    found = own.intervals
    figures = (("Accuracy", found.accuracy), ("Macro F1", found.macro_f1), ("Macro AUROC", found.macro_auroc))
    yield element("div", *(tile(title, estimate) for title, estimate in figures), cls="tiles")
    yield tables.estimates_table(_view_rows(own))


def classifier_sections(scores: ClassifierScores, curves: ReportCurves) -> Iterator[Html]:
    """Yield what follows page one: matrices, curves, operating points, classes."""
    own, calibration, page = scores.classification, scores.calibration, scores.screening
    matrix = tables.confusion_table(own.classes, own.confusion)
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
            charts.reliability_chart(calibration),
            _high_grade_chart(calibration.high_grade),
            cls="plots",
        ),
        _calibration_table(calibration),
        _calibration_words(calibration),
    )
    if page and page.operating_points:
        yield section(
            "Operating points",
            tables.operating_table(page.operating_points),
            element(
                "p",
                "A cell is called high-grade when its high-grade probabilities sum to the threshold or more. The "
                "thresholds were chosen on these very cells; expect slightly lower figures on others.",
                cls="note",
            ),
        )
    yield section("Each class", tables.class_table(own.per_class, own.per_class_intervals))
    for title, view in (("Four classes", own.four_class), ("Normal or abnormal", own.normal_abnormal)):
        if view:
            yield section(title, tables.confusion_table(view.classes, view.confusion), _summary(view))


def _summary(own: ViewScores) -> Html:
    figures = (
        (own.accuracy, "accuracy"),
        (own.balanced_accuracy, "balanced accuracy"),
        (own.macro_f1, "macro F1"),
        (own.weighted_f1, "weighted F1"),
        (own.macro_auroc, "macro AUROC"),
        (own.quadratic_kappa, "quadratic-weighted kappa"),
    )
    parts = [join((element("b", shown(value)), f" {title}; ")) for value, title in figures]
    return element(
        "p",
        *parts,
        f"{own.n:,} cells of {own.n_groups:,} patients, smears or images. ",
        _kappa_words(own),
        cls="note",
    )


def _kappa_words(own: ViewScores) -> str:
    """Return what the kappa rests on: grades of severity, without classes that have none."""
    left_out = own.kappa_left_out
    if own.quadratic_kappa is None and left_out:
        return "No kappa: it weighs errors by severity, and fewer than two of these classes have a severity grade."
    if not left_out:
        return "Kappa weighs errors by severity."
    return (
        f"Kappa weighs errors by severity; classes without a severity grade are left out: {', '.join(left_out)} "
        f"({own.kappa_left_out_cells:,} cells)."
    )


def _high_grade_chart(found: Reliability | None) -> Html | None:
    if found is None:
        return None
    return charts.reliability_chart(found, "Calibration, HSIL+", "probability of HSIL+", "share that is HSIL+")


def _calibration_table(calibration: CalibrationScores) -> Html:
    named: dict[str, Reliability] = {"most likely class": calibration, **calibration.per_class}
    if calibration.high_grade:
        named["HSIL+"] = calibration.high_grade
    rows = [
        (name, percent(of.mean_probability), percent(of.share), *map(shown, (of.ece, of.ece_equal_mass, of.brier)))
        for name, of in named.items()
    ]
    heads = ("probability of", "on average", "holds for", "expected error", "with equal mass", "Brier score")
    return tables.table(heads, rows)


def _calibration_words(calibration: CalibrationScores) -> Html:
    return element(
        "p",
        f"Expected calibration error {shown(calibration.ece)} (15 bins of equal width; "
        f"{shown(calibration.ece_equal_mass)} with bins of equal mass), mean over the classes "
        f"{shown(calibration.class_wise_ece)}. Probabilities ignore costs: a model with costs may not call the "
        "most probable class. Bars: number of cells with such a probability.",
        cls="note",
    )
