"""What a training run would be given, looked at before it is started: cells of each class on each side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.domain.classes import scheme_to_dict
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Advanced, Done, Events, Measured, Token
from napari_cyto.jobs.outcome import ending_once

if TYPE_CHECKING:
    from napari_cyto.datasets.splits.training_split import TrainingSplit
    from napari_cyto.datasets.training.annotated_area import Rest
    from napari_cyto.datasets.training.training_set import TrainingSet

SETS = ("train", "validation", "test")


def preview_training(
    sources: Sequence[str],
    split: SplitConfig,
    scheme: str,
    parent: Path | None = None,
    token: Token | None = None,
    area: tuple[float, float, Rest] | None = None,
) -> Events:
    """Read the sources and divide them as a run would; a job whose result is made of JSON-able values.

    Parameters
    ----------
    sources : sequence of str
        As ``--data`` takes them.
    split : SplitConfig
        How they are divided.
    scheme : str
        The class scheme that they are joined in, as ``read_training_set`` takes it.
    parent : Path, optional
        The bundle that the run would continue from: its classes hold, and what it learnt from never tests.
    token : Token, optional
        Asks the job to stop.
    area : tuple of float, optional
        ``around_um``, ``field_mm2`` and ``rest`` of a detector's recipe.

    Yields
    ------
    Event
        ``Measured`` with the same values before the cells are divided, which takes longer: slides that show the same
        cells are looked for.
        The result holds ``scheme``, ``classes`` (rows of id, colour and cells by side), ``slides`` (number by side),
        ``unit``, ``remarks``, ``area`` (what a detector would learn from and what is left out; empty where all is
        used) and ``refusal``: why these cells cannot be divided so, empty when they can.
    """
    yield from ending_once(_look(sources, split, scheme, parent, token, area))


def preview_images(sources: Sequence[str], split: SplitConfig, token: Token | None = None) -> Events:  # noqa: ARG001
    """Read the images of sources and divide them as the training of an encoder would; a job as `preview_training`.

    Parameters
    ----------
    sources : sequence of str
        As ``--data`` takes them.
    split : SplitConfig
        How they are divided.
    token : Token, optional
        Asks the job to stop.
    """
    yield from ending_once(_look_at_images(sources, split))


def _look_at_images(sources: Sequence[str], split: SplitConfig) -> Events:
    from napari_cyto.datasets.splits.training_split import split_image_set
    from napari_cyto.datasets.training.image_set import read_image_set

    yield Advanced(0, 0, "Reading images…")
    data = read_image_set(sources)
    try:
        divided, refusal = split_image_set(data, split), ""
    except CytoError as error:
        divided, refusal = None, str(error)
    slides = {side: len(divided.of(side)) for side in SETS} if divided else {"all": len(data.slides)}
    lacking = sum(slide.mpp is None for slide in data.slides)
    remarks = [f"{lacking:,} of them state no µm per px; they are left out unless scaled by nuclei."] if lacking else []
    row = {"class": "Images", "colour": data.scheme.classes[0].colour, "cells": slides}
    yield Done(_values(data, divided, refusal) | {"classes": [row], "remarks": [*remarks, *data.remarks]})


def _look(
    sources: Sequence[str],
    split: SplitConfig,
    scheme: str,
    parent: Path | None,
    token: Token | None,
    area: tuple[float, float, Rest] | None,
) -> Events:
    # The window imports this module for its job's name; scikit-learn would cost its start a second.
    from napari_cyto.datasets.splits.training_split import split_training_set
    from napari_cyto.datasets.training.annotated_area import AROUND_UM, FIELD_MM2, AreaRule, area_used
    from napari_cyto.models.bundle import read_bundle
    from napari_cyto.training._fine_tuning import read_for, seen_in_training

    yield Advanced(0, 0, "Reading labels…")
    from_model = None if parent is None else read_bundle(parent)
    data = read_for(sources, scheme, from_model)
    yield Measured(_values(data, None, ""))
    yield Advanced(0, 0, "Splitting; looking for slides that show the same cells…")
    try:
        divided, refusal = split_training_set(data, split, token=token, known=seen_in_training(data, from_model)), ""
    except JobCancelled:
        raise
    except CytoError as error:
        divided, refusal = None, str(error)
    values = _values(data, divided, refusal)
    around_um, field_mm2, rest = area or (AROUND_UM, FIELD_MM2, "ignored")
    learned = data.slides if divided is None else divided.of("train")
    yield Done(
        values | {"area": area_used(learned, AreaRule(around_um, field_mm2)).sentence("A detector trains on", rest)}
    )


def _values(data: TrainingSet, divided: TrainingSplit | None, refusal: str) -> dict[str, Any]:
    return {
        "scheme": scheme_to_dict(data.scheme),
        "classes": _class_rows(data, divided),
        "slides": {side: len(divided.of(side)) for side in SETS} if divided else {"all": len(data.slides)},
        "unit": "" if divided is None else str(divided.record.get("unit", "")),
        "remarks": list(data.remarks),
        "area": "",
        "refusal": refusal,
    }


def _class_rows(data: TrainingSet, divided: TrainingSplit | None) -> list[dict[str, Any]]:
    if divided is None:
        sets = {"all": data.counts()}
    else:
        sets = {side: data.counts(s.key for s in divided.of(side)) for side in SETS}
    return [
        {
            "class": class_id,
            "colour": data.scheme[class_id].colour,
            "cells": {side: counts[class_id] for side, counts in sets.items()},
        }
        for class_id in data.classes
    ]
