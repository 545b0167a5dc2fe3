"""Formats with one file a slide: a file for one slide, a folder of files for more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD, atomic_file, atomic_folder
from napari_cyto.files.disk_files import folder_files
from napari_cyto.formats.annotation_spool import spooled
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.label_files import inner_suffix
from napari_cyto.formats.slide_names import slide_stems


def source_files(source: Path, suffixes: Sequence[str], what: str) -> list[Path]:
    """Return the file ``source``, or those files of the folder ``source`` that end in one of ``suffixes``, sorted.

    Packed files (``.gz``, ``.zip``) count as what is in them.

    Raises
    ------
    FormatError
        When the folder has none, or cannot be read.
    """
    if not source.is_dir():
        return [source]
    found = [p for p in folder_files(source) if inner_suffix(p) in suffixes and p.name != EXPORT_RECORD]
    if not found:
        raise FormatError(f"no {what} file ({' or '.join(suffixes)}) in this folder.", source)
    return found


def merged(parts: Sequence[LabelSet], annotations: Collection[Annotation] | None = None) -> LabelSet:
    """Return label sets of different slides as one; classes and colours keep the order of their first mention.

    Parameters
    ----------
    parts : sequence of LabelSet
        What was read.
    annotations : collection of Annotation, optional
        All annotations, where the parts come without them.
    """
    colours: dict[str, str] = {}
    for part in parts:
        colours = {**dict(part.colours), **colours}
    classes = dict.fromkeys(name for part in parts for name in part.classes)
    return LabelSet(
        tuple(slide for part in parts for slide in part.slides),
        spooled(chain.from_iterable(part.annotations for part in parts)) if annotations is None else annotations,
        tuple(classes),
        tuple((name, colours[name]) for name in classes if name in colours),
        tuple(remark for part in parts for remark in part.remarks),
    )


def with_remarks(labels: LabelSet, bad: BadRows) -> LabelSet:
    """Return ``labels`` with the sentence on the entries of the source that were left out.

    Raises
    ------
    FormatError
        Listing the bad entries, when they are not to be skipped or nothing else was read.
    """
    return replace(labels, remarks=labels.remarks + bad.remarks(len(labels.annotations)))


def write_per_slide(
    files: Sequence[tuple[SlideRecord, Iterable[str]]], target: Path, suffixes: Sequence[str], format_name: str
) -> None:
    """Write one file (when ``target`` ends in one of ``suffixes``) or a folder with a file a slide, atomically.

    Raises
    ------
    FormatError
        When more than one slide is to go into one file, or the place cannot be written.
    """
    if target.suffix.lower() in suffixes and not target.is_dir():
        if len(files) != 1:
            raise FormatError(
                f"expected one slide for one {target.suffix} file, got {len(files)}; give a folder.", target
            )
        with atomic_file(target) as path:
            write_pieces(path, files[0][1])
        return
    stems = slide_stems(slide for slide, _ in files)
    with atomic_folder(target, {"format": format_name}) as folder:
        for slide, pieces in files:
            write_pieces(folder / (stems[slide.id] + suffixes[0]), pieces)


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write text into a file of a folder that is being made, piece by piece."""
    with path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
        stream.writelines(pieces)
