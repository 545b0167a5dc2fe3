"""Labels of any format into a project: one edit, all or nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from napari_cyto.datasets._exchange_options import ImportOptions
from napari_cyto.datasets.import_._new_project import NewFolder
from napari_cyto.datasets.import_._sift import Sieve, Sifted, fresh_rows
from napari_cyto.datasets.import_.classes import mapped, new_scheme, scheme_for, scheme_remarks, used_classes
from napari_cyto.datasets.import_.known_slides import KnownSlides, contradictions, where_in
from napari_cyto.datasets.import_.label_source import read_source
from napari_cyto.datasets.import_.slide_match import SlideMatcher
from napari_cyto.domain.annotation_rows import NO_CLASS, Row
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.reader import reader_name
from napari_cyto.files.replacement import remember_import
from napari_cyto.formats.annotation_spool import rows_of
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.jobs.events import Advanced, Done, Event, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.jobs.watched_call import Pace, seldom_collecting, watched_work
from napari_cyto.store import Project

BATCH = 5_000
"""How many annotations are stored between two looks at whether the user wants to stop."""

_NOTHING = "Nothing was stored."


@dataclass(frozen=True, slots=True)
class SourceClasses(JsonFields):
    """Which classes a source has, by their ids."""

    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult(JsonFields):
    """What an import brought in.

    Parameters
    ----------
    project : str
        Its folder.
    created : bool
        Whether it is new.
    slides, slides_added : int
        Slides of the source, and how many of them the project did not have.
    annotations_added, already_there : int
        Annotations that are new, and that the project had.
    there_with_another_class, there_with_another_shape : int
        That the project has otherwise; they stay as they are.
    doubled_in_source, contradicting : int
        That the source has twice, and that contradict each other.
    classes : mapping of class id to int
        Cells added, by class.
    regions : int
        Regions added.
    scheme : str
        Name of the project's class scheme.
    undo_label : str
        What undo calls the import; empty when nothing was added.
    remarks : tuple of str
        What to know.
    """

    project: str
    created: bool
    slides: int
    slides_added: int
    annotations_added: int
    already_there: int
    there_with_another_class: int
    there_with_another_shape: int
    doubled_in_source: int
    contradicting: int
    classes: Mapping[str, int]
    regions: int
    scheme: str
    undo_label: str
    remarks: tuple[str, ...]


def import_labels(
    format_name: str,
    source: Path,
    project_folder: Path,
    options: ImportOptions | None = None,
    token: Token | None = None,
) -> Iterator[Event]:
    """Take labels into a project, which is made when it is not there; a job.

    Slides that the project has already are found again; cells that are there already are counted, not doubled.

    Parameters
    ----------
    format_name : str
        One of ``formats.FORMATS``.
    source : Path
        The label file or folder.
    project_folder : Path
        The project.
    options : ImportOptions, optional
        How.
    token : Token, optional
        Asks for a stop.

    Yields
    ------
    Event
        Remarks as ``Noted``; ``Done.result`` is an `ImportResult`.
    """
    chosen = options or ImportOptions()

    def steps() -> Steps:
        with seldom_collecting():
            yield from _import(format_name, Path(source), Path(project_folder), chosen, token)

    return ending_once(steps())


def source_classes(
    format_name: str,
    source: Path,
    options: ImportOptions | None = None,
    token: Token | None = None,
) -> Iterator[Event]:
    """Read which classes a source has, as a job; ``Done.result`` is a `SourceClasses`."""

    def steps() -> Steps:
        chosen = options or ImportOptions()
        labels = yield from watched_work(lambda: read_source(format_name, Path(source), chosen), token, _NOTHING)
        yield Done(SourceClasses(tuple(used_classes(labels))))

    return ending_once(steps())


def _import(format_name: str, source: Path, project_folder: Path, options: ImportOptions, token: Token | None) -> Steps:
    yield Advanced(0, 0, f"Reading {source.name}.")
    place = NewFolder(project_folder)

    def read() -> LabelSet:
        return mapped(read_source(format_name, source, options), options.class_map)

    labels = yield from watched_work(read, token, _NOTHING)
    if not place.is_project():
        scheme = new_scheme(format_name, labels, options.scheme)
        if options.scheme:
            scheme_for(scheme, labels, options.add_classes)
        made: ImportResult | None = None
        with place.making(scheme) as project:
            for step in _into(project, labels, source, options, token):
                if isinstance(step, Done):
                    made = step.result
                else:
                    yield step
        if place.made:
            assert made is not None
            remember_import(source)
            yield Done(replace(made, created=True, project=str(project_folder)))
            return
        # Another program made a project there meanwhile: what it holds is kept, and the labels go into it.
    with Project.open(project_folder) as project:
        project.stop_when(None if token is None else token.cancelled)
        yield from _into(project, labels, source, options, token)
    remember_import(source)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an import will change, as of a revision of the project."""

    revision: int
    scheme: ClassScheme
    matched: SlideMatcher
    slides: Mapping[str, SlideRecord]
    sifted: Sifted
    left_out: tuple[str, ...]


