"""The verbs ``project backup | restore | check | rescue``: keeping a project safe, and getting it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.store.recovery import maintenance as care

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
_SOUND, _DAMAGED = 0, 1


def fill(group: typer.Typer) -> None:
    """Add the verbs to their group."""
    group.command("backup")(backup)
    group.command("restore")(restore)
    group.command("check")(check)
    group.command("rescue")(rescue)


def backup(project: ProjectFolder, as_json: AsJson = False) -> None:
    """Make a verified backup of a project in its folder 'backups', unless the newest one is of the same state."""
    taken = care.backup(project)
    facts = _facts(taken)
    if as_json:
        print_json(facts)
        return
    print_facts([(name.replace("_", " "), value) for name, value in facts.items()])


def restore(
    project: ProjectFolder,
    name: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="The backup's file name, or how it begins.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the backups and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup, by default the newest intact one; the present state is saved as a backup first."""
    if listing:
        _list(project, as_json)
        return
    restored = care.restore(project, name)
    kept = None if restored.kept is None else str(restored.kept)
    if as_json:
        print_json({"restored": restored.backup.path.name, "kept": kept})
        return
    print_facts([("restored", restored.backup.path.name), ("previous state kept as", kept)])


def check(project: ProjectFolder, as_json: AsJson = False) -> int:
    """Check a whole project for damage: its file, indexes, references and every row.

    Exit code 0: intact; 1: damaged or changed by other software, with a list of what is wrong; 2: not a project.
    """
    problems = care.check(project)
    if as_json:
        print_json({"project": str(project), "sound": not problems, "problems": problems})
    elif problems:
        print_facts([("damaged", problem) for problem in problems])
        print(care.ways_out_of(project))
    else:
        print_facts([("intact", project)])
    return _DAMAGED if problems else _SOUND


def rescue(
    damaged: Annotated[Path, typer.Argument(metavar="DAMAGED", help="The damaged project's folder; it is only read.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.cyto", help="A folder for the new project.")],
    as_json: AsJson = False,
) -> None:
    """Copy every readable row of a damaged or foreign project into a new project, and list what was lost."""
    came = care.rescue(damaged, out)
    if as_json:
        facts = {"slides": came.slides, "annotations": came.annotations, "steps": came.steps, "lost": came.lost}
        print_json({"project": str(out), **facts})
        return
    print_facts([("slides", came.slides), ("annotations", came.annotations), ("steps of the history", came.steps)])
    print_facts([("lost", words) for words in came.lost] or [("lost", "nothing that can be detected")])


def _list(project: Path, as_json: bool) -> None:
    found = [_facts(each) for each in care.backups(project)]
    if as_json:
        print_json({"backups": found})
        return
    columns = ("Backup", "Taken", "Before", "Slides", "Annotations", "MB")
    rows = [
        (
            each["backup"],
            each["taken"],
            each["reason"],
            each["slides"],
            each["annotations"],
            f"{each['size_bytes'] / 2**20:.1f}",
        )
        for each in found
    ]
    print_table(f"Backups of {project.name}", columns, rows)


def _facts(backup: Any) -> dict[str, Any]:
    contents = care.contents(backup)
    return {
        "backup": backup.path.name,
        "taken": f"{backup.taken_utc.astimezone():%Y-%m-%d %H:%M:%S}",
        "reason": backup.reason,
        "slides": None if contents is None else contents.slides,
        "annotations": None if contents is None else contents.annotations,
        "size_bytes": backup.size_bytes,
        "path": str(backup.path),
    }
