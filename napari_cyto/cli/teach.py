"""The verb ``teach``: a class from a few examples, on the vectors of a project's cells."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.numbers import number
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.datasets.splits.split_slides import grouped
from napari_cyto.domain.counts import counted
from napari_cyto.domain.quantities import CELLS, SEED
from napari_cyto.domain.taught import NOT, counterexample_edit, example_edit, with_class
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import reader_name
from napari_cyto.store import Project
from napari_cyto.vectors import VectorKind
from napari_cyto.vectors.teaching.lesson import Lesson
from napari_cyto.vectors.teaching.project_lesson import (
    Features,
    Worth,
    drawn_cells,
    encoder_remark,
    keep_drawn,
    keep_encoder,
    newest_kind,
    open_lesson,
    worth_of,
)
from napari_cyto.vectors.teaching.sentences import (
    accuracy_words,
    across_words,
    doubt_words,
    example_words,
    limitations,
)
from napari_cyto.vectors.teaching.suggestions import Suggestion, class_words

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
Class = Annotated[
    str | None, typer.Option("--class", metavar="CLASS", help="The class to teach; a new one is added to the project.")
]
For = Annotated[
    list[str] | None,
    typer.Option("--for", metavar="IDS", help="Cells that are of the class, by id, with commas; may be repeated."),
]
Against = Annotated[
    list[str] | None,
    typer.Option("--not", metavar="IDS", help="Cells that are not of the class, by id, with commas; may be repeated."),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--from-labels",
        metavar="FILE.csv",
        help="Examples from a table with the columns id and class; 'not: NAME' as class is an example against.",
    ),
]
Suggest = Annotated[
    int,
    typer.Option("--suggest", metavar="N", parser=number("--suggest", CELLS), help="Name the next N cells to label."),
]
Top = Annotated[
    int,
    typer.Option(
        "--top", metavar="N", parser=number("--top", CELLS), help="Name the N unreviewed cells most like the class."
    ),
]
Slide = Annotated[str | None, typer.Option("--slide", metavar="NAME", help="Only cells of this slide.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder", metavar="NAME", help="Use the vectors of this encoder (its id or folder); else the newest."
    ),
]
Save = Annotated[
    Path | None,
    typer.Option("--save-model", metavar="BUNDLE", help="Save encoder and head as a classifier in this folder."),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", parser=number("--seed", SEED), help="Of the cells that are drawn at random."),
]
Measured = Annotated[
    bool,
    typer.Option(
        "--measurements",
        help="Also learn from what is measured on outlines (napari-cyto measure); a saved model is of vectors alone.",
    ),
]
_LARGEST_TABLE_BYTES = 64 << 20


def teach(
    project: ProjectFolder,
    class_id: Class = None,
    examples: For = None,
    against: Against = None,
    labels: Labels = None,
    suggest: Suggest = 0,
    top: Top = 10,
    slide: Slide = None,
    encoder: Encoder = None,
    save_model: Save = None,
    seed: Seed = 0,
    measurements: Measured = False,
    as_json: AsJson = False,
) -> None:
    """Teach a class by examples: score the unreviewed cells, suggest which to label next, and save a model.

    Examples are the cells that a person accepted, rejected or said are not of a class, in the window or here. Needs the
    vectors that `napari-cyto embed` makes.
    """
    if save_model is not None:
        from napari_cyto.cli.restart import start_for_networks

        # First of all: it may replace this process by one that begins anew.
        start_for_networks("Saving a model")
    place = Project.folder_of(project)
    with Project.open(place) as opened:
        kind = newest_kind(opened, _encoder(encoder))
        stored = _store(opened, class_id, examples or (), against or (), labels)
        remark = encoder_remark(opened, kind)
        lesson = open_lesson(opened, kind, Features.BOTH if measurements else Features.VECTORS)
        lesson.learn()
        keep_encoder(opened, kind)
        slide_id = _slide_id(opened, slide)
        made = lesson.suggestions(
            sought=(class_id,) if class_id else (),
            pending=drawn_cells(opened),
            count=suggest,
            seed=seed,
            slide_id=slide_id,
        )
        # Drawn from one slide they tell nothing of the others.
        keep_drawn(opened, (each.cell_id for each in made if each.is_random and not slide_id))
        worth = worth_of(lesson.snapshot(), drawn_cells(opened), grouped(opened.slides(), "auto"))
        names = {record.id: record.name for record in opened.slides()}
    remarks = [words for words in (remark, *limitations(lesson, class_id or "")) if words]
    facts = _facts(lesson, kind, class_id or "", stored, worth, remarks)
    facts |= _cells(lesson, class_id or "", made, names, top, slide_id)
    if save_model is not None:
        facts["model"] = _save(place, save_model, kind, encoder)
    if as_json:
        print_json(facts)
    else:
        _print(facts, lesson, class_id or "")


def _store(
    project: Project, class_id: str | None, examples: Iterable[str], against: Iterable[str], labels: Path | None
) -> int:
    """Store what is said of cells, all of it or nothing where a cell or class is wrong; return how many changed."""
    said: dict[str, list[str]] = defaultdict(list)
    unsaid: dict[str, list[str]] = defaultdict(list)
    here, not_here = _ids(examples), _ids(against)
    if (here or not_here) and not class_id:
        raise CytoError("Expected --class with the name of the class that --for and --not are about.")
    said[class_id or ""] += here
    unsaid[class_id or ""] += not_here
    for cell, name in _table(labels) if labels is not None else ():
        (unsaid[name.removeprefix(NOT).strip()] if name.startswith(NOT) else said[name]).append(cell)
    named = [cell for part in (said, unsaid) for cells in part.values() for cell in cells]
    twice = [cell for cell, number in Counter(named).items() if number > 1]
    if twice:
        raise CytoError(f"Expected each cell once, got {twice[0]} more often; nothing was changed.")
    cells = {cell.id: cell for cell in project.annotations_by_id(named) if not cell.is_region}
    missing = [cell for cell in named if cell not in cells]
    if missing:
        raise CytoError(
            f"Expected ids of cells of {project.name}, got {missing[0][:64]!r}"
            + (f" and {len(missing) - 1} more that it does not have" if len(missing) > 1 else "")
            + "; nothing was changed."
        )
    scheme = project.scheme
    for name in (class_id or "", *said, *unsaid):
        scheme = with_class(scheme, name) if name else scheme
    if scheme != project.scheme:
        project.set_scheme(scheme)
    author, changed = reader_name(), 0
    edits = [example_edit([cells[c] for c in ids], author, name) for name, ids in said.items() if ids]
    edits += [counterexample_edit([cells[c] for c in ids], name) for name, ids in unsaid.items() if ids]
    for edit in filter(None, edits):
        project.apply(edit, author)
        changed += len(edit.changes)
    return changed


def _ids(given: Iterable[str]) -> list[str]:
    return [part for words in given for part in (p.strip() for p in words.split(",")) if part]


def _table(path: Path) -> list[tuple[str, str]]:
    try:
        if path.stat().st_size > _LARGEST_TABLE_BYTES:
            raise CytoError(f"{path}: expected a table of at most {_LARGEST_TABLE_BYTES >> 20} MB.")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"id", "class"} <= set(reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "none"
                raise CytoError(f"{path}: expected the columns id and class, got {found[:120]}.")
            rows = [((row["id"] or "").strip(), (row["class"] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CytoError(f"{path}: the table cannot be read ({error}).") from error
    for line, row in enumerate(rows, start=2):
        if not all(row):
            raise CytoError(f"{path}: expected an id and a class in line {line}, got {row}; nothing was changed.")
    return rows


def _encoder(named: str | None) -> str:
    """Return an encoder's id, or the hash of one whose folder is named."""
    if named is None or not Path(named).is_dir():
        return named or ""
    from napari_cyto.models.bundle import described_bundle

    return described_bundle(named).sha256


