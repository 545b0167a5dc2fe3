"""Answers clicks one after the other, with the slide open and the model loaded between them."""

from __future__ import annotations

import numpy as np

from napari_cyto.inference.outline.clicks import ClickedCell, ClickRequest, ClicksAnswered
from napari_cyto.inference.outline.computed import FoundOutline, outlines_on
from napari_cyto.inference.outline.outlines import OutlineMethod, outline_method
from napari_cyto.jobs.events import Cancelled, Done, Events, Measured, Token
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.pixel_source import ImagePixels

_WARM_PX = 64
_WARM_MPP = 0.5


class WarmClicks:
    """What the process beside the window keeps between two clicks: one model and one open slide."""

    def __init__(self) -> None:
        self._methods: dict[str | None, tuple[OutlineMethod, str]] = {}
        self._slide: tuple[tuple[str, str], Slide] | None = None

    def run(self, request: ClickRequest, token: Token) -> Events:
        """Yield what lies under each click, then the last word.

        Yields
        ------
        Event
            ``Measured`` with a `ClickedCell`, ``Done`` with `ClicksAnswered`; ``Cancelled`` where a newer click came.

        Raises
        ------
        CytoError
            When the slide cannot be read or is another one, the model cannot be had, or a click is not on the slide.
        """
        method, remark = self._method(request.model)
        slide = self._open(request)
        if not request.clicks_yx:
            self._look_at_nothing(method)
        for number, click in enumerate(request.clicks_yx):
            if token.cancelled():
                yield Cancelled("A newer click came.")
                return
            (found,) = outlines_on(slide, np.array([click]), request.mpp, method)
            yield Measured(_clicked(number, found, slide.info.size_hw).to_json())
        yield Done(ClicksAnswered(method.name, remark))

    def _method(self, model: str | None) -> tuple[OutlineMethod, str]:
        if model not in self._methods:
            self._methods = {model: outline_method(model)}
        return self._methods[model]

    def _open(self, request: ClickRequest) -> Slide:
        key = (str(request.slide), request.fingerprint)
        if self._slide is not None and self._slide[0] == key:
            return self._slide[1]
        if self._slide is not None:
            self._slide[1].close()
            self._slide = None
        fingerprint_as_annotated(request.slide, request.fingerprint)
        slide = open_slide(request.slide)
        self._slide = (key, slide)
        return slide

    def _look_at_nothing(self, method: OutlineMethod) -> None:
        """Have the network run once: its first answer takes longer than all that follow."""
        grey = ImagePixels(np.full((_WARM_PX, _WARM_PX, 3), 200, np.uint8))
        method.outline(grey, (_WARM_PX / 2, _WARM_PX / 2), _WARM_MPP)


def _clicked(number: int, found: FoundOutline, size_hw: tuple[int, int]) -> ClickedCell:
    shape = found.cell.geometry(size_hw)
    rings = ((), ()) if shape is None else (shape.vertices_yx, shape.cytoplasm_yx)
    return ClickedCell(number, *rings, found.cell.score, found.is_damaged)
