"""Judge a model bundle on labelled cells: a job whose result is the whole report as a value."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_cyto import __version__
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.domain.statistics.bootstrap import Resampling
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._curves import budget_curve, class_curves, screened_curves
from napari_cyto.evaluation._examples import missed_and_false, worst_and_best
from napari_cyto.evaluation._found_screening import with_missed
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.evaluation.detector_scores import detector_scores, found_cells
from napari_cyto.evaluation.evaluation_result import EvaluatedData, EvaluatedModel, ModelEvaluation, ParentModel
from napari_cyto.evaluation.model_answers import KEPT, Classifier, Detector, LeftOut, classified, detected, group_of
from napari_cyto.evaluation.report import ReportCurves, check_report_place, write_report
from napari_cyto.evaluation.scores import ClassifierScores, DetectorScores
from napari_cyto.evaluation.training_overlap import ChosenSlides, choose_slides
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.models.manifest import WITHOUT_CLASSES
from napari_cyto.models.suitability import labels_scheme

_DEFAULT = EvaluateConfig()


@dataclass
class _Work:
    """What the steps of one evaluation share."""

    bundle: Bundle
    data: TrainingSet
    chosen: ChosenSlides
    config: EvaluateConfig
    token: Token | None
    wants_report: bool
    left_out: LeftOut = field(default_factory=LeftOut)

    def pulse(self) -> None:
        stop_if_cancelled(self.token, KEPT)

    @property
    def resampling(self) -> Resampling:
        return Resampling(self.config.draws, seed=self.config.seed, pulse=self.pulse)

    @property
    def mpp(self) -> dict[str, float | None]:
        return {slide.path: slide.mpp for slide in self.chosen.slides}


def evaluate_bundle(
    bundle_path: Path | str,
    sources: Sequence[SourceSpec | str],
    config: EvaluateConfig = _DEFAULT,
    token: Token | None = None,
    report: Path | None = None,
) -> Events:
    """Judge a bundle on labelled cells; a job.

    Parameters
    ----------
    bundle_path : Path or str
        The model's folder, or the name of one in the library.
    sources : sequence of SourceSpec or str
        Where the labelled cells are, see `training_sources.parse_source`.
    config : EvaluateConfig
        Which slides, which radius, how intervals are drawn.
    token : Token, optional
        Asks the job to stop, which it does within a second.
    report : Path, optional
        A folder for ``index.html`` and ``evaluation.json``.

    Yields
    ------
    Event
        The last one is ``Done`` with an `ModelEvaluation`, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_steps(bundle_path, sources, config, token, report))


def _steps(
    bundle_path: Path | str,
    sources: Sequence[SourceSpec | str],
    config: EvaluateConfig,
    token: Token | None,
    report: Path | None,
) -> Generator[Event, None, None]:
    if report is not None:
        check_report_place(report, config.overwrite)
    yield Advanced(0, 0, "Reading the model and the labels")
    bundle = bundle_named(bundle_path)
    if bundle.manifest.kind in WITHOUT_CLASSES:
        raise CytoError(
            f"{bundle.id} is {bundle.manifest.kind_words}, which names no cell, so nothing can be compared "
            "with annotations; evaluate a detector or a classifier."
        )
    data = read_training_set(sources, labels_scheme(bundle.manifest))
    stop_if_cancelled(token, KEPT)
    card = bundle.manifest.card.model_dump(mode="json")
    chosen = choose_slides(data.slides, card, data.fingerprint, config.side)
    for sentence in chosen.warnings:
        yield Noted(sentence)
    work = _Work(bundle, data, chosen, config, token, report is not None)
    scores: ClassifierScores | DetectorScores
    if bundle.manifest.kind == "classifier":
        scores, curves = yield from _classifier(work)
    else:
        scores, curves = yield from _detector(work)
    found = ModelEvaluation(
        kind=bundle.manifest.kind, model=_model(bundle, card), data=_data(work, sources), scores=scores
    )
    if report is not None:
        page, plain = write_report(report, found, curves, config.overwrite)
        found = replace(found, report=str(page), json=str(plain))
    yield Done(found)


