"""Scores of a project's slides by a model of slides, kept with what it looked at; a job."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.domain.statistics import seed_interval
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.slide_scores.bags import Bag, PatchReader, cell_bag, last_bag
from napari_cyto.inference.slide_scores.calibration import Calibration
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.store import Project
from napari_cyto.vectors import SCORE_NOTICE, Attention, SlideScore, VectorKind, digest_of, keep_score


class SlideScoreOptions(BaseModel):
    """How slides are scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="", title="Model", description="A model of slides: its name in the model library, or its folder."
    )
    encoder: str = Field(
        default="",
        title="Encoder",
        description="The encoder of the patches, where the library has it under another name; its hash is checked.",
    )
    most_patches: int = Field(
        default=2_000, ge=1, le=200_000, title="Patches", description="At most so many of a slide, drawn at random."
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1; of the encoder.")


@dataclass(frozen=True, slots=True)
class MostAttended(JsonFields):
    """A cell or patch that the model looked at most: its id, its centre (level-0 px) and its share of the attention."""

    id: str
    centre_yx: tuple[float, float]
    attention: float


@dataclass(frozen=True, slots=True)
class ScoredSlide(JsonFields):
    """A slide with its score and what the model looked at most; ``problem`` says why there is none."""

    id: str
    name: str
    score: SlideScore | None
    most_attended: tuple[MostAttended, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ScoredSlides(JsonFields):
    """What scoring the slides of a project came to, the highest score first."""

    model: str
    sha256: str
    positive: str
    notice: str
    slides: tuple[ScoredSlide, ...]


def score_slides(
    place: Path, options: SlideScoreOptions, slide_ids: tuple[str, ...] = (), token: Token | None = None
) -> Events:
    """Score slides of a project, and keep the scores with it; a job.

    Parameters
    ----------
    place : Path
        The project.
    options : SlideScoreOptions
        By which model.
    slide_ids : tuple of str
        Which slides; all where it is empty.
    token : Token, optional
        Asks for a stop; slides that are scored stay so.

    Yields
    ------
    Event
        The last is a `Done` with `ScoredSlides`.
    """
    return ending_once(_steps(place, options, slide_ids, token))


def _steps(place: Path, options: SlideScoreOptions, slide_ids: tuple[str, ...], token: Token | None) -> Steps:
    if not options.model:
        raise CytoError("Expected a model of slides; train one with: napari-cyto train slide.")
    bundle = bundle_named(options.model)
    if bundle.manifest.kind != "slide":
        raise CytoError(f"{bundle.path}: expected a model of slides, got a {bundle.manifest.kind}.")
    settings = bundle.manifest.settings
    network = bundle.load_network()
    with Project.open(place) as project:
        records = [record for record in project.slides() if not slide_ids or record.id in slide_ids]
        patches = _patches(project, bundle, options) if settings["bag"] == "patches" else None
        found = []
        for number, record in enumerate(records, start=1):
            stop_if_cancelled(token, "Slides that are scored stay so.")
            yield Advanced(number - 1, len(records), record.name)
            try:
                scored = yield from _scored(project, record, bundle, network, patches, token)
            except JobCancelled:
                raise
            except CytoError as error:
                scored = ScoredSlide(record.id, record.name, None, problem=str(error))
                yield Noted(f"{record.name}: {error}")
            found.append(scored)
    if found and not any(each.score for each in found):
        raise CytoError(f"No slide was scored. {found[0].problem}")
    found.sort(key=lambda each: -each.score.score if each.score else 1.0)
    yield Done(ScoredSlides(bundle.id, bundle.sha256, settings["positive"], SCORE_NOTICE, tuple(found)))


def _patches(project: Project, bundle: Bundle, options: SlideScoreOptions) -> PatchReader:
    settings = bundle.manifest.settings
    encoder = bundle_named(options.encoder or settings["encoder"])
    if encoder.sha256 != settings["encoder_sha256"]:
        raise CytoError(
            f"Expected the encoder {settings['encoder']} ({settings['encoder_sha256'][:12]}...) that the model was "
            f"trained with, got {encoder.id} ({encoder.sha256[:12]}...)."
        )
    return PatchReader(project, encoder, settings["patch_um"], options.most_patches, options.device)


def _scored(
    project: Project,
    record: SlideRecord,
    bundle: Bundle,
    network: Any,
    patches: PatchReader | None,
    token: Token | None,
) -> Generator[Advanced, None, ScoredSlide]:
    settings = bundle.manifest.settings
    side_px = 0.0
    if patches is None:
        sha256, crop = settings["encoder_sha256"], settings["crop"]
        kind = VectorKind(encoder=settings["encoder"], sha256=sha256, crop=crop, length=settings["length"])
        bag = cell_bag(project, record, kind)
        if not len(bag):
            raise CytoError(
                f"{record.name} has no cell with a vector by {settings['encoder']}; make them with: napari-cyto embed "
                f"{project.folder} --encoder {settings['encoder']}."
            )
    else:
        bag = yield from last_bag(patches.bag(record, token))
        side_px = patches.rule.sides_px(record.mpp, record.name)[0] if record.mpp else 0.0
    vectors = kind.folder_name if patches is None else ""
    score, attention = answer(bundle, network, bag, record, vectors)
    kept = Attention(bag.ids, bag.centres_yx, attention, side_px)
    keep_score(project, record.id, score, kept)
    foremost = np.argsort(-attention, kind="stable")[:10].tolist()
    most = [
        MostAttended(bag.ids[n], (float(bag.centres_yx[n, 0]), float(bag.centres_yx[n, 1])), float(attention[n]))
        for n in foremost
    ]
    return ScoredSlide(record.id, record.name, score, tuple(most))


def answer(bundle: Bundle, network: Any, bag: Bag, record: SlideRecord, vectors: str = "") -> tuple[SlideScore, Any]:
    """Return the score of a bag, and the mean attention over seeds (n,), float32.

    Parameters
    ----------
    bundle, network : Bundle, nn.Module
        The model of slides.
    bag : Bag
        What it looks at.
    record : SlideRecord
        The slide.
    vectors : str
        Folder of the vectors of its cells; empty of patches.

    Raises
    ------
    CytoError
        When the network gives numbers that are not finite.
    """
    import torch

    with torch.inference_mode():
        logits, attention = network(torch.from_numpy(np.ascontiguousarray(bag.vectors)))
    each = logits.numpy().astype(np.float64)
    weights = attention.mean(dim=0).numpy()
    if not (np.isfinite(each).all() and np.isfinite(weights).all()):
        raise CytoError(f"{bag.name}: the model {bundle.id} gave numbers that are not finite; make the vectors anew.")
    score, low, high = seed_interval(each)
    has_interval = len(each) > 1
    learned_from = _learned_from(bundle, record)
    found = SlideScore(
        model=bundle.id,
        sha256=bundle.sha256,
        positive=bundle.manifest.settings["positive"],
        score=score,
        low=low if has_interval else None,
        high=high if has_interval else None,
        seeds=tuple((1 / (1 + np.exp(-each))).tolist()),
        bag=bundle.manifest.settings["bag"],
        looked_at=len(bag),
        without=bag.without,
        at=now_utc().isoformat(timespec="seconds"),
        calibrated=_calibrated(bundle, each) if not learned_from else None,
        learned_from=learned_from,
        vectors=vectors,
        digest=digest_of(bag.ids, bag.vectors) if vectors else "",
        mpp=record.mpp,
    )
    return found, weights


def _calibrated(bundle: Bundle, logits: npt.NDArray[np.float64]) -> float | None:
    """Return the share of held-out slides with such a score that were positive; None of a model that cannot tell."""
    fitted = bundle.manifest.settings.get("calibration")
    return None if fitted is None else float(Calibration(*fitted)(logits.mean()))


def _learned_from(bundle: Bundle, record: SlideRecord) -> str:
    """Return the set that a slide was in when the model was trained, if it was fitted or chosen by that set."""
    split = bundle.manifest.card.split
    for known_by, mine in (("sides", record.id), ("fingerprints", record.fingerprint)):
        sets = split.get(known_by)
        for name in ("train", "validation"):
            if isinstance(sets, dict) and mine and mine in (sets.get(name) or ()):
                return name
    return ""
