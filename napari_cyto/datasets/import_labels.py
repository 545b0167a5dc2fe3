"""Labels of any format into a project: one edit, all or nothing."""

from __future__ import annotations

import getpass
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_cyto.datasets.import_classes import mapped, new_scheme, scheme_for, scheme_remarks, used_classes
from napari_cyto.datasets.import_sift import Sifted, sift
from napari_cyto.datasets.import_slides import SlideMatcher
from napari_cyto.datasets.import_sources import read_source
from napari_cyto.datasets.job import Steps, ending_once, stop_if_cancelled
from napari_cyto.datasets.known_slides import KnownSlides, contradictions, where_in
from napari_cyto.datasets.options import ImportOptions
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.edits import add
from napari_cyto.domain.jobs import Advanced, Done, Event, Noted, Token
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import CytoError
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.replacing import remember_import
from napari_cyto.store import Project


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
        Remarks as ``Noted``; ``Done.result`` has how many slides and cells were added and were there already.
    """
    chosen = options or ImportOptions()
    return ending_once(_import(format_name, Path(source), Path(project_folder), chosen, token))


def source_classes(
    format_name: str,
    source: Path,
    options: ImportOptions | None = None,
    token: Token | None = None,  # noqa: ARG001  a job's signature; reading one source is not cut short
) -> Iterator[Event]:
    """Read which classes a source has, as a job; ``Done.result["classes"]`` is a list of their ids."""

    def steps() -> Steps:
        labels = read_source(format_name, Path(source), options or ImportOptions())
        yield Done({"classes": list(used_classes(labels))})

    return ending_once(steps())


def _import(format_name: str, source: Path, project_folder: Path, options: ImportOptions, token: Token | None) -> Steps:
    yield Advanced(0, 0, f"Reading {source.name}.")
    labels = mapped(read_source(format_name, source, options), options.class_map)
    stop_if_cancelled(token)
    target = _Target(project_folder)
    if target.exists:
        with Project.open(project_folder) as project:
            yield from _into(project, labels, project.scheme, source, options, token)
        return
    scheme = new_scheme(format_name, labels, options.scheme)
    if options.scheme:
        scheme_for(scheme, labels, options.add_classes)
    result: dict[str, Any] = {}
    with target.making(scheme) as project:
        for step in _into(project, labels, scheme, source, options, token):
            if isinstance(step, Done):
                result = step.result
            else:
                yield step
    yield Done(result | {"created": True, "project": str(project_folder)})


def _into(
    project: Project, labels: LabelSet, scheme: ClassScheme, source: Path, options: ImportOptions, token: Token | None
) -> Steps:
    wider = scheme_for(scheme, labels, options.add_classes)
    total = len(labels.slides)
    known = KnownSlides(project.slides(), where_in(project), lambda _: stop_if_cancelled(token))
    matched = SlideMatcher(known, options, source)
    for done, what in enumerate(matched.add(labels.slides), start=1):
        stop_if_cancelled(token)
        yield Advanced(min(done, total), total, what)
    bad = BadRows(source, options.skip_bad)
    sifted = _sifted(project, labels, matched, bad, options)
    left_out = bad.remarks(len(labels.annotations) - bad.total)
    stop_if_cancelled(token)
    if wider != scheme:
        project.set_scheme(wider)
    project.add_slides(matched.new)
    for record in matched.changed:
        project.update_slide(record)
    label = f"Import {source.name}"
    if sifted.fresh:
        project.apply(add(sifted.fresh, label), options.author or getpass.getuser())
    matching = (*matched.remarks, *contradictions(labels, matched.twins))
    remarks = [*labels.remarks, *scheme_remarks(wider, labels), *matching, *sifted.remarks(source), *left_out]
    yield from (Noted(remark) for remark in remarks)
    remember_import(source)
    yield Done(
        {
            "project": str(project.folder),
            "created": False,
            "slides": total,
            "slides_added": len(matched.new),
            "annotations_added": len(sifted.fresh),
            "already_there": sifted.same,
            "there_with_another_class": sifted.differing,
            "there_with_another_shape": sifted.reshaped,
            "doubled_in_source": sifted.doubled,
            "contradicting": len(sifted.contradicting),
            "classes": {str(c): n for c, n in sorted(Counter(a.class_id or "" for a in sifted.fresh).items()) if c},
            "regions": sum(a.is_region for a in sifted.fresh),
            "scheme": wider.name,
            "undo_label": label if sifted.fresh else "",
            "remarks": remarks,
        }
    )


def _sifted(project: Project, labels: LabelSet, matched: SlideMatcher, bad: BadRows, options: ImportOptions) -> Sifted:
    slides = {s.id: s for s in (*project.slides(), *matched.changed, *matched.new)}
    of_source = {theirs: slides[ours] for theirs, ours in matched.ids.items()}
    new = frozenset(record.id for record in matched.new)
    return sift(project, labels.annotations, of_source, new, bad, options.author or getpass.getuser())


class _Target:
    """The project's folder: there, or to be made whole under another name and then given its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.exists = Project.is_project(self.folder)
        if not self.exists and self.folder.exists() and not (self.folder.is_dir() and not any(self.folder.iterdir())):
            raise CytoError(
                f"{self.folder} is there, but it is no project; choose a project or a folder that does not exist yet."
            )

    def making(self, scheme: ClassScheme) -> _Making:
        return _Making(self.folder, scheme)


class _Making:
    def __init__(self, folder: Path, scheme: ClassScheme) -> None:
        self._folder, self._scheme = folder, scheme
        # Beside the final place, so that slides' relative paths hold after the rename.
        self._partial = folder.parent / f".{folder.name}.partial-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> Project:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._project = Project.create(self._partial, self._scheme, self._folder.name.removesuffix(".cyto"))
        return self._project

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._project.close()
        try:
            if kind is None:
                if self._folder.is_dir():
                    self._folder.rmdir()
                self._partial.rename(self._folder)
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)
