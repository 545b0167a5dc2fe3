"""Vectors of labelled cells by an encoder, kept in the user's cache by the hashes of encoder and cells."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import cut_all
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import beside
from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.jobs.events import Advanced, Event, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle

KEPT = "Vectors that are finished stay in the cache."
CACHE_BYTES = 2 * 2**30
"""Of the folder with vectors; the oldest go first."""

_AT_ONCE = 64
_TIMED_S, _TIMED_CROPS = 3.0, 512


class Encoder(Protocol):
    """What must be known of an encoder at work."""

    title: str

    def vectors(self, crops: npt.NDArray[np.uint8], token: Token | None = None) -> npt.NDArray[np.float32]:
        """Return vectors (n, length) of crops (n, windows, s, s, 3), uint8 RGB."""
        ...


@dataclass(frozen=True, eq=False)
class CellVectorSet:
    """Vectors of the cells of a training set.

    Parameters
    ----------
    vectors : ndarray, (n, length), float32
    class_index, slide_number : ndarray, (n,), intp
        Class of each cell, and its slide, counted in the training set's.
    remarks : tuple of str
        What was left out.
    """

    vectors: npt.NDArray[np.float32]
    class_index: npt.NDArray[np.intp]
    slide_number: npt.NDArray[np.intp]
    remarks: tuple[str, ...] = ()


def rule_of(bundle: Bundle) -> CropRule:
    """Return how an encoder's crops are cut.

    Raises
    ------
    CytoError
        When the model is no encoder.
    """
    rule = bundle.manifest.crop_rule
    if bundle.manifest.kind != "encoder" or rule is None:
        raise CytoError(f"{bundle.path}: expected an encoder, got a {bundle.manifest.kind}.")
    return rule


def scaled(slides: tuple[TrainingSlide, ...], rule: CropRule) -> tuple[tuple[TrainingSlide, ...], str]:
    """Return slides whose scale is known, and a sentence on what was assumed.

    Where nobody knows the scale of pictures of single cells, each is taken to fill the encoder's first window.
    """
    unknown = [slide for slide in slides if slide.mpp is None and slide.centred]
    if rule.unit == "px" or not unknown:
        return slides, ""
    known = tuple(
        replace(slide, mpp=rule.windows[0] / max(slide.size_hw)) if slide.mpp is None and slide.centred else slide
        for slide in slides
    )
    return known, (
        f"The µm per px of {counted(len(unknown), 'image')} of single cells is unknown, so each was scaled to fill the "
        "window, and differences in size between cells were lost; enter it after the source, as in folders:DIR@0.2."
    )


def encoded(
    encoder: Encoder, bundle: Bundle, data: TrainingSet, token: Token | None
) -> Generator[Event, None, CellVectorSet]:
    """Return the vectors of all cells, from the cache where it has them."""
    rule = rule_of(bundle)
    place = _place(bundle, data)
    if (found := _read(place, bundle, data)) is not None:
        return found
    slides, sentence = scaled(data.slides, rule)
    if sentence:
        yield Noted(sentence)
    crops = yield from cut_all(slides, rule, token)
    vectors = np.empty((len(crops), int(bundle.manifest.vector_length or 0)), dtype=np.float32)
    for start in range(0, len(crops), _AT_ONCE):
        stop_if_cancelled(token, KEPT)
        part = slice(start, start + _AT_ONCE)
        vectors[part] = encoder.vectors(np.asarray(crops.crops[part]), token)
        yield Advanced(min(start + _AT_ONCE, len(crops)), len(crops), f"Encoding cells with {bundle.id}")
    made = CellVectorSet(
        vectors, crops.class_index, crops.slide_number, (*((sentence,) if sentence else ()), *crops.remarks)
    )
    _write(place, made)
    return made


def crops_per_second(
    encoder: Encoder, bundle: Bundle, data: TrainingSet, token: Token | None
) -> Generator[Event, None, float]:
    """Return how many crops in memory the network encodes in a second: the median of batches after the first."""
    yield Advanced(0, 0, f"Timing {bundle.id}")
    rule = rule_of(bundle)
    slides, _ = scaled(data.slides, rule)
    few: list[TrainingSlide] = []
    for slide in slides:
        few.append(slide)
        if sum(map(len, few)) >= _AT_ONCE:
            break
    cut = yield from cut_all(few, rule, token)
    crops = np.resize(np.asarray(cut.crops), (_AT_ONCE, *cut.crops.shape[1:]))
    encoder.vectors(crops, token)
    times: list[float] = []
    while sum(times) < _TIMED_S and len(times) * _AT_ONCE < _TIMED_CROPS:
        stop_if_cancelled(token, KEPT)
        started = time.perf_counter()
        encoder.vectors(crops, token)
        times.append(time.perf_counter() - started)
    return _AT_ONCE / float(np.median(times))


def _place(bundle: Bundle, data: TrainingSet) -> Path:
    colour = "" if bundle.manifest.colour is None else bundle.manifest.colour.model_dump_json()
    how = hashlib.sha256((rule_of(bundle).model_dump_json() + colour).encode()).hexdigest()[:8]
    # The fingerprint counts cells in any order; here each has its place.
    order = hashlib.sha256("\n".join(f"{slide.key} {len(slide)}" for slide in data.slides).encode()).hexdigest()[:8]
    return _folder() / f"{bundle.sha256[:16]}-{how}-{data.fingerprint}-{order}.npz"


def _folder() -> Path:
    return user_cache_dir() / "encoder-vectors"


def _read(place: Path, bundle: Bundle, data: TrainingSet) -> CellVectorSet | None:
    """Return what is kept, None where there is nothing that can be used."""
    cells = sum(map(len, data.slides))
    try:
        with np.load(place, allow_pickle=False) as kept:
            found = CellVectorSet(
                kept["vectors"].astype(np.float32),
                kept["class_index"].astype(np.intp),
                kept["slide_number"].astype(np.intp),
                tuple(str(each) for each in kept["remarks"]),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    n = len(found.class_index)
    fits = found.vectors.shape == (n, bundle.manifest.vector_length) and len(found.slide_number) == n <= cells
    return found if fits and np.isfinite(found.vectors).all() else None


def _write(place: Path, made: CellVectorSet) -> None:
    """Keep vectors; a full disk costs the cache, not the table."""
    temporary = beside(place, "partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                vectors=made.vectors,
                class_index=made.class_index,
                slide_number=made.slide_number,
                remarks=np.asarray(made.remarks, dtype=np.str_),
            )
        temporary.replace(place)
        _trim()
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _trim() -> None:
    kept = sorted(_folder().glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in kept:
        total += path.stat().st_size
        if total > CACHE_BYTES:
            path.unlink(missing_ok=True)
