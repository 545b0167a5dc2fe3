"""A training set as a value: labelled cells of many sources in one class scheme, each with its slide and scale."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training._join import Joining
from napari_cyto.datasets.training._source_classes import LEFT_OUT, SourceMap, refuse_unmapped, source_map
from napari_cyto.datasets.training._source_readers import SourceContent, read_content
from napari_cyto.datasets.training.labelled_slide import TrainingSlide as TrainingSlide
from napari_cyto.datasets.training.scheme import named_scheme, scheme_name_for
from napari_cyto.datasets.training.set_fingerprint import set_fingerprint
from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.errors import CytoError

_GREY = "#808080"


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Labelled cells of all sources, in one scheme.

    Parameters
    ----------
    scheme : ClassScheme
        The classes' scheme.
    classes : tuple of str
        Ids of the classes that ``class_index`` counts: those of the scheme that have cells, in its order, or those
        that were asked for.
    slides : tuple of TrainingSlide
        Ordered by key.
    remarks : tuple of str
        What was left out and why, one sentence each.
    maps : mapping
        Source to the name of the class map it was read by.
    """

    scheme: ClassScheme
    classes: tuple[str, ...]
    slides: tuple[TrainingSlide, ...]
    remarks: tuple[str, ...] = ()
    maps: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of pixels, cells and classes; the same in any order, wherever the files lie."""
        return set_fingerprint(self.scheme.name, self.classes, self.slides)

    def counts(self, keys: Iterable[str] | None = None) -> dict[str, int]:
        """Return how many cells each class has, zeros included, on all slides or those with ``keys``."""
        chosen_keys = None if keys is None else set(keys)
        total: npt.NDArray[np.intp] = np.zeros(len(self.classes), dtype=np.intp)
        for slide in self.slides:
            if chosen_keys is None or slide.key in chosen_keys:
                total += np.bincount(slide.class_index, minlength=len(self.classes))
        return dict(zip(self.classes, total.tolist(), strict=True))

    def describe(self) -> dict[str, Any]:
        """Return what a model card says of the data, JSON-able."""
        of_source: dict[str, dict[str, Any]] = {}
        for slide in self.slides:
            row = of_source.setdefault(slide.source, {"slides": 0, "cells": Counter()})
            row["slides"] += 1
            row["cells"].update(self.classes[i] for i in slide.class_index.tolist())
        return {
            "fingerprint": self.fingerprint,
            "scheme": self.scheme.name,
            "classes": list(self.classes),
            "slides": len(self.slides),
            "mpp_um": _range_um(slide.mpp for slide in self.slides),
            "cells": self.counts(),
            "sources": [
                {
                    "source": _without_folders(source),
                    "class_map": PurePath(self.maps.get(source, "")).name,
                    **row,
                    "cells": dict(row["cells"]),
                }
                for source, row in of_source.items()
            ],
            "remarks": [_without_paths(remark, of_source) for remark in self.remarks],
        }


def _range_um(mpps: Iterable[float | None]) -> list[float]:
    """Return the finest and the coarsest µm per px, rounded; empty where none is known."""
    known = [mpp for mpp in mpps if mpp is not None]
    return [round(min(known), 4), round(max(known), 4)] if known else []


def _without_folders(source: str) -> str:
    """Return a source's text less the folders above its own, which are nobody's business outside this machine."""
    spec = parse_source(source)
    return str(replace(spec, path=Path(spec.path.name), map_name=PurePath(spec.map_name).name))


def _without_paths(remark: str, sources: Iterable[str]) -> str:
    """Return a sentence less the folders above the sources that it names files of."""
    for source in sources:
        path = parse_source(source).path
        for folder in {path.expanduser().resolve().parent, path.parent}:
            if folder.name:
                remark = remark.replace(str(folder / "_")[:-1], "")
                # What a library says of a file may have been cut short in the middle of its folders.
                begins = re.escape(str(Path(*folder.parts[:2])))
                remark = re.sub(begins + r"[^'\"()\n]*[/\\]", "", remark)
    return remark


def read_training_set(
    specs: Iterable[SourceSpec | str], scheme: str | ClassScheme = "", classes: Sequence[str] | None = None
) -> TrainingSet:
    """Join sources into one training set.

    Parameters
    ----------
    specs : iterable of SourceSpec or str
        The sources. Of a picture that several hold, a cell that the earlier one has is not doubled by the later one.
    scheme : str or ClassScheme
        A scheme itself (a model keeps its own), or what `named_scheme` finds one by; empty: that of the first project
        among the sources, else Bethesda.
    classes : sequence of str, optional
        The classes that ``class_index`` is to count, for data that a model with these classes shall meet; without
        it, those that have cells.

    Raises
    ------
    CytoError
        When a source cannot be read, has classes without counterpart (all of them are listed), or no cell is left.
    """
    sources = [parse_source(spec) if isinstance(spec, str) else spec for spec in specs]
    if not sources:
        raise CytoError("Expected at least one source of cells, such as cric:DIR or a project folder, got none.")
    if isinstance(scheme, str):
        scheme = named_scheme(scheme or scheme_name_for(sources))
    read = [(str(spec), read_content(spec)) for spec in dict.fromkeys(sources)]
    maps: dict[str, SourceMap] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for spec, (name, content) in zip(dict.fromkeys(sources), read, strict=True):
        used = {class_id for slide in content.slides for _, class_id in slide.cells}
        maps[name] = source_map(spec, content.scheme_name, used, scheme)
        missing[name] = maps[name].unmapped(used)
    refuse_unmapped(missing, scheme)
    return _joined(read, maps, scheme, classes)


def read_own_classes(spec: SourceSpec | str) -> TrainingSet:
    """Read one source in its own classes: those of its scheme, or of class folders the folders' names.

    Raises
    ------
    CytoError
        When it cannot be read, or no cell is left.
    """
    source = parse_source(spec) if isinstance(spec, str) else spec
    content = read_content(source)
    renamed = dict(source.class_map)
    used = {class_id for slide in content.slides for _, class_id in slide.cells}
    pairs = {class_id: renamed.get(class_id, class_id) for class_id in used}
    named = sorted(set(pairs.values()) - {LEFT_OUT})
    if not named:
        raise CytoError(f"{source}: expected annotated cells, got none. " + " ".join(content.remarks[:5]))
    if content.scheme_name in PRESETS and set(named) <= set(preset(content.scheme_name).ids):
        scheme = preset(content.scheme_name)
    else:
        scheme = ClassScheme("own", 1, tuple(CellClass(class_id, class_id, _GREY) for class_id in named))
    return _joined([(str(source), content)], {str(source): SourceMap("own classes", pairs)}, scheme, None)


def _joined(
    read: list[tuple[str, SourceContent]],
    maps: Mapping[str, SourceMap],
    scheme: ClassScheme,
    classes: Sequence[str] | None,
) -> TrainingSet:
    joining = Joining(scheme)
    for name, content in read:
        joining.remarks += content.remarks
        for slide in content.slides:
            joining.add(name, slide, maps[name].pairs)
    present = {i for slide in joining.slides for i in slide.class_index.tolist()}
    if not present:
        raise CytoError("Expected annotated cells in the sources, got none. " + " ".join(joining.all_remarks()[:5]))
    chosen = tuple(c for i, c in enumerate(scheme.ids) if i in present) if classes is None else tuple(classes)
    _refuse_foreign(scheme, present, chosen)
    recount = np.array([chosen.index(c) if c in chosen else -1 for c in scheme.ids], dtype=np.intp)
    slides = sorted(joining.slides, key=lambda s: s.key)
    renumbered = tuple(replace(slide, class_index=recount[slide.class_index]) for slide in slides)
    return TrainingSet(
        scheme, chosen, renumbered, tuple(joining.all_remarks()), {name: m.name for name, m in maps.items()}
    )


def _refuse_foreign(scheme: ClassScheme, present: set[int], chosen: tuple[str, ...]) -> None:
    foreign = [c for i, c in enumerate(scheme.ids) if i in present and c not in chosen]
    if foreign:
        raise CytoError(
            f"Expected cells of {', '.join(chosen)} only, got {', '.join(foreign)} too; name their new class after the "
            f"source, or leave them out with @{'=,'.join(foreign)}= there."
        )
