"""Where extracted cells go: crops in a folder, or predictions in a project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.spatial import KDTree

from napari_cyto.domain.annotation import Annotation, Status, now_utc, origin_of_model
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import Change, Edit
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder, check_replaceable, exporting
from napari_cyto.files.safe_names import safe_name
from napari_cyto.formats.apacc.names import CropName, crop_name
from napari_cyto.formats.apacc.smear_names import SmearNames
from napari_cyto.inference._stored_predictions import SAME_UM
from napari_cyto.inference._target_project import believed_mpp, made, record_for, there
from napari_cyto.inference.extract._slices import SliceCells, SliceSteps, WholeBox
from napari_cyto.inference.extract.options import UNLABELLED, ExtractRequest
from napari_cyto.slides import Slide
from napari_cyto.store import Project

EXTRACTION = "apacc-extraction"
"""Stands for a model's id in what a project keeps of where its cells come from."""

NOT_EVALUABLE = "rubbish"
"""The class that most crops of the collection have."""
_PNG_LEVEL = 1
_AT_ONCE = 5_000
_FILLED = 0.5
"""Share of a part of a slice from which it is read at once. Of a TIFF with tiles at hand, boxes that fill 0.29 of it
take 1.6 ms one by one and 2.1 ms at once, those that fill 0.74 of it 3.7 and 2.2 ms."""


class Target(Protocol):
    """Takes the cells of slides."""

    kind: str
    written: int
    there_before: int

    def mpp(self, slide: Slide) -> float | None:
        """Return µm per level-0 px that the target knows of a slide."""
        ...

    def begin(self, slide: Slide, mpp: float) -> None:
        """Begin a slide; counts start anew."""
        ...

    def put(self, cells: SliceCells, found: SliceSteps) -> None:
        """Take the cells of a slice, and the steps that led to them."""
        ...

    def end(self) -> None:
        """Write what is still to be written of the slide."""
        ...