def _classifier(work: _Work) -> Generator[Event, None, tuple[ClassifierScores, ReportCurves]]:
    manifest = work.bundle.manifest
    model = open_classifier(work.bundle, work.config.device)
    cells = yield from classified(
        model,
        manifest.classes,
        work.chosen.slides,
        work.data.classes,
        work.token,
        work.left_out,
        manifest.decision.miss_costs,
    )
    if not len(cells.truth):
        raise CytoError(_nothing_left(work))
    yield Advanced(0, 0, "Computing confidence intervals")
    scores = classifier_scores(cells, work.resampling)
    if not work.wants_report:
        return scores, ReportCurves()
    yield Advanced(0, 0, "Writing the report")
    rule = manifest.crop_rule or CropRule()
    worst, best = worst_and_best(cells, rule, work.mpp, work.config.examples)
    colours = [c.colour for c in manifest.classes]
    return scores, ReportCurves(screened_curves(cells), class_curves(cells, colours), worst=worst, best=best)


def _detector(work: _Work) -> Generator[Event, None, tuple[DetectorScores, ReportCurves]]:
    manifest, radius_um = work.bundle.manifest, work.config.radius_um
    model = open_detector(work.bundle, work.config.device)
    k = len(manifest.classes)
    fields = yield from detected(model, k, work.chosen.slides, work.data.classes, work.token, work.left_out)
    if not fields:
        raise CytoError(_nothing_left(work))
    yield Advanced(0, 0, "Matching cells and computing confidence intervals")
    threshold = manifest.decision.score_threshold
    scores = detector_scores(fields, manifest.classes, threshold, radius_um, work.resampling)
    if not work.wants_report:
        return scores, ReportCurves()
    yield Advanced(0, 0, "Writing the report")
    kept = [f.from_score(threshold) for f in fields]
    missed, false = missed_and_false(kept, radius_um, work.config.examples)
    curve = budget_curve(fields, radius_um, work.pulse)
    found = found_cells(kept, manifest.classes, radius_um)
    binary = () if found is None else screened_curves(with_missed(found, kept, radius_um)[0])
    per_class = () if found is None else class_curves(found, [c.colour for c in manifest.classes])
    return scores, ReportCurves(binary, per_class, curve, missed, false)


def open_classifier(bundle: Bundle, device: str) -> Classifier:
    """Return a bundle's classifier, ready to answer; torch is imported here and not before."""
    from napari_cyto.inference.classify import CellClassifier

    return CellClassifier(bundle, device)


def open_detector(bundle: Bundle, device: str) -> Detector:
    """Return a bundle's detector, ready to search; torch is imported here and not before."""
    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.inference.engine.search import CellSearch

    return CellSearch(CellDetector(bundle, device))


def _nothing_left(work: _Work) -> str:
    why = " ".join(work.left_out.sentences[:3])
    return f"No cells are left to evaluate {work.bundle.id} on. {why}".strip()


def _model(bundle: Bundle, card: Mapping[str, Any]) -> EvaluatedModel:
    manifest = bundle.manifest
    # Who was on which side is thousands of keys that say nothing to a reader; the bundle has them.
    split = {name: value for name, value in card["split"].items() if not isinstance(value, dict | list)}
    return EvaluatedModel(
        id=bundle.id,
        sha256=bundle.sha256,
        name=bundle.path.name,
        architecture=manifest.architecture,
        scheme=manifest.scheme,
        classes=tuple(manifest.class_ids),
        mpp=manifest.mpp,
        created_utc=manifest.created_utc,
        made_by=manifest.made_by,
        parents=tuple(ParentModel(p.id, p.sha256, p.added) for p in manifest.parents),
        card={**card, "split": split},
    )


def _data(work: _Work, sources: Sequence[SourceSpec | str]) -> EvaluatedData:
    chosen = work.chosen
    specs = [parse_source(s) if isinstance(s, str) else s for s in sources]
    return EvaluatedData(
        # Without the folders above: a report is handed on, and these are nobody's business elsewhere.
        sources=tuple(str(replace(spec, path=Path(spec.path.name))) for spec in specs),
        fingerprint=work.data.fingerprint,
        side=chosen.side,
        slides=len(chosen.slides),
        cells=sum(len(slide) for slide in chosen.slides),
        cells_per_class=work.data.counts([slide.key for slide in chosen.slides]),
        groups=len({group_of(slide) for slide in chosen.slides}),
        seen_in_training=chosen.seen,
        warnings=chosen.warnings,
        remarks=(*work.data.remarks, *work.left_out.sentences),
        evaluated_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"napari-cyto {__version__}",
    )
