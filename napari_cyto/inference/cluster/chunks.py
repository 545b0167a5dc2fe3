"""What a worker does for a run elsewhere: the cells of a tile, the classes of cells; small answers, no files written.

Networks and slides stay open from one chunk to the next. Nothing here imports torch before the first chunk: whoever
only passes chunks on need not have it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto import __version__
from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster._remote_network import Elsewhere
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.inference.engine.tile_memory import tile_side
from napari_cyto.inference.request import ComputesOn, PredictRequest
from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.models.bundle import Bundle, read_bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import Slide, UnreadableTile, fingerprint, open_slide

if TYPE_CHECKING:
    from napari_cyto.datasets.colour_match import ColourMatch
    from napari_cyto.datasets.crop_rule import CropRule
    from napari_cyto.inference.outline.computed import FoundOutline
    from napari_cyto.inference.runtimes.model_cache import LoadedModels

_SLIDES_KEPT = 4


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model by its name, the folder it has where the run is, and the hash of its weights, which decides."""

    name: str
    path: Path
    sha256: str

    @classmethod
    def of(cls, bundle: Bundle, name: str) -> ModelReference:
        """Return what names a bundle on another machine."""
        return cls(name, bundle.path, bundle.sha256)


@dataclass(frozen=True, slots=True)
class SlideRequest:
    """What all chunks of a slide have in common.

    Parameters
    ----------
    request : PredictRequest
        Of the slide.
    fingerprint : str
        Of its file: the one that a worker sees under the same path must be the same.
    mpp : float or None
        µm per level-0 px.
    score_from : float
        Lower scores are not told.
    detector : ModelReference
        What finds cells.
    classifier : ModelReference or None
        What tells their classes.
    """

    request: PredictRequest
    fingerprint: str
    mpp: float | None
    score_from: float
    detector: ModelReference
    classifier: ModelReference | None


@dataclass(frozen=True, slots=True)
class VectorsRequest:
    """What all chunks of cells of a slide have in common whose vectors are computed.

    Parameters
    ----------
    slide : Path
        Its file.
    fingerprint : str
        Of that file: the one that a worker sees under the same path must be the same.
    mpp : float or None
        µm per level-0 px.
    encoder : ModelReference
        What gives the vectors.
    on : ComputesOn
        Where and how it runs.
    """

    slide: Path
    fingerprint: str
    mpp: float | None
    encoder: ModelReference
    on: ComputesOn


@dataclass(frozen=True, slots=True)
class OutlinesRequest:
    """What all chunks of cells of a slide have in common that are outlined.

    Parameters
    ----------
    slide : Path
        Its file.
    fingerprint : str
        Of that file: the one that a worker sees under the same path must be the same.
    mpp : float or None
        µm per level-0 px.
    model : ModelReference or None
        What draws the outlines; the watershed where None.
    on : ComputesOn
        Where it runs.
    """

    slide: Path
    fingerprint: str
    mpp: float | None
    model: ModelReference | None
    on: ComputesOn


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a chunk.

    Parameters
    ----------
    rows : ndarray, float64
        The table of a tile (see `_early_results.Table`), or of cells the probabilities (n, classes) or the vectors
        (n, length).
    unreadable : tuple of UnreadableTile
        What of the slide could not be read where the chunk lies, and where its colours were measured: not all that
        this worker met, which every answer would carry again.
    """

    rows: npt.NDArray[np.float64]
    unreadable: tuple[UnreadableTile, ...]


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What is to be known of a worker before it gets work."""

    version: str
    detector: Elsewhere | None
    tile_px: int
    quick_memory: bool
    encoder_title: str = ""


@dataclass
class _OpenSlide:
    slide: Slide
    users: int = 0
    colours: dict[str, ColourMatch | None] = field(default_factory=dict)
    beside_chunks: set[UnreadableTile] = field(default_factory=set)
    """Damage that was met when colours were measured, which is done in a few places of the slide."""

    def damage(self, bounds_yxyx: YXYX) -> tuple[UnreadableTile, ...]:
        """Return what could not be read in a box, level-0 px, and where colours were measured."""
        return tuple(dict.fromkeys((*self.slide.unreadable_in(bounds_yxyx), *self.beside_chunks)))


