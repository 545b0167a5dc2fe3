"""Calibrate the prediction sets of a classifier on labelled cells that it has not seen: a job."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from napari_cyto.datasets.slide_look import look_of
from napari_cyto.datasets.training.sources import SourceSpec
from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.domain.prediction_sets import SlideLook
from napari_cyto.domain.set_calibration import Calibration, LabelledShares, calibrated, unit_of
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.bundle_scores import open_classifier
from napari_cyto.evaluation.model_answers import KEPT, LeftOut, classified
from napari_cyto.evaluation.sets_config import SetsConfig
from napari_cyto.evaluation.training_overlap import choose_slides
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle, with_prediction_sets
from napari_cyto.models.library import bundle_named, find_model
from napari_cyto.models.suitability import labels_scheme
from napari_cyto.slides import open_slide


def calibrate_bundle(
    name: str, sources: Sequence[SourceSpec | str], config: SetsConfig, token: Token | None = None
) -> Events:
    """Calibrate a classifier's prediction sets on labelled cells and write them into its bundle; a job.

    Parameters
    ----------
    name : str
        Its folder, or its name in the library; one that ships is not changed.
    sources : sequence of SourceSpec or str
        Where the labelled cells are. Slides that the model was trained or tuned on are left out.
    config : SetsConfig
        How much may be missed, and who imaged slides that do not say it.
    token : Token, optional
        Asks the job to stop; nothing is written then.

    Yields
    ------
    Event
        The last one is ``Done`` with a `Calibration`, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_steps(name, sources, config, token))


def _steps(
    name: str, sources: Sequence[SourceSpec | str], config: SetsConfig, token: Token | None
) -> Generator[Event, None, None]:
    yield Advanced(0, 0, "Reading the model and the labels")
    bundle = bundle_named(name)
    _refuse(bundle, name)
    data = read_training_set(sources, labels_scheme(bundle.manifest))
    card = bundle.manifest.card.model_dump(mode="json")
    chosen = choose_slides(data.slides, card, data.fingerprint, "auto", may_take_all=False)
    for sentence in chosen.warnings:
        yield Noted(sentence)
    left_out = LeftOut()
    cells = yield from classified(
        open_classifier(bundle, config.device), bundle.manifest.classes, chosen.slides, data.classes, token, left_out
    )
    yield Advanced(0, 0, "Measuring the colours of the slides")
    looks = {}
    for path in dict.fromkeys(cells.slides):
        stop_if_cancelled(token, KEPT)
        with open_slide(path) as slide:
            look = look_of(slide)
        looks[path] = look if look.scanner else look.model_copy(update={"scanner": config.scanner})
    _refuse_unnamed(looks.values())
    used = [slide for slide in chosen.slides if slide.path in looks]
    labelled = LabelledShares(
        bundle.manifest.classes,
        cells.probabilities,
        cells.truth,
        cells.groups,
        cells.slides,
        looks,
        unit_of(used, "images"),
    )
    sets = calibrated(labelled, config, (bundle.id, bundle.sha256), data.fingerprint)
    with_prediction_sets(bundle, sets)
    yield Done(Calibration(str(bundle.path), sets, (*chosen.warnings, *data.remarks, *left_out.sentences)))


def _refuse(bundle: Bundle, name: str) -> None:
    if bundle.manifest.kind != "classifier":
        raise CytoError(
            f"{bundle.id} is {bundle.manifest.kind_words}; prediction sets are calibrated for a classifier, or, with "
            "--project, for any model whose predictions were reviewed there."
        )
    known = find_model(name)
    if known is not None and known.shipped:
        raise CytoError(
            f"The model {bundle.id} is built in and is not changed; calibrate it on your own slides with --project, "
            "or copy its folder elsewhere and name that."
        )


def _refuse_unnamed(looks: Iterable[SlideLook]) -> None:
    unnamed = sum(not look.scanner for look in looks)
    if unnamed:
        raise CytoError(
            f"The files of {unnamed:,} slides or images do not name their scanner, and prediction sets hold only on a "
            "scanner that was calibrated; name it with --scanner."
        )
