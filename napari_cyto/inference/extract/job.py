"""The extraction of cells: the job of the command line, the window and the tests.

Source: Kupas et al. 2024 (APACC), doi 10.1038/s41597-024-03596-3, for the steps; `_steps` says what is ours.
"""

from __future__ import annotations

from collections.abc import Generator

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.inference._job import on_slide
from napari_cyto.inference._job import run as find_cells
from napari_cyto.inference.extract._masks import MaskSource, NucleiMask, StainMask
from napari_cyto.inference.extract._slices import cells_of_slice, steps_of_slice
from napari_cyto.inference.extract._targets import Target, target_of
from napari_cyto.inference.extract.extraction import Extraction, Fates, LeftOut, SlideExtracted
from napari_cyto.inference.extract.options import ExtractRequest, MaskOf
from napari_cyto.inference.outline.outlines import NetworkOutlines, OutlineMethod, outlines_at
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Events, Failed, Measured, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.library import bundle_named
from napari_cyto.models.torch_installed import has_torch
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.slide import said_of_unreadable
from napari_cyto.slides.stain import Stain, look_over

_REPORT_EVERY = 20
_KEPT = "What was stored in a project so far is kept."


def extract(request: ExtractRequest, token: Token | None = None, models: LoadedModels | None = None) -> Events:
    """Extract the cells of slides; a job.

    Parameters
    ----------
    request : ExtractRequest
        What is asked for.
    token : Token, optional
        Asks to stop; a folder of crops is then as it was, a project keeps the cells of the slices that were done.
    models : LoadedModels, optional
        Networks that stay in memory from one run to the next.

    Yields
    ------
    Event
        The last is a `Done` with an `Extraction`.
    """
    return ending_once(_steps(request, token, models or LoadedModels()))


def _steps(request: ExtractRequest, token: Token | None, models: LoadedModels) -> Steps:
    method, networks = outlined_by(request)
    done, left_out = list[SlideExtracted](), list[LeftOut]()
    with target_of(request, networks, now_utc().date()) as target:
        for path in request.slides:
            stop_if_cancelled(token, _KEPT)
            try:
                with open_slide(path) as slide:
                    done.append((yield from OneSlide(request, target, slide, method, token, models).steps()))
            except JobCancelled:
                raise
            except CytoError as error:
                left_out.append(LeftOut(str(path), str(error)))
                yield Noted(f"{path.name} is left out: {error}")
        if not done:
            raise CytoError(f"No slide could be used. {' '.join(each.reason for each in left_out)}")
        yield Advanced(1, 1, "Making sure that everything is on the disk.")
    yield Done(
        Extraction(
            out=str(request.out),
            kind=target.kind,
            mask=str(request.mask),
            done=tuple(done),
            left_out=tuple(left_out),
        )
    )


def outlined_by(request: ExtractRequest) -> tuple[OutlineMethod | None, str]:
    """Return what outlines nuclei, None for the mask by stain, and the hashes of the models of the mask.

    Raises
    ------
    CytoError
        When a model cannot be had.
    """
    if request.mask is not MaskOf.NUCLEI:
        return None, ""
    if not has_torch():
        raise CytoError(
            "Expected torch for the mask of nuclei, got none; install napari-cyto[models], or extract by stain alone "
            "(--mask stain), which finds far fewer cells."
        )
    detector, outline = bundle_named(request.detector), bundle_named(request.outlines)
    return NetworkOutlines(outline), f"{detector.sha256} {outline.sha256}"


class OneSlide:
    """The extraction on one slide, into any target."""

    def __init__(
        self,
        request: ExtractRequest,
        target: Target,
        slide: Slide,
        method: OutlineMethod | None,
        token: Token | None,
        models: LoadedModels,
    ) -> None:
        self._request, self._target, self._slide = request, target, slide
        self._method, self._token, self._models = method, token, models
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
        source = yield from (self._nuclei_mask(step_px) if self._method else self._stain_mask(step_px))
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

    def _nuclei_mask(self, step_px: float) -> Generator[Advanced | Noted, None, MaskSource]:
        assert self._method is not None
        centres = yield from self._centres()
        rings = []
        pixels = SlidePixels(self._slide)
        for number, cell in enumerate(outlines_at(pixels, centres, self._mpp, self._method)):
            stop_if_cancelled(self._token, _KEPT)
            if cell.nucleus_yx:
                rings.append(cell.nucleus_yx)
            if not number % _REPORT_EVERY:
                yield Advanced(number, len(centres), f"{self._name}: outlining nuclei.")
        self._nuclei, self._without = len(centres), len(centres) - len(rings)
        return NucleiMask(rings, step_px)

    def _centres(self) -> Generator[Advanced | Noted, None, list[tuple[float, float]]]:
        """Find the nuclei, by the same job as a prediction."""
        prediction = PredictRequest(
            slide=self._slide.info.path,
            detector=self._request.detector,
            mpp=self._mpp,
            region_yxyx=self._region,
            score_from=self._request.score_from,
        )
        centres = list[tuple[float, float]]()
        for event in find_cells(prediction, self._token, self._models):
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
