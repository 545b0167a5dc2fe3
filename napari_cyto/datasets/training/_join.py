"""Slides of several sources joined: those of the same pixels are told apart, cells that two sources have taken once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from napari_cyto.datasets.training._source_classes import LEFT_OUT
from napari_cyto.datasets.training._source_readers import SourceSlide
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import same_fingerprint, sampled_part
from napari_cyto.domain.geometry import YX, YXYX, Point
from napari_cyto.errors import SlideError
from napari_cyto.slides import fingerprint

_NO_BOX = (np.nan, np.nan, np.nan, np.nan)


class Joining:
    """Collects slides of one training set.

    Parameters
    ----------
    scheme : ClassScheme
        What ``class_index`` of the slides counts.

    Attributes
    ----------
    slides : list of TrainingSlide
        What was collected.
    remarks : list of str
        What was left out and why.
    """

    def __init__(self, scheme: ClassScheme) -> None:
        self._index = {class_id: i for i, class_id in enumerate(scheme.ids)}
        self.slides: list[TrainingSlide] = []
        self.remarks: list[str] = []
        self._counts: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._known: dict[str, dict[tuple[int, int], int]] = {}
        self._labelled: dict[str, int] = {}
        self._prints: dict[str, list[str]] = {}

    def add(self, source: str, slide: SourceSlide, pairs: Mapping[str, str]) -> None:
        """Add a slide of ``source``, its classes renamed by ``pairs``."""
        record = slide.record
        try:
            pixels = self._known_pixels(record.fingerprint or fingerprint(record.path))
        except SlideError as error:
            self.remarks.append(f"{error} The slide was left out.")
            return
        if record.size_hw is None:
            raise AssertionError
        new = self._slide(source, slide, pairs, pixels, record.size_hw)
        says = bool(len(new) or new.regions or len(new.rejected_yx))
        if not says and slide.cells:
            return
        if pixels in self._labelled and says:
            number = self._labelled[pixels]
            self.slides[number] = _merged(self.slides[number], new)
            return
        if says:
            self._labelled[pixels] = len(self.slides)
        # Models' cards and run folders know slides by the part of the fingerprint that every version has.
        sampled = sampled_part(pixels)
        self._keys[sampled] += 1
        # Slices of blank glass are all of the same pixels; each keeps a key, and a smear, of its own.
        key = sampled[:16] if self._keys[sampled] == 1 else f"{sampled[:16]}-{self._keys[sampled]}"
        self.slides.append(replace(new, key=key))

    def _slide(
        self, source: str, slide: SourceSlide, pairs: Mapping[str, str], pixels: str, size_hw: tuple[int, int]
    ) -> TrainingSlide:
        record = slide.record
        rows = self._cells(slide, pairs, size_hw, pixels)
        return TrainingSlide(
            pixels[:16],
            record.path,
            record.name,
            record.mpp,
            record.patient,
            record.smear,
            source,
            np.array([c for c, _, _ in rows], dtype=np.float64).reshape(-1, 2),
            np.array([b for _, b, _ in rows], dtype=np.float64).reshape(-1, 4),
            np.array([i for _, _, i in rows], dtype=np.intp),
            size_hw,
            slide.regions,
            slide.centred,
            record.side,
            sampled_part(pixels),
            np.array(slide.rejected_yx, dtype=np.float64).reshape(-1, 2),
        )

    def _known_pixels(self, pixels: str) -> str:
        """Return the fingerprint under which a picture is known already, perhaps by an older project; else its own."""
        prints = self._prints.setdefault(sampled_part(pixels), [])
        known = next((each for each in prints if same_fingerprint(each, pixels)), None)
        if known is None:
            prints.append(pixels)
        return known or pixels

    def _cells(
        self, slide: SourceSlide, pairs: Mapping[str, str], size_hw: tuple[int, int], pixels: str
    ) -> list[tuple[YX, YXYX, int]]:
        """Return centre, box and class of each cell that is new and lies on its slide."""
        rows: list[tuple[YX, YXYX, int]] = []
        known = self._known.setdefault(pixels, {})
        fresh: dict[tuple[int, int], int] = {}
        for geometry, own_class in slide.cells:
            if pairs[own_class] == LEFT_OUT:
                self._counts[own_class] += 1
                continue
            y, x = geometry.centre_yx
            place, index = (round(y), round(x)), self._index[pairs[own_class]]
            if not (0 <= y < size_hw[0] and 0 <= x < size_hw[1]):
                self._counts["_outside"] += 1
            elif place in known:
                self._counts["_double" if known[place] == index else "_differing"] += 1
            else:
                fresh[place] = index
                box = _NO_BOX if isinstance(geometry, Point) else geometry.bounds_yxyx
                rows.append(((y, x), box, index))
        known.update(fresh)
        return rows

    def all_remarks(self) -> list[str]:
        """Return all remarks, those that are counted last."""
        counts = dict(self._counts)
        sentences = {
            "_outside": "centred outside the slide, left out.",
            "_double": "in two sources, taken once.",
            "_differing": "in two sources with different classes; the class of the first source was taken.",
        }
        said = [f"{counted(counts.pop(kind), 'cell')} {text}" for kind, text in sentences.items() if kind in counts]
        said += [f"{counted(n, 'cell')} of class {c} left out, as requested." for c, n in sorted(counts.items())]
        return [*self.remarks, *said]


def _merged(first: TrainingSlide, second: TrainingSlide) -> TrainingSlide:
    """Return a picture with what two sources know of it: cells that the one lacks would else be background there."""
    return replace(
        first,
        mpp=second.mpp if first.mpp is None else first.mpp,
        patient=first.patient or second.patient,
        smear=first.smear or second.smear,
        centres_yx=np.vstack([first.centres_yx, second.centres_yx]),
        boxes_yxyx=np.vstack([first.boxes_yxyx, second.boxes_yxyx]),
        class_index=np.concatenate([first.class_index, second.class_index]),
        regions=tuple(dict.fromkeys((*first.regions, *second.regions))),
        centred=first.centred and second.centred,
        rejected_yx=np.unique(np.vstack([first.rejected_yx, second.rejected_yx]), axis=0),
        side=first.side or second.side,
    )
