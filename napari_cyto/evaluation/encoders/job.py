"""Compare encoders on labelled cells: a job whose result is the table as a value."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.datasets.training.training_set import TrainingSet, read_own_classes
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.evaluation.encoders._overlaps import overlapping_owners
from napari_cyto.evaluation.encoders._probes import probe
from napari_cyto.evaluation.encoders._vectors import (
    KEPT,
    CellVectorSet,
    Encoder,
    crops_per_second,
    encoded,
    rule_of,
)
from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig
from napari_cyto.evaluation.encoders.table import (
    BagScores,
    ComparedData,
    ComparedEncoder,
    EncoderScores,
    EncoderTable,
)
from napari_cyto.evaluation.model_answers import group_of
from napari_cyto.inference.runtimes.choice import RuntimeRequest, crop_runtime
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.models.library import bundle_named
from napari_cyto.models.torch_installed import has_torch, torch_is_missing

Open = Callable[[Bundle, str], Encoder]
_DEFAULT = EncoderTableConfig()
_OWN = "own classes"


@dataclass(frozen=True, eq=False)
class _View:
    """One data set in one view of its classes: the view's class of each original one, and whose each slide is."""

    data: TrainingSet
    about: ComparedData
    place: npt.NDArray[np.intp]
    group_of_slide: tuple[str, ...]
    own: bool


@dataclass
class _Work:
    config: EncoderTableConfig
    token: Token | None
    open: Open
    remarks: list[str] = field(default_factory=list)

    def pulse(self) -> None:
        stop_if_cancelled(self.token, KEPT)


def compare_encoders(
    encoders: Sequence[Path | str],
    sources: Sequence[SourceSpec | str],
    config: EncoderTableConfig = _DEFAULT,
    token: Token | None = None,
    open_encoder: Open | None = None,
) -> Events:
    """Compare encoders on labelled cells; a job.

    Parameters
    ----------
    encoders : sequence of Path or str
        Folders of bundles, or names in the library.
    sources : sequence of SourceSpec or str
        Where the labelled cells are; each is a data set of its own, in its own classes.
    config : EncoderTableConfig
        Folds, neighbours, examples, splits.
    token : Token, optional
        Asks the job to stop.
    open_encoder : callable, optional
        Makes the network of a bundle ready, on a device; the fastest runtime here without it.

    Yields
    ------
    Event
        The last one is ``Done`` with an `EncoderTable`, ``Cancelled`` or ``Failed``.
    """
    work = _Work(config, token, open_encoder or _Fastest)
    yield from ending_once(_steps(encoders, sources, work))


class _Fastest:
    """An encoder in the fastest runtime that keeps its vectors; see `Encoder`.

    Parameters
    ----------
    bundle : Bundle
        The model.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    """

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._id = bundle.id
        self._runtime, self.remarks = crop_runtime(bundle, RuntimeRequest(device))
        self.title = self._runtime.title

    def vectors(self, crops: npt.NDArray[np.uint8], token: Token | None = None) -> npt.NDArray[np.float32]:
        """Return vectors (n, length) of crops (n, windows, s, s, 3), uint8 RGB."""
        answers = self._runtime.outputs(crops, token)
        refuse_not_finite(self._id, answers)
        return answers.astype(np.float32)


def _steps(
    encoders: Sequence[Path | str], sources: Sequence[SourceSpec | str], work: _Work
) -> Generator[Event, None, None]:
    if not encoders or not sources:
        raise CytoError("Expected one encoder or more, and cells to compare them on; add --data SRC.")
    yield Advanced(0, 0, "Reading the models and the labels")
    bundles = [bundle_named(each) for each in encoders]
    for bundle in bundles:
        rule_of(bundle)
    views: list[_View] = []
    for source in sources:
        views += yield from _views(source, work)
    compared: list[ComparedEncoder] = []
    rows: list[EncoderScores] = []
    for number, bundle in enumerate(bundles):
        about, scores = yield from _of_encoder(number, bundle, views, work)
        compared.append(about)
        rows += scores
    yield Done(
        EncoderTable(
            encoders=tuple(compared),
            data=tuple(view.about for view in views),
            rows=tuple(rows),
            remarks=tuple(dict.fromkeys(work.remarks)),
        )
    )


def _views(source: SourceSpec | str, work: _Work) -> Generator[Event, None, list[_View]]:
    """Return a source in its own classes, and in four where these have a coarser view."""
    spec = parse_source(source) if isinstance(source, str) else source
    data = read_own_classes(spec)
    name = str(replace(spec, path=Path(spec.path.name)))
    work.remarks += data.remarks
    groups, overlapping = yield from _groups(data, name, work)

    def view(title: str, names: Sequence[str], place: npt.NDArray[np.intp]) -> _View:
        cells = np.bincount(np.concatenate([place[slide.class_index] for slide in data.slides]), minlength=len(names))
        about = ComparedData(
            source=name,
            view=title,
            fingerprint=data.fingerprint,
            cells=dict(zip(names, cells.tolist(), strict=True)),
            images=len(data.slides),
            groups=len(set(groups)),
            overlapping=overlapping,
        )
        return _View(data, about, place, groups, own=title == _OWN)

    made = [view(_OWN, data.classes, np.arange(len(data.classes)))]
    known = {each.id: each for each in data.scheme.classes}
    coarser = [known[each].parent or each for each in data.classes]
    if coarser != list(data.classes):
        names = [each for each in data.scheme.ids if each in coarser]
        words = {2: "two", 3: "three", 4: "four"}.get(len(names), str(len(names)))
        made.append(view(f"{words} classes", names, np.asarray([names.index(each) for each in coarser])))
    return made


