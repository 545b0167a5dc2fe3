"""The cells of a training set divided into training, validation and test set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_cyto.datasets.splits._rules import refuse_shares
from napari_cyto.datasets.splits._twin_slides import twin_slides
from napari_cyto.datasets.splits.config import GroupUnit, SplitConfig
from napari_cyto.datasets.splits.split import SETS, Split
from napari_cyto.datasets.splits.split_slides import Pairs, grouped, split_slides
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Token

TrainingSplit = Split[TrainingSlide]


def split_training_set(
    data: TrainingSet,
    config: SplitConfig,
    twins: Pairs | None = None,
    token: Token | None = None,
    known: Collection[str] = (),
) -> TrainingSplit:
    """Divide a training set.

    Parameters
    ----------
    data : TrainingSet
        What is divided; all cells of a slide go to one set.
    config : SplitConfig
        How.
    twins : collection of (key, key), optional
        Slides that show the same cells; looked for when not given and ``config.twins``.
    token : Token, optional
        Asks for a stop of that search.
    known : collection of str
        Keys of slides that a model which is continued from learnt from or was steered by: whatever else is asked for,
        neither they nor what belongs together with them is tested on.

    Raises
    ------
    SplitError
        When a set would be empty or lack a class, a patient is unknown, or published sets leak; the sentence names
        the override that allows it.
    JobCancelled
        When the user asked for it.
    """
    refuse_shares(config)
    if twins is None:
        twins = twin_slides(data.slides, token) if config.twins else ()
    # The same split whatever order the slides came in.
    slides = sorted(data.slides, key=lambda slide: slide.key)
    counts = {slide.key: _counts(slide, data.classes) for slide in slides}
    split = split_slides(map(_record, slides), counts, config, classes=data.classes, twins=twins, known=known)
    return Split({slide.key: slide for slide in data.slides}, split.sets, split.groups, split.counts, split.record)


def split_image_set(data: TrainingSet, config: SplitConfig) -> TrainingSplit:
    """Divide the images of a set by how many there are, whatever is annotated on them.

    With fewer patients (smears, images) than sets everything is in the training set.

    Parameters
    ----------
    data : TrainingSet
        What is divided.
    config : SplitConfig
        How; shares are of the images.

    Raises
    ------
    SplitError
        When a patient is unknown where the split goes by them, or published sets leak.
    """
    slides = sorted(data.slides, key=lambda slide: slide.key)
    records = [replace(_record(slide), fingerprint=slide.fingerprint) for slide in slides]
    if len(set(grouped(records, config.by).values())) < config.needed_groups:
        config = config.model_copy(update={"validation_share": 0.0, "test_share": 0.0, "fold": None})
    counts = {slide.key: {"image": 1} for slide in slides}
    split = split_slides(records, counts, config, classes=("image",))
    return Split({slide.key: slide for slide in data.slides}, split.sets, split.groups, split.counts, split.record)


def recorded_split(data: TrainingSet, record: Mapping[str, Any]) -> TrainingSplit:
    """Return the split that a model's card records, for the same or other data.

    Slides that the record does not know are in no set: the model has neither learnt from them nor was tested on them.

    Raises
    ------
    CytoError
        When the record names no sets.
    """
    listed = record.get("sides")
    if not isinstance(listed, Mapping):
        raise CytoError("The model's card does not state which slides it was trained on; evaluate it on other data.")
    sets = {str(key): str(name) for name, keys in listed.items() for key in keys}
    known = {slide.key: sets[slide.key] for slide in data.slides if slide.key in sets}
    counts = {name: data.counts(key for key, of in known.items() if of == name) for name in SETS}
    return Split({s.key: s for s in data.slides}, known, {key: key for key in known}, counts, dict(record))


def grouped_slides(slides: Iterable[TrainingSlide], by: GroupUnit) -> dict[str, str]:
    """Return the group of each slide, by key; the same pixels are kept together whatever the unit."""
    return grouped(map(_record, slides), by)


def _record(slide: TrainingSlide) -> SlideRecord:
    return SlideRecord(
        id=slide.key,
        name=slide.name,
        patient=slide.patient,
        smear=slide.smear,
        side=slide.side,
        # Images without cells cannot leak any, and many are nothing but blank glass.
        fingerprint=slide.fingerprint if len(slide) else "",
    )


def _counts(slide: TrainingSlide, classes: tuple[str, ...]) -> dict[str, int]:
    numbers = np.bincount(slide.class_index, minlength=len(classes))
    return dict(zip(classes, map(int, numbers), strict=True))
