"""A training run as a job: data in, events on the way, a model bundle at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_cyto.datasets.splits.training_split import TrainingSplit, split_image_set, split_training_set
from napari_cyto.datasets.training.image_set import read_image_set
from napari_cyto.datasets.training.scheme import refuse_unreadable
from napari_cyto.errors import CytoError, JobCancelled, system_sentence
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Failed, Noted, Token
from napari_cyto.jobs.outcome import ending_once, failed, stop_if_cancelled
from napari_cyto.jobs.run_folder import FolderToken, RunFolder
from napari_cyto.models.bundle import Bundle, read_bundle
from napari_cyto.training import _checkpoint as checkpoints
from napari_cyto.training._bundle_writer import BundleWriter
from napari_cyto.training._fine_tuning import as_parent_says, read_for, seen_in_training, what_is_new, with_parents
from napari_cyto.training._kept_outputs import write_outputs
from napari_cyto.training._run_progress import Progress
from napari_cyto.training._task import Task
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run_settings import CheckpointSettings, RunSettings

TASKS = {
    "classifier": ("classifier_task", "ClassifierTask"),
    "p2p": ("point_task", "PointTask"),
    "fcrn": ("fcrn_task", "FcrnTask"),
    "faster-rcnn": ("box_task", "BoxTask"),
    "retinanet": ("box_task", "BoxTask"),
    "encoder": ("encoder.encoder_task", "EncoderTask"),
}
"""Kind, or a detector's architecture, to the module of ``napari_cyto.training`` and the class in it."""


def make_task(config: TrainConfig, data: Any, split: Any, parent: Any = None) -> Task:
    """Return the task that ``config`` describes.

    Parameters
    ----------
    config : TrainConfig
        The recipe, as run.
    data : TrainingSet
        Slides and cells.
    split : TrainingSplit
        Which slide is on which side.
    parent : Bundle, optional
        The model to continue from.
    """
    name = config.model.architecture if config.model.kind == "detector" else config.model.kind
    module, kind = TASKS[name]
    task: Task = getattr(import_module(f"napari_cyto.training.{module}"), kind)(config, data, split, parent)
    return task


_REPORT_S = 0.25
"""Progress is told no more often: a data set of a hundred thousand pictures would fill the folder with it."""


def train(
    config: TrainConfig,
    sources: tuple[str, ...],
    out: Path,
    token: Token | None = None,
    resume: bool = False,
    parent: Path | None = None,
) -> Events:
    """Train a model; a job. Everything it says is also in the folder ``OUT.run`` (see ``RunFolder``).

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    sources : tuple of str
        As ``parse_source`` reads them.
    out : Path
        The bundle to write. It is there from the first epoch on, the best so far.
    token : Token, optional
        Asks the run to stop; so does a wish in its folder.
    resume : bool
        Go on with the run of ``out`` from its last checkpoint.
    parent : Path, optional
        A bundle to continue from.

    Yields
    ------
    Event
        ``Measured`` after each epoch. The last one is ``Done`` with ``bundle``, ``id``, ``metrics``, ``side``,
        ``confusion``, ``cells``, ``split_record``; or ``Cancelled`` or ``Failed``.
    """
    folder = RunFolder.of(out)
    with ExitStack() as stack:
        try:
            config = as_parent_says(config, parent)
            if not folder.path.exists():
                # A refused run leaves no folder, and holding the folder would make it.
                _check_place(out, folder, resume)
                refuse_unreadable(sources)
            stack.enter_context(folder.alone())
            _check_place(out, folder, resume)
            refuse_unreadable(sources)
            folder.begin(RunSettings(config, tuple(sources), parent).to_json(), resume)
            if not resume:
                checkpoints.forget(folder.path)
        except (CytoError, OSError) as error:
            # Another run may be at work in that folder, so nothing is written there.
            yield failed(error)
            return
        steps = _steps(config, sources, out, FolderToken(folder, token), resume, parent)
        yield from _recorded(folder, ending_once(steps))


def _recorded(folder: RunFolder, events: Iterator[Event]) -> Events:
    """Write each event into the run's folder; a disk too full for that ends the run."""
    reported_s = 0.0
    for event in events:
        now_s = time.monotonic()
        if isinstance(event, Advanced) and now_s - reported_s < _REPORT_S:
            continue
        reported_s = now_s if isinstance(event, Advanced) else reported_s
        try:
            folder.append(event)
        except OSError as error:
            yield Failed(f"{folder.path}: {system_sentence(error)} The best model so far is kept.")
            return
        yield event


def _steps(
    config: TrainConfig, sources: tuple[str, ...], out: Path, token: FolderToken, resume: bool, parent: Path | None
) -> Iterator[Event]:
    yield Advanced(0, 0, "Reading the data")
    from_model = read_bundle(parent) if parent is not None else None
    if from_model is not None and config.split.fold is not None:
        raise CytoError("A fine-tuned model cannot be cross-validated, for its parent was trained on the test cells.")
    learns_labels = config.model.kind != "encoder"
    data = read_for(sources, config.scheme, from_model) if learns_labels else read_image_set(sources)
    stop_if_cancelled(token)
    if learns_labels:
        split = split_training_set(data, config.split, token=token, known=seen_in_training(data, from_model))
    else:
        split = split_image_set(data, config.split)
    yield from (Noted(remark) for remark in data.remarks)
    yield Noted(_sets_sentence(split, "cell" if learns_labels else "image"))
    added = what_is_new(data, from_model)
    if added:
        yield Noted(f"New since {from_model.id if from_model else ''}: {added}")
    task = make_task(config, data, split, from_model)
    noted = set[str]()
    try:
        for event in task.prepare(token):
            if isinstance(event, Noted):
                noted.add(event.message)
            yield event
    except JobCancelled as error:
        kept = "the run goes on where it was with --resume" if resume else "no model was written"
        raise JobCancelled(f"Cancelled before the {'next' if resume else 'first'} epoch; {kept}.") from error
    backbone_of = _first_weights(config) if from_model is None else None
    record = with_parents(split.record, from_model)
    described = data.describe()
    if used := task.used():
        yield from (Noted(sentence) for sentence in used if sentence not in noted)
        described["learned_from"] = used
    writer = BundleWriter(out, task, config, described, record, from_model, added, backbone_of)
    yield from _fit_and_evaluate(config, task, writer, token, resume, data.fingerprint)


