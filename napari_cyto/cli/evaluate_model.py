"""What ``evaluate`` runs and prints of a model, of a grid of sources, and of Ki-67."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.cli.score_tables import ESTIMATE_HEADS, estimated, report_detection, report_few, shown
from napari_cyto.evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    from napari_cyto.domain.label_set import LabelSet
    from napari_cyto.evaluation.evaluation_result import ModelEvaluation
    from napari_cyto.evaluation.grid_table import GridTable
    from napari_cyto.evaluation.ki67 import ProliferationIndex
    from napari_cyto.evaluation.scores import (
        CalibrationScores,
        ClassifierScores,
        Reliability,
        ScreeningScores,
        ViewScores,
    )


def bundle(name: str, sources: Sequence[str], config: EvaluateConfig, report: Path | None, as_json: bool) -> None:
    """Evaluate a model and print its metrics.

    Parameters
    ----------
    name : str
        Its folder, or its name in the library.
    sources : sequence of str
        Where the annotated cells are.
    config : EvaluateConfig
        How it is evaluated.
    report : Path or None
        A folder for the report.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    start_for_networks("Evaluating a model")
    from napari_cyto.evaluation.bundle_scores import evaluate_bundle

    title = f"Evaluating {Path(name).name}"
    found: ModelEvaluation = follow(lambda token: evaluate_bundle(name, sources, config, token, report), title)
    if as_json:
        for sentence in found.data.warnings:
            print(sentence, file=sys.stderr)
        print_json(found.to_json())
    else:
        _report(found)


def _report(found: ModelEvaluation) -> None:
    from napari_cyto.evaluation.scores import DetectorScores

    data, scores = found.data, found.scores
    print(
        f"{found.model.id} ({found.kind}) on {data.cells:,} cells from {data.slides:,} slides or images; "
        f"independent groups (patients, smears or images): {data.groups:,}; set: {data.side}."
    )
    for sentence in (*data.warnings, *data.remarks):
        print(sentence)
    if isinstance(scores, DetectorScores):
        report_detection(scores.detection)
        if scores.found_cells:
            print("Screening counts all annotated cells; the tables of classes cover those that were found.")
            _report_classes(scores.found_cells)
    else:
        _report_classes(scores)
    if found.report is not None:
        print_facts([("report", found.report), ("json", found.json)])


def _report_classes(scores: ClassifierScores) -> None:
    own = scores.classification
    if scores.screening:
        _report_screening(scores.screening)
    views: dict[str, ViewScores | None] = {f"{len(own.classes)} classes": own, "four classes": own.four_class}
    views["normal or abnormal"] = own.normal_abnormal
    known = {name: view for name, view in views.items() if view}
    rows = [
        (
            name,
            *map(shown, (v.n, v.accuracy, v.balanced_accuracy, v.macro_f1, v.weighted_f1, v.macro_auroc)),
            shown(v.quadratic_kappa),
        )
        for name, v in known.items()
    ]
    heads = ("view", "cells", "accuracy", "balanced", "macro F1", "weighted F1", "macro AUROC", "kappa")
    print_table("Classes", heads, rows)
    for name, view in known.items():
        if view.kappa_left_out:
            without = f"{', '.join(view.kappa_left_out)} ({view.kappa_left_out_cells:,} cells)"
            print(f"Kappa ({name}) weights errors by severity, so it leaves out classes without a grade: {without}.")
    rows = [
        (name, *map(shown, (c.support, c.sensitivity, c.specificity, c.precision, c.f1, c.auroc)))
        for name, c in own.per_class.items()
    ]
    columns = ("sensitivity", "specificity", "precision", "f1", "auroc")
    print_table("Each class against the rest", ("class", "cells", *columns), rows)
    counts = zip(own.classes, own.confusion, strict=True)
    title = "Annotated class (rows) and predicted class (columns)"
    print_table(title, ("class", *own.classes), [(name, *row) for name, row in counts])
    _report_calibration(scores.calibration)


