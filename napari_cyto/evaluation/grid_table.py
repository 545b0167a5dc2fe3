"""Trained on one source, tested on another: the table of domain shift, as JSON, CSV and a page.

Source: Coskun et al., section 3, table 6: accuracy and F1 of each training source on each test source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cyto.domain.json_values import JsonFields, to_plain
from napari_cyto.evaluation.evaluation_result import ModelEvaluation
from napari_cyto.evaluation.report.markup import Html, element, percent, shown
from napari_cyto.evaluation.report.page import document
from napari_cyto.evaluation.report.parts import section
from napari_cyto.evaluation.report.tables import table
from napari_cyto.evaluation.scores import DetectorScores
from napari_cyto.files.atomic import write_text
from napari_cyto.formats.tables import table_line

TITLES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "recall": "Recall", "f1": "F1"}
HEADLINES = {"classifier": ("accuracy", "macro_f1"), "detector": ("recall", "f1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRow(JsonFields):
    """A classifier trained on one source and tested on another; a score that has nothing to rest on is None.

    Parameters
    ----------
    trained_on, tested_on : str
        Names of the sources.
    side : str
        Which set of the tested one, in words.
    n : int
        Cells.
    accuracy, macro_f1, weighted_f1, balanced_accuracy, macro_auroc : float or None
        Over all classes.
    four_class_macro_f1, normal_abnormal_auroc : float or None
        Over these views of them.
    hsil_plus_recall : float or None
        Share of the high-grade cells called high-grade.
    """

    trained_on: str
    tested_on: str
    side: str
    n: int
    accuracy: float | None
    macro_f1: float | None
    weighted_f1: float | None
    balanced_accuracy: float | None
    macro_auroc: float | None
    four_class_macro_f1: float | None
    normal_abnormal_auroc: float | None
    hsil_plus_recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRow(JsonFields):
    """A detector trained on one source and tested on another: cells ``n``, and what it finds of them."""

    trained_on: str
    tested_on: str
    side: str
    n: int
    recall: float | None
    precision: float | None
    f1: float | None
    median_error_um: float | None


GridRow = ClassifierRow | DetectorRow


@dataclass(frozen=True, slots=True, kw_only=True)
class GridTable:
    """The table of a grid.

    Parameters
    ----------
    kind : str
        ``classifier`` or ``detector``.
    recipe : str
        What was trained.
    sources : mapping of str to tuple of str
        What each name stands for, without the folders above.
    rows : tuple of ClassifierRow or DetectorRow
        One for each pair.
    warnings : tuple of str
        What flatters a score.
    json, csv, report : str or None
        Where it was written; None before.
    """

    kind: str
    recipe: str
    sources: Mapping[str, tuple[str, ...]]
    rows: tuple[GridRow, ...]
    warnings: tuple[str, ...]
    json: str | None = None
    csv: str | None = None
    report: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON-able values; places only where it was written."""
        plain: dict[str, Any] = to_plain(self)
        return {name: value for name, value in plain.items() if value is not None}


def grid_row(trained_on: str, tested_on: str, found: ModelEvaluation) -> GridRow:
    """Return one row of the table from one evaluation.

    Parameters
    ----------
    trained_on, tested_on : str
        Names of the sources.
    found : ModelEvaluation
        The model of the first, on the second.
    """
    scores, side = found.scores, found.data.side
    if isinstance(scores, DetectorScores):
        of = scores.detection
        return DetectorRow(
            trained_on=trained_on,
            tested_on=tested_on,
            side=side,
            n=of.cells,
            recall=of.counts.recall,
            precision=of.counts.precision,
            f1=of.counts.f1,
            median_error_um=of.median_error_um,
        )
    own = scores.classification
    return ClassifierRow(
        trained_on=trained_on,
        tested_on=tested_on,
        side=side,
        n=own.n,
        accuracy=own.accuracy,
        macro_f1=own.macro_f1,
        weighted_f1=own.weighted_f1,
        balanced_accuracy=own.balanced_accuracy,
        macro_auroc=own.macro_auroc,
        four_class_macro_f1=own.four_class.macro_f1 if own.four_class else None,
        normal_abnormal_auroc=own.normal_abnormal.auroc if own.normal_abnormal else None,
        hsil_plus_recall=scores.screening.recall.value if scores.screening else None,
    )


def write_grid(out: Path, grid: GridTable) -> GridTable:
    """Write ``grid.json``, ``grid.csv`` and ``index.html`` into a folder that is there; return where they are.

    Raises
    ------
    FormatError
        When the place cannot be written or the disk is full.
    """
    write_text(out / "grid.json", json.dumps(grid.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(out / "grid.csv", _csv([row.to_json() for row in grid.rows]))
    write_text(out / "index.html", grid_page(grid))
    return replace(grid, json=str(out / "grid.json"), csv=str(out / "grid.csv"), report=str(out / "index.html"))


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0]) if rows else []
    values = [["" if row[c] is None else row[c] for c in columns] for row in rows]
    return "".join(map(table_line, [columns, *values]))


def grid_page(grid: GridTable) -> str:
    """Return the table as a page: a matrix for each of the two leading scores, then every number."""
    rows, kind = [row.to_json() for row in grid.rows], grid.kind
    matrices = [section(TITLES[name], _matrix(rows, name)) for name in HEADLINES[kind]]
    columns = list(rows[0]) if rows else []
    every = [[_cell(row[c]) for c in columns] for row in rows]
    words = (
        "Each model was trained on one source (rows) and tested on each (columns). On its own source it was tested "
        "on its test set; the drop from there along a row is what a change of laboratory, scanner or stain costs."
    )
    return document(
        "Domain shift",
        [
            element("header", element("h1", "Domain shift", element("small", f" {kind}, recipe {grid.recipe}"))),
            element("p", words, cls="note"),
            *matrices,
            section("All scores", table([c.replace("_", " ") for c in columns], every)),
            _list("Warnings", grid.warnings),
        ],
    )


def _matrix(rows: Sequence[Mapping[str, Any]], score: str) -> Html:
    trained = list(dict.fromkeys(row["trained_on"] for row in rows))
    tested = list(dict.fromkeys(row["tested_on"] for row in rows))
    value = {(row["trained_on"], row["tested_on"]): (row[score], row["side"] == "test") for row in rows}
    body = [
        element(
            "tr",
            element("th", one, scope="row"),
            *(_shaded(*value.get((one, other), (None, False))) for other in tested),
        )
        for one in trained
    ]
    head = element("thead", element("tr", *(element("th", name) for name in ("trained on \\ tested on", *tested))))
    return element("table", head, element("tbody", *body), cls="confusion")


def _shaded(value: float | None, is_own: bool) -> Html:
    share = value or 0.0
    style = f"background:rgba(11,110,153,{0.06 + 0.84 * share**2:.2f});color:{'#fff' if share > 0.8 else 'inherit'}"
    return element("td", percent(value), element("small", "own test set") if is_own else None, style=style)


def _cell(value: object) -> str:
    return shown(value)


def _list(title: str, sentences: Sequence[str]) -> Html | None:
    rows = [element("li", sentence) for sentence in sentences]
    return section(title, element("ul", *rows)) if rows else None
