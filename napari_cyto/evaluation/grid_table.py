"""Trained on one source, tested on another: the table of domain shift, as JSON, CSV and a page.

Source: Coskun et al., section 3, table 6: accuracy and F1 of each training source on each test source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_cyto.evaluation.report.markup import Html, element, percent, shown
from napari_cyto.evaluation.report.page import document
from napari_cyto.evaluation.report.parts import section
from napari_cyto.evaluation.report.tables import table
from napari_cyto.files.atomic import write_text
from napari_cyto.formats.tables import table_line

Plain = dict[str, Any]

CLASSIFIER_SCORES = ("accuracy", "macro_f1", "weighted_f1", "balanced_accuracy", "macro_auroc")
VIEW_SCORES = (("four_class", "macro_f1"), ("normal_abnormal", "auroc"))
DETECTOR_SCORES = ("recall", "precision", "f1", "median_error_um")
TITLES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "recall": "Recall", "f1": "F1"}
HEADLINES = {"classifier": ("accuracy", "macro_f1"), "detector": ("recall", "f1")}


def grid_row(trained_on: str, tested_on: str, result: Mapping[str, Any]) -> Plain:
    """Return one row of the table from the result of one evaluation.

    Parameters
    ----------
    trained_on, tested_on : str
        Names of the sources.
    result : mapping
        The result of `evaluate_bundle`.
    """
    row: Plain = {"trained_on": trained_on, "tested_on": tested_on, "side": result["data"]["side"]}
    if result["kind"] == "detector":
        found = result["detection"]
        return row | {"n": found["cells"]} | {name: found[name] for name in DETECTOR_SCORES}
    own = result["classification"]
    row |= {"n": own["n"]} | {name: own[name] for name in CLASSIFIER_SCORES}
    for view, name in VIEW_SCORES:
        row[f"{view}_{name}"] = own[view][name] if own[view] else None
    page = result["screening"]
    return row | {"hsil_plus_recall": page["recall"]["value"] if page else None}


def write_grid(out: Path, result: Plain) -> None:
    """Write ``grid.json``, ``grid.csv`` and ``index.html`` into a folder.

    Parameters
    ----------
    out : Path
        A folder that is there.
    result : dict
        ``kind``, ``recipe``, ``rows`` (see `grid_row`), ``warnings``.

    Raises
    ------
    FormatError
        When the place cannot be written or the disk is full.
    """
    write_text(out / "grid.json", json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(out / "grid.csv", _csv(result["rows"]))
    write_text(out / "index.html", grid_page(result))


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0]) if rows else []
    values = [["" if row[c] is None else row[c] for c in columns] for row in rows]
    return "".join(map(table_line, [columns, *values]))


def grid_page(result: Plain) -> str:
    """Return the table as a page: a matrix for each of the two leading scores, then every number."""
    rows, kind = result["rows"], result["kind"]
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
            element("header", element("h1", "Domain shift", element("small", f" {kind}, recipe {result['recipe']}"))),
            element("p", words, cls="note"),
            *matrices,
            section("All scores", table([c.replace("_", " ") for c in columns], every)),
            _list("Warnings", result["warnings"]),
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
