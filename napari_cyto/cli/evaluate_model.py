"""What ``evaluate`` runs and prints of a model, of a grid of sources, and of Ki-67."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.cli.score_tables import ESTIMATE_HEADS, estimated, report_detection, report_few, shown
from napari_cyto.evaluation.config import EvaluateConfig

Plain = Mapping[str, Any]


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

    result = follow(
        lambda token: evaluate_bundle(name, sources, config, token, report), f"Evaluating {Path(name).name}"
    )
    if as_json:
        for sentence in result["data"]["warnings"]:
            print(sentence, file=sys.stderr)
        print_json(result)
    else:
        _report(result)


def _report(result: Plain) -> None:
    data = result["data"]
    print(
        f"{result['model']['id']} ({result['kind']}) on {data['cells']:,} cells from {data['slides']:,} slides or "
        f"images; independent groups (patients, smears or images): {data['groups']:,}; set: {data['side']}."
    )
    for sentence in (*data["warnings"], *data["remarks"]):
        print(sentence)
    if result["kind"] == "detector":
        report_detection(result["detection"])
        if result["found_cells"]:
            print("Screening counts all annotated cells; the tables of classes cover those that were found.")
            _report_classes(result["found_cells"])
    else:
        _report_classes(result)
    if "report" in result:
        print_facts((name, result[name]) for name in ("report", "json"))


def _report_classes(result: Plain) -> None:
    own, page = result["classification"], result["screening"]
    if page:
        or_missed = " or not found" if "missed" in page else ""
        names = {
            "recall": "HSIL+ recall",
            "fnr": "HSIL+ missed (FNR)",
            "missed": "HSIL+ not found",
            "undercall": f"{' or '.join(page['undercalled_from'])} called {page['negative']}{or_missed}",
            "npv": "NPV",
            "specificity": "specificity",
            "recall_at_specificity": f"HSIL+ recall at specificity {page['recall_at_specificity']['specificity']:g}",
            "auroc": "AUROC of HSIL+",
        }
        rows = [estimated(title, page[name]) for name, title in names.items() if name in page]
        print_table("Screening", ESTIMATE_HEADS, rows)
        report_few(rows)
    views = {f"{len(own['classes'])} classes": own, "four classes": own["four_class"]}
    views["normal or abnormal"] = own["normal_abnormal"]
    fields = ("n", "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auroc", "quadratic_kappa")
    rows = [(name, *(shown(view[f]) for f in fields)) for name, view in views.items() if view]
    heads = ("view", "cells", "accuracy", "balanced", "macro F1", "weighted F1", "macro AUROC", "kappa")
    print_table("Classes", heads, rows)
    for name, view in views.items():
        if view and view["kappa_left_out"]:
            without = f"{', '.join(view['kappa_left_out'])} ({view['kappa_left_out_cells']:,} cells)"
            print(f"Kappa ({name}) weights errors by severity, so it leaves out classes without a grade: {without}.")
    columns = ("support", "sensitivity", "specificity", "precision", "f1", "auroc")
    rows = [(name, *(shown(scores[c]) for c in columns)) for name, scores in own["per_class"].items()]
    print_table("Each class against the rest", ("class", "cells", *columns[1:]), rows)
    counts = zip(own["classes"], own["confusion"], strict=True)
    title = "Annotated class (rows) and predicted class (columns)"
    print_table(title, ("class", *own["classes"]), [(name, *row) for name, row in counts])
    _report_calibration(result["calibration"])


def _report_calibration(result: Mapping[str, Any]) -> None:
    """Print how well the probabilities are calibrated: of the likeliest class, of each class, of being high-grade."""
    named = {"likeliest class": result, **result["per_class"]}
    if result["high_grade"]:
        named["HSIL+ (ASC-H, HSIL, SCC)"] = result["high_grade"]
    columns = ("mean_probability", "share", "ece", "brier")
    rows = [(name, *(shown(of[c]) for c in columns)) for name, of in named.items()]
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
    result = follow(lambda token: run_grid(sources, out, train, config, together, token), "Training and testing")
    if as_json:
        print_json(result)
        return
    columns = list(result["rows"][0])
    rows = [[value if isinstance(value, str) else shown(value) for value in row.values()] for row in result["rows"]]
    print_table("Domain shift", [c.replace("_", " ") for c in columns], rows)
    for sentence in result["warnings"]:
        print(sentence)
    print_facts((name, result[name]) for name in ("report", "csv", "json"))


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

    result = ki67_of(mapped_by(class_map, _labels(path, format_name))[0])
    if as_json:
        print_json(result)
        return
    rows = [_indexed("all slides", result["all"])]
    for slide in result["slides"]:
        rows.append(_indexed(slide["slide"], slide))
        rows += [_indexed(f"    {region['region']}", region) for region in slide["regions"]]
    heads = ("slide, region", "Ki-67 index", "95 % interval", "stained", "unstained", "tumour cells", "")
    print_table("Proliferation", heads, rows)
    if any(row[-1] for row in rows):
        print(f"* fewer than {result['fewest_cells']} tumour cells: annotate or detect more before reporting an index.")


def _labels(path: Path, format_name: str | None) -> Any:
    from napari_cyto.datasets.import_.source_kind import read_labels

    return read_labels(path, format_name, "choose one with --format")


def _indexed(name: str, result: Plain) -> tuple[object, ...]:
    share, interval = result["index"], result["interval"]
    shown = "-" if share is None else f"{100 * share:.1f} %"
    ends = "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
    return (
        name,
        shown,
        ends,
        result["positive"],
        result["negative"],
        result["count"],
        "*" if result["warning"] else "",
    )