class _Bench:
    """One process's networks and slides; several threads of it may work at the same time."""

    def __init__(self) -> None:
        self._slides: dict[tuple[Path, str], _OpenSlide] = {}
        self._bundles: dict[ModelReference, Bundle] = {}
        self._lock = threading.Lock()
        self.network_lock = threading.Lock()
        self._models: LoadedModels | None = None

    @property
    def models(self) -> LoadedModels:
        """The networks in memory."""
        from napari_cyto.inference.runtimes.model_cache import LoadedModels

        self._models = self._models or LoadedModels()
        return self._models

    def bundle(self, model: ModelReference) -> Bundle:
        """Return a model, its hash checked the first time.

        Raises
        ------
        CytoError
            When it is not here, or is another one.
        """
        with self._lock:
            if model not in self._bundles:
                found = read_bundle(model.path) if model.path.is_dir() else bundle_named(model.name)
                if found.sha256 != model.sha256:
                    raise CytoError(
                        f"The model {model.name} has other weights on the worker {_place()}; copy the same model "
                        "there, or into a folder that all workers share."
                    )
                self._bundles[model] = found
            return self._bundles[model]

    @contextmanager
    def slide(self, path: Path, slide_fingerprint: str) -> Iterator[_OpenSlide]:
        """Keep a slide open while it is worked on; those that nobody works on go, the oldest first."""
        key = (path, slide_fingerprint)
        with self._lock:
            if key not in self._slides:
                self._slides[key] = _OpenSlide(_opened(*key))
            found = self._slides[key] = self._slides.pop(key)
            found.users += 1
        try:
            yield found
        finally:
            with self._lock:
                found.users -= 1
                idle = [k for k, s in self._slides.items() if not s.users]
                for old in idle[: max(len(self._slides) - _SLIDES_KEPT, 0)]:
                    self._slides.pop(old).slide.close()

    def colour(self, opened: _OpenSlide, model: Any, icc: bool) -> ColourMatch | None:
        """Return what brings a slide's colours to a model's, worked out once a slide."""
        from napari_cyto.datasets.colour_match import match_for

        key = f"{model.id}@{model.weights_sha256}"
        if key not in opened.colours:
            known = len(opened.slide.unreadable)
            opened.colours[key] = match_for(opened.slide, model.colour, icc)
            if model.colour is not None:
                opened.beside_chunks.update(opened.slide.unreadable_after(known))
        return opened.colours[key]


_BENCH = _Bench()


def facts(request: ComputesOn, models: tuple[ModelReference, ...]) -> WorkerFacts:
    """Return what is to be known of the worker that this runs on, its models loaded.

    Raises
    ------
    CytoError
        When it has not the device, the models or the memory.
    """
    detector, tile_px, title = None, tile_side(), ""
    with _BENCH.network_lock:
        for bundle in [_BENCH.bundle(model) for model in models]:
            if bundle.manifest.kind == "detector":
                detector = Elsewhere.of(_BENCH.models.detector(bundle, request).runtime)
                tile_px = tile_side(detector.device, detector.bytes_per_px)
            elif bundle.manifest.kind == "encoder":
                title = _BENCH.models.encoder(bundle, request).runtime.title
            elif bundle.manifest.kind == "outline":
                _BENCH.models.outlines(bundle, request)
            else:
                _BENCH.models.classifier(bundle, request)
    quick = os.name != "posix" or all(name in os.environ for name in ALLOCATOR)
    return WorkerFacts(__version__, detector, tile_px, quick, title)


def cells_of(slide_request: SlideRequest, tile: Tile) -> Answer:
    """Return the cells that a tile of a slide tells of, those where nothing was scanned and on damage among them.

    Raises
    ------
    CytoError
        When the slide or the model cannot be read here.
    """
    from napari_cyto.inference.engine.detect import ShownTile
    from napari_cyto.inference.engine.pipeline import table_of
    from napari_cyto.inference.model_view import SlidePixels, model_view

    bundle = _BENCH.bundle(slide_request.detector)
    with _BENCH.slide(slide_request.request.slide, slide_request.fingerprint) as opened:
        manifest = bundle.manifest
        view = model_view(SlidePixels(opened.slide), slide_request.mpp, manifest.mpp, opened.slide.info.name)
        shown = ShownTile.read(tile, view, slide_request.mpp, _BENCH.colour(opened, manifest, False))
        # One network at a time: the threads of a process read and compute in turns.
        with _BENCH.network_lock:
            table = table_of(_BENCH.models.detector(bundle, slide_request.request), shown, slide_request.score_from)
        return Answer(table, opened.damage(shown.bounds_yxyx))


