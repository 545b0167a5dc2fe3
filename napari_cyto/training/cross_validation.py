"""Cross-validation: as many runs as folds, each part of the data judged once by a model that never saw it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_cyto.datasets.training.scheme import refuse_unreadable
from napari_cyto.domain.json_values import to_plain
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.detector_scores import detector_scores
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.evaluation.scores import ClassifierScores
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Measured, Noted, Token
from napari_cyto.jobs.outcome import ending_once
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle
from napari_cyto.training._kept_outputs import pooled, read_outputs
from napari_cyto.training.config import DetectorConfig, TrainConfig
from napari_cyto.training.run import train
from napari_cyto.training.run_settings import RunSettings


def cross_validate(
    config: TrainConfig, sources: tuple[str, ...], out: Path, folds: int, token: Token | None = None
) -> Events:
    """Train once for each fold, and score all cells by the model that did not see them; a job.

    Pooled are all cells (of detectors: all detections) that the folds kept beside their models, not only those listed.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    sources : tuple of str
        As ``parse_source`` reads them.
    out : Path
        Folder for the models, one a fold; those that are finished are not trained again, one that was interrupted
        goes on.
    folds : int
        How many.
    token : Token, optional
        Asks for a stop; finished folds are kept.

    Yields
    ------
    Event
        Those of the runs, their epochs told with ``fold``. The last one is ``Done`` with ``metrics`` (over all cells,
        intervals over patients, else smears, else images; of a detector each fold at its own threshold),
        ``confusion``, ``cells``, ``decisions`` and ``folds``.
    """
    yield from ending_once(_steps(config, sources, out, folds, token))


def _steps(
    config: TrainConfig, sources: tuple[str, ...], out: Path, folds: int, token: Token | None
) -> Iterator[Event]:
    if not 2 <= folds <= 20:
        raise CytoError(f"Expected 2 to 20 folds for a cross-validation, got {folds}.")
    refuse_unreadable(sources)
    out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    for fold in range(folds):
        one = config.with_values({"split": {"fold": fold, "folds": folds}})
        result = yield from _fold(one, sources, out / f"fold-{fold}", fold, folds, token)
        results.append(result)
    yield Advanced(0, 0, "Drawing the intervals")
    yield Done(
        {
            "folds": [{k: r[k] for k in ("bundle", "id", "side", "best", "epochs", "seconds")} for r in results],
            "side": "out of fold",
            "cells": [cell for result in results for cell in result["cells"]],
            "decisions": [result["decision"] for result in results],
            **_evaluated_together(config, out, results),
        }
    )


def _fold(
    config: TrainConfig, sources: tuple[str, ...], out: Path, fold: int, folds: int, token: Token | None
) -> Generator[Event, None, dict[str, Any]]:
    """Yield the events of one fold; return what it ended with."""
    known = _finished(out, config, sources)
    if known is not None:
        yield Noted(f"Fold {fold + 1} of {folds} is complete already.")
        return known
    resume = (RunFolder.of(out).path / "checkpoint.safetensors").exists()
    for event in train(config, sources, out, token, resume):
        match event:
            case Done():
                return event.to_json() | {"decision": read_bundle(out).manifest.decision.model_dump()}
            case Cancelled():
                raise JobCancelled(f"Cancelled in fold {fold + 1} of {folds}; the same command resumes it.")
            case Failed(message, True):
                raise CytoError(f"Fold {fold + 1}: {message}")
            case Failed(message):
                raise RuntimeError(f"Fold {fold + 1}: {message}\n{event.traceback}")
            case Advanced(done, total, message):
                share = done / total if total else 0.0
                yield Advanced(round(1000 * (fold + share)), 1000 * folds, f"Fold {fold + 1}: {message}")
            case Measured(values):
                yield Measured(values | {"fold": fold, "folds": folds})
            case _:
                yield event
    raise RuntimeError(f"Fold {fold + 1} ended without a last word.")


def _finished(out: Path, config: TrainConfig, sources: tuple[str, ...]) -> dict[str, Any] | None:
    """Return what an earlier run of this fold ended with, if it was asked for the same."""
    folder = RunFolder.of(out)
    request = RunSettings.of(folder)
    if request is None or request.config != config or request.sources != tuple(sources):
        return None
    ends = [line for line in folder.events()[0] if line["event"] == "done"]
    if not ends or not out.exists():
        return None
    result: dict[str, Any] = ends[-1]["result"]
    return result | {"decision": read_bundle(out).manifest.decision.model_dump()}


def _evaluated_together(config: TrainConfig, out: Path, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return ``metrics`` and ``confusion`` of all that the folds were judged on.

    Raises
    ------
    CytoError
        When the folds' models have different classes, or one has not kept what it was judged on.
    """
    classes = [read_bundle(out / f"fold-{fold}").manifest.classes for fold in range(len(results))]
    if len(set(classes)) > 1:
        raise CytoError("The folds' models have different classes, so their results cannot be pooled.")
    parts = [read_outputs(RunFolder.of(out / f"fold-{n}").path, own) for n, own in enumerate(classes)]
    whole = pooled(parts)
    if isinstance(whole, ScoredCells):
        own = classifier_scores(whole)
        of_cells: ClassifierScores | None = own
        metrics = own.to_json()
    else:
        assert isinstance(config.model, DetectorConfig)
        # A detection counts by the threshold that the fold's own model brings, as it would in use.
        own_cuts = [result["decision"]["score_threshold"] for result in results]
        cuts = [cut for cut, part in zip(own_cuts, parts, strict=True) if isinstance(part, tuple) for _ in part]
        found = detector_scores(whole, classes[0], cuts, config.model.radius_um)
        of_cells, metrics = found.found_cells, found.to_json()
    table = None if of_cells is None else to_plain(of_cells.classification.confusion)
    return {
        "metrics": metrics,
        "confusion": {"classes": [c.id for c in classes[0]], "counts": table} if table else {},
    }
