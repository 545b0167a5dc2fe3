"""What a run's network said of all that it was judged on, whole: from this, the folds of one run are pooled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import Polygon
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.evaluation.views import Graded

OUTPUTS_FILE = "judged.safetensors"

Fields: TypeAlias = tuple[DetectedField, ...]
ScoredOutputs: TypeAlias = ScoredCells | Fields
"""A classifier's labelled cells with their probabilities, or a detector's pictures with all detections."""

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
_OF_TRUTH = ("truth_yx", "truth_boxes_yxyx")
_OF_FOUND = ("found_yx", "found_boxes_yxyx", "scores", "class_scores")


def write_outputs(folder: Path, outputs: ScoredOutputs) -> None:
    """Write it into a run's folder as one safetensors file, which appears whole or not at all.

    Parameters
    ----------
    folder : Path
        Of the run.
    outputs : ScoredCells or tuple of DetectedField
        Every cell, every detection.

    Raises
    ------
    OSError
        When the disk is full or the folder cannot be written.
    """
    from safetensors.numpy import save

    arrays, facts = _of_cells(outputs) if isinstance(outputs, ScoredCells) else _of_fields(outputs)
    whole = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    partial = folder / f".{OUTPUTS_FILE}.partial"
    try:
        partial.write_bytes(save(whole, metadata={"judged": json.dumps(facts)}))
        partial.replace(folder / OUTPUTS_FILE)
    finally:
        partial.unlink(missing_ok=True)


def read_outputs(folder: Path, classes: Sequence[Graded]) -> ScoredOutputs:
    """Return what a run in this folder wrote.

    Parameters
    ----------
    folder : Path
        Of the run.
    classes : sequence of Graded (k,)
        The model's classes, in the order of its outputs.

    Raises
    ------
    CytoError
        When it is not there, is damaged, or is of other classes.
    """
    from safetensors import safe_open

    path = folder / OUTPUTS_FILE
    if not path.exists():
        raise CytoError(f"{path} is missing, so nothing can be pooled from this run; remove its model and train anew.")
    try:
        with safe_open(path, "np") as stored:
            facts = json.loads(stored.metadata()["judged"])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  no mapping
        if facts["kind"] == "detector":
            return tuple(_fields(arrays, facts))
        ids, own = facts["classes"], [c.id for c in classes]
        if ids == own:
            groups, slides = tuple(facts["groups"]), tuple(facts["slides"])
            columns = (arrays["truth"], arrays["probabilities"], groups, slides, arrays["centres_yx"])
            return ScoredCells(classes, *columns, costs=arrays.get("costs"))
    except Exception as error:
        raise CytoError(f"{path}: this file is damaged ({error}); remove the run's model and train anew.") from error
    raise CytoError(f"{path} is of the classes {', '.join(ids)}, but the model has {', '.join(own)}.")


def pooled(parts: Sequence[ScoredOutputs]) -> ScoredOutputs:
    """Return what several runs, each with the same classes, were judged on, as one.

    Raises
    ------
    CytoError
        When some are of detectors and some of classifiers.
    """
    cells = [part for part in parts if isinstance(part, ScoredCells)]
    fields = [part for part in parts if not isinstance(part, ScoredCells)]
    if cells and fields:
        raise CytoError("Expected the results of either classifiers or detectors, got both, which cannot be pooled.")
    if not cells:
        return tuple(field for part in fields for field in part)
    return replace(
        cells[0],
        truth=np.concatenate([c.truth for c in cells]),
        probabilities=np.concatenate([c.probabilities for c in cells]),
        groups=tuple(group for c in cells for group in c.groups),
        slides=tuple(slide for c in cells for slide in c.slides),
        centres_yx=np.concatenate([c.centres_yx for c in cells]),
        costs=_pooled_costs(cells),
    )


def _pooled_costs(cells: Sequence[ScoredCells]) -> npt.NDArray[np.float64] | None:
    if all(part.costs is None for part in cells):
        return None
    parts = [np.ones_like(part.probabilities) if part.costs is None else part.costs for part in cells]
    return np.concatenate(parts)


def _of_cells(cells: ScoredCells) -> tuple[Arrays, dict[str, Any]]:
    arrays: Arrays = {"truth": cells.truth, "probabilities": cells.probabilities, "centres_yx": cells.centres_yx}
    if cells.costs is not None:
        arrays["costs"] = cells.costs
    facts = {"kind": "classifier", "classes": cells.ids, "groups": cells.groups, "slides": cells.slides}
    return arrays, facts


def _of_fields(fields: Fields) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of all pictures one after the other, and what each picture is with its numbers of rows."""
    arrays: Arrays = {}
    for number, field in enumerate(fields):
        arrays |= {f"{number}.{name}": getattr(field, name) for name in (*_OF_TRUTH, *_OF_FOUND, "known_yx")}
    rows = [
        {
            "name": f.name,
            "mpp": f.mpp,
            "group": f.group,
            "truth_classes": f.truth_classes,
            "reach_px": f.reach_px,
            "regions": [polygon.vertices_yx for polygon in f.regions],
        }
        for f in fields
    ]
    return arrays, {"kind": "detector", "fields": rows}


def _fields(arrays: Arrays, facts: dict[str, Any]) -> list[DetectedField]:
    return [
        DetectedField(
            name=row["name"],
            mpp=row["mpp"],
            group=row["group"],
            truth_classes=tuple(row["truth_classes"]),
            regions=tuple(Polygon(tuple((y, x) for y, x in vertices)) for vertices in row["regions"]),
            # Runs of earlier versions know of no such limit.
            known_yx=arrays.get(f"{number}.known_yx", np.empty((0, 2))),
            reach_px=row.get("reach_px", 0.0),
            **{name: arrays[f"{number}.{name}"] for name in (*_OF_TRUTH, *_OF_FOUND)},
        )
        for number, row in enumerate(facts["fields"])
    ]