def _groups(data: TrainingSet, name: str, work: _Work) -> Generator[Event, None, tuple[tuple[str, ...], int | None]]:
    """Return whose each slide is, those that show the same place joined, and how many pairs were joined."""
    own = [group_of(slide) for slide in data.slides]
    if not all(slide.centred for slide in data.slides):
        return tuple(own), None
    pairs = yield from overlapping_owners([slide.path for slide in data.slides], own, work.token)
    if pairs:
        many = counted(len(pairs), "pair")
        sentence = f"{name}: {many} of source images show the same place, so each pair stays in one fold."
        work.remarks.append(sentence)
        yield Noted(sentence)
    parent = {each: each for each in own}

    def root(of: str) -> str:
        while parent[of] != of:
            of = parent[of]
        return of

    for first, second in pairs:
        parent[root(first)] = root(second)
    return tuple(root(each) for each in own), len(pairs)


def _of_encoder(
    number: int, bundle: Bundle, views: Sequence[_View], work: _Work
) -> Generator[Event, None, tuple[ComparedEncoder, list[EncoderScores]]]:
    manifest = bundle.manifest
    encoder = work.open(bundle, work.config.device)
    speed = yield from crops_per_second(encoder, bundle, views[0].data, work.token)
    rows: list[EncoderScores] = []
    made: dict[str, CellVectorSet] = {}
    for place, view in enumerate(views):
        title = f"{bundle.id} on {view.about.source}"
        if view.about.source not in made:
            made[view.about.source] = yield from encoded(encoder, bundle, view.data, work.token)
            work.remarks += made[view.about.source].remarks
        vectors = made[view.about.source]
        yield Advanced(place, len(views), f"Fitting heads: {title}")
        classes = view.place[vectors.class_index]
        groups = [view.group_of_slide[slide] for slide in vectors.slide_number.tolist()]
        scores = probe(vectors.vectors, classes, groups, work.config, work.pulse)
        bags = None
        # Its coarser view has the same images.
        if work.config.splits and view.own:
            bags = yield from _of_images(vectors, view, title, work)
        rows.append(EncoderScores(encoder=number, data=place, scores=scores, bags=bags))
    about = ComparedEncoder(
        id=bundle.id,
        sha256=bundle.sha256,
        name=bundle.path.name,
        length=int(manifest.vector_length or 0),
        megabytes=manifest.weights_bytes / 1e6,
        crops_per_s=speed,
        runtime=encoder.title,
        licence=manifest.card.licence,
    )
    return about, rows


def _of_images(
    vectors: CellVectorSet, view: _View, title: str, work: _Work
) -> Generator[Event, None, BagScores | None]:
    """Return how well images are distinguished by all their cells; None, and a remark why, where they cannot be."""
    positive, why = positive_slides(view.data, work.config.positive)
    if positive is not None and not has_torch():
        positive, why = None, torch_is_missing("Attention over cells")
    if positive is None:
        work.remarks.append(f"{view.about.source}: images were not distinguished as a whole: {why}")
        return None
    from napari_cyto.evaluation.encoders import _bags

    named, bag = np.unique(vectors.slide_number, return_inverse=True)
    groups = tuple(view.group_of_slide[slide] for slide in named.tolist())
    bags = _bags.Bags(vectors.vectors, bag, positive[named], groups)
    said = f"Attention over the cells of an image: {title}"
    label = f"worst cell {work.config.positive} or more severe"
    yield Advanced(0, work.config.splits, said)
    try:
        return (yield from _bags.bag_scores(bags, work.config.splits, work.config.seed, label, said, work.token))
    except JobCancelled:
        raise
    except CytoError as error:
        work.remarks.append(f"{view.about.source}: images were not distinguished as a whole: {error}")
        return None


def positive_slides(data: TrainingSet, positive: str) -> tuple[npt.NDArray[np.bool_] | None, str]:
    """Return which slides hold a cell of a class or of a more severe one; else None and a sentence why.

    Cells without a grade do not count.
    """
    if all(slide.centred for slide in data.slides):
        return None, "each is a single cell."
    known = {each.id: each.severity for each in data.scheme.classes}
    least = known.get(positive)
    if least is None:
        graded = ", ".join(name for name, severity in known.items() if severity is not None)
        return (
            None,
            f"expected a class with a grade behind --positive ({graded or 'none has one here'}), got {positive}.",
        )
    severities = [known[each] for each in data.classes]
    severe = np.array([severity is not None and severity >= least for severity in severities], dtype=np.bool_)
    return np.array([bool(severe[slide.class_index].any()) for slide in data.slides], dtype=np.bool_), ""
