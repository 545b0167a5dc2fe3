"""What train and test must not share, and the refusal when they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from napari_cyto.datasets.audit.near_duplicates import CropPair
from napari_cyto.datasets.audit.report import Finding, Row, Severity
from napari_cyto.datasets.splits.groups import ties
from napari_cyto.datasets.splits.split import SIDES, TEST, TRAIN
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import LeakError

_SHOWN = 10
_KINDS = {
    "patient": ("same_patient", "{n} patient(s) have slides on both sides"),
    "smear": ("same_smear", "{n} smear(s) have slides on both sides"),
    "pixels": ("same_pixels", "{n} slide(s) are on both sides under two names"),
}


def shared_ties(slides: Iterable[SlideRecord], sides: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a leak for each kind of tie (patient, smear, pixels) that runs across the split.

    Parameters
    ----------
    slides : iterable of SlideRecord
        The slides of the dataset.
    sides : mapping
        Slide id to ``train`` or ``test``; slides without a side are left out.
    """
    members: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for slide in slides:
        if sides.get(slide.id) in SIDES:
            for tie in ties(slide):
                members[tie][sides[slide.id]].append(slide.stem or slide.name)
    findings = []
    for kind, (name, sentence) in _KINDS.items():
        rows = [_row(key, on) for key, on in sorted(members.items()) if key[0] == kind and len(on) == 2]
        if rows:
            shown = ", ".join(str(row[kind]) for row in rows[:_SHOWN])
            detail = f"{sentence.format(n=len(rows))}: {shown}{_more(len(rows))}."
            findings.append(Finding(name, Severity.ERROR, detail, tuple(rows), leak=True))
    return tuple(findings)


def _row(key: tuple[str, str], on: Mapping[str, list[str]]) -> Row:
    row: dict[str, object] = {key[0]: key[1]}
    for side in SIDES:
        row[side] = on[side][0]
        row[f"{side}_count"] = len(on[side])
    return row


def shared_crops(pairs: Iterable[CropPair], severity: Severity = Severity.ERROR) -> tuple[Finding, ...]:
    """Return a leak for the identical, and one for the nearly identical, crops of two sides."""
    findings = []
    listed = list(pairs)
    for kind, identical, what in (
        ("duplicate_crop", True, "to the pixel"),
        ("near_duplicate_crop", False, "nearly (re-encoded, turned, shifted or cut again)"),
    ):
        rows = [
            {TRAIN: p.train, TEST: p.test, "similarity": round(p.correlation, 4)}
            for p in listed
            if p.identical is identical
        ]
        if rows:
            first = f"{rows[0][TRAIN]} and {rows[0][TEST]}"
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            detail = f"{len(rows)} crop(s) of the test side are on the train side too, {what}: {first}{more}."
            findings.append(Finding(kind, severity, detail, tuple(rows), leak=severity is Severity.ERROR))
    return tuple(findings)


def refuse_leaks(findings: Iterable[Finding], allowed_because: str = "") -> None:
    """Refuse to go on when ``findings`` hold a leak that nobody allowed.

    Raises
    ------
    LeakError
        With the rows that leak.
    """
    leaks = [f for f in findings if f.leak]
    if not leaks or allowed_because.strip():
        return
    rows = [" | ".join(f"{key} {value}" for key, value in row.items()) for f in leaks for row in f.rows]
    raise LeakError(
        "The export is refused because train and test would share data. "
        + " ".join(f.detail for f in leaks)
        + " Rows: "
        + "; ".join(rows[:_SHOWN])
        + _more(len(rows))
        + ". Ask for a new split, correct smear and patient of these slides, or allow the leak and say why."
    )


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