def _slide_id(project: Project, name: str | None) -> str:
    if name is None:
        return ""
    found = [record.id for record in project.slides() if name in (record.name, record.id)]
    if len(found) != 1:
        raise CytoError(f"Expected the name of one slide of {project.name}, got {name[:80]!r}; {len(found)} have it.")
    return found[0]


def _save(place: Path, out: Path, kind: VectorKind, encoder: str | None) -> dict[str, Any]:
    from napari_cyto.training.taught_head import SaveOptions, save_head

    options = SaveOptions(encoder=encoder or kind.encoder, sha256=kind.sha256)
    saved = follow(lambda token: save_head(place, out, options, token), f"Saving {out.name}")
    result: dict[str, Any] = saved.to_json()
    return result


def _facts(
    lesson: Lesson, kind: VectorKind, class_id: str, stored: int, worth: Worth, remarks: list[str]
) -> dict[str, Any]:
    accuracy, across = worth.accuracy, worth.across
    return {
        "class": class_id or None,
        "encoder": {"id": kind.encoder, "sha256": kind.sha256, "crop": kind.crop},
        "cells": len(lesson.ids),
        "without_vector": lesson.without,
        "unreviewed": len(lesson.waiting_rows),
        "stored": stored,
        "examples": {class_words(name): number for name, number in lesson.examples.counts.items()},
        "known_only_not_to_be": int((~lesson.examples.is_known).sum()),
        "on_unreviewed_cells": {
            "sentence": accuracy_words(accuracy, worth.drawn, worth.labelled),
            "drawn": worth.drawn,
            "labelled": worth.labelled,
            "accuracy": None if accuracy is None else accuracy.share,
            "interval": None if accuracy is None else [accuracy.low, accuracy.high],
            "slides": None if accuracy is None else accuracy.groups,
        },
        "on_other_slides": {
            "sentence": across_words(across, worth.groups),
            "accuracy": None if across is None else across.accuracy.share,
            "interval": None if across is None else [across.accuracy.low, across.accuracy.high],
            "macro_f1": None if across is None else across.macro_f1,
            "slides": worth.groups,
        },
        "doubts": [
            {
                "id": doubt.cell_id,
                "labelled": class_words(doubt.given),
                "looks_like": class_words(doubt.likelier),
                "share": doubt.share,
            }
            for doubt in worth.doubts
        ],
        "doubt_sentence": doubt_words(worth.doubts),
        "limitations": remarks,
    }


