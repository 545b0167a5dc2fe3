"""The job that writes encoder and head into one bundle, with its examples, its audit and its cross-validation."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.splits.leaks import overlaps
from napari_cyto.datasets.splits.split_slides import grouped
from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import sampled_part
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.taught import OTHER
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.card import card_defaults
from napari_cyto.models.library import bundle_named, list_models
from napari_cyto.models.manifest import Card, ModelClass
from napari_cyto.store import Project
from napari_cyto.vectors import VectorKind
from napari_cyto.vectors.teaching.estimate import FEWEST_GROUPS, Accuracy
from napari_cyto.vectors.teaching.examples import NONE_OF_THEM
from napari_cyto.vectors.teaching.lesson import Lesson
from napari_cyto.vectors.teaching.project_lesson import Worth, drawn_cells, newest_kind, open_lesson, worth_of
from napari_cyto.vectors.teaching.sentences import NOT_ENOUGH_SLIDES, accuracy_words, across_words, doubt_words

ARCHITECTURE = "timm-encoder-head"
_STEPS = 4
_AS_ENCODER = ("stain", "mpp", "input_px", "normalisation", "crop_rule", "colour")


class SaveOptions(BaseModel):
    """Which head is saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="", title="Encoder", description="Of whose vectors; those computed last without. Its id or folder."
    )
    sha256: str = Field(default="", title="SHA-256", description="Of the encoder's weights, where it is known.")


_NEWEST = SaveOptions()


@dataclass(frozen=True, slots=True)
class SavedHead(JsonFields):
    """What was saved.

    Parameters
    ----------
    bundle, sha256 : str
        Its folder, and the hash of its weights.
    encoder, encoder_sha256 : str
        The encoder in it.
    classes : dict
        Examples of each class.
    on_other_slides : str
        The cross-validation by slide as a sentence, or that there are not enough slides to tell.
    on_waiting_cells : str
        The estimate from cells drawn at random, as a sentence.
    doubts : str
        Which examples look wrong, as a sentence; empty where none does.
    """

    bundle: str
    sha256: str
    encoder: str
    encoder_sha256: str
    classes: dict[str, int]
    on_other_slides: str
    on_waiting_cells: str
    doubts: str


def save_head(place: Path, out: Path, options: SaveOptions = _NEWEST, token: Token | None = None) -> Events:
    """Write the head that a project's examples teach as a classifier; a job.

    Parameters
    ----------
    place : Path
        The project.
    out : Path
        The bundle's folder.
    options : SaveOptions
        Of which encoder.
    token : Token, optional
        Asks to stop.

    Yields
    ------
    Event
        The last is a `Done` with a `SavedHead`.
    """
    return ending_once(_steps(place, out, options, token))


def _steps(place: Path, out: Path, options: SaveOptions, token: Token | None) -> Steps:
    with Project.open(place) as project:
        yield Advanced(0, _STEPS, "Reading the examples.")
        kind = newest_kind(project, options.sha256 or (options.encoder and _id_of(options.encoder)))
        encoder = encoder_of(kind, options.encoder)
        lesson = open_lesson(project, kind)
        stop_if_cancelled(token)
        yield Advanced(1, _STEPS, "Fitting the head.")
        head = lesson.learn(afresh=True)
        if head is None or head.is_likeness:
            raise CytoError(
                "Expected examples of at least two classes, or of one class and cells that are not of it, got "
                f"{counted(len(lesson.examples), 'example')} of {', '.join(lesson.examples.taught) or 'none'}; "
                "a model must tell something apart."
            )
        yield Advanced(2, _STEPS, "Cross-validating by slide.")
        groups = grouped(project.slides(), "auto")
        worth = worth_of(lesson.snapshot(), drawn_cells(project), groups)
        stop_if_cancelled(token)
        yield Advanced(3, _STEPS, "Writing the model.")
        bundle = _write(project, lesson, encoder, worth, groups, out)
        if NONE_OF_THEM in head.classes and OTHER.id not in project.scheme:
            yield Noted(
                f"Cells of none of the classes are called {OTHER.id!r}; add a class {OTHER.id} to a project's scheme "
                "before this model predicts in it."
            )
        counts = {_class_id(name): number for name, number in lesson.examples.counts.items()}
        yield Done(
            SavedHead(
                str(bundle.path),
                bundle.sha256,
                kind.encoder,
                kind.sha256,
                counts,
                across_words(worth.across, worth.groups),
                accuracy_words(worth.accuracy, worth.drawn, worth.labelled),
                doubt_words(worth.doubts),
            )
        )


def encoder_of(kind: VectorKind, named: str = "") -> Bundle:
    """Return the encoder whose vectors these are, by its hash.

    Parameters
    ----------
    kind : VectorKind
        What is known of it.
    named : str
        A name in the model library, or a folder, where to look first.

    Raises
    ------
    CytoError
        When it is not there, or is another one by now.
    """
    places = [named] if named else []
    places += [entry.name for entry in list_models() if _is_encoder(entry.manifest, kind)]
    for place in places:
        try:
            bundle = bundle_named(place)
        except CytoError:
            continue
        if bundle.sha256 == kind.sha256 and bundle.manifest.kind == "encoder":
            return bundle
    raise CytoError(
        f"Expected the encoder {kind.encoder} with the SHA-256 {kind.sha256[:12]}... that the vectors are of, and it "
        "is not in the model library; add it (napari-cyto models add FOLDER), name its folder with --encoder, or "
        "compute the vectors anew with the one that you have."
    )


