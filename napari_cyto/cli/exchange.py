"""Verbs that exchange labels: ``import FORMAT SOURCE PROJECT`` and ``export FORMAT PROJECT OUT``.

Each format is a verb of its own, with the options of its models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.formats import FORMATS, WRITTEN, LabelFormat, get_format, written_format
from napari_cyto.formats.label_format import idle_options
from napari_cyto.jobs.events import Result

LABEL_IMAGES = "label-images"
"""An export that is no format of labels: it is of outlines alone."""

Project = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project folder, by convention NAME.cyto.")]
Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="The label file or folder.")]
Out = Annotated[
    Path, typer.Argument(metavar="OUT", help="The file or folder to write; replaced only when the export is complete.")
]


_OLD_FLAGS = {
    "new_split": "--no-published",
    "all_to_train": "--test-share 0",
    "check_duplicates": "--twins or --no-twins",
    "allow_leak": "--overrides leak --reason REASON",
}


def named_or_seen(word: str) -> tuple[str, ...]:
    """Return nothing for a format's name, and for a file or folder the name of the format that it looks like.

    Raises
    ------
    FormatError
        When it is a file or folder that looks like no format, or like several.
    """
    from napari_cyto.datasets.import_.source_kind import format_to_import

    path = Path(word)
    if word in FORMATS or not (path.exists() or len(path.parts) > 1 or path.suffix):
        return ()
    name = format_to_import(path, "put the format before it, as in import coco SOURCE PROJECT")
    print(f"{path.name} looks like {FORMATS[name].title}; it is read as {name}.", file=sys.stderr)
    return (name,)


def fill(group: typer.Typer, verb: str, words: list[str]) -> None:
    """Add a command for each format to ``group``.

    Parameters
    ----------
    group : Typer
        The group of ``verb``.
    verb : str
        ``import`` or ``export``.
    words : list of str
        What follows the verb on the command line.

    Raises
    ------
    FormatError
        When the first of ``words`` names no format.
    """
    if verb == "export":
        words_of = "Label images. The outlines as TIFFs, or as PNGs of slices, with a table of whose number is whose."
        group.command(LABEL_IMAGES, help=words_of)(_label_images())
    if words and not words[0].startswith("-") and words[0] != LABEL_IMAGES:
        (get_format if verb == "import" else written_format)(words[0])
    for label_format in (FORMATS if verb == "import" else WRITTEN).values():
        add = _importer(label_format) if verb == "import" else _exporter(label_format)
        group.command(label_format.name, help=f"{label_format.title}. {label_format.description}")(add)


def _importer(label_format: LabelFormat) -> Callable[..., None]:
    from napari_cyto.datasets import ImportOptions, import_labels

    def bring(source: Source, project: Project, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
        options = _nested(ImportOptions, "reader", label_format.options_type, given)
        result = follow(
            lambda token: import_labels(label_format.name, source, project, options, token), f"Reading {source.name}"
        )
        report_result(result, as_json)

    idle = idle_options(label_format.options_type, "reading")
    return with_options(bring, ImportOptions, label_format.options_type, skip=idle | {"reader"})


def _exporter(label_format: LabelFormat) -> Callable[..., None]:
    from napari_cyto.datasets import ApaccExportOptions, export, export_options

    chosen = export_options(label_format.name)

    def write(project: Project, out: Out, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
        options = _nested(chosen, "writer", label_format.options_type, given)
        result = follow(lambda token: export(label_format.name, project, out, options, token), f"Writing {out.name}")
        report_result(result, as_json)

    def write_slices(
        project: Project,
        out: Out,
        pad_224: Annotated[bool, typer.Option("--pad-224", help="The same as --pad-crops-px 224.")] = False,
        new_split: Annotated[bool, typer.Option("--new-split/--no-new-split", hidden=True)] = False,
        all_to_train: Annotated[bool, typer.Option("--all-to-train/--no-all-to-train", hidden=True)] = False,
        check_duplicates: Annotated[
            bool | None, typer.Option("--check-duplicates/--no-check-duplicates", hidden=True)
        ] = None,
        allow_leak: Annotated[str, typer.Option("--allow-leak", hidden=True)] = "",
        as_json: AsJson = False,
        *,
        given: dict[str, Any],
    ) -> None:
        old = {"new_split": new_split, "all_to_train": all_to_train, "allow_leak": allow_leak}
        old |= {} if check_duplicates is None else {"check_duplicates": check_duplicates}
        options = checked(ApaccExportOptions, ({"pad_crops_px": 224} if pad_224 else {}) | given | _renamed(old))
        result = follow(lambda token: export(label_format.name, project, out, options, token), f"Writing {out.name}")
        report_result(result, as_json)

    if label_format.capabilities.slices:
        return with_options(write_slices, ApaccExportOptions, skip=frozenset({"validation_share"}))
    idle = idle_options(label_format.options_type, "writing")
    return with_options(write, chosen, label_format.options_type, skip=idle | {"writer"})


def _label_images() -> Callable[..., None]:
    from napari_cyto.datasets.export.label_images import LabelImageOptions, export_label_images

    def write(
        project: Project,
        out: Out,
        region: Annotated[
            str | None,
            typer.Option("--region", metavar="X,Y,W,H", help="Only this part of one slide, px at full resolution."),
        ] = None,
        as_json: AsJson = False,
        *,
        given: dict[str, Any],
    ) -> None:
        from napari_cyto.cli.predict import region_yxyx

        part = None if region is None else tuple(int(v) for v in region_yxyx(region))
        options = checked(LabelImageOptions, given | {"region_yxyx": part})
        result = follow(lambda token: export_label_images(project, out, options, token), f"Writing {out.name}")
        report_result(result, as_json)

    return with_options(write, LabelImageOptions, skip=frozenset({"region_yxyx"}))


def _renamed(old: dict[str, Any]) -> dict[str, Any]:
    """Return flags of earlier versions that were used, and say what they are called today."""
    used = {name: value for name, value in old.items() if value not in (False, "") or name == "check_duplicates"}
    for name in used:
        print(f"Hint: --{name.replace('_', '-')} is now {_OLD_FLAGS[name]}; the old one still works.", file=sys.stderr)
    return used


def _nested(outer: type[BaseModel], field: str, inner: type[BaseModel], given: dict[str, Any]) -> Any:
    """Return ``outer`` made of what was given, with what belongs to ``inner`` checked and nested as ``field``.

    What both have (the µm per px of CRIC's images) is told to both.
    """
    own = {n: v for n, v in given.items() if n in inner.model_fields}
    checked(inner, own)
    return checked(outer, {n: v for n, v in given.items() if n in outer.model_fields} | {field: own})


def report_result(result: Result, as_json: bool) -> None:
    """Print what an import or export did."""
    plain = result.to_json()
    if as_json:
        print_json(plain)
        return
    counts = plain.get("counts")
    if isinstance(counts, dict):
        for name in ("slices", "images"):
            if name in plain:
                _print_counts(counts, name, plain[name])
    facts = {name: value for name, value in plain.items() if isinstance(value, str | int | float)}
    print_facts((name.replace("_", " "), value) for name, value in facts.items())


def _print_counts(counts: dict[str, dict[str, int]], name: str, pieces: dict[str, int]) -> None:
    """Print the cells of each class in each set, as they were written."""
    sets_of = list(counts)
    rows: list[list[object]] = []
    for class_id in sorted({c for of_side in counts.values() for c in of_side}):
        numbers = [counts[side].get(class_id, 0) for side in sets_of]
        rows.append([class_id, *numbers, sum(numbers)])
    totals = [sum(counts[side].values()) for side in sets_of]
    rows.append(["all cells", *totals, sum(totals)])
    numbers = [pieces.get(side, 0) for side in sets_of]
    rows.append([name, *numbers, sum(numbers)])
    print_table("Written", ("class", *sets_of, "total"), rows)
