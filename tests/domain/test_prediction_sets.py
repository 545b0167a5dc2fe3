"""Guards prediction sets as values: what is in a set, where it is void, and which calibrations are refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from napari_cyto.domain.prediction_sets import CalibratedScanner, PredictionSets, SlideLook
from napari_cyto.domain.presets import preset
from napari_cyto.domain.set_calibration import LabelledShares, SetRates, calibrated
from napari_cyto.errors import CytoError

MODEL = ("made", "a" * 64)
SCANNER = "aperio CPAPERIOCS 20x"


def labelled(groups: int = 60, per_class: int = 2, missing: str = "", of_missing: int = 0) -> LabelledShares:
    """Return cells of the six Bethesda classes, two of each in each group; a class may lie in a few groups only."""
    classes = preset("bethesda").classes[:6]
    rng = np.random.default_rng(3)
    truth, names = [], []
    for group in range(groups):
        for place, cell_class in enumerate(classes):
            if cell_class.id != missing or group < of_missing:
                truth += [place] * per_class
                names += [f"patient {group}"] * per_class
    shares = rng.dirichlet(np.ones(len(classes)), len(truth))
    shares[np.arange(len(truth)), truth] += rng.uniform(0, 3, len(truth))
    shares /= shares.sum(axis=1, keepdims=True)
    looks = {
        name: SlideLook(scanner=SCANNER, colour_lab=(60.0 + n % 5, 10.0, 0.0)) for n, name in enumerate(set(names))
    }
    return LabelledShares(classes, shares, np.array(truth), names, names, looks, "patients")


def made(**changes: Any) -> PredictionSets:
    return calibrated(labelled(**changes), SetRates(), MODEL, "fingerprint")


def test_each_class_and_high_grade_keep_their_rates_on_the_groups_they_were_made_of() -> None:
    cells, found = labelled(), made()
    sets = found.sets(cells.shares)
    for place in range(6):
        mine = cells.truth == place
        assert sets[mine, place].mean() >= 0.9
    rule = found.high_grade
    assert rule is not None
    assert (rule.classes, rule.must_find) == (("ASC-H", "HSIL", "SCC"), ("HSIL", "SCC"))
    places = [found.class_ids.index(c) for c in rule.classes]
    must = np.isin(cells.truth, [found.class_ids.index(c) for c in rule.must_find])
    assert sets[must][:, places].any(axis=1).mean() >= 0.9
    assert (found.groups, found.unit, found.classes[0].groups) == (60, "patients", 60)


def test_the_likeliest_high_grade_class_is_added_where_they_are_likely_together() -> None:
    """0.2 of each of three is 0.6 of high grade, though no class reaches its own threshold."""
    found = made()
    assert found.high_grade is not None
    apart = found.model_copy(
        update={
            "classes": tuple(c.model_copy(update={"threshold": 0.5}) for c in found.classes),
            "high_grade": found.high_grade.model_copy(update={"threshold": 0.55}),
        }
    )
    ids = apart.class_ids
    shares = np.zeros((2, len(ids)))
    shares[0, [ids.index(c) for c in ("NILM", "ASC-H", "HSIL", "SCC")]] = (0.4, 0.19, 0.22, 0.19)
    shares[1, [ids.index(c) for c in ("NILM", "ASC-H")]] = (0.49, 0.51)
    named = [{ids[place] for place in np.flatnonzero(row)} for row in apart.sets(shares)]
    assert named == [{"HSIL"}, {"ASC-H"}]
    assert not apart.sets(np.full((1, len(ids)), np.nan)).any()


def test_a_rate_out_of_reach_is_refused_with_every_class_and_its_groups() -> None:
    with pytest.raises(CytoError, match=r"at least 9 patients with each class.* SCC \(4\).* reach is 0\.2"):
        made(missing="SCC", of_missing=4)
    with pytest.raises(CytoError, match=r"0\.01 for high grade needs at least 99 patients with HSIL or SCC.* are 60"):
        calibrated(labelled(), SetRates(high_grade_alpha=0.01), MODEL, "")


def test_a_scanner_or_stain_that_was_not_calibrated_makes_sets_void_and_says_why() -> None:
    found = made()
    calibrated_look = SlideLook(scanner=SCANNER, colour_lab=(62.0, 10.0, 0.0))
    assert found.void_reason(calibrated_look, is_local=False) == ""
    for look, why in (
        (None, "not known yet"),
        (SlideLook(scanner=SCANNER), "not known yet"),
        (SlideLook(colour_lab=(62.0, 10.0, 0.0)), "does not name its scanner"),
        (SlideLook(scanner="mirax 40x", colour_lab=(62.0, 10.0, 0.0)), "mirax 40x.* was not calibrated"),
        (SlideLook(scanner=SCANNER, colour_lab=(62.0, 30.0, 0.0)), r"Delta E 20\.0"),
    ):
        assert re.search(why, found.void_reason(look, is_local=False)), look
    # A project's own calibration knows its own files, also where they name no scanner; 49 of them are too few.
    own = found.scanners[0].model_copy(update={"scanner": ""})
    unnamed = SlideLook(colour_lab=(62.0, 10.0, 0.0))
    assert found.model_copy(update={"scanners": (own,)}).void_reason(unnamed, is_local=True) == ""
    few = own.model_copy(update={"groups": 49})
    said = found.model_copy(update={"scanners": (few,)}).void_reason(unnamed, is_local=True)
    assert "Only 49 groups" in said


def test_sets_from_strangers_that_contradict_themselves_are_refused() -> None:
    """A file that promises 1 % from 60 groups, or states more groups than cells, is not believed."""
    plain = made().model_dump(mode="json")
    assert PredictionSets.model_validate(plain) == made().model_copy(update={"created_utc": plain["created_utc"]})
    first = plain["classes"][0]
    twice = [CalibratedScanner(groups=5, colour_lab=(1, 1, 1), reach=1).model_dump()] * 2
    for change, why in (
        ({"alpha": 0.01}, "needs 99 groups with NILM"),
        ({"classes": [first | {"threshold": 1.5}, *plain["classes"][1:]]}, "less than or equal to 1"),
        ({"classes": [first, *plain["classes"]]}, "two thresholds"),
        ({"classes": [first | {"groups": 10**6}, *plain["classes"][1:]]}, "more groups or cells"),
        ({"high_grade": plain["high_grade"] | {"classes": ["HSIL", "AGC"]}}, "AGC"),
        ({"scanners": twice}, "stated twice"),
        ({"extra": 1}, "not permitted"),
        ({"model_sha256": "x"}, "pattern"),
    ):
        with pytest.raises(ValidationError, match=why):
            PredictionSets.model_validate(plain | change)


def test_two_classes_that_become_one_leave_no_sets() -> None:
    found = made()
    same = {c: c for c in found.class_ids}
    assert found.renamed(same) == found
    assert found.renamed(same | {"ASC-H": "HSIL"}) is None
    other = found.renamed(same | {"HSIL": "high"})
    assert other is not None
    assert other.high_grade is not None
    assert "high" in other.class_ids
    assert "high" in other.high_grade.must_find