def _cells(
    lesson: Lesson,
    class_id: str,
    made: tuple[Suggestion, ...],
    names: Mapping[str, str],
    top: int,
    slide_id: str,
) -> dict[str, Any]:
    def slide_of(cell: str) -> str:
        of = lesson.slide_ids[lesson.row_of[cell]]
        return names.get(of, of)

    is_likeness = lesson.head is not None and lesson.head.is_likeness
    first = lesson.most_like(class_id, top, slide_id) if class_id else []
    called = lesson.called(class_id) if class_id else Counter[str]()
    return {
        "called": {names.get(of, of): number for of, number in called.most_common()},
        "order_is_probability": not is_likeness,
        "most_like": [{"id": cell, "slide": slide_of(cell), "score": round(score, 4)} for cell, score in first],
        "suggestions": [
            {"id": each.cell_id, "slide": slide_of(each.cell_id), "reason": each.reason, "random": each.is_random}
            for each in made
        ],
    }


def _print(facts: dict[str, Any], lesson: Lesson, class_id: str) -> None:
    rows: list[tuple[str, object]] = [
        ("encoder", f"{facts['encoder']['id']} ({facts['encoder']['sha256'][:8]})"),
        ("cells", f"{facts['cells']:,} with a vector, {facts['unreviewed']:,} unreviewed"),
        ("examples", example_words(lesson)),
    ]
    if facts["stored"]:
        rows.append(("stored", counted(facts["stored"], "example")))
    if facts["called"]:
        rows.append((f"called {class_id}", f"{sum(facts['called'].values()):,} unreviewed cells"))
    rows += [("note", words) for words in facts["limitations"]]
    rows.append(("estimate", facts["on_unreviewed_cells"]["sentence"]))
    rows.append(("other slides", facts["on_other_slides"]["sentence"]))
    if facts["doubt_sentence"]:
        rows.append(("labels", facts["doubt_sentence"]))
    if "model" in facts:
        rows.append(("model", facts["model"]["bundle"]))
    print_facts(rows)
    if facts["most_like"]:
        heading = "Probability" if facts["order_is_probability"] else "Likeness"
        table = [(each["id"], each["slide"], f"{each['score']:.3f}") for each in facts["most_like"]]
        print_table(f"Unreviewed cells most like {class_id}", ("Cell", "Slide", heading), table)
    if facts["suggestions"]:
        table = [(each["id"], each["slide"], each["reason"]) for each in facts["suggestions"]]
        print_table("Cells worth a label", ("Cell", "Slide", "Reason"), table)