def _into(project: Project, labels: LabelSet, source: Path, options: ImportOptions, token: Token | None) -> Steps:
    label, author = f"Import {source.name}", options.author or reader_name()
    plan = yield from _planned(project, labels, source, options, token)
    with project.bulk() as bulk:
        if bulk.revision != plan.revision:
            # Somebody wrote in the meantime; looked at again, now that nobody else can.
            plan = yield from _planned(project, labels, source, options, token)
        if plan.scheme != bulk.scheme:
            bulk.set_scheme(plan.scheme)
        bulk.add_slides(plan.matched.new)
        for record in plan.matched.changed:
            bulk.update_slide(record)
        bulk.interpret(_interpretations(labels, plan), author)
        pace = Pace()
        for batch in batched(_fresh(labels, plan, author), BATCH):
            bulk.add(batch, label, author)
            yield pace.advanced(bulk.count, plan.sifted.fresh, "Storing the annotations")
            stop_if_cancelled(token, _NOTHING)
    yield from _store_annotations(project, labels, source, plan, label if plan.sifted.fresh else "")


def _interpretations(labels: LabelSet, plan: _Plan) -> dict[str, Interpretation]:
    """Return what the labels say of whole slides that the project has and knows nothing of so far."""
    new = {record.id for record in plan.matched.new}
    pairs = ((plan.slides[slide.id], slide.interpretation) for slide in labels.slides)
    return {own.id: said for own, said in pairs if said and own.id not in new and own.interpretation is None}


def _fresh(labels: LabelSet, plan: _Plan, author: str) -> Iterator[Row]:
    at = 0
    for rows in rows_of(labels.annotations):
        yield from fresh_rows(rows, plan.sifted.keep[at : at + len(rows)], plan.slides, author)
        at += len(rows)


def _planned(
    project: Project, labels: LabelSet, source: Path, options: ImportOptions, token: Token | None
) -> Generator[Advanced, None, _Plan]:
    revision = project.revision()
    wider = scheme_for(project.scheme, labels, options.add_classes)
    total = len(labels.slides)
    known = KnownSlides(project.slides(), where_in(project), lambda _: stop_if_cancelled(token, _NOTHING))
    matched = SlideMatcher(known, options, source)
    for done, what in enumerate(matched.add(labels.slides), start=1):
        stop_if_cancelled(token, _NOTHING)
        yield Advanced(min(done, total), total, what)
    bad = BadRows(source, options.skip_bad)
    ours = {s.id: s for s in (*project.slides(), *matched.changed, *matched.new)}
    slides = {theirs: ours[own] for theirs, own in matched.ids.items()}
    sieve = Sieve(project, slides, frozenset(record.id for record in matched.new), bad)
    pace, there, total = Pace(), sum(project.counts().values()), len(labels.annotations)
    for seen in sieve.look():
        stop_if_cancelled(token, _NOTHING)
        yield pace.advanced(seen, there, "Looking at what the project has")
    for rows in rows_of(labels.annotations):
        sieve.take(rows)
        stop_if_cancelled(token, _NOTHING)
        yield pace.advanced(len(sieve.sifted.keep), total, "Comparing the annotations with the project's")
    left_out = bad.remarks(total - bad.total)
    return _Plan(revision, wider, matched, slides, sieve.sifted, left_out)


def _store_annotations(project: Project, labels: LabelSet, source: Path, plan: _Plan, undo_label: str) -> Steps:
    matched, sifted = plan.matched, plan.sifted
    matching = (*matched.remarks, *contradictions(labels, matched.twins))
    said = (*labels.remarks, *scheme_remarks(plan.scheme, labels), *matching, *sifted.remarks(source), *plan.left_out)
    yield from (Noted(remark) for remark in said)
    yield Done(
        ImportResult(
            project=str(project.folder),
            created=False,
            slides=len(labels.slides),
            slides_added=len(matched.new),
            annotations_added=sifted.fresh,
            already_there=sifted.same,
            there_with_another_class=sifted.differing,
            there_with_another_shape=sifted.reshaped,
            doubled_in_source=sifted.doubled,
            contradicting=sifted.contradicting,
            classes={c: n for c, n in sorted(sifted.classes.items()) if c != NO_CLASS},
            regions=sifted.classes[NO_CLASS],
            scheme=plan.scheme.name,
            undo_label=undo_label,
            remarks=said,
        )
    )


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yield rows in lists of ``size``, the last one shorter."""
    waiting = iter(rows)
    while batch := list(islice(waiting, size)):
        yield batch
