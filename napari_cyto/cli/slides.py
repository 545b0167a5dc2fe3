"""The verb ``slides``: the slides of a project, and whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.output import print_json, print_table
from napari_cyto.store import Project
from napari_cyto.store.slide_details import change_facts, named_slides, parsed_setting

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME:patient=P7",
        help="Set the patient or smear of the slide NAME; * in NAME stands for any text, and nothing after the = for "
        "unknown. May be repeated; all are checked before any is stored.",
    ),
]


def slides(project: ProjectFolder, settings: Settings = None, as_json: AsJson = False) -> None:
    """List the slides of a project with their patient and smear, by which splits keep slides together, or set them."""
    settings_given = [parsed_setting(words) for words in settings or ()]
    changed: set[str] = set()
    with Project.open(project) as opened:
        changes = [(named_slides(opened.slides(), names), field, value) for names, field, value in settings_given]
        for ids, field, value in changes:
            changed |= {record.id for record in change_facts(opened, ids, {field: value})}
        records, counts = opened.slides(), opened.slide_counts()
    if as_json:
        print_json(
            {
                "changed": len(changed),
                "slides": [
                    {"name": r.name, "patient": r.patient, "smear": r.smear, "annotations": counts.get(r.id, 0)}
                    for r in records
                ],
            }
        )
        return
    rows = [(r.name, r.patient or "not specified", r.smear or "not specified", counts.get(r.id, 0)) for r in records]
    print_table(f"Slides of {project.name}", ("Slide", "Patient", "Smear", "Annotations"), rows)
    if settings_given:
        print(f"changed  {len(changed)} of {len(records)} slides")
