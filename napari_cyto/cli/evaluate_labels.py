"""The verb ``evaluate labels``: two label files compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cyto.cli.output import print_json, print_table
from napari_cyto.errors import ScaleUnknownError

if TYPE_CHECKING:
    from napari_cyto.domain.label_set import LabelSet
    from napari_cyto.evaluation.comparison import Comparison
    from napari_cyto.evaluation.config import LabelComparisonConfig


def run(truth: Path, pred: Path, config: LabelComparisonConfig, as_json: bool) -> None:
    """Print how the cells of ``truth`` were found by ``pred``.

    Parameters
    ----------
    truth, pred : Path
        Label files or folders of any importable format, or projects.
    config : LabelComparisonConfig
        Radius, µm per px, formats and classes.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When a file cannot be read, a class has no counterpart, the images do not match, or µm per px are unknown.
    """
    from napari_cyto.evaluation.comparison import compare
    from napari_cyto.formats.label_files import label_stem

    mpp, of_pred = config.mpp, config.pred_format or config.format
    read = _read(truth, config.format, mpp), _read(pred, of_pred, mpp, truth)
    labels = mapped_by(config.class_map, *read)
    nameless = label_stem(truth), label_stem(pred)
    try:
        result = compare(labels[0], labels[1], config.radius_um, mpp, config.missing_are_empty, nameless)
    except ScaleUnknownError as error:
        raise ScaleUnknownError(str(error), _images_of(error.images, truth, pred)) from error
    for remark in result.remarks:
        print(remark, file=sys.stderr)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _images_of(names: Sequence[str], *sources: Path) -> list[Path]:
    """Return the images of these paths or names that lie beside label files, each once."""
    from napari_cyto.formats.image_size import image_of

    folders = [source if source.is_dir() else source.parent for source in sources]
    found = [Path(name) if Path(name).is_file() else image_of(at, Path(name).name) for name in names for at in folders]
    return list(dict.fromkeys(path for path in found if path is not None))


def mapped_by(class_map: str | None, *labels: LabelSet) -> tuple[LabelSet, ...]:
    """Return label sets with their classes renamed through one map; as they are without one.

    Raises
    ------
    CytoError
        When there is no such map, or a class has no counterpart.
    """
    if class_map is None:
        return labels
    from napari_cyto.datasets.import_.classes import mapped, used_classes
    from napari_cyto.evaluation.class_maps import class_map as pairs_of

    pairs = pairs_of(class_map, [name for each in labels for name in used_classes(each)])
    return tuple(mapped(each, pairs) for each in labels)


def _read(path: Path, name: str | None, mpp: float | None, truth: Path | None = None) -> LabelSet:
    """Read a project or label files; a list of results takes its images and classes from ``truth``."""
    from napari_cyto.datasets.import_.source_kind import likely_format, read_labels
    from napari_cyto.domain.quantities import MPP
    from napari_cyto.formats import FORMATS, Capabilities

    came = likely_format(path)
    if truth is not None and came and name in (None, FORMATS[came].capabilities.results_of):
        name = came
    special = FORMATS[name or came].capabilities if (name or came) in FORMATS else Capabilities()
    options: dict[str, Any] = {}
    if special.may_be_um and mpp is not None and MPP.holds(mpp):  # others are refused by the comparison
        options["mpp"] = mpp
    if special.results_of and truth is not None:
        options["truth"] = truth
    labels = read_labels(path, name, "choose one with --format", **options)
    for remark in labels.remarks:
        print(remark, file=sys.stderr)
    return labels


def _print(result: Comparison) -> None:
    every = {"all cells": result.detection.overall, **result.detection.per_class}
    rows = [(name, *map(_shown, (c.tp, c.fp, c.fn, c.precision, c.recall, c.f1))) for name, c in every.items()]
    n_images = len(result.mpp)
    title = f"Found within {result.radius_um:g} µm, in {n_images} image{'s' * (n_images != 1)}"
    print_table(title, ("class", "found", "false positive", "missed", "precision", "recall", "F1"), rows)
    if result.median_error_um is not None:
        print(f"Median distance between a found cell and its detection: {result.median_error_um:.2f} µm.")


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
