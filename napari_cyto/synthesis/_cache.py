"""Keep made smears between runs: whole or not at all, by version, made again when damaged."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.domain.fingerprints import same_fingerprint
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.files.user_folders import CACHE_VARIABLE, user_cache_dir
from napari_cyto.jobs.events import Token
from napari_cyto.slides import fingerprint
from napari_cyto.slides.tiff_writer import RGB, write_pyramid
from napari_cyto.synthesis._layout import SmearSpec, lay_out
from napari_cyto.synthesis._truth import SmearTruth

# Counts up whenever the same spec gives other pixels or another truth; old files are then left alone and unused.
GENERATOR_VERSION = 2
_ABANDONED_S = 1800.0

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class MadeSmear:
    """A smear on disk with all that is known of it.

    Parameters
    ----------
    slide_path : Path
        The pyramidal TIFF.
    record : SlideRecord
        What a project stores of it; its id is the same on every machine, and another for each generator.
    smear_truth : SmearTruth
        Every cell, with nuclei and areas.
    """

    slide_path: Path
    record: SlideRecord
    smear_truth: SmearTruth

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of level 0, px."""
        assert self.record.size_hw is not None, "a made smear has a size"
        return self.record.size_hw

    @property
    def truth(self) -> LabelSet:
        """Every cell's box and every piece of rubbish, as annotations of this slide, level-0 px."""
        return self.smear_truth.label_set(self.record)


def obtain_smear(
    spec: SmearSpec,
    name: str,
    cache_dir: Path | None = None,
    *,
    advance: Advance | None = None,
    token: Token | None = None,
) -> MadeSmear:
    """Return the smear of ``spec`` from the cache; make it first where it is missing or damaged.

    Parameters
    ----------
    spec : SmearSpec
        What to make.
    name : str
        What people call it, and the patient it is said to come from.
    cache_dir : Path, optional
        Where made smears are kept; ``user_cache_dir()`` when not given.
    advance : callable, optional
        Told ``(done, total)`` px rows while it is drawn.
    token : Token, optional
        Asked whether to stop, several times a second.

    Raises
    ------
    JobCancelled
        When asked to stop; nothing is left behind.
    CytoError
        When the cache cannot be written.
    """
    folder = (cache_dir or user_cache_dir()) / f"synthesis-{GENERATOR_VERSION}"
    stem = f"{name.replace(' ', '-')}-{_key(spec)}"
    slide_path, truth_path = folder / f"{stem}.tif", folder / f"{stem}.json"
    _sweep(folder, stem)
    kept = _kept(slide_path, truth_path)
    if kept is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = _make(spec, slide_path, truth_path, advance, token)
        except OSError as error:
            raise CytoError(
                f"The demo smear cannot be written to {folder} ({error.strerror or error}); "
                f"free some space or set {CACHE_VARIABLE} to another folder."
            ) from error
    print_, truth = kept
    record = SlideRecord(
        id=hashlib.sha256(f"{GENERATOR_VERSION}/{stem}".encode()).hexdigest()[:32],
        name=f"{name}.tif",
        path=str(slide_path.absolute()),
        size_hw=spec.size_hw,
        mpp=spec.mpp,
        mpp_source="file",
        smear=name,
        patient=name,
        fingerprint=print_,
    )
    return MadeSmear(slide_path, record, truth)


def _key(spec: SmearSpec) -> str:
    text = json.dumps([spec.size_hw, spec.seed, spec.mpp, sorted(spec.cells_mm2.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sweep(folder: Path, stem: str) -> None:
    """Remove what a killed program left half made; one that still draws writes many times a minute."""
    for left in folder.glob(f".{glob.escape(stem)}.*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


def _kept(slide_path: Path, truth_path: Path) -> tuple[str, SmearTruth] | None:
    """Return what is cached if it is whole: the slide has the size and fingerprint that were written down."""
    try:
        stored: dict[str, Any] = json.loads(truth_path.read_text(encoding="utf-8"))
        same = same_fingerprint(stored["fingerprint"], fingerprint(slide_path))
        if stored["bytes"] != slide_path.stat().st_size or not same:
            return None
        return stored["fingerprint"], SmearTruth.from_dict(stored["truth"])
    except (OSError, ValueError, KeyError, TypeError, CytoError):
        # Missing or damaged in any way: it is made again.
        return None


def _make(
    spec: SmearSpec, slide_path: Path, truth_path: Path, advance: Advance | None, token: Token | None
) -> tuple[str, SmearTruth]:
    _stop_if_cancelled(token)
    smear = lay_out(spec, token)
    rows = spec.size_hw[0]

    def draw(y0: int, x0: int, height: int, width: int) -> RGB:
        if advance is not None and x0 == 0:
            advance(y0, rows)
        _stop_if_cancelled(token)
        return smear.renderer.draw(y0, x0, height, width)

    truth_path.unlink(missing_ok=True)
    write_pyramid(slide_path, spec.size_hw, draw, mpp=spec.mpp)
    print_ = fingerprint(slide_path)
    stored = {"bytes": slide_path.stat().st_size, "fingerprint": print_, "truth": smear.truth.to_dict()}
    temporary = truth_path.with_name(f".{truth_path.name}.{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(stored, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(truth_path)
    return print_, smear.truth


def _stop_if_cancelled(token: Token | None) -> None:
    if token is not None and token.cancelled():
        raise JobCancelled("Cancelled. No smear was made.")
