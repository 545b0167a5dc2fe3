"""The slides and cells of one source of training data, as the source itself speaks of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cyto.datasets._exchange_options import ImportOptions
from napari_cyto.datasets.import_.label_source import read_source
from napari_cyto.datasets.import_.slide_match import check_size
from napari_cyto.datasets.training._class_folders import read_class_folders
from napari_cyto.datasets.training.scheme import refuse_no_project
from napari_cyto.datasets.training.sources import SourceSpec
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, Geometry, Point, Polygon
from napari_cyto.domain.image_names import READ_SUFFIXES
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats import get_format
from napari_cyto.slides import fingerprint, open_slide
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM
from napari_cyto.store import Project


@dataclass(frozen=True, slots=True)
class SourceSlide:
    """One slide of a source: record, accepted cells by the source's classes, exhaustive regions, rejected places."""

    record: SlideRecord
    cells: tuple[tuple[Geometry, str], ...]
    regions: tuple[Polygon, ...] = ()
    centred: bool = False
    rejected_yx: tuple[YX, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceContent:
    """What a source holds.

    Parameters
    ----------
    scheme_name : str
        The scheme of its classes; empty for class folders.
    slides : tuple of SourceSlide
        Those whose picture is there.
    remarks : tuple of str
        What was left out and why.
    """

    scheme_name: str
    slides: tuple[SourceSlide, ...]
    remarks: tuple[str, ...]


def read_content(spec: SourceSpec, unlabelled: bool = False) -> SourceContent:
    """Return the slides and cells of a source; pictures that are missing or no pictures are left out with a remark.

    Parameters
    ----------
    spec : SourceSpec
        The source.
    unlabelled : bool
        Whether slides on which nobody annotated anything are asked for too, as by what learns without labels.

    Raises
    ------
    CytoError
        When the source cannot be read.
    """
    match spec.kind:
        case "folders":
            return _folders(spec)
        case "project":
            return _project(spec, unlabelled)
        case "images":
            return _images(spec)
        case format_name:
            return _of_format(spec, format_name, unlabelled)


def _images(spec: SourceSpec) -> SourceContent:
    """Return every slide and image below a folder, without cells; of files that are one slide, the first."""
    slides, remarks = dict[str, SourceSlide](), list[str]()
    for path in files_below(spec.path, READ_SUFFIXES):
        try:
            pixels = fingerprint(path)
            record = SlideRecord(name=path.name, path=str(path.absolute()), fingerprint=pixels)
            if pixels not in slides:
                slides[pixels] = SourceSlide(_with_scale(record, spec.mpp), ())
        except CytoError as error:
            remarks.append(f"{error} The image was left out.")
    if not slides:
        raise CytoError(f"Expected slides or images in {spec.path}, got none." + "".join(f" {r}" for r in remarks[:3]))
    return SourceContent("", tuple(slides.values()), tuple(remarks))


def _of_format(spec: SourceSpec, format_name: str, unlabelled: bool) -> SourceContent:
    label_format = get_format(format_name)
    # A scale that the format knows by itself (0.228 µm, of CRIC's own table only) is believed unless another is given.
    knows_scale = "mpp" in label_format.options_type.model_fields
    reader = {"mpp": spec.mpp} if knows_scale and spec.mpp is not None else {}
    labels = read_source(format_name, spec.path, ImportOptions(reader=reader))
    special = label_format.capabilities
    return _labelled(spec, labels, special.scheme, empty_too=special.slices or unlabelled)


def _folders(spec: SourceSpec) -> SourceContent:
    images, remarks = read_class_folders(spec.path, spec.mpp, spec.smear)
    slides = []
    for image in images:
        height, width = image.record.size_hw or (0, 0)
        cell = (Point(height / 2, width / 2), image.class_id)
        slides.append(SourceSlide(image.record, (cell,), centred=True))
    return SourceContent("", tuple(slides), tuple(remarks))


def _project(spec: SourceSpec, unlabelled: bool) -> SourceContent:
    refuse_no_project(spec.path)
    with Project.open(spec.path) as project:
        labels = project.label_set()
        found = tuple(replace(record, path=_path_of(project, record)) for record in labels.slides)
        return _labelled(spec, replace(labels, slides=found), project.scheme.name, empty_too=unlabelled)


def _path_of(project: Project, record: SlideRecord) -> str:
    try:
        return str(project.slide_path(record))
    except CytoError:  # counted among the missing
        return ""


def _labelled(spec: SourceSpec, labels: LabelSet, scheme_name: str, empty_too: bool = False) -> SourceContent:
    """Return the slides of a label set of which a person said something, ``empty_too`` those without any word."""
    of_slide, rejected = _by_slide(labels.annotations), _rejected(labels.annotations)
    slides, missing, remarks = [], [], list(labels.remarks)
    for record in labels.slides:
        cells, regions = of_slide.get(record.id, ((), ()))
        denied = tuple(rejected.get(record.id, ()))
        if not (cells or regions or denied or empty_too):
            continue
        if not record.path or not Path(record.path).exists():
            missing.append((record.name, len(cells)))
            continue
        try:
            slides.append(SourceSlide(_with_scale(record, spec.mpp), tuple(cells), tuple(regions), rejected_yx=denied))
        except CytoError as error:
            remarks.append(f"{error} The slide was left out with its {counted(len(cells), 'cell')}.")
    if missing:
        names = ", ".join(name for name, _ in missing[:3]) + (" ..." if len(missing) > 3 else "")
        remarks.append(
            f"{counted(len(missing), 'slide')} of {spec.path} with {counted(sum(n for _, n in missing), 'cell')} left "
            f"out, since the image file is missing: {names}."
        )
    return SourceContent(scheme_name, tuple(slides), tuple(remarks))


def _by_slide(
    annotations: Iterable[Annotation],
) -> dict[str, tuple[list[tuple[Geometry, str]], list[Polygon]]]:
    of_slide: dict[str, tuple[list[tuple[Geometry, str]], list[Polygon]]] = defaultdict(lambda: ([], []))
    for one in annotations:
        if one.status is not Status.ACCEPTED:
            continue
        if one.class_id is not None:
            of_slide[one.slide_id][0].append((one.geometry, one.class_id))
        elif isinstance(one.geometry, Polygon):
            of_slide[one.slide_id][1].append(one.geometry)
    return dict(of_slide)


def _rejected(annotations: Iterable[Annotation]) -> dict[str, list[YX]]:
    """Return the centres of the cells of each slide that a person rejected; a rejected region says nothing."""
    places: dict[str, list[YX]] = defaultdict(list)
    for one in annotations:
        if one.status is Status.REJECTED and one.class_id is not None:
            places[one.slide_id].append(one.geometry.centre_yx)
    return dict(places)


def _with_scale(record: SlideRecord, mpp: float | None) -> SlideRecord:
    """Return a record whose size, and scale where anyone says it, are known.

    What labels or a project state goes first, then the picture's own word, then what came with the source's name.
    """
    if record.mpp is not None and not MPP_MIN_UM <= record.mpp <= MPP_MAX_UM:
        record = replace(record, mpp=None, mpp_source="")
    if not (record.fingerprint and record.mpp and record.size_hw):
        with open_slide(record.path) as slide:
            size_hw, of_file = slide.info.size_hw, slide.info.mpp
        check_size(record.name, size_hw, record.size_hw)
        record = replace(record, size_hw=size_hw)
        if record.mpp is None and of_file is not None:
            record = replace(record, mpp=of_file, mpp_source="file")
    if record.mpp is None and mpp is not None:
        record = replace(record, mpp=mpp, mpp_source="user")
    return record
