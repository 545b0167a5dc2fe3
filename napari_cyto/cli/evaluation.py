"""The verb ``evaluate``: predictions against the truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cyto.cli.printing import print_json, print_table
from napari_cyto.errors import CytoError

if TYPE_CHECKING:
    from napari_cyto.domain.label_set import LabelSet


def run(
    truth: Path,
    pred: Path,
    radius_um: float,
    mpp: float | None,
    formats: tuple[str | None, str | None],
    missing_are_empty: bool,
    as_json: bool,
    class_map: str | None = None,
) -> None:
    """Print how the cells of ``truth`` were found by ``pred``.

    Parameters
    ----------
    truth, pred : Path
        Label files or folders of any importable format.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    mpp : float or None
        µm per px of all images; None where the files state it.
    formats : tuple of (str or None)
        The formats of both; None to tell it from the file.
    missing_are_empty : bool
        Whether an image that only one of the two lists has no cells in the other.
    as_json : bool
        JSON for machines.
    class_map : str or None
        A scheme or map that ships, or a file of pairs, through which the classes of both go.

    Raises
    ------
    CytoError
        When a file cannot be read, a class has no counterpart, the images do not match, or µm per px are unknown.
    """
    from napari_cyto.evaluation.comparison import compare

    labels = mapped_by(class_map, _read(truth, formats[0]), _read(pred, formats[1]))
    told = compare(labels[0], labels[1], radius_um, mpp, missing_are_empty, (truth.stem, pred.stem)).as_dict()
    for remark in told["remarks"]:
        print(remark, file=sys.stderr)
    if as_json:
        print_json(told)
    else:
        _tell(told)


def mapped_by(class_map: str | None, *labels: LabelSet) -> tuple[LabelSet, ...]:
    """Return label sets with their classes renamed through one map; as they are without one.

    Raises
    ------
    CytoError
        When there is no such map, or a class has no counterpart.
    """
    if class_map is None:
        return labels
    from napari_cyto.datasets.import_classes import mapped, used_classes
    from napari_cyto.evaluation.class_maps import class_map as pairs_of

    pairs = pairs_of(class_map, [name for each in labels for name in used_classes(each)])
    return tuple(mapped(each, pairs) for each in labels)


def _read(path: Path, name: str | None) -> LabelSet:
    from napari_cyto.formats import get_format

    return get_format(name or format_of(path)).read(path)


def format_of(path: Path) -> str:
    """Return the name of the label format that ``path`` looks like.

    Raises
    ------
    CytoError
        When it looks like none, or is not there.
    """
    if not path.exists():
        raise CytoError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        name = _format_of_folder(path)
    elif _is_slice(path):
        name = "apacc"
    elif path.suffix.lower() == ".json":
        name = _format_of_json(path)
    elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
        name = _format_of_table(path)
    else:
        name = {".geojson": "geojson", ".xml": "asap", ".yaml": "yolo", ".yml": "yolo"}.get(path.suffix.lower())
    if name is None:
        from napari_cyto.formats import FORMATS

        raise CytoError(
            f"{path}: its format is not clear from what it looks like; say it with --format ({', '.join(FORMATS)})."
        )
    return name


def _format_of_folder(path: Path) -> str | None:
    if (path / "data.yaml").exists() or (path / "data.yml").exists():
        return "yolo"
    inside = {p.suffix.lower() for p in path.iterdir() if p.is_file()}
    for suffix, name in ((".geojson", "geojson"), (".xml", "asap")):
        if suffix in inside:
            return name
    if (path / "classifications.csv").exists() or (path / "cells.csv").exists():
        return "cric"
    slices = (p for folder in (path, path / "train", path / "test") for p in folder.glob("*.txt"))
    return "apacc" if any(_is_slice(p) for p in slices) else None


def _is_slice(path: Path) -> bool:
    from napari_cyto.formats.apacc_names import match_stem

    return path.suffix.lower() == ".txt" and match_stem(path.stem) is not None


def _format_of_json(path: Path) -> str:
    from napari_cyto.formats.text import read_json

    data = read_json(path)
    return "coco" if isinstance(data, dict) and "images" in data else "geojson"


def _format_of_table(path: Path) -> str:
    from napari_cyto.formats.tables import read_table

    first = next(iter(read_table(path, ())), None)
    columns = set(first[0]) if first else set()
    return "cric" if {"bethesda_system", "bethesda"} & columns else "csv"


def _tell(told: dict[str, Any]) -> None:
    detection = told["detection"]
    every = {"all cells": detection} | detection["per_class"]
    columns = ("tp", "fp", "fn", "precision", "recall", "f1")
    rows = [(name, *(_shown(counts[c]) for c in columns)) for name, counts in every.items()]
    title = f"Found within {told['radius_um']:g} µm, in {told['images']} image{'s' * (told['images'] != 1)}"
    print_table(title, ("class", "found", "false", "missed", "precision", "recall", "F1"), rows)
    if detection["median_error_um"] is not None:
        print(f"A found cell lies {detection['median_error_um']:.2f} µm (median) from its detection.")


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
