"""Judge a dataset or a project: does anything leak from train to test, is anything wrong with its labels?"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

from napari_cyto.datasets.audit._checks import all_checks
from napari_cyto.datasets.audit._folder_subject import audited_tree
from napari_cyto.datasets.audit._project_subject import audited_project
from napari_cyto.datasets.audit.crop_prints import CropPrints
from napari_cyto.datasets.audit.near_duplicates import pairs_across
from napari_cyto.datasets.audit.report import AuditReport, Finding, Severity, report
from napari_cyto.datasets.audit.subject import Audited, Tick
from napari_cyto.datasets.splits.leaks import shared_crops, shared_ties
from napari_cyto.datasets.splits.split import SETS
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Done, Event, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.store import Project

_KEPT = "Nothing was changed."


def audit(path: Path, *, compare_crops: bool = True) -> AuditReport:
    """Return what is to be said against a dataset folder or a project.

    Parameters
    ----------
    path : Path
        A project, or an APACC tree: an export of ours, the published one, a flat folder, crops alone.
    compare_crops : bool
        Whether to look for the same cell on both sides, which reads every crop.

    Raises
    ------
    CytoError
        When there is nothing there that could be judged.
    """
    steps = _steps(Path(path), compare_crops, None)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: AuditReport = end.value
            return found


def audit_job(path: Path, compare_crops: bool = True, token: Token | None = None) -> Iterator[Event]:
    """Audit as a job; ``Done.result`` is the `AuditReport`."""
    return ending_once(_job(Path(path), compare_crops, token))


def _job(path: Path, compare_crops: bool, token: Token | None) -> Steps:
    found = yield from _steps(path, compare_crops, token)
    yield Done(found)


def _steps(path: Path, compare_crops: bool, token: Token | None) -> Generator[Advanced, None, AuditReport]:
    yield Advanced(0, 0, f"Reading the labels of {path.name}.")
    audited = _audited(path, partial(stop_if_cancelled, token, _KEPT))
    findings = list(audited.findings)
    set_of_slide = {slide.id: slide.side for slide in audited.slides}
    findings += shared_ties(audited.slides, set_of_slide)
    for finding in all_checks(audited):
        stop_if_cancelled(token, _KEPT)
        findings.append(finding)
    if compare_crops and len(set(SETS) & set(set_of_slide.values())) > 1:
        findings += yield from _compared(audited, token)
    if not set(SETS) & set(set_of_slide.values()):
        findings.append(Finding("no_sides", Severity.INFO, "There is no split into training and test set here."))
    return report(audited.source, findings)


def _audited(path: Path, tick: Tick) -> Audited:
    if Project.is_project(path):
        with Project.open(path) as project:
            return audited_project(project, tick)
    if not path.is_dir():
        raise CytoError(f"Expected a project or the folder of a data set, got {path}.")
    return audited_tree(path, tick)


def _compared(audited: Audited, token: Token | None) -> Generator[Advanced, None, list[Finding]]:
    prints = {side: CropPrints() for side in SETS}
    unreadable, done = [], 0
    for done, (side, name, pixels) in enumerate(audited.crops(), start=1):
        if side not in prints:
            continue
        stop_if_cancelled(token, _KEPT)
        try:
            prints[side].add(name, pixels())
        except CytoError as error:
            unreadable.append({"crop": name, "side": side, "reason": str(error)})
        yield Advanced(done, 0, name)
    # Where nobody has divided the slides yet, an export keeps those with the same cell in one set.
    severity = Severity.ERROR if audited.sets_came else Severity.WARNING
    findings: list[Finding] = []
    for one, other in combinations([name for name in SETS if len(prints[name])], 2):
        yield Advanced(done, done, f"Comparing {len(prints[one])} crops ({one}) with {len(prints[other])} ({other}).")
        pairs = pairs_across(prints[one], prints[other], partial(stop_if_cancelled, token, _KEPT))
        findings += shared_crops(pairs, severity, (one, other))
    if unreadable:
        detail = f"{counted(len(unreadable), 'crop')} cannot be read, the first is {unreadable[0]['crop']}."
        findings.append(Finding("bad_image", Severity.ERROR, detail, tuple(unreadable)))
    return findings