def _is_encoder(manifest: Any, kind: VectorKind) -> bool:
    return manifest is not None and manifest.kind == "encoder" and manifest.weights_sha256 == kind.sha256


def _id_of(named: str) -> str:
    folder = Path(named)
    return read_bundle(folder).sha256 if folder.is_dir() else named


def _class_id(name: str) -> str:
    return OTHER.id if name == NONE_OF_THEM else name


def _write(
    project: Project, lesson: Lesson, encoder: Bundle, worth: Worth, groups: dict[str, str], out: Path
) -> Bundle:
    head = lesson.head
    assert head is not None
    if OTHER.id in head.classes and NONE_OF_THEM in head.classes:
        raise CytoError(f"Expected classes other than {OTHER.id!r} where cells of none of them are taught too.")
    import torch

    weights, offsets = lesson.basis.on_vectors(head.weights, head.offsets)
    state = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state |= {"head.weight": torch.from_numpy(weights), "head.bias": torch.from_numpy(offsets)}
    manifest = encoder.manifest
    classes = [OTHER if name == NONE_OF_THEM else project.scheme[name] for name in head.classes]
    terms = card_defaults("classifier", ["project"], parents=[manifest])
    fields = {
        "kind": "classifier",
        "architecture": ARCHITECTURE,
        "settings": {"encoder": dict(manifest.settings), "length": weights.shape[1]},
        "scheme": project.scheme.name,
        "classes": [ModelClass.of(each) for each in classes],
        **{name: getattr(manifest, name) for name in _AS_ENCODER},
        "parents": (encoder.as_parent("the encoder, unchanged; its head was taught on this project's cells"),),
        "card": Card(
            summary=f"Taught by {counted(len(lesson.examples), 'example')} on vectors of {encoder.id}.",
            data=_data(project, lesson),
            split=_split(project, lesson, groups),
            recipe={"method": "logistic regression on L2-normalised vectors", "encoder": encoder.id},
            metrics=_metrics(worth),
            **terms,
        ),
    }
    return write_bundle(out, fields, state, manifest.weights_dtype)


def _data(project: Project, lesson: Lesson) -> dict[str, Any]:
    examples = lesson.examples
    named = {slide.id: slide for slide in project.slides()}
    of_slide = Counter(lesson.slide_ids[row] for row in lesson.example_rows)
    taught: dict[str, list[str]] = {_class_id(name): [] for name in examples.classes}
    partly: dict[str, list[str]] = {}
    for cell, permitted, known in zip(examples.ids, examples.permitted, examples.is_known, strict=True):
        if known:
            taught[_class_id(examples.classes[int(permitted.argmax())])].append(cell)
        else:
            excluded = [name for name, may in zip(examples.classes, permitted, strict=True) if not may]
            partly.setdefault("not " + " or ".join(map(_class_id, excluded)), []).append(cell)
    fingerprint = hashlib.sha256("\n".join(examples.ids).encode()).hexdigest()
    mpps = [slide.mpp for slide in named.values() if slide.id in of_slide and slide.mpp is not None]
    return {
        "sources": [{"source": f"project:{project.name}", "cells": len(examples)}],
        "fingerprint": fingerprint,
        "counts": {_class_id(name): number for name, number in examples.counts.items()},
        "slides": {named[slide].name if slide in named else slide: n for slide, n in of_slide.items()},
        "mpp_um": [min(mpps), max(mpps)] if mpps else None,
        "examples": taught | partly,
    }


def _split(project: Project, lesson: Lesson, groups: dict[str, str]) -> dict[str, Any]:
    """Return what was learnt from, as other bundles record it: everything, so nothing of it may be tested on."""
    used = sorted({lesson.slide_ids[row] for row in lesson.example_rows})
    slides = [slide for slide in project.slides() if slide.id in set(used)]
    sets = dict.fromkeys(used, "train")
    known = {groups.get(slide, slide) for slide in used}
    return {
        "unit": "patient, else smear, else image",
        "algorithm": "everything in the training set; cross-validated by slide",
        "groups": {"train": len(known)},
        "slides": {"train": len(used)},
        # Known by their pixels, as a training set knows them: an evaluation on one of them is refused.
        "sides": {"train": sorted({sampled_part(slide.fingerprint)[:16] or slide.id for slide in slides})},
        "audit": overlaps(sets, {slide: groups.get(slide, slide) for slide in used}, slides, ()),
    }


def _metrics(worth: Worth) -> dict[str, Any]:
    across: dict[str, Any] | str = (
        f"{NOT_ENOUGH_SLIDES}: {worth.groups} with examples, {FEWEST_GROUPS} are needed"
        if worth.across is None
        else {
            "accuracy": _plain(worth.across.accuracy),
            "macro_f1": worth.across.macro_f1,
            "recall": {_class_id(name): list(pair) for name, pair in worth.across.recall.items()},
        }
    )
    return {
        "cross-validated by slide": across,
        "on unreviewed cells drawn at random": None if worth.accuracy is None else _plain(worth.accuracy),
        "examples that look wrong": [asdict(doubt) for doubt in worth.doubts],
    }


def _plain(accuracy: Accuracy) -> dict[str, Any]:
    return asdict(accuracy) | {"share": accuracy.share}