def _report_screening(page: ScreeningScores) -> None:
    """Print page one: what must not be missed."""
    at = page.recall_at_specificity
    is_of_detector = page.missed is not None
    called = f"{' or '.join(page.undercalled_from)} called {page.negative}{' or not found' if is_of_detector else ''}"
    rows = [
        estimated("HSIL+ recall", page.recall),
        estimated("HSIL+ missed (FNR)", page.fnr),
        *([estimated("HSIL+ not found", page.missed)] if is_of_detector else []),
        estimated(called, page.undercall),
        estimated("NPV", page.npv),
        estimated("specificity", page.specificity),
        estimated(f"HSIL+ recall at specificity {at.specificity:g}", at),
        estimated("AUROC of HSIL+", page.auroc),
    ]
    print_table("Screening", ESTIMATE_HEADS, rows)
    report_few(rows)


def _report_calibration(found: CalibrationScores) -> None:
    """Print how well the probabilities are calibrated: of the likeliest class, of each class, of being high-grade."""
    named: dict[str, Reliability] = {"likeliest class": found, **found.per_class}
    if found.high_grade:
        named["HSIL+ (ASC-H, HSIL, SCC)"] = found.high_grade
    rows = [(name, *map(shown, (of.mean_probability, of.share, of.ece, of.brier))) for name, of in named.items()]
    heads = ("probability of", "mean", "observed share", "calibration error", "Brier score")
    print_table("Calibration", heads, rows)


def grid(
    sources: Sequence[str],
    out: Path,
    recipe_name: str | None,
    settings: Sequence[str],
    config: EvaluateConfig,
    together: bool,
    as_json: bool,
) -> None:
    """Train on each source, test on each, and print the table.

    Parameters
    ----------
    sources : sequence of str
        Two or more.
    out : Path
        A folder for models, results and table.
    recipe_name : str or None
        What is trained; None for the default classifier.
    settings : sequence of str
        Changes to it, ``key=value``.
    config : EvaluateConfig
        Radius, intervals.
    together : bool
        Whether one more model is trained on all sources.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    start_for_networks("Training on each source")
    from napari_cyto.training.grid_job import run_grid
    from napari_cyto.training.recipes import recipe, with_settings

    train = with_settings(recipe(recipe_name, None), settings)
    found: GridTable = follow(
        lambda token: run_grid(sources, out, train, config, together, token), "Training and testing"
    )
    if as_json:
        print_json(found.to_json())
        return
    plain = [row.to_json() for row in found.rows]
    rows = [[value if isinstance(value, str) else shown(value) for value in row.values()] for row in plain]
    print_table("Domain shift", [c.replace("_", " ") for c in plain[0]], rows)
    for sentence in found.warnings:
        print(sentence)
    print_facts([("report", found.report), ("csv", found.csv), ("json", found.json)])


def ki67(path: Path, format_name: str | None, class_map: str | None, as_json: bool) -> None:
    """Print the Ki-67 index of each slide and region of a project or label file.

    Parameters
    ----------
    path : Path
        A project folder, or a label file of any format.
    format_name : str or None
        Its format; None to tell it from the file.
    class_map : str or None
        A file of pairs that brings its classes to those of the scheme ki67.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When it cannot be read, or has no tumour cells.
    """
    from napari_cyto.cli.evaluate_labels import mapped_by
    from napari_cyto.evaluation.ki67 import ki67_of

    found = ki67_of(mapped_by(class_map, _labels(path, format_name))[0])
    if as_json:
        print_json(found.to_json())
        return
    rows = [_indexed("all slides", found.whole, found.interval)]
    for slide in found.slides:
        rows.append(_indexed(slide.slide, slide.index, slide.index.interval))
        rows += [_indexed(f"    {region.region}", region.index, region.index.interval) for region in slide.regions]
    heads = ("slide, region", "Ki-67 index", "95 % interval", "stained", "unstained", "tumour cells", "")
    print_table("Proliferation", heads, rows)
    if any(row[-1] for row in rows):
        print(f"* fewer than {found.fewest_cells} tumour cells: annotate or detect more before reporting an index.")


def _labels(path: Path, format_name: str | None) -> LabelSet:
    from napari_cyto.datasets.import_.source_kind import read_labels

    return read_labels(path, format_name, "choose one with --format")


def _indexed(name: str, of: ProliferationIndex, interval: tuple[float, float] | None) -> tuple[object, ...]:
    shown = "-" if of.index is None else f"{100 * of.index:.1f} %"
    ends = "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
    return (name, shown, ends, of.positive, of.negative, of.count, "*" if of.warning else "")
