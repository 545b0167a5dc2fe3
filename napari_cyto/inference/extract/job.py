"""The extraction of cells: the job of the command line, the window and the tests.

Source: Kupas et al. 2024 (APACC), doi 10.1038/s41597-024-03596-3, for the steps; `_steps` says what is ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.files.lock import alone_in
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.inference._job import on_slide
from napari_cyto.inference._job import run as find_cells
from napari_cyto.inference.cluster.chunks import ModelReference, OutlinesRequest, outlines_of
from napari_cyto.inference.cluster.pool import Farm, WorkersLost, in_order
from napari_cyto.inference.extract._kept_nuclei import KeptNuclei, NucleiDependOn, kept_beside, rings_of, rows_of
from napari_cyto.inference.extract._masks import MaskSource, NucleiMask, StainMask
from napari_cyto.inference.extract._slices import cells_of_slice, steps_of_slice
from napari_cyto.inference.extract._targets import Target, target_of
from napari_cyto.inference.extract.extraction import Extraction, Fates, LeftOut, SlideExtracted
from napari_cyto.inference.extract.options import ExtractRequest, MaskOf
from napari_cyto.inference.many_slides import run_folder_of
from napari_cyto.inference.outline.computed import by_neighbours, outlines_on
from napari_cyto.inference.outline.job import BATCH, OutlineOptions
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Events, Failed, Measured, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.models.torch_installed import has_torch
from napari_cyto.slides import Slide, fingerprint, open_slide
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.slide import said_of_unreadable
from napari_cyto.slides.stain import Stain, look_over

_KEPT = "The nuclei found so far are kept; the same command goes on from there."

Batch: TypeAlias = tuple[int, npt.NDArray[np.float32]]
"""Nuclei that were outlined together: their number among the batches, and rows as `rows_of` makes them."""


def extract(request: ExtractRequest, token: Token | None = None, models: LoadedModels | None = None) -> Events:
    """Extract the cells of slides; a job.

    Parameters
    ----------
    request : ExtractRequest
        What is asked for.
    token : Token, optional
        Asks to stop; a folder of crops is then as it was, a project keeps the cells of the slices that were done. The
        nuclei and outlines that were found are kept beside the target, where the next run goes on.
    models : LoadedModels, optional
        Networks that stay in memory from one run to the next.

    Yields
    ------
    Event
        The last is a `Done` with an `Extraction`.
    """
    return ending_once(_steps(request, token, models or LoadedModels()))


def _steps(request: ExtractRequest, token: Token | None, models: LoadedModels) -> Steps:
    nuclei = nuclei_by(request, models)
    done, left_out = list[SlideExtracted](), list[LeftOut]()
    with target_of(request, nuclei.networks if nuclei else "", now_utc().date()) as target, ExitStack() as stack:
        kept = kept_beside(request.out)
        if nuclei is not None:
            refusal = f"{request.out}: another extraction is writing it; wait until it ends, or give another name."
            stack.enter_context(alone_in(kept, refusal))
            if request.workers is not None:
                yield Advanced(0, 0, "Starting workers.")
                nuclei.farm = stack.enter_context(_workers(nuclei, request.workers, token))
                yield from (Noted(remark) for remark in nuclei.farm.remarks)
        for path in request.slides:
            stop_if_cancelled(token, _KEPT)
            try:
                with open_slide(path) as slide:
                    one = OneSlide(request, target, slide, nuclei, token, kept)
                    done.append((yield from one.steps()))
            except (JobCancelled, WorkersLost):
                raise
            except CytoError as error:
                left_out.append(LeftOut(str(path), str(error)))
                # Of a single slide it is what the run ends with.
                if len(request.slides) > 1:
                    yield Noted(f"{path.name} is left out: {error}")
        if not done:
            raise CytoError(f"No slide could be used. {' '.join(each.reason for each in left_out)}")
        yield Advanced(1, 1, "Making sure that everything is on the disk.")
    if nuclei is not None:
        yield from (Noted(each) for each in (nuclei.farm.new_incidents() if nuclei.farm else ()))
        # Only now that the target is complete: a run that ends before goes on from there.
        shutil.rmtree(kept, ignore_errors=True)
    yield Done(
        Extraction(
            out=str(request.out),
            kind=target.kind,
            mask=str(request.mask),
            done=tuple(done),
            left_out=tuple(left_out),
        )
    )


@dataclass
class Nuclei:
    """What finds nuclei and outlines them: models of this process, or workers.

    Parameters
    ----------
    detector, outline : Bundle
        The models.
    models : LoadedModels
        Keeps the networks of this process.
    farm : Farm, optional
        Does the work instead.
    """

    detector: Bundle
    outline: Bundle
    models: LoadedModels
    farm: Farm | None = None

    @property
    def networks(self) -> str:
        """The hashes of both."""
        return f"{self.detector.sha256} {self.outline.sha256}"


def nuclei_by(request: ExtractRequest, models: LoadedModels) -> Nuclei | None:
    """Return what finds and outlines nuclei; None for the mask by stain.

    Raises
    ------
    CytoError
        When a model cannot be had.
    """
    if request.mask is not MaskOf.NUCLEI:
        return None
    if not has_torch():
        raise CytoError(
            "Expected torch for the mask of nuclei, got none; install napari-cyto[models], or extract by stain alone "
            "(--mask stain), which finds far fewer cells."
        )
    return Nuclei(bundle_named(request.detector), bundle_named(request.outlines), models)


def _workers(nuclei: Nuclei, workers: int, token: Token | None) -> AbstractContextManager[Farm]:
    from napari_cyto.inference.cluster.workers import workers_for

    both = (nuclei.detector, nuclei.outline)
    return workers_for(_ON, tuple(ModelReference.of(each, each.id) for each in both), workers, None, token)


_ON = OutlineOptions(device="cpu")
"""Where the outlines are drawn."""


class OneSlide:
    """The extraction on one slide, into any target."""

    def __init__(
        self,
        request: ExtractRequest,
        target: Target,
        slide: Slide,
        nuclei: Nuclei | None,
        token: Token | None,
        kept: Path | None = None,
    ) -> None:
        self._request, self._target, self._slide = request, target, slide
        self._by, self._token, self._folder = nuclei, token, kept
        self._name = slide.info.name
        self._remarks: list[str] = []
        self._nuclei = self._without = 0
        mpp = target.mpp(slide)
        if mpp is None:
            raise CytoError(
                f"Expected the µm per px of {self._name}, since all sizes of the extraction are in µm; the file does "
                "not say it. Give it (--mpp 0.25), or enter it in the Slide dock of the project."
            )
        self._mpp = mpp
        self._region, clipped = on_slide(request.region_yxyx, slide)
        self._remarks += clipped

    def steps(self) -> Generator[Advanced | Noted, None, SlideExtracted]:
        """Yield what happens; return what it came to."""
        limits, size_hw = self._request.limits, self._slide.info.size_hw
        step_px = limits.um_per_px / self._mpp
        source = yield from (self._nuclei_mask(self._by, step_px) if self._by else self._stain_mask(step_px))
        corners = [c for c in source.corners(size_hw) if self._meets(c)]
        self._target.begin(self._slide, self._mpp)
        fates, clipped = Fates(), 0
        for number, corner in enumerate(corners):
            stop_if_cancelled(self._token, _KEPT)
            found = steps_of_slice(source, corner, size_hw, step_px, limits)
            cells = cells_of_slice(found, corner, size_hw, limits, self._region)
            self._target.put(cells, found)
            fates, clipped = fates + cells.fates, clipped + cells.clipped
            yield Advanced(number + 1, len(corners), f"{self._name}: {counted(fates.kept, 'cell')}")
        self._target.end()
        self._remarks += said_of_unreadable(self._slide.unreadable)
        return SlideExtracted(
            slide=str(self._slide.info.path),
            slices=len(corners),
            nuclei=self._nuclei,
            without_outline=self._without,
            fates=fates,
            clipped=clipped,
            written=self._target.written,
            there_before=self._target.there_before,
            remarks=tuple(self._remarks),
        )

    def _meets(self, corner_yx: tuple[int, int]) -> bool:
        if self._region is None:
            return True
        (y, x), (y0, x0, y1, x1) = corner_yx, self._region
        return y < y1 and y0 < y + SLICE_SIDE and x < x1 and x0 < x + SLICE_SIDE

    def _nuclei_mask(self, by: Nuclei, step_px: float) -> Generator[Advanced | Noted, None, MaskSource]:
        kept = self._kept(by)
        if kept is not None and kept.news is not None:
            yield Noted(f"{self._name}: {kept.news}.")
        found = None if kept is None else kept.centres_yx
        if found is None:
            centres = yield from self._centres(by, kept)
            if kept is not None:
                kept.keep_centres(centres)
            # As they are read back, so that a run that goes on comes to the same.
            found = np.array(centres, np.float32).reshape(-1, 2).astype(np.float64)
        found = found[by_neighbours(found)]
        rings, damaged = [], 0
        for number, rows in (yield from self._outlined(by, found, kept)).items():
            here, lost = rings_of(rows, found[number * BATCH : (number + 1) * BATCH])
            rings += here
            damaged += lost
        if damaged:
            self._remarks.append(
                f"{counted(damaged, 'nucleus lies', 'nuclei lie')} where the file is damaged and "
                f"{'is' if damaged == 1 else 'are'} left out."
            )
        self._nuclei, self._without = len(found), len(found) - len(rings)
        return NucleiMask(rings, step_px)

    def _kept(self, by: Nuclei) -> KeptNuclei | None:
        if self._folder is None:
            return None
        record = SlideRecord(name=self._name, path=str(self._slide.info.path), fingerprint=self._fingerprint)
        depends_on = NucleiDependOn(
            slide=self._fingerprint,
            models=by.networks,
            mpp=self._mpp,
            region=self._region,
            score_from=self._request.score_from,
        )
        return KeptNuclei(run_folder_of(self._folder, record), depends_on)

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._slide.info.path)

    def _outlined(
        self, by: Nuclei, centres_yx: npt.NDArray[np.float64], kept: KeptNuclei | None
    ) -> Generator[Advanced, None, dict[int, npt.NDArray[np.float32]]]:
        """Outline the nuclei that are not yet; return the rows of all batches, in order."""
        done = {} if kept is None else kept.outlines()
        batches = {n: centres_yx[n * BATCH : (n + 1) * BATCH] for n in range(-(-len(centres_yx) // BATCH))}
        left = {n: batch for n, batch in batches.items() if n not in done}
        found = self._here(by, left) if by.farm is None else self._by_workers(by, by.farm, left)
        for number, rows in found:
            if kept is not None:
                kept.keep_outlines(number, rows)
            done[number] = rows
            yield Advanced(len(done), len(batches), f"{self._name}: outlining nuclei.")
        return {number: done[number] for number in batches}

    def _here(self, by: Nuclei, left: dict[int, npt.NDArray[np.float64]]) -> Iterator[Batch]:
        method = by.models.outlines(by.outline, _ON)
        for number, clicks in left.items():
            found = []
            for one in outlines_on(self._slide, clicks, self._mpp, method):
                stop_if_cancelled(self._token, _KEPT)
                found.append(one)
            yield number, rows_of(found)

    def _by_workers(self, by: Nuclei, farm: Farm, left: dict[int, npt.NDArray[np.float64]]) -> Iterator[Batch]:
        model = ModelReference.of(by.outline, by.outline.id)
        chunks_of = OutlinesRequest(self._slide.info.path, self._fingerprint, self._mpp, model, _ON)
        for number, found in in_order(farm, outlines_of, chunks_of, left.items(), self._token, _KEPT):
            yield number, rows_of(found)

    def _centres(self, by: Nuclei, kept: KeptNuclei | None) -> Generator[Advanced | Noted, None, list[YX]]:
        """Find the nuclei, by the same job as a prediction."""
        prediction = PredictRequest(
            slide=self._slide.info.path,
            detector=self._request.detector,
            mpp=self._mpp,
            region_yxyx=self._region,
            score_from=self._request.score_from,
            run_folder=None if kept is None else kept.detection,
            # A search that came to its end, but whose nuclei were not kept, tells none of them again.
            again=True,
        )
        centres = list[YX]()
        for event in find_cells(prediction, self._token, by.models, by.farm):
            match event:
                case Measured(values) if "cells" in values:
                    centres += [(y, x) for y, x in values["cells"]["centres_yx"]]
                case Noted(sentence):
                    self._remarks.append(sentence)
                    yield event
                case Advanced(done, total, _):
                    yield Advanced(done, total, f"{self._name}: finding nuclei.")
                case Cancelled():
                    raise JobCancelled(f"Cancelled. {_KEPT}")
                case Failed(sentence, True):
                    raise CytoError(sentence)
                case Failed(sentence, False, traceback):
                    raise RuntimeError(f"{sentence}\n{traceback}")
        return centres

    def _stain_mask(self, step_px: float) -> Generator[Advanced, None, MaskSource]:
        pixels = SlidePixels(self._slide)
        for said in look_over(pixels, self._mpp, self._region):
            if isinstance(said, Stain):
                return StainMask(pixels, said, self._request.limits.um_per_px, step_px)
            stop_if_cancelled(self._token, _KEPT)
            yield Advanced(*said, f"{self._name}: looking for what is stained.")
        raise AssertionError
