"""The verbs ``reading assign | list | begin | status | finish | hand-back | results | reader``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.numbers import number
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.domain.quantities import GIVEN_CELLS, KNOWN_SHARE, REGION_PX, SEED, Quantity
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import keep_reader, reader_name
from napari_cyto.readings import assignment, course
from napari_cyto.readings.reading import Mode
from napari_cyto.readings.reading_results import METHOD, results
from napari_cyto.review.ambiguity import AMBIGUOUS, ambiguous_ids
from napari_cyto.store import Project

DAYS = Quantity(0, 3_650, "days", whole=True)

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The main project's folder, NAME.cyto.")]
ReadingId = Annotated[str, typer.Argument(metavar="READING", help="Its id, such as r1.")]


def fill(group: typer.Typer) -> None:
    """Add the verbs to their group."""
    for name, verb in (
        ("assign", assign),
        ("list", list_),
        ("begin", begin),
        ("status", status),
        ("finish", finish),
        ("hand-back", hand_back),
        ("results", show_results),
        ("reader", reader),
    ):
        group.command(name)(verb)


def assign(
    project: ProjectFolder,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who reads.")],
    mode: Annotated[
        Mode, typer.Option("--mode", help="classify: given cells get their class; free: find and classify.")
    ] = Mode.CLASSIFY,
    slides: Annotated[
        list[str] | None, typer.Option("--slide", metavar="NAME", help="Only this slide; may be repeated.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="Y0,X0,Y1,X1", help="Only this rectangle of a slide, level-0 px."),
    ] = None,
    random: Annotated[
        int | None,
        typer.Option("--random", metavar="N", parser=number("--random", GIVEN_CELLS), help="Draw N cells at random."),
    ] = None,
    stratified: Annotated[
        int | None,
        typer.Option(
            "--stratified",
            metavar="N",
            parser=number("--stratified", GIVEN_CELLS),
            help="Draw N cells, as evenly from classes and scores as these allow.",
        ),
    ] = None,
    ambiguous: Annotated[
        bool,
        typer.Option(
            "--ambiguous", help="Give, or draw from, the unreviewed cells that the model should not decide alone."
        ),
    ] = False,
    known: Annotated[
        float,
        typer.Option(
            "--known",
            metavar="SHARE",
            parser=number("--known", KNOWN_SHARE),
            help="Share of the given cells that are accepted cells, for sensitivity and specificity; the reader cannot "
            "see which.",
        ),
    ] = 0.0,
    opinion: Annotated[
        bool, typer.Option("--opinion", help="Show the model's class of each cell; not a blind reading then.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", parser=number("--seed", SEED), help="Of draw and order."),
    ] = None,
    repeat: Annotated[
        str | None,
        typer.Option("--repeat", metavar="READING", help="Have its reader read a finished one again."),
    ] = None,
    after_days: Annotated[
        int,
        typer.Option(
            "--after-days", metavar="N", parser=number("--after-days", DAYS), help="A repeat may begin in N days."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Assign a reading: of slides, of a region, or of a sample of the cells."""
    if random and stratified:
        raise CytoError("Expected --random or --stratified, got both.")
    if ambiguous and (repeat or mode is Mode.FREE):
        raise CytoError("--ambiguous gives cells to classify: not with --repeat, nor with --mode free.")
    by = reader_name()
    request = assignment.Request(
        reader=to,
        mode=mode,
        slides=tuple(slides or ()),
        region_yxyx=None if region is None else _region(region),
        strategy="random" if random else "stratified" if stratified else "all",
        count=random or stratified or 0,
        known_share=known,
        opinion=opinion,
        seed=seed,
        repeat_of=repeat or "",
        after_days=after_days,
    )
    with Project.open(project, reader=by) as opened:
        if ambiguous:
            chosen = assignment.slide_ids_of(opened, request.slides)
            request = replace(request, of_cells=frozenset(ambiguous_ids(opened, chosen)), population=AMBIGUOUS)
        done = assignment.assign_in(opened, request, by)
    if as_json:
        print_json(done.to_json())
        return
    print(f"{done.reading.id} assigned to {done.reading.reader}: {done.reading.words}.")
    for remark in done.remarks:
        print(remark)


