"""What the names of a slide's slices begin with, such that no two slides get the same."""

from __future__ import annotations

from collections.abc import Iterable

from napari_cyto.domain.image_names import bare_name
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.safe_names import folded, safe_name
from napari_cyto.formats.apacc.names import match_stem
from napari_cyto.formats.apacc.slices import is_slice


class SmearNames:
    """The smear's name in the stems of each slide; of a slice that was imported, its whole stem.

    Two slides of one smear, or of one name in two folders, would else be mixed slice by slice.

    Parameters
    ----------
    slides : iterable of SlideRecord
        All that are written together.
    """

    def __init__(self, slides: Iterable[SlideRecord]) -> None:
        listed = list(slides)
        came = {slide.id: safe_name(slide.stem) for slide in listed if is_slice(slide)}
        self._taken = {folded(name.smear) for stem in came.values() if (name := match_stem(stem))}
        self._taken |= {folded(stem) for stem in came.values()}
        self._names = came | {slide.id: self._free(slide) for slide in listed if not is_slice(slide)}

    def __getitem__(self, slide: SlideRecord) -> str:
        """Return the name for a slide."""
        return self._names[slide.id]

    def _free(self, slide: SlideRecord) -> str:
        chosen = safe_name(slide.smear or bare_name(slide.name) or slide.name or slide.id)
        name, number = chosen, 1
        while folded(name) in self._taken:
            number += 1
            name = f"{chosen}-{number}"
        self._taken.add(folded(name))
        return name