class Crops:
    """Crops with the names of the collection, a folder a class.

    Parameters
    ----------
    folder : Path
        Where.
    request : ExtractRequest
        What is asked for.
    day : date
        In the crops' names.
    """

    kind = "crops"

    def __init__(self, folder: Path, request: ExtractRequest, day: date) -> None:
        self._below = folder / safe_name(request.class_id or UNLABELLED)
        self._day, self._mpp = day, request.mpp
        self._below.mkdir()
        records = [SlideRecord(name=each.name, path=str(each)) for each in request.slides]
        names = SmearNames(records)
        self._smears = {each: names[record] for each, record in zip(request.slides, records, strict=True)}
        self.written = self.there_before = 0

    def mpp(self, slide: Slide) -> float | None:
        """Return what the user said."""
        return self._mpp or slide.info.mpp

    def begin(self, slide: Slide, mpp: float) -> None:  # noqa: ARG002 - crops keep the slide's px
        """Begin a slide; counts start anew."""
        self._slide, self.written = slide, 0

    def put(self, cells: SliceCells, found: SliceSteps) -> None:  # noqa: ARG002 - the cells are enough
        """Write the crops of a slice."""
        y, x = cells.corner_yx
        smear = self._smears[self._slide.info.path]
        for number, ((y0, x0, y1, x1), crop) in enumerate(self._crops(cells.boxes_yxyx), start=1):
            middle = ((y0 + y1) // 2 - y, (x0 + x1) // 2 - x)
            name = crop_name(CropName(smear, y, x, number, *middle, self._day))
            Image.fromarray(crop).save(self._below / name, compress_level=_PNG_LEVEL)
            self.written += 1

    def _crops(self, boxes_yxyx: tuple[WholeBox, ...]) -> Iterator[tuple[WholeBox, npt.NDArray[np.uint8]]]:
        """Yield the pixels of each box: all cut from one read where they fill enough of it, else read one by one."""
        if not boxes_yxyx:
            return
        corners = np.array(boxes_yxyx)
        top, left = corners[:, :2].min(axis=0).tolist()
        bottom, right = corners[:, 2:].max(axis=0).tolist()
        filled = int(np.prod(corners[:, 2:] - corners[:, :2], axis=1).sum())
        together = filled >= _FILLED * (bottom - top) * (right - left)
        field = self._slide.read_region(0, top, left, bottom - top, right - left) if together else None
        for y0, x0, y1, x1 in boxes_yxyx:
            if field is None:
                yield (y0, x0, y1, x1), self._slide.read_region(0, y0, x0, y1 - y0, x1 - x0)
            else:
                yield (y0, x0, y1, x1), field[y0 - top : y1 - top, x0 - left : x1 - left]

    def end(self) -> None:
        """Do nothing: crops are written one by one."""


class Predictions:
    """Boxes that wait for review.

    Parameters
    ----------
    project : Project
        Open.
    request : ExtractRequest
        What is asked for.
    models : str
        The models of the mask, with their hashes.

    Raises
    ------
    CytoError
        When the project's classes do not have the one that the cells are to get.
    """

    kind = "project"

    def __init__(self, project: Project, request: ExtractRequest, models: str) -> None:
        self._project, self._request = project, request
        scheme = project.scheme
        self._class_id = request.class_id or NOT_EVALUABLE
        if self._class_id not in scheme:
            lacking = request.class_id or "artefacts"
            raise CytoError(
                f"The project {project.name} has no class for {lacking}; choose the class that extracted cells get "
                f"until they are reviewed (--class-id, one of {', '.join(scheme.ids)})."
            )
        settings = json.dumps([models, request.mask, *map(str, _values(request))])
        self._origin = origin_of_model(EXTRACTION, hashlib.sha256(settings.encode()).hexdigest())
        self.written = self.there_before = 0

    def mpp(self, slide: Slide) -> float | None:
        """Return what the user said, else what the project knows."""
        return self._request.mpp or believed_mpp(self._project, slide)

    def begin(self, slide: Slide, mpp: float) -> None:
        """Begin a slide; counts start anew."""
        self._slide_id = record_for(self._project, slide, self._request.mpp).id
        self._reach_px = SAME_UM / mpp
        known = [a.geometry.centre_yx for a in self._project.annotations(self._slide_id) if not a.is_region]
        self._known = KDTree(known) if known else None
        self._waiting: list[Annotation] = []
        self.written = self.there_before = 0

    def put(self, cells: SliceCells, found: SliceSteps) -> None:  # noqa: ARG002 - the cells are enough
        """Take the cells of a slice; where the project has a cell already, nothing is written."""
        for box in cells.boxes_yxyx:
            geometry = Box(*map(float, box))
            if self._known is not None and self._known.query(geometry.centre_yx)[0] < self._reach_px:
                self.there_before += 1
                continue
            self._waiting.append(
                Annotation(
                    slide_id=self._slide_id,
                    geometry=geometry,
                    class_id=self._class_id,
                    status=Status.UNREVIEWED,
                    author=EXTRACTION,
                    origin=self._origin,
                    created_utc=now_utc(),
                )
            )
        if len(self._waiting) >= _AT_ONCE:
            self.end()

    def end(self) -> None:
        """Write what waits."""
        new, self._waiting = self._waiting, []
        if new:
            edit = Edit(f"Extract {counted(len(new), 'cell')}", tuple(Change(None, each) for each in new))
            self._project.apply(edit, self._request.author or "user")
            self.written += len(new)


def _values(request: ExtractRequest) -> Iterator[float]:
    limits = request.limits
    yield from (getattr(limits, name) for name in limits.__slots__)
    yield np.nan if request.score_from is None else request.score_from


@contextmanager
def target_of(request: ExtractRequest, models: str, day: date) -> Iterator[Target]:
    """Open the target of an extraction: a project, or a folder that is complete or as it was.

    Raises
    ------
    CytoError
        When something else is there, or it cannot be written.
    """
    if request.out.suffix.lower() == ".cyto" or Project.is_project(request.out):
        project = there(request.out) or made(request.out, preset("apacc"))
        with project:
            yield Predictions(project, request, models)
        return
    with exporting(request.out, False):
        check_replaceable(request.out)
    with atomic_folder(request.out) as folder:
        yield Crops(folder, request, day)
