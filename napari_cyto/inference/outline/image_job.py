"""The outlines of the nuclei under the points of a table, on one image and without a project: a job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import Field

from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import CellOutline, is_on_image, points_in_outline
from napari_cyto.domain.json_values import JsonFields, to_plain
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.quantities import UmPerPx
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.files.replacement import check_may_replace
from napari_cyto.formats import get_format
from napari_cyto.formats.bad_rows import BadRows, without_skipping
from napari_cyto.formats.tables import Table
from napari_cyto.formats.text import number
from napari_cyto.inference.outline._outline_request import OutlineOptions
from napari_cyto.inference.outline.computed import by_neighbours, outlines_on
from napari_cyto.inference.outline.outlines import NetworkOutlines, OutlineMethod, outline_method
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.slides import Slide, fingerprint, open_slide

SCORE_KEY = "Outline score"
"""The measurement of each outline in GeoJSON: how far it is to be trusted, 0 to 1."""

_COLUMNS = (("x",), ("y",), ("label", "class"))
_SUFFIXES = (".geojson", ".json")


class ImageOutlineRequest(OutlineOptions):
    """Which points of which image are outlined, and where the outlines go."""

    image: Path = Field(title="Image", description="The slide or image.")
    points: Path = Field(title="Points", description="A table with the columns x, y and label; px at full resolution.")
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="At full resolution, if the image does not state it."
    )
    out: Path | None = Field(default=None, title="Target", description="The GeoJSON file to write.")


@dataclass(frozen=True, slots=True)
class LabelledPoint(JsonFields):
    """A row of the table: its line in the file, its place, level-0 px, and its label."""

    line: int
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class LabelledOutline:
    """A point with its outline; without one where nothing was found there.

    Parameters
    ----------
    point : LabelledPoint
        The row of the table.
    score : float
        0 to 1: how far the outline is to be trusted.
    shape : CellOutline or None
        Level-0 px.
    is_damaged : bool
        Whether the file is damaged there, so that no outline is given.
    """

    point: LabelledPoint
    score: float
    shape: CellOutline | None
    is_damaged: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the point with its outline, x before y."""
        plain: dict[str, Any] = self.point.to_json()
        if self.shape is None:
            return plain | {"outlined": False, "why": "file damaged" if self.is_damaged else "no outline"}
        rings = {
            "nucleus_xy": [[x, y] for y, x in self.shape.vertices_yx],
            "cytoplasm_xy": [[x, y] for y, x in self.shape.cytoplasm_yx],
        }
        return plain | {"outlined": True, "score": round(self.score, 4)} | rings


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOutlines:
    """What came of the points of an image, in their order.

    Parameters
    ----------
    image : str
        Its path.
    method, sha256 : str
        The model's id and the hash of its weights, or ``watershed`` and nothing.
    mpp : float or None
        µm per level-0 px; None where unknown, and the size of each nucleus was looked for.
    cells : tuple of LabelledOutline
        One for each point.
    remarks : tuple of str
        Sentences to know.
    out : str
        The file that was written; empty where none was.
    """

    image: str
    method: str
    sha256: str
    mpp: float | None
    cells: tuple[LabelledOutline, ...]
    remarks: tuple[str, ...] = ()
    out: str = ""

    @property
    def outlined(self) -> int:
        """How many points have an outline."""
        return sum(cell.shape is not None for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the sums, then all of it."""
        sums = {"points": len(self.cells), "outlined": self.outlined, "without": len(self.cells) - self.outlined}
        return sums | cast(dict[str, Any], to_plain(self))


def run_on_image(request: ImageOutlineRequest, token: Token | None = None) -> Events:
    """Outline the nuclei under the points of a table; a job.

    Parameters
    ----------
    request : ImageOutlineRequest
        Which image and points, and how.
    token : Token, optional
        Asks to stop; nothing was written then.

    Yields
    ------
    Event
        ``Done.result`` is an `ImageOutlines`.
    """
    return ending_once(_steps(request, token))


def labelled_points(path: Path, size_hw: tuple[int, int]) -> tuple[LabelledPoint, ...]:
    """Return the points of a table with the columns x, y and label.

    Parameters
    ----------
    path : Path
        Separated by commas, semicolons, tabs or bars.
    size_hw : tuple of int
        Of the image, level-0 px: points must lie on it.

    Raises
    ------
    FormatError
        When a column is missing, there is no point, or rows are wrong: the first ones with their lines.
    """
    table, bad, points = Table(path, _COLUMNS), BadRows(path), []
    table.check_numbers(("x", "y"))
    label_column = next(name for name in _COLUMNS[2] if name in table.columns)
    for row, fault in table.rows(bad):
        with bad:
            x, y = (number(row[name].strip(), name, fault) for name in ("x", "y"))
            if not is_on_image((y, x), size_hw):
                raise fault(f"expected a point on the image of {size_hw[1]} x {size_hw[0]} px, got x {x:g}, y {y:g}.")
            if not (label := row[label_column].strip()):
                raise fault("expected a label, got none.")
            points.append(LabelledPoint(int(fault.line or 0), x, y, label))
    try:
        bad.remarks(len(points))
    except CytoError as error:
        raise CytoError(without_skipping(str(error))) from error
    if not points:
        raise table.header("expected rows with points below the header, got none.")
    return tuple(points)


def _steps(request: ImageOutlineRequest, token: Token | None) -> Steps:
    if request.out is not None:
        if request.out.suffix.lower() not in _SUFFIXES:
            raise CytoError(f"{request.out}: expected the name of a GeoJSON file, such as cells.geojson.")
        check_may_replace(request.out)
    with open_slide(request.image) as slide:
        points = labelled_points(request.points, slide.info.size_hw)
        yield Advanced(0, len(points), "Loading the model.")
        method, remark = outline_method(request.model, request.device)
        mpp = request.mpp or slide.info.mpp
        remarks = [remark] if remark else []
        if mpp is None:
            remarks.append(
                f"The µm per px of {slide.info.name} are unknown, so the size of each nucleus is looked for, with more "
                "failures; give --mpp if you know them."
            )
        yield from (Noted(each) for each in remarks)
        cells = [LabelledOutline(point, 0.0, None) for point in points]
        for done, n in enumerate(_outlined(slide, points, mpp, method, request.score_from, cells)):
            stop_if_cancelled(token)
            yield Advanced(done + 1, len(points), f"{done + 1:,} of {len(points):,} points: line {points[n].line}.")
        remarks += (after := _doubts(cells))
        yield from (Noted(each) for each in after)
        bundle = method.bundle if isinstance(method, NetworkOutlines) else None
        sha256 = "" if bundle is None else bundle.sha256
        made = ImageOutlines(
            image=str(request.image),
            method=method.name,
            sha256=sha256,
            mpp=mpp,
            cells=tuple(cells),
            remarks=tuple(remarks),
        )
        if request.out is not None:
            record = _record(slide, mpp, "user" if request.mpp else slide.info.mpp_source)
            write_outlines(request.out, record, made)
            made = replace(made, out=str(request.out))
    yield Done(made)


def _outlined(
    slide: Slide,
    points: Sequence[LabelledPoint],
    mpp: float | None,
    method: OutlineMethod,
    score_from: float | None,
    into: list[LabelledOutline],
) -> Iterator[int]:
    """Fill in outlines, those of neighbours one after the other; yield which one is done."""
    places = np.array([(point.y, point.x) for point in points])
    order = by_neighbours(places)
    for n, found in zip(order.tolist(), outlines_on(slide, places[order], mpp, method), strict=True):
        is_sure = score_from is None or found.cell.score >= score_from
        shape = found.cell.geometry(slide.info.size_hw) if is_sure and not found.is_damaged else None
        into[n] = LabelledOutline(points[n], found.cell.score, shape, found.is_damaged)
        yield n


def _doubts(cells: Sequence[LabelledOutline]) -> list[str]:
    """Return which outlines speak against themselves: they hold another point, or not their own."""
    places = np.array([(cell.point.y, cell.point.x) for cell in cells])
    several, beside = [], []
    for n, cell in enumerate(cells):
        if cell.shape is None:
            continue
        inside = points_in_outline(places, cell.shape.vertices_yx)
        if inside.sum() - inside[n] > 0:
            several.append(cell.point.line)
        elif not inside[n]:
            beside.append(cell.point.line)
    said = []
    if several:
        words = counted(len(several), "outline holds", "outlines hold")
        said.append(f"{words} another point, too: perhaps two nuclei as one (lines {_listed(several)}).")
    if beside:
        words = counted(len(beside), "outline does not hold its", "outlines do not hold their")
        said.append(f"{words} own point: perhaps of another nucleus (lines {_listed(beside)}).")
    return said


def _listed(lines: list[int]) -> str:
    return ", ".join(str(line) for line in lines[:10]) + (" ..." if len(lines) > 10 else "")


def write_outlines(out: Path, slide: SlideRecord, made: ImageOutlines) -> None:
    """Write outlines as QuPath's cell objects, each with its label as class and its score as a measurement.

    Parameters
    ----------
    out : Path
        The GeoJSON file.
    slide : SlideRecord
        The image.
    made : ImageOutlines
        What was found; points without an outline are not in the file.

    Raises
    ------
    FormatError
        When the place cannot be written.
    """
    found = [cell for cell in made.cells if cell.shape is not None]
    origin = origin_of_model(made.method, made.sha256) if made.sha256 else made.method
    annotations = tuple(
        Annotation(
            slide_id=slide.id,
            geometry=cast(CellOutline, cell.shape),
            class_id=cell.point.label,
            status=Status.UNREVIEWED,
            author=made.method,
            origin=origin,
        )
        for cell in found
    )
    labels = LabelSet((slide,), annotations, tuple(dict.fromkeys(cell.point.label for cell in made.cells)))
    with atomic_file(out) as temporary:
        draft = temporary.with_name(f"{temporary.name}.geojson")
        try:
            get_format("geojson").write(labels, draft)
            document = json.loads(draft.read_bytes())
        finally:
            draft.unlink(missing_ok=True)
        for feature, cell in zip(document["features"], found, strict=True):
            feature["properties"]["measurements"] = {SCORE_KEY: round(cell.score, 4)}
        temporary.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _record(slide: Slide, mpp: float | None, source: str) -> SlideRecord:
    info = slide.info
    return SlideRecord(
        name=info.name,
        path=str(info.path),
        size_hw=info.size_hw,
        mpp=mpp,
        mpp_source=source if mpp is not None else "",
        fingerprint=fingerprint(info.path),
    )
