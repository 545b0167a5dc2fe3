"""A training run on whole slides as a job: interpretations and vectors in, a bundle of several networks out."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.splits.split import TEST, TRAIN, VALIDATION, Split
from napari_cyto.datasets.splits.split_slides import grouped, in_order, split_slides
from napari_cyto.domain.counts import counted
from napari_cyto.domain.interpretation import UNSATISFACTORY, is_at_least
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.domain.statistics.bootstrap import Estimate, share_estimate
from napari_cyto.errors import CytoError, JobCancelled, SplitError
from napari_cyto.evaluation.slide_reliability import (
    HeldOutScores,
    SlideReliability,
    auroc_estimate,
    least_groups,
    slide_reliability,
)
from napari_cyto.inference.slide_scores.bags import Bag, PatchReader, cell_bag, last_bag, rule_of
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Measured, Noted, Token
from napari_cyto.jobs.outcome import ending_once, failed, stop_if_cancelled
from napari_cyto.jobs.run_folder import FolderToken, RunFolder
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.models.manifest import Card, Parent
from napari_cyto.store import Project
from napari_cyto.training.slide._held_out import LEAST_GROUPS, Bags, FoldFile, held_out_scores
from napari_cyto.training.slide.slide_config import SlideTrainConfig
from napari_cyto.vectors import VectorKind, vector_kinds

if TYPE_CHECKING:
    from napari_cyto.models.attention_mil import GatedAttention
    from napari_cyto.training.slide._fitting import Scaling

TENSORS = "checkpoint.safetensors"
FOLDS = "folds.json"
POSITIVE, NEGATIVE_SIDE = "positive", "negative"
LIMITS = (
    "For research use only; not a medical device, and not for diagnosis. The score is no probability of disease: it "
    "says how much a slide is like the positive slides that the model was trained on; a calibrated score holds for "
    "slides like those that were held out, with as large a share of positive ones. No figure on real whole slides "
    "with verified outcomes exists for this kind of model here: the published checks are on synthetic smears and on "
    "single fields. The interval over seeds says how far the training wavers, not how right the model is."
)
USE = (
    "Orders slides for reading, and shows which cells or places the order rests on; a cytopathologist reads each slide."
)


def train_slides(
    config: SlideTrainConfig, sources: tuple[str, ...], out: Path, token: Token | None = None, resume: bool = False
) -> Events:
    """Train a model of slides; a job. Everything it says is also in the folder ``OUT.run`` (see ``RunFolder``).

    Parameters
    ----------
    config : SlideTrainConfig
        The recipe.
    sources : tuple of str
        Project folders whose slides have interpretations.
    out : Path
        The bundle to write.
    token : Token, optional
        Asks the run to stop; so does a wish in its folder.
    resume : bool
        Go on with the run of ``out`` after the last network that was finished.

    Yields
    ------
    Event
        ``Measured`` after each epoch. The last one is ``Done`` with ``bundle``, ``id``, ``side``, ``metrics`` and
        ``split_record``; or ``Cancelled`` or ``Failed``.
    """
    folder = RunFolder.of(out)
    with ExitStack() as stack:
        try:
            if out.exists() and not resume:
                raise CytoError(f"{out} is there already; choose another name, or remove it first.")
            stack.enter_context(folder.alone())
            folder.begin({"config": config.model_dump(mode="json"), "sources": list(sources), "parent": None}, resume)
            if not resume:
                for name in (TENSORS, FOLDS):
                    (folder.path / name).unlink(missing_ok=True)
        except (CytoError, OSError) as error:
            yield failed(error)
            return
        for event in ending_once(_steps(config, sources, out, FolderToken(folder, token), folder)):
            folder.append(event)
            yield event


@dataclass(frozen=True, slots=True)
class Sample:
    """A slide that is trained on: its record, its bag, and whether it is positive."""

    record: SlideRecord
    bag: Bag
    is_positive: bool


@dataclass(frozen=True, slots=True)
class SlideMetrics(JsonFields):
    """What a model of slides is worth on held-out slides, a logit above 0 called positive.

    Parameters
    ----------
    slides, positive, groups : int
        Slides, positive ones among them, and patients or smears.
    auroc, sensitivity, specificity : Estimate
        With 95 % intervals over patients or smears.
    seeds : int
        Networks whose mean is the score.
    """

    slides: int
    positive: int
    groups: int
    auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    seeds: int


@dataclass(slots=True)
class _Gathered:
    samples: list[Sample]
    kind: VectorKind
    without_interpretation: int = 0
    unsatisfactory: int = 0
    without_cells: int = 0
    cells_without: int = 0


def _steps(
    config: SlideTrainConfig, sources: Sequence[str], out: Path, token: FolderToken, folder: RunFolder
) -> Iterator[Event]:
    gathered = yield from _gather(config, sources, token)
    split = _split(gathered.samples, config)
    sets = {name: [s for s in gathered.samples if split.sets.get(s.record.id) == name] for name in _SETS}
    yield Noted(
        ", ".join(
            f"{counted(len(part), 'slide')} in the {name} set ({sum(s.is_positive for s in part)} positive)"
            for name, part in zip(("training", "validation", "test"), sets.values(), strict=True)
        )
        + "."
    )
    yield from _fit_and_write(config, gathered, split, sets, out, token, folder)


def _reliability(
    config: SlideTrainConfig, gathered: _Gathered, fingerprint: str, token: FolderToken, folder: RunFolder
) -> Generator[Event, None, SlideReliability | str]:
    """Return what scores are worth on slides held out fold by fold, or why that is not known."""
    samples = gathered.samples
    truth = np.array([s.is_positive for s in samples], dtype=np.bool_)
    groups = grouped((s.record for s in samples), config.split.by)
    of_slides = [groups[s.record.id] for s in samples]
    least = least_groups(truth, of_slides)
    if least < LEAST_GROUPS:
        return (
            f"Not enough slides to tell how far the score can be taken at its word: expected at least {LEAST_GROUPS} "
            f"patients, else smears or slides, of either kind for scores held out fold by fold, got {least}."
        )
    folds = min(config.split.folds, least)

    def split_of(fold: int) -> Split[SlideRecord]:
        of_fold = config.split.model_copy(update={"fold": fold, "folds": folds})
        return _split(samples, config.model_copy(update={"split": of_fold}))

    bags = Bags([s.bag.vectors for s in samples], truth, [s.record.id for s in samples])
    kept_in = FoldFile(folder.path / FOLDS, fingerprint)
    pulse = partial(stop_if_cancelled, token, "The networks are kept; the run goes on with --resume.")
    try:
        for step in held_out_scores(bags, config, split_of, folds, kept_in, pulse):
            if isinstance(step, HeldOutScores):
                return slide_reliability(step)
            yield step
    except SplitError as error:
        return f"The slides cannot be divided into {folds} folds, so nothing is known of held-out slides. {error}"
    raise AssertionError("folds end in their scores")


_SETS = (TRAIN, VALIDATION, TEST)


def _gather(config: SlideTrainConfig, sources: Sequence[str], token: Token) -> Generator[Event, None, _Gathered]:
    if not sources:
        raise CytoError("Expected at least one project whose slides have interpretations.")
    found: _Gathered | None = None
    for source in sources:
        with Project.open(Path(source)) as project:
            found = yield from _gather_project(config, project, found, token)
    assert found is not None
    yield from (Noted(words) for words in _left_out(found, config))
    positive = sum(s.is_positive for s in found.samples)
    if min(positive, len(found.samples) - positive) < 2:
        raise CytoError(
            f"Expected at least two positive slides ({config.positive} or worse) and two negative ones, got {positive} "
            f"and {len(found.samples) - positive}; give slides their interpretation in the Slides dock or with "
            "'napari-cyto slides'."
        )
    return found


def _gather_project(
    config: SlideTrainConfig, project: Project, before: _Gathered | None, token: Token
) -> Generator[Event, None, _Gathered]:
    """Add the slides of a project to what was gathered before."""
    slides = [slide for slide in project.slides() if slide.interpretation is not None]
    usable = [s for s in slides if s.interpretation and s.interpretation.category != UNSATISFACTORY]
    patches = _patches(project, config) if config.bag == "patches" else None
    if patches is not None:
        yield from (Noted(remark) for remark in patches.remarks)
    kind = _kind(project, config) if patches is None else patches.kind
    found = before or _Gathered([], kind)
    if (kind.sha256, kind.crop) != (found.kind.sha256, found.kind.crop):
        raise CytoError(f"{project.folder}: its vectors are of {kind.encoder}, the others' of {found.kind.encoder}.")
    found.without_interpretation += len(project.slides()) - len(slides)
    found.unsatisfactory += len(slides) - len(usable)
    for number, record in enumerate(usable, start=1):
        stop_if_cancelled(token)
        yield Advanced(number, len(usable), f"Reading {record.name}")
        if patches is None:
            bag = cell_bag(project, record, kind)
            found.cells_without += bag.without
        else:
            bag = yield from last_bag(patches.bag(record, token))
        if len(bag):
            assert record.interpretation is not None
            is_positive = is_at_least(record.interpretation.category, config.positive)
            found.samples.append(Sample(record, bag, is_positive))
        else:
            found.without_cells += 1
    return found


def _patches(project: Project, config: SlideTrainConfig) -> PatchReader:
    encoder = bundle_named(config.patch_encoder(vector_kinds(project)))
    return PatchReader(project, encoder, config.patch_um, config.most_patches, config.device)


def _kind(project: Project, config: SlideTrainConfig) -> VectorKind:
    kinds = vector_kinds(project)
    if config.encoder:
        sha256 = bundle_named(config.encoder).sha256
        kinds = tuple(kind for kind in kinds if kind.sha256 == sha256)
    if not kinds:
        named, by = config.encoder or "NAME", f" by {config.encoder}" if config.encoder else ""
        raise CytoError(
            f"Expected vectors of the cells of {project.name}{by}, got none; make them "
            f"with: napari-cyto embed {project.folder} --encoder {named}."
        )
    return kinds[0]


def _left_out(found: _Gathered, config: SlideTrainConfig) -> Iterator[str]:
    if found.without_interpretation:
        yield f"{counted(found.without_interpretation, 'slide')} without an interpretation left out."
    if found.unsatisfactory:
        yield f"{counted(found.unsatisfactory, 'slide')} unsatisfactory for evaluation left out."
    if found.without_cells:
        yield f"{counted(found.without_cells, 'slide')} without any {config.bag[:-1]} that has a vector left out."
    if found.cells_without:
        yield f"{counted(found.cells_without, 'cell')} without a vector, so not looked at."


def _split(samples: Sequence[Sample], config: SlideTrainConfig) -> Split[SlideRecord]:
    counts = {s.record.id: {POSITIVE if s.is_positive else NEGATIVE_SIDE: 1} for s in samples}
    return split_slides(in_order(s.record for s in samples), counts, config.split)


def _fit_and_write(
    config: SlideTrainConfig,
    gathered: _Gathered,
    split: Split[SlideRecord],
    sets: dict[str, list[Sample]],
    out: Path,
    token: FolderToken,
    folder: RunFolder,
) -> Iterator[Event]:
    from napari_cyto.models.attention_mil import AttentionMil, MilSettings
    from napari_cyto.training.slide._fitting import Scaling, explanation_checks, join

    started = time.monotonic()
    vectors = {name: [s.bag.vectors for s in part] for name, part in sets.items()}
    labels = {name: np.array([s.is_positive for s in part], dtype=np.bool_) for name, part in sets.items()}
    scaling = Scaling.of(vectors[TRAIN])
    fingerprint = _fingerprint(config, gathered, split)
    networks, behind = _finished(folder, fingerprint, config, gathered.kind.length)
    if networks:
        yield Noted(f"Resumed after {counted(len(networks), 'network')} of {config.seeds}.")
    try:
        for number in range(len(networks), config.seeds):
            network, behind = yield from _one_seed(config, number, behind, vectors, labels, scaling, token)
            networks.append(network)
            _keep(folder, fingerprint, networks, behind)
    except JobCancelled as error:
        kept = f"{counted(len(networks), 'network')} of {config.seeds} finished; the run goes on with --resume."
        raise JobCancelled(f"Cancelled. {kept}") from error
    side = TEST if sets[TEST] else VALIDATION
    yield Advanced(config.seeds, config.seeds, "Evaluating")
    metrics: dict[str, Any] = {"side": side, "judged": bool(sets[side])}
    if sets[side]:
        metrics |= slide_metrics(networks, sets[side], scaling, split).to_json()
    held_out = [s.bag.vectors for s in (*sets[VALIDATION], *sets[TEST]) if s.is_positive]
    if config.checks and held_out:
        yield Advanced(config.seeds, config.seeds, "Checking the explanation")
        of_training = (vectors[TRAIN], labels[TRAIN], vectors[VALIDATION], labels[VALIDATION])
        pulse = partial(stop_if_cancelled, token, "The networks are kept; the run goes on with --resume.")
        metrics["explanation"] = explanation_checks(networks, of_training, held_out, config, scaling, pulse)
    calibration = None
    if config.held_out:
        found = yield from _reliability(config, gathered, fingerprint, token, folder)
        if isinstance(found, SlideReliability):
            metrics["held_out"] = found.to_json() | {"sentence": found.sentence}
            calibration = found.calibration
        else:
            metrics["held_out"] = {"sentence": found}
    settings = MilSettings(
        length=gathered.kind.length,
        hidden=config.hidden,
        attention=config.attention,
        dropout=config.dropout,
        seeds=config.seeds,
        positive=config.positive,
        bag=config.bag,
        patch_um=config.patch_um if config.bag == "patches" else None,
        encoder=gathered.kind.encoder,
        encoder_sha256=gathered.kind.sha256,
        crop=gathered.kind.crop,
        calibration=None if calibration is None else (calibration.slope, calibration.intercept),
    )
    rule = rule_of(gathered.kind)
    model = AttentionMil(settings)
    join(networks, scaling, model)
    bundle = write_bundle(
        out,
        {
            "kind": "slide",
            "architecture": "gated-attention",
            "settings": settings.model_dump(mode="json"),
            "classes": (),
            "mpp": rule.mpp_of(0),
            "input_px": rule.size_px,
            "crop_rule": rule,
            "parents": (Parent(id=gathered.kind.encoder, sha256=gathered.kind.sha256, added="Its vectors, frozen."),),
            "card": Card(
                summary=f"Score of whole slides: {config.positive} or worse, from {config.bag}.",
                data=_data(gathered, sets),
                split=split.record | {"fingerprints": _fingerprints(sets)},
                recipe=config.model_dump(mode="json"),
                metrics=metrics,
                licence="that of the training data and of the encoder, to be stated by their owners",
                intended_use=USE,
                limits=LIMITS,
            ),
        },
        model.state_dict(),
    )
    for name in (TENSORS, FOLDS):
        (folder.path / name).unlink(missing_ok=True)
    yield Done(
        {
            "bundle": str(bundle.path),
            "id": bundle.id,
            "kind": "slide",
            "side": side,
            "metrics": metrics,
            "split_record": split.record,
            "seconds": round(time.monotonic() - started, 1),
        }
    )


def _one_seed(
    config: SlideTrainConfig,
    number: int,
    behind: int,
    vectors: dict[str, list[npt.NDArray[np.float32]]],
    labels: dict[str, npt.NDArray[np.bool_]],
    scaling: Scaling,
    token: FolderToken,
) -> Generator[Event, None, tuple[GatedAttention, int]]:
    """Fit one network, with ``behind`` epochs behind it; returns it, and how many there are then."""
    from napari_cyto.training.slide._fitting import Epoch, fit

    def pulse() -> None:
        while token.paused():
            time.sleep(0.1)
        stop_if_cancelled(token)

    began, best, done = time.monotonic(), behind, behind
    of_fit = (vectors[TRAIN], labels[TRAIN], vectors[VALIDATION], labels[VALIDATION], config, config.seed + number)
    for step in fit(*of_fit, scaling, pulse):
        if not isinstance(step, Epoch):
            return step, done
        best = behind + step.number if step.is_best else best
        # Counted on from network to network, so that one that stopped early leaves no gap in the curves.
        done = behind + step.number
        total = behind + (config.seeds - number) * config.epochs
        pace = (time.monotonic() - began) / step.number
        yield Advanced(done, total, f"Network {number + 1} of {config.seeds}")
        yield Measured(
            {
                "epoch": done,
                "epochs": total,
                "phase": number + 1,
                "lr": config.lr,
                "train_loss": _finite(step.train_loss),
                "val_loss": _finite(step.val_loss),
                "score": _finite(math.exp(-step.val_loss)),
                "score_name": "likelihood",
                "best_epoch": best,
                "metrics": {},
                "per_class_recall": {},
                "eta_s": round(pace * (total - done), 1),
                "worst": [],
            }
        )
    raise AssertionError("a fit ends in its network")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def slide_metrics(
    networks: Sequence[GatedAttention],
    samples: Sequence[Sample],
    scaling: Scaling,
    split: Split[SlideRecord],
) -> SlideMetrics:
    """Return what the networks together are worth on held-out slides, with 95 % intervals over patients or smears."""
    from napari_cyto.training.slide._fitting import logits_of

    logits = np.array([logits_of(networks, s.bag.vectors, scaling).mean() for s in samples])
    truth = np.array([s.is_positive for s in samples], dtype=np.bool_)
    groups = [split.groups[s.record.id] for s in samples]
    called = logits > 0
    return SlideMetrics(
        slides=len(samples),
        positive=int(truth.sum()),
        groups=len(set(groups)),
        auroc=auroc_estimate(truth, logits, groups),
        sensitivity=share_estimate(called & truth, truth, groups),
        specificity=share_estimate(~called & ~truth, ~truth, groups),
        seeds=len(networks),
    )


def _data(gathered: _Gathered, sets: dict[str, list[Sample]]) -> dict[str, Any]:
    by_category: dict[str, int] = {}
    for sample in gathered.samples:
        assert sample.record.interpretation is not None
        category = sample.record.interpretation.category
        by_category[category] = by_category.get(category, 0) + 1
    return {
        "slides": {name: len(part) for name, part in sets.items()},
        "interpretations": by_category,
        "instances": sum(len(s.bag) for s in gathered.samples),
        "left_out": {
            "without_interpretation": gathered.without_interpretation,
            "unsatisfactory": gathered.unsatisfactory,
            "without_cells": gathered.without_cells,
        },
    }


def _fingerprints(sets: dict[str, list[Sample]]) -> dict[str, list[str]]:
    """Return the fingerprints of the slides of each set, by which they are known in other projects."""
    return {name: [s.record.fingerprint for s in part if s.record.fingerprint] for name, part in sets.items()}


def _fingerprint(config: SlideTrainConfig, gathered: _Gathered, split: Split[SlideRecord]) -> str:
    parts = [config.model_dump_json(), gathered.kind.model_dump_json()]
    for s in gathered.samples:
        digest = hashlib.sha256(np.ascontiguousarray(s.bag.vectors).tobytes()).hexdigest()
        parts.append(f"{s.record.id} {s.is_positive} {split.sets.get(s.record.id)} {digest}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _keep(folder: RunFolder, fingerprint: str, networks: Sequence[GatedAttention], epochs: int) -> None:
    """Keep the networks that are finished; those before are good until these are whole."""
    from safetensors.torch import save_file

    tensors = {
        f"{number}.{name}": value.contiguous()
        for number, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
    temporary = folder.path / f"{TENSORS}.partial"
    about = {"fingerprint": fingerprint, "networks": str(len(networks)), "epochs": str(epochs)}
    save_file(tensors, temporary, metadata=about)
    temporary.replace(folder.path / TENSORS)


def _finished(
    folder: RunFolder, fingerprint: str, config: SlideTrainConfig, length: int
) -> tuple[list[GatedAttention], int]:
    """Return the networks that an interrupted run of the same settings and data finished, and their epochs."""
    place = folder.path / TENSORS
    if not place.exists():
        return [], 0
    from safetensors import SafetensorError, safe_open

    from napari_cyto.models.attention_mil import GatedAttention

    try:
        with safe_open(place, "pt") as kept:
            about = kept.metadata() or {}
            if about.get("fingerprint") != fingerprint:
                raise CytoError(
                    f"{folder.path}: the interrupted run was made with other settings, slides or vectors; start a new "
                    "run under another name."
                )
            networks = []
            for number in range(int(about.get("networks", "0"))):
                network = GatedAttention(length, config.hidden, config.attention, config.dropout)
                network.load_state_dict({name: kept.get_tensor(f"{number}.{name}") for name in network.state_dict()})
                networks.append(network.eval())
            epochs = int(about.get("epochs", "0"))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CytoError(f"{place}: the checkpoint cannot be read ({error}); start the run anew.") from error
    return networks, epochs
