"""What the sets of a split must not share, and the refusal when they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from napari_cyto.datasets.audit.near_duplicates import CropPair
from napari_cyto.datasets.audit.report import Finding, Row, Severity
from napari_cyto.datasets.splits._groups import ties
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.splits.split import SETS, TEST, TRAIN, VALIDATION
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import LeakError

_SHOWN = 10
_KINDS = {
    "patient": ("same_patient", "patient has", "patients have", "slides in more than one set"),
    "smear": ("same_smear", "smear has", "smears have", "slides in more than one set"),
    "pixels": ("same_pixels", "slide is", "slides are", "in more than one set under two names"),
}
_SET_WORDS = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}
_OVERLAPS = {"patient": "patients", "smear": "smears", "pixels": "pictures"}

LEAK_WORDS = "The export is refused because two of its sets would share data"
"""How the refusal of a leak begins."""

Members = dict[tuple[str, str], dict[str, list[str]]]


def shared_ties(slides: Iterable[SlideRecord], sets: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a leak for each kind of tie (patient, smear, pixels) that runs across the split.

    Parameters
    ----------
    slides : iterable of SlideRecord
        The slides of the dataset.
    sets : mapping
        Slide id to ``train``, ``validation`` or ``test``; slides without a set are left out.
    """
    members = _members(slides, sets)
    findings = []
    for kind, (name, one, many, rest) in _KINDS.items():
        rows = [_row(key, of) for key, of in sorted(members.items()) if key[0] == kind and len(of) > 1]
        if rows:
            shown = ", ".join(str(row[kind]) for row in rows[:_SHOWN])
            detail = f"{counted(len(rows), one, many)} {rest}: {shown}{_more(len(rows))}."
            findings.append(Finding(name, Severity.ERROR, detail, tuple(rows), leak=True))
    return tuple(findings)


def overlaps(
    sets: Mapping[str, str],
    groups: Mapping[str, str],
    slides: Iterable[SlideRecord],
    twins: Iterable[tuple[str, str]],
) -> dict[str, int]:
    """Return how many patients, smears, groups, pictures and near-duplicates are in more than one set.

    Parameters
    ----------
    sets, groups : mapping
        Slide id to its set, and to what is kept together.
    slides : iterable of SlideRecord
        All slides.
    twins : iterable of (id, id)
        Slides that show the same cells.

    Notes
    -----
    Source: the set intersections of Coskun et al., section 2.6 (train and validation, train and test, validation and
    test), taken here over every kind of identity that is known.
    """
    found = dict.fromkeys(("patients", "smears", "groups", "pictures"), 0)
    for (kind, _), of in _members(slides, sets).items():
        found[_OVERLAPS[kind]] += len(of) > 1
    sets_of: dict[str, set[str]] = defaultdict(set)
    for slide_id, name in sets.items():
        sets_of[groups[slide_id]].add(name)
    found["groups"] = sum(len(names) > 1 for names in sets_of.values())
    found["near_duplicates"] = sum(sets[a] != sets[b] for a, b in twins)
    return found


def _members(slides: Iterable[SlideRecord], sets: Mapping[str, str]) -> Members:
    """Return the names of slides by tie and set."""
    members: Members = defaultdict(lambda: defaultdict(list))
    for slide in slides:
        if sets.get(slide.id) in SETS:
            for tie in ties(slide):
                members[tie][sets[slide.id]].append(slide.stem or slide.name)
    return members


def _row(key: tuple[str, str], of: Mapping[str, list[str]]) -> Row:
    row: dict[str, object] = {key[0]: key[1]}
    for name in (name for name in SETS if name in of):
        row[name] = of[name][0]
        row[f"{name}_count"] = len(of[name])
    return row


def shared_crops(
    pairs: Iterable[CropPair], severity: Severity = Severity.ERROR, sets: tuple[str, str] = (TRAIN, TEST)
) -> tuple[Finding, ...]:
    """Return a leak for the identical, and one for the nearly identical, crops of two sets.

    Parameters
    ----------
    pairs : iterable of CropPair
        ``train`` of each is the crop of the first set, ``test`` that of the second.
    severity : Severity
        How grave it is.
    sets : tuple of str
        The names of the two sets.
    """
    one, other = sets
    findings = []
    listed = list(pairs)
    for kind, identical, what in (
        ("duplicate_crop", True, "with the same pixels"),
        ("near_duplicate_crop", False, "nearly the same (re-encoded, rotated, shifted or cut again)"),
    ):
        rows = [
            {one: p.train, other: p.test, "similarity": round(p.correlation, 4)}
            for p in listed
            if p.identical is identical
        ]
        if rows:
            first = f"{rows[0][one]} and {rows[0][other]}"
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            in_other = f"of the {_SET_WORDS[other]} set"
            crops = counted(len(rows), f"crop {in_other} is", f"crops {in_other} are")
            detail = f"{crops} in the {_SET_WORDS[one]} set too, {what}: {first}{more}."
            findings.append(Finding(kind, severity, detail, tuple(rows), leak=severity is Severity.ERROR))
    return tuple(findings)


def refuse_leaks(findings: Iterable[Finding], config: SplitConfig) -> None:
    """Refuse to go on when ``findings`` hold a leak that nobody allowed with a reason.

    Raises
    ------
    LeakError
        With the rows that leak.
    """
    leaks = [f for f in findings if f.leak]
    if not leaks or config.leak_reason:
        return
    rows = [" | ".join(f"{key} {value}" for key, value in row.items()) for f in leaks for row in f.rows]
    raise LeakError(
        f"{LEAK_WORDS}. "
        + " ".join(f.detail for f in leaks)
        + " Rows: "
        + "; ".join(rows[:_SHOWN])
        + _more(len(rows))
        + ". Make a new split, correct smear and patient of these slides, or allow the leak with a reason."
    )


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
