"""Promise: what two sets share is found and counted, whatever ties the slides, and refused with the rows that leak."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.datasets.audit.near_duplicates import CropPair
from napari_cyto.datasets.audit.report import Finding, Severity
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.splits.leaks import LEAK_WORDS, overlaps, refuse_leaks, shared_crops, shared_ties
from napari_cyto.datasets.splits.split import SETS
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import LeakError

facts = st.tuples(*[st.sampled_from(["", "1", "2", "3"])] * 4, st.sampled_from([*SETS, "", "other"]))


def slide(n: int, patient: str = "", smear: str = "", pixels: str = "", stem: str = "") -> SlideRecord:
    return SlideRecord(id=f"s{n}", name=f"{n}.png", patient=patient, smear=smear, fingerprint=pixels, stem=stem)


@given(rows=st.lists(facts, max_size=12))
def test_each_tie_that_two_sets_share_is_one_row_with_the_first_slide_and_the_number_of_each(rows: list) -> None:
    slides = [slide(n, *row[:4]) for n, row in enumerate(rows)]
    sets = {s.id: row[4] for s, row in zip(slides, rows, strict=True) if row[4]}
    expected: dict[str, list[dict[str, Any]]] = {}
    for kind, known in (
        ("patient", lambda s: s.patient),
        ("smear", lambda s: s.smear),
        # Blank glass is blank glass on any slice.
        ("pixels", lambda s: "" if s.stem else s.fingerprint),
    ):
        for value in ("1", "2", "3"):
            names = {
                name: [s.stem or s.name for s in slides if known(s) == value and sets.get(s.id) == name]
                for name in SETS
            }
            names = {name: of for name, of in names.items() if of}
            if len(names) > 1:
                row = {kind: value}
                for name, of in names.items():
                    row |= {name: of[0], f"{name}_count": len(of)}
                expected.setdefault(f"same_{kind}", []).append(row)
    found = shared_ties(slides, sets)
    assert {f.kind: list(f.rows) for f in found} == expected
    assert all(f.leak and f.severity is Severity.ERROR for f in found)
    assert [f.detail.split()[0] for f in found] == [str(len(rows)) for rows in expected.values()]
    whole = {s.id: "train" if s.id not in sets or sets[s.id] == "other" else sets[s.id] for s in slides}
    counted = overlaps(whole, {s.id: s.patient for s in slides}, slides, [("s0", "s1")] if len(slides) > 1 else [])
    for word, kind in (("patients", "same_patient"), ("smears", "same_smear"), ("pictures", "same_pixels")):
        assert counted[word] == sum(len(f.rows) for f in shared_ties(slides, whole) if f.kind == kind)
    assert counted["groups"] == sum(
        len({whole[s.id] for s in slides if s.patient == value}) > 1 for value in ("", "1", "2", "3")
    )
    assert counted["near_duplicates"] == (len(slides) > 1 and whole["s0"] != whole["s1"])


def test_what_is_shared_is_named_ten_at_most() -> None:
    for number, end in ((1, ": p00."), (10, "p08, p09."), (12, "p08, p09 and 2 more.")):
        slides = [slide(n, f"p{n % number:02}") for n in range(2 * number)]
        sets = {s.id: "train" if n < number else "validation" for n, s in enumerate(slides)}
        [found] = shared_ties(slides, sets)
        assert found.detail.startswith(
            f"{counted(number, 'patient has', 'patients have')} slides in more than one set: p00"
        )
        assert found.detail.endswith(end)


def test_identical_crops_and_near_ones_are_distinguished() -> None:
    pairs = [CropPair("a", "x", 1.0), CropPair("b", "y", 0.98765), CropPair("c", "z", 0.98)]
    same, near = shared_crops(pairs, Severity.ERROR, ("train", "validation"))
    assert (same.kind, same.rows) == ("duplicate_crop", ({"train": "a", "validation": "x", "similarity": 1.0},))
    assert same.detail == "1 crop of the validation set is in the training set too, with the same pixels: a and x."
    assert near.kind == "near_duplicate_crop"
    assert near.rows == (
        {"train": "b", "validation": "y", "similarity": 0.9877},
        {"train": "c", "validation": "z", "similarity": 0.98},
    )
    assert near.detail.startswith("2 crops of the validation set are in the training set too, nearly")
    assert near.detail.endswith(": b and y and 1 more.")
    assert same.leak
    assert near.leak
    assert same.severity is near.severity is Severity.ERROR
    [warned] = shared_crops(pairs[:1], Severity.WARNING)
    assert (warned.leak, warned.severity) == (False, Severity.WARNING)
    assert set(warned.rows[0]) == {"train", "test", "similarity"}
    assert shared_crops([]) == ()


def leak(rows: int) -> Finding:
    shown = tuple({"patient": f"p{n}", "train": f"t{n}"} for n in range(rows))
    return Finding("same_patient", Severity.ERROR, "They share patients.", shown, leak=True)


def test_a_leak_is_refused_with_its_first_ten_rows_unless_a_reason_allows_it() -> None:
    harmless = Finding("label_outside", Severity.ERROR, "Outside.", ({"a": 1},))
    refuse_leaks([harmless], SplitConfig())
    with pytest.raises(LeakError) as refused:
        refuse_leaks([harmless, leak(12)], SplitConfig())
    said = str(refused.value)
    assert said.startswith(f"{LEAK_WORDS}. They share patients. Rows: patient p0 | train t0; patient p1 | train t1; ")
    assert "patient p9 | train t9 and 2 more. Make a new split" in said
    assert "Outside." not in said
    with pytest.raises(LeakError, match=r"patient p9 \| train t9\. Make"):
        refuse_leaks([leak(10)], SplitConfig())
    refuse_leaks([leak(2)], SplitConfig(overrides=("leak",), reason="two readers"))
    for not_allowed in ({"overrides": ("leak",), "reason": " "}, {"reason": "two readers"}):
        with pytest.raises(LeakError):
            refuse_leaks([leak(2)], SplitConfig(**not_allowed))
