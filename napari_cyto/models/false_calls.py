"""How often a model calls normal cells high-grade, as far as its card tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from napari_cyto.domain.annotation import origin_of_model
from napari_cyto.domain.high_grade import Graded, high_grade_of
from napari_cyto.domain.statistics.excess import FalseRate
from napari_cyto.domain.statistics.shares import USUAL_CORRELATION
from napari_cyto.models.library import list_models
from napari_cyto.store import Project

_RATES = "model.false_rates"


def false_rate(metrics: Mapping[str, Any], classes: Sequence[Graded]) -> FalseRate | None:
    """Return how often a model called normal cells high-grade where it was judged; None where its card does not tell.

    Parameters
    ----------
    metrics : mapping
        ``card.metrics`` of a bundle, also a foreign one: whatever is not as expected is taken for not told.
    classes : sequence of Graded
        The model's classes.
    """
    found = _inside(metrics, "classification") or _inside(_inside(metrics, "found_cells"), "classification")
    names, table = found.get("classes"), found.get("confusion")
    if not isinstance(names, list) or not isinstance(table, list) or len(table) != len(names):
        return None
    normal = {c.id for c in classes if c.severity == 0} & {str(n) for n in names}
    high = set(high_grade_of(classes)) & {str(n) for n in names}
    try:
        rows = [[int(n) for n in row] for row in table]
    except (TypeError, ValueError):
        return None
    if not normal or not high or any(len(row) != len(names) or min(row, default=0) < 0 for row in rows):
        return None
    of_normal = [row for name, row in zip(names, rows, strict=True) if name in normal]
    cells = sum(map(sum, of_normal))
    if not cells:
        return None
    called = sum(n for row in of_normal for name, n in zip(names, row, strict=True) if name in high)
    return FalseRate(called, cells, *_independent(metrics, found, cells))


def keep_false_rate(project: Project, origin: str, rate: FalseRate | None) -> None:
    """Keep with a project how often a model calls normal cells high-grade, for when the model is not at hand."""
    known = project.setting(_RATES, {})
    if rate is not None and origin not in known:
        project.set_setting(_RATES, known | {origin: asdict(rate)})


def false_rates(project: Project, origins: Iterable[str]) -> dict[str, FalseRate]:
    """Return how often the models of some origins call normal cells high-grade: as kept, else as the library tells."""
    kept, known_origins = project.setting(_RATES, {}), set(origins)
    found = {origin: FalseRate(**kept[origin]) for origin in known_origins if origin in kept}
    if all(origin in found or "@" not in origin for origin in known_origins):
        return found
    for entry in list_models():
        manifest = entry.manifest
        origin = "" if manifest is None else origin_of_model(manifest.id, manifest.weights_sha256)
        if manifest is not None and origin in known_origins and origin not in found:
            rate = false_rate(manifest.card.metrics, manifest.classes)
            found |= {} if rate is None else {origin: rate}
    return found


def _independent(metrics: Mapping[str, Any], found: Mapping[str, Any], cells: int) -> tuple[float, int]:
    """Return how many independent cells the normal ones are worth, and in how many groups they lie."""
    screening = _inside(metrics, "screening") or _inside(_inside(metrics, "found_cells"), "screening")
    record = _inside(screening, "false_calls")
    effective, groups = record.get("effective_n"), record.get("groups")
    if isinstance(effective, int | float) and isinstance(groups, int) and 0 < effective <= cells:
        return float(effective), groups
    n_groups = found.get("n_groups")
    groups = n_groups if isinstance(n_groups, int) and 0 < n_groups <= cells else 1
    # Cards of before do not tell how much cells of a group resemble each other: as much as they usually do.
    return cells / (1 + (cells / groups - 1) * USUAL_CORRELATION), groups


def _inside(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, Mapping) else {}
