"""A label source as its format reads it, completed by what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from napari_cyto.datasets._exchange_options import ImportOptions
from napari_cyto.datasets.export.export_manifest import read_manifest, slides_by_stem
from napari_cyto.datasets.export.slice_writer import SLICES
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.files.disk_files import folder_files, subfolders
from napari_cyto.formats import get_format
from napari_cyto.formats.apacc.apacc_format import SETS
from napari_cyto.formats.csv_points import CsvFormat
from napari_cyto.formats.csv_sizes import SizeFinder
from napari_cyto.formats.image_size import image_of
from napari_cyto.formats.labels_outside import refuse_fractions
from napari_cyto.formats.tables_qupath import MppFinder
from napari_cyto.slides import open_slide
from napari_cyto.slides.slide_info import SlideInfo


def read_source(format_name: str, source: Path, options: ImportOptions) -> LabelSet:
    """Return what ``source`` holds.

    Raises
    ------
    CytoError
        When it cannot be read, or labels of several slides are to go onto one.
    """
    label_format = get_format(format_name)
    fields = label_format.options_type.model_fields
    reader = dict(options.reader) | ({"skip_bad": True} if options.skip_bad else {})
    if label_format.capabilities.slices:
        labels = label_format.read(slices_folder(source), **reader)
        return replace(labels, slides=tuple(_with_manifest(labels.slides, read_manifest(source))))
    if "bounds_offset_yx" in fields and options.slide is not None and reader.get("origin") == "bounds":
        reader.setdefault("bounds_offset_yx", _bounds_corner(options.slide))
    if isinstance(label_format, CsvFormat):
        sizes, scales = _size_finder(source, options), _mpp_finder(source, options)
        try:
            labels = label_format.read(source, size_finder=sizes, mpp_finder=scales, **reader)
        except ScaleUnknownError as error:
            found = [path for name in error.images if (path := _image_path(name, source, options)) is not None]
            raise ScaleUnknownError(str(error), found) from error
    else:
        labels = label_format.read(source, **reader)
    refuse_fractions(labels, source)
    if options.slide is not None and len(labels.slides) > 1:
        raise CytoError(
            f"Expected labels of one slide for --slide, got labels of {len(labels.slides)} slides in {source}; give "
            "the folder of their images with --images instead."
        )
    return labels


def slices_folder(source: Path) -> Path:
    """Return where an APACC tree keeps its slices: ``slices/`` of an export of ours, the folder itself, or, as in the
    published full set, the one folder in it whose train and test hold label files.
    """
    ours = source / SLICES
    if ours.is_dir() or not source.is_dir() or _has_labels(source):
        return ours if ours.is_dir() else source
    below = [folder for folder in subfolders(source) if _has_labels(folder)]
    return below[0] if len(below) == 1 else source


def _has_labels(folder: Path) -> bool:
    places = (folder, *(folder / side for side in SETS))
    return any(folder_files(place, (".txt",)) for place in places if place.is_dir())


def _with_manifest(slides: tuple[SlideRecord, ...], manifest: Mapping[str, Any]) -> list[SlideRecord]:
    """Complete slices by what the record of their export says: smear, patient's alias, mpp."""
    by_stem = slides_by_stem(manifest)
    return [_with_facts(slide, by_stem[slide.stem]) if slide.stem in by_stem else slide for slide in slides]


def _with_facts(slide: SlideRecord, row: Mapping[str, Any]) -> SlideRecord:
    smear, patient, mpp = row.get("smear"), row.get("patient"), row.get("mpp")
    slide = replace(slide, smear=smear) if isinstance(smear, str) and smear else slide
    slide = replace(slide, patient=patient) if isinstance(patient, str) and patient else slide
    if isinstance(mpp, float | int) and not isinstance(mpp, bool) and 0.001 <= mpp <= 1000:
        slide = replace(slide, mpp=float(mpp), mpp_source="format")
    return slide


def _size_finder(source: Path, options: ImportOptions) -> SizeFinder:
    """Return what gives the size of the image of a name: the slide that was given, or one found by its name."""

    @cache
    def size_of(name: str) -> tuple[int, int] | None:
        info = _info_of(name, source, options)
        return None if info is None else info.size_hw

    return size_of


def _mpp_finder(source: Path, options: ImportOptions) -> MppFinder:
    """Return what gives the µm per px of the image of a name: as its file has it, else as it was given."""
    given = options.mpp or options.reader.get("mpp")

    @cache
    def mpp_of(name: str) -> float | None:
        info = _info_of(name, source, options)
        return given if info is None or info.mpp is None else info.mpp

    return mpp_of


def _image_path(name: str, source: Path, options: ImportOptions) -> Path | None:
    path = options.slide
    folders = (options.images, source.parent) if path is None else ()
    for folder in folders:
        path = path or (None if folder is None else image_of(folder, name))
    return path


def _info_of(name: str, source: Path, options: ImportOptions) -> SlideInfo | None:
    path = _image_path(name, source, options)
    if path is None:
        return None
    try:
        with open_slide(path) as opened:
            return opened.info
    except CytoError:
        return None  # said when the image is opened for good


def _bounds_corner(slide: Path) -> tuple[float, float]:
    with open_slide(slide) as opened:
        bounds = opened.info.bounds_yxyx
    return (0.0, 0.0) if bounds is None else (float(bounds[0]), float(bounds[1]))
