"""Promise: no patient or smear is ever divided, and class proportions match as nearly as can be found."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from napari_cyto.datasets.splits._search import split_cost
from napari_cyto.datasets.splits.groups import slide_groups
from napari_cyto.datasets.splits.split import (
    ALL_TO_TRAIN,
    APACC_TEST_SHARE,
    CAME_WITH_DATA,
    SIDES,
    TEST,
    TRAIN,
    split_by_group,
    split_slides,
)
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError


def smears(number: int, seed: int = 0, slices_each: int = 1) -> tuple[list[SlideRecord], dict[str, dict[str, int]]]:
    """Smears as uneven as the collection's, with its four classes."""
    rng = np.random.default_rng(seed)
    slides = [
        SlideRecord(name=f"{i}-{k}", smear=f"smear {i}", stem=f"{i}_{k}")
        for i in range(number)
        for k in range(slices_each)
    ]
    levels = {"healthy": 5.5, "unhealthy": 2.5, "rubbish": 6.0, "bothcells": 3.0}
    counts = {s.id: {c: int(rng.lognormal(level, 1.2)) for c, level in levels.items()} for s in slides}
    return slides, counts


def l1(split) -> float:
    return max(abs(row["test_share"] - row["share"]) for row in split.class_table())


def test_a_collection_of_107_smears_gives_20_to_the_test_side_and_proportions_agree() -> None:
    slides, counts = smears(107)
    split = split_by_group(slides, counts)
    assert len(split.group_table()[TEST]) == 20
    assert l1(split) < 0.001
    cells = {side: sum(split.class_counts[side].values()) for side in SIDES}
    assert cells[TEST] / sum(cells.values()) == pytest.approx(APACC_TEST_SHARE, abs=0.005)


def test_no_stratified_group_k_fold_of_fifty_seeds_comes_nearer() -> None:
    slides, counts = smears(60, seed=3)
    ours = split_by_group(slides, counts, test_share=0.2)
    classes = ours.classes
    table = np.array([[counts[s.id].get(c, 0) for c in classes] for s in slides], dtype=float)
    labels = np.repeat(np.tile(np.arange(len(classes)), len(slides)), table.astype(int).ravel())
    groups = np.repeat(np.arange(len(slides)), table.sum(axis=1).astype(int))
    best = np.inf
    for seed in range(10):
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        for _, test in folds:
            chosen = np.unique(groups[test])
            cost = split_cost(table[chosen].sum(axis=0)[None], table.sum(axis=0), (table > 0).sum(axis=0), 0.2)
            best = min(best, float(cost[0]))
    assert ours.cost is not None
    assert ours.cost <= best


def test_with_few_groups_the_choice_is_the_best_of_all() -> None:
    slides, counts = smears(9, seed=5)
    split = split_by_group(slides, counts, test_share=0.3)
    table = np.array([[counts[s.id][c] for c in split.classes] for s in slides], dtype=float)
    costs = [
        split_cost(table[list(pick)].sum(axis=0)[None], table.sum(axis=0), (table > 0).sum(axis=0), 0.3)[0]
        for pick in combinations(range(9), 3)
    ]
    assert split.cost == pytest.approx(min(costs))


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_slides() -> None:
    slides, counts = smears(50, seed=2)
    first = split_by_group(slides, counts, seed=7)
    again = split_by_group(list(reversed(slides)), counts, seed=7)
    assert first.sides == again.sides


def test_a_smear_of_many_slices_stays_whole() -> None:
    slides, counts = smears(12, slices_each=5)
    split = split_by_group(slides, counts)
    for smear in {s.smear for s in slides}:
        assert len({split.sides[s.id] for s in slides if s.smear == smear}) == 1


def test_one_patient_with_two_smears_stays_whole_even_if_only_one_slide_names_the_patient() -> None:
    a = SlideRecord(name="a", smear="1", patient="P")
    b = SlideRecord(name="b", smear="1")
    c = SlideRecord(name="c", smear="2", patient="P")
    d = SlideRecord(name="d")
    groups = slide_groups([a, b, c, d])
    assert groups[a.id] == groups[b.id] == groups[c.id] == "P"
    assert groups[d.id] == "d"


def test_the_same_file_under_two_names_stays_whole_but_blank_slices_tie_nothing() -> None:
    a, b = (SlideRecord(name=n, fingerprint="f") for n in "ab")
    assert len(set(slide_groups([a, b]).values())) == 1
    blank = [SlideRecord(name=n, smear=n, stem=f"{n}_0_0", fingerprint="white") for n in "ab"]
    assert len(set(slide_groups(blank).values())) == 2