def _fit_and_evaluate(
    config: TrainConfig, task: Any, writer: BundleWriter, token: FolderToken, resume: bool, fingerprint: str
) -> Iterator[Event]:
    from napari_cyto.training._loop import Fitting

    folder = RunFolder.of(writer.out)
    request = CheckpointSettings(config, fingerprint)
    start = checkpoints.load(folder.path) if resume else None
    if start is not None:
        _check_same(request, start.request, folder)
    fitting = Fitting(task, config, folder, token, writer.keep, request)
    try:
        progress = yield from fitting.fit(start)
    except JobCancelled as error:
        raise JobCancelled(_kept(fitting.progress, writer.out)) from error
    if fitting.share.rank:
        return
    yield from _evaluate(task, writer, token, fitting.fabric, progress)


def _evaluate(task: Any, writer: BundleWriter, token: FolderToken, fabric: Any, progress: Progress) -> Iterator[Event]:
    """Judge the best network and write its bundle."""
    from napari_cyto.training._loop import EvaluatedNetwork

    folder = RunFolder.of(writer.out)
    bundle = read_bundle(writer.out)
    decision = bundle.manifest.decision
    network = bundle.load_network(str(fabric.device))
    try:
        evaluation = yield from task.evaluate(EvaluatedNetwork(fabric, network), decision, token)
    except JobCancelled as error:
        raise JobCancelled(_not_evaluated(progress, writer.out)) from error
    if evaluation.outputs is not None:
        write_outputs(folder.path, evaluation.outputs)
    best = progress.history[progress.best_epoch - 1] if progress.best_epoch else {}
    done = writer.finish(bundle.state_dict(), decision, evaluation, best)
    yield Done(
        {
            "bundle": str(done.path),
            "id": done.id,
            "side": evaluation.side,
            "metrics": evaluation.metrics,
            "confusion": evaluation.confusion,
            "cells": evaluation.cells,
            "split_record": writer.split,
            "best": best,
            "epochs": progress.epoch,
            "seconds": round(progress.seconds, 1),
        }
    )


def _first_weights(config: TrainConfig) -> Bundle | None:
    """Return the model whose backbone a run without a parent starts from, if it does."""
    kind, _, path = config.model.weights.partition(":")
    return read_bundle(path) if kind == "bundle" else None


def _check_place(out: Path, folder: RunFolder, resume: bool) -> None:
    """Refuse to train over a model, or over a run that could go on.

    Raises
    ------
    CytoError
        One sentence with what to do.
    """
    # A checkpoint has the last weights, not the best: a run whose model was removed could end with no model at all.
    if not out.exists() and checkpoints.best_epoch(folder.path):
        ended = "a run that is finished" if folder.is_finished() else "a run that was not finished"
        raise CytoError(
            f"{folder.path} holds {ended}, but its model {out} is missing; put it back, remove the folder "
            f"{folder.path.name} to train anew, or choose another name."
        )
    if resume:
        if not (folder.path / checkpoints.TENSORS).exists():
            raise CytoError(f"{folder.path}: there is no checkpoint to resume from; start the run without --resume.")
        return
    if out.exists():
        raise CytoError(f"{out} exists already; choose another name, or continue its run with --resume.")
    if (folder.path / checkpoints.TENSORS).exists():
        raise CytoError(
            f"{folder.path} holds an unfinished run; continue it with --resume, choose another name, or "
            "remove that folder."
        )


def _check_same(request: CheckpointSettings, before: CheckpointSettings, folder: RunFolder) -> None:
    if request.data != before.data:
        raise CytoError(
            f"{folder.path}: the data changed since this run began (its fingerprint differs), so it cannot be resumed "
            "to the same numbers; train anew, or fine-tune its model with --parent."
        )
    if request.config != before.config:
        names = type(request.config).model_fields
        changed = sorted(name for name in names if getattr(request.config, name) != getattr(before.config, name))
        raise CytoError(
            f"{folder.path}: this run began with other settings ({', '.join(changed)}); take those, or train anew."
        )


def _sets_sentence(split: TrainingSplit, what: str) -> str:
    parts = [f"{sum(each.values())} {what}s for {side}" for side, each in split.counts.items()]
    kept = "all cells of a slide are" if what == "cell" else "all images of a patient, as far as known, are"
    return f"{', '.join(parts)}; {kept} in one set."


def _kept(progress: Any, out: Path) -> str:
    if not progress.best_epoch:
        return "Cancelled before the end of the first epoch; no model was written."
    return (
        f"Cancelled in epoch {progress.epoch + 1}. The best model so far, of epoch {progress.best_epoch}, is {out}; "
        "continue it with --resume."
    )


def _not_evaluated(progress: Progress, out: Path) -> str:
    return (
        f"Cancelled during the evaluation. The best model, of epoch {progress.best_epoch}, is {out}; "
        "evaluate it with --resume."
    )
