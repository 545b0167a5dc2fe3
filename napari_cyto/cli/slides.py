"""The verb ``slides``: the slides of a project, whose they are, and what was said of them as wholes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.output import print_json, print_table
from napari_cyto.datasets.import_.interpretation_table import (
    ReadTable,
    export_interpretations,
    import_interpretations,
)
from napari_cyto.domain.interpretation import Interpretation, category_of
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.session import reader_name
from napari_cyto.store import Project
from napari_cyto.store.slide_details import INTERPRETATION, change_facts, named_slides, parsed_setting

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME:patient=P7",
        help="Set the patient, smear or interpretation of the slide NAME; * in NAME stands for any text, and nothing "
        "after the = for unknown. May be repeated; all are checked before any is stored.",
    ),
]
Interpretations = Annotated[
    Path | None,
    typer.Option(
        "--interpretations",
        metavar="CSV",
        help="Read interpretations from a table with the columns slide, interpretation, by and date.",
    ),
]
InterpretationsOut = Annotated[
    Path | None,
    typer.Option("--interpretations-out", metavar="CSV", help="Write the interpretations as such a table."),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Who gives or enters interpretations; without it, the reader of the window."
    ),
]


ScaleByNuclei = Annotated[
    bool,
    typer.Option(
        "--scale-by-nuclei",
        help="Estimate the µm per px of slides of which they are unknown by their nuclei; nothing is stored.",
    ),
]


def slides(
    project: ProjectFolder,
    settings: Settings = None,
    interpretations: Interpretations = None,
    interpretations_out: InterpretationsOut = None,
    by: By = None,
    scale_by_nuclei: ScaleByNuclei = False,
    as_json: AsJson = False,
) -> None:
    """List the slides of a project with patient, smear (splits keep these together) and interpretation, or set them."""
    settings_given = [parsed_setting(words) for words in settings or ()]
    who = by or reader_name()
    changed: set[str] = set()
    read: ReadTable | None = None
    with Project.open(project) as opened:
        changes = [(named_slides(opened.slides(), names), field, value) for names, field, value in settings_given]
        for ids, field, value in changes:
            if field == INTERPRETATION:
                said = Interpretation(category_of(value), who, _today()) if value else None
                changed |= set(opened.interpret(dict.fromkeys(ids, said), who))
            else:
                changed |= {record.id for record in change_facts(opened, ids, {field: value})}
        if interpretations is not None:
            read = import_interpretations(opened, interpretations, who)
            changed |= set(read.before)
        written = None if interpretations_out is None else export_interpretations(opened, interpretations_out)
        records, counts = opened.slides(), opened.slide_counts()
        estimates = _estimates(opened) if scale_by_nuclei else {}
    if as_json:
        print_json(
            {
                "changed": len(changed),
                "slides": [_as_json(record, counts.get(record.id, 0)) for record in records],
                **({"scale_by_nuclei": estimates} if scale_by_nuclei else {}),
                **({"interpretations": replace(read, before={}).to_json()} if read is not None else {}),
                **({"interpretations_written": written} if written is not None else {}),
            }
        )
        return
    unknown = "not specified"
    rows = [
        (
            r.name,
            r.patient or unknown,
            r.smear or unknown,
            r.interpretation.words if r.interpretation else unknown,
            counts.get(r.id, 0),
        )
        for r in records
    ]
    print_table(f"Slides of {project.name}", ("Slide", "Patient", "Smear", "Interpretation", "Annotations"), rows)
    if scale_by_nuclei and not estimates:
        print("The µm per px of every slide are known.")
    for name, estimate in estimates.items():
        print(f"{name}: {estimate['sentence']}")
    if read is not None:
        print(read.words)
    if settings_given or read is not None:
        print(f"changed  {len(changed)} of {len(records)} slides")
    if written is not None:
        print(f"written  {interpretations_out}")


def _today() -> str:
    return datetime.now().astimezone().date().isoformat()


def _as_json(record: SlideRecord, annotations: int) -> dict[str, object]:
    said = record.interpretation
    return {
        "name": record.name,
        "patient": record.patient,
        "smear": record.smear,
        "interpretation": None if said is None else said.to_json(),
        "annotations": annotations,
    }


def _estimates(project: Project) -> dict[str, dict[str, Any]]:
    """Return what nuclei say of the scale of each slide of which it is unknown, by name."""
    from napari_cyto.slides import open_slide
    from napari_cyto.slides.nuclear_scale import estimate_scale
    from napari_cyto.slides.pixel_source import SlidePixels

    found: dict[str, dict[str, Any]] = {}
    for record in project.slides():
        if record.mpp is not None:
            continue
        try:
            with open_slide(project.slide_path(record)) as slide:
                found[record.name] = estimate_scale([SlidePixels(slide)]).to_json()
        except CytoError as error:
            found[record.name] = {"mpp": None, "sentence": str(error)}
    return found