def test_groups_of_the_same_name_are_told_apart() -> None:
    groups = slide_groups([SlideRecord(name="x.png"), SlideRecord(name="x.png")])
    assert set(groups.values()) == {"x.png", "x.png (2)"}


def test_sides_that_came_with_the_data_stay_unless_a_new_split_is_asked_for() -> None:
    slides, counts = smears(6)
    came = [
        SlideRecord(name=s.name, smear=s.smear, side=TEST if i < 4 else TRAIN, id=s.id) for i, s in enumerate(slides)
    ]
    kept = split_by_group(came, counts)
    assert kept.algorithm == CAME_WITH_DATA
    assert [kept.sides[s.id] for s in came] == [s.side for s in came]
    assert len(split_by_group(came, counts, new=True).group_table()[TEST]) == 1


def test_slides_added_to_a_divided_set_join_the_side_of_their_smear() -> None:
    slides, counts = smears(8)
    sides = [TRAIN] * 4 + [TEST] * 2 + [""] * 2
    mixed = [SlideRecord(name=s.name, smear=s.smear, side=x, id=s.id) for s, x in zip(slides, sides, strict=True)]
    twin = SlideRecord(name="twin", smear=slides[4].smear)
    split = split_by_group([*mixed, twin], counts)
    assert split.sides[twin.id] == TEST
    assert all(split.sides[s.id] == s.side for s in mixed if s.side)


def test_a_single_group_is_refused_with_a_way_out() -> None:
    slides, counts = smears(1)
    with pytest.raises(SplitError, match=r"at least two patients or smears.*everything on the train side"):
        split_by_group(slides, counts)
    split = split_by_group(slides, counts, all_to_train=True)
    assert (split.algorithm, set(split.sides.values())) == (ALL_TO_TRAIN, {TRAIN})


def test_two_groups_go_one_to_each_side() -> None:
    slides, counts = smears(2)
    assert set(split_by_group(slides, counts).sides.values()) == set(SIDES)


@pytest.mark.parametrize("share", [0, 1, -0.1, 2.0])
def test_a_share_that_leaves_a_side_empty_is_refused(share: float) -> None:
    with pytest.raises(SplitError, match="between 0 and 1"):
        split_by_group(*smears(3), test_share=share)


def test_a_rare_class_of_two_smears_is_on_both_sides() -> None:
    slides = [SlideRecord(name=str(i), smear=str(i)) for i in range(20)]
    counts = {s.id: {"NILM": 100} for s in slides}
    counts[slides[3].id]["SCC"] = 1
    counts[slides[11].id]["SCC"] = 1
    split = split_by_group(slides, counts)
    assert split.class_counts[TRAIN]["SCC"] == split.class_counts[TEST]["SCC"] == 1


def test_slides_without_cells_are_dealt_too_and_weigh_nothing() -> None:
    slides, counts = smears(10)
    empty = [SlideRecord(name=f"empty {i}") for i in range(10)]
    split = split_by_group([*slides, *empty], counts)
    assert set(split.sides) == {s.id for s in [*slides, *empty]}
    assert Counter(split.sides[s.id] for s in empty) == {TRAIN: 8, TEST: 2}


def test_pairs_that_show_the_same_cell_can_be_kept_together() -> None:
    slides, counts = smears(10)
    pair = (slides[0].id, slides[9].id)
    for seed in range(5):
        sides = split_by_group(slides, counts, seed=seed, test_share=0.4, together=[pair]).sides
        assert sides[pair[0]] == sides[pair[1]]


def test_thousands_of_groups_are_split_too() -> None:
    split = split_by_group(*smears(1500))
    assert l1(split) < 0.005


def test_a_label_set_is_counted_by_its_accepted_cells() -> None:
    slides = tuple(SlideRecord(name=n) for n in "abc")
    cells = [Annotation(slide_id=s.id, geometry=Point(1, 1), class_id="x") for s in slides]
    cells.append(Annotation(slide_id=slides[0].id, geometry=Point(1, 1), class_id="y", status=Status.REJECTED))
    cells.append(Annotation(slide_id=slides[0].id, geometry=Polygon(((0, 0), (0, 9), (9, 9))), class_id=None))
    split = split_slides(LabelSet(slides, tuple(cells)))
    assert split.classes == ("x",)
    assert split.to_dict()["classes"][0]["share"] == 1