def classes_of(slide_request: SlideRequest, centres_yx: npt.NDArray[np.float64]) -> Answer:
    """Return the probabilities ``(n, classes)`` of cells ``(n, 2)``, level-0 px.

    Raises
    ------
    CytoError
        When the slide or the model cannot be read here.
    """
    assert slide_request.classifier is not None
    bundle = _BENCH.bundle(slide_request.classifier)
    rule = bundle.manifest.crop_rule
    assert rule is not None
    with _BENCH.slide(slide_request.request.slide, slide_request.fingerprint) as opened:
        crops = rule.cut(opened.slide, centres_yx, slide_request.mpp, _BENCH.colour(opened, bundle.manifest, rule.icc))
        with _BENCH.network_lock:
            shares = _BENCH.models.classifier(bundle, slide_request.request).scores(crops)
        return Answer(shares, _damage_around(opened, centres_yx, rule, slide_request.mpp))


def vectors_of(vectors_request: VectorsRequest, centres_yx: npt.NDArray[np.float64]) -> Answer:
    """Return the vectors ``(n, length)`` of cells ``(n, 2)``, level-0 px, those on damage among them.

    Raises
    ------
    CytoError
        When the slide or the model cannot be read here.
    """
    bundle, mpp = _BENCH.bundle(vectors_request.encoder), vectors_request.mpp
    rule = bundle.manifest.crop_rule
    assert rule is not None
    with _BENCH.slide(vectors_request.slide, vectors_request.fingerprint) as opened:
        crops = rule.cut(opened.slide, centres_yx, mpp, _BENCH.colour(opened, bundle.manifest, rule.icc))
        with _BENCH.network_lock:
            vectors = _BENCH.models.encoder(bundle, vectors_request.on).vectors(crops)
        return Answer(vectors.astype(np.float64), _damage_around(opened, centres_yx, rule, mpp))


def outlines_of(outlines_request: OutlinesRequest, clicks_yx: npt.NDArray[np.float64]) -> tuple[FoundOutline, ...]:
    """Return the outline under each click ``(n, 2)``, level-0 px.

    Raises
    ------
    CytoError
        When the slide or the model cannot be read here.
    """
    from napari_cyto.inference.outline.computed import outlines_on
    from napari_cyto.inference.outline.outlines import OutlineMethod, Watershed

    model = outlines_request.model
    with _BENCH.slide(outlines_request.slide, outlines_request.fingerprint) as opened, _BENCH.network_lock:
        method: OutlineMethod = Watershed()
        if model is not None:
            method = _BENCH.models.outlines(_BENCH.bundle(model), outlines_request.on)
        return tuple(outlines_on(opened.slide, clicks_yx, outlines_request.mpp, method))


def _damage_around(
    opened: _OpenSlide, centres_yx: npt.NDArray[np.float64], rule: CropRule, mpp: float | None
) -> tuple[UnreadableTile, ...]:
    half = max(rule.sides_px(mpp, opened.slide.info.name, [opened.slide.info.path])) / 2 + 1
    met = [tile for y, x in centres_yx.tolist() for tile in opened.damage((y - half, x - half, y + half, x + half))]
    return tuple(dict.fromkeys(met))


def _opened(path: Path, slide_fingerprint: str) -> Slide:
    if not path.exists():
        raise CytoError(
            f"{path} does not exist on the worker {_place()}; put slides into a folder that all workers share under "
            "the same path."
        )
    if fingerprint(path) != slide_fingerprint:
        raise CytoError(f"{path} is a different slide on the worker {_place()}; share the folder with it.")
    return open_slide(path)


def _place() -> str:
    import socket

    return socket.gethostname()