def _region(words: str) -> tuple[float, float, float, float]:
    parse = number("--region", REGION_PX)
    parts = words.split(",")
    if len(parts) != 4:
        raise CytoError(f"--region: expected four numbers y0,x0,y1,x1, got {words[:60]!r}.")
    y0, x0, y1, x1 = (float(parse(part)) for part in parts)
    return y0, x0, y1, x1


def list_(project: ProjectFolder, as_json: AsJson = False) -> None:
    """List the readings of a project; who has begun one sees that one only."""
    found = course.readings(course.main_folder(project), reader_name())
    if as_json:
        print_json({"readings": [each.to_json() for each in found]})
        return
    rows = [(r.id, r.reader, r.mode.value, r.state.value, r.words if r.place else f"{r.cells:,}", r.due) for r in found]
    print_table(f"Readings of {project.name}", ("Reading", "Reader", "Mode", "State", "Done", "From"), rows)


def begin(project: ProjectFolder, reading: ReadingId, as_json: AsJson = False) -> None:
    """Begin a reading or go on with it; until it is finished, nothing else of the project opens for its reader."""
    place = course.begin(course.main_folder(project), reading, reader_name())
    if as_json:
        print_json({"reading": reading, "place": str(place)})
        return
    print_facts([("open", f"napari-cyto open {place}")])


def status(project: ProjectFolder, reading: ReadingId, as_json: AsJson = False) -> None:
    """Show how far a reading has come."""
    found = course.standing(course.main_folder(project), reading, reader_name())
    if as_json:
        print_json(found.to_json())
        return
    print_facts([("reading", found.id), ("reader", found.reader), ("state", found.state), ("done", found.words)])


def finish(project: ProjectFolder, reading: ReadingId, as_json: AsJson = False) -> None:
    """Finish a reading: it is locked for good, and its reader may open the project again."""
    _report(course.finish(course.main_folder(project), reading, reader_name()), as_json)


def hand_back(project: ProjectFolder, reading: ReadingId, as_json: AsJson = False) -> None:
    """Hand a reading back unfinished: it is locked, and counts for nothing."""
    _report(course.hand_back(course.main_folder(project), reading, reader_name()), as_json)


def _report(done: Any, as_json: bool) -> None:
    facts = {"reading": done.id, "state": done.state.value, "sha256": done.sha256}
    if as_json:
        print_json(facts)
        return
    print_facts(list(facts.items()))


def show_results(project: ProjectFolder, as_json: AsJson = False) -> None:
    """Show what the finished readings come to, for who leads: classes, known cells, and following the model."""
    found = results(project, reader_name())
    if as_json:
        print_json({"readings": [each.to_json() for each in found], "method": METHOD})
        return
    for each in found:
        rows = [(s.class_id, s.cells, _percent(s.share)) for s in each.shares]
        whole = f"Share of {each.population or 'all'}"
        print_table(f"{each.reading}, {each.reader} ({each.mode})", ("Class", "Cells", whole), rows)
        for name, value in (
            ("sensitivity on known cells", each.sensitivity),
            ("specificity on known cells", each.specificity),
            ("followed the model, right", each.followed_right),
            ("followed the model, wrong", each.followed_wrong),
            (f"same class as in {each.repeats}", each.same_class),
        ):
            if value is not None:
                print(f"{name}: {_percent(value)}, {value.n} cells")
    print(METHOD if found else "No reading is finished.")


def _percent(value: Any) -> str:
    if value.value is None:
        return "-"
    ends = "no interval" if value.low is None else f"{100 * value.low:.1f} to {100 * value.high:.1f}"
    return f"{100 * value.value:.1f} % ({ends})"


def reader(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The name to take; else it is shown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who reads on this computer account, or take another name; whose name it is, is trusted."""
    who = reader_name() if name is None else keep_reader(name)
    if as_json:
        print_json({"reader": who})
        return
    print_facts([("reader", who)])
