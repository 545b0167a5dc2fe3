"""The split of a training set: nothing on two sides, every class on each, refusals that say what overrules them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.splits._twin_slides import twin_slides
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.splits.split import SETS, Split
from napari_cyto.datasets.splits.training_split import grouped_slides, recorded_split, split_training_set
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError, SplitError
from napari_cyto.training.recipes import recipe, with_settings

CLASSES = ("NILM", "LSIL", "HSIL")


def slide(key: str, counts: Sequence[int], patient: str = "", smear: str = "", **more: object) -> TrainingSlide:
    index = np.repeat(np.arange(len(counts)), counts).astype(np.intp)
    facts = {"key": key, "path": f"{key}.png", "name": f"{key}.png", "mpp": 0.25, "source": "test"}
    return TrainingSlide(
        **facts,
        patient=patient,
        smear=smear,
        centres_yx=np.full((len(index), 2), 5.0),
        boxes_yxyx=np.full((len(index), 4), np.nan),
        class_index=index,
        size_hw=(100, 100),
        fingerprint=str(more.pop("fingerprint", key)),
        **more,
    )


def training_set(slides: Sequence[TrainingSlide]) -> TrainingSet:
    return TrainingSet(preset("bethesda"), CLASSES, tuple(sorted(slides, key=lambda s: s.key)))


def config(**values: object) -> SplitConfig:
    return SplitConfig(**({"twins": False} | values))


slides_of_patients = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(0, 2),
        st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 3)),
    ),
    min_size=3,
    max_size=40,
)


@given(rows=slides_of_patients, by=st.sampled_from(["auto", "smear", "image"]), seed=st.integers(0, 5))
def test_no_patient_smear_or_image_is_in_two_sets(rows: list, by: str, seed: int) -> None:
    slides = [
        slide(f"s{n}", counts, f"p{p}" if p else "", f"p{p}m{m}" if m else "") for n, (p, m, counts) in enumerate(rows)
    ]
    data = training_set(slides)
    try:
        split = split_training_set(data, config(by=by, seed=seed))
    except SplitError as refusal:
        said = str(refusal)
    else:
        said = ""
    if said:
        assert "override" in said or not sum(data.counts().values())
        return
    assert sorted(split.sets) == sorted(s.key for s in slides)
    audit = split.record["audit"]
    assert audit["groups"] == audit["pictures"] == 0
    assert by == "image" or audit["smears"] == 0
    assert by != "auto" or audit["patients"] == 0
    total = {c: sum(split.counts[side][c] for side in SETS) for c in CLASSES}
    assert total == data.counts()
    for side in SETS:
        assert sum(split.counts[side].values()) > 0
    json.dumps(split.record)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(12, 60))
def test_each_side_gets_each_class_in_its_share(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    slides = [slide(f"s{i:03}", (int(rng.integers(5, 40)), int(rng.integers(0, 6)), int(i % 4 == 0))) for i in range(n)]
    data = training_set(slides)
    split = split_training_set(data, config(seed=seed))
    for side, share in (("train", 0.65), ("validation", 0.15), ("test", 0.2)):
        counts = split.counts[side]
        assert all(counts.values())
        assert sum(counts.values()) / sum(data.counts().values()) == pytest.approx(share, abs=0.06)
    assert split.record["lacking"] == {}


def many(n: int = 40, **facts: object) -> TrainingSet:
    return training_set([slide(f"s{i:03}", (9, 3, i % 2), **facts) for i in range(n)])


def test_the_same_seed_gives_the_same_sets_in_any_order() -> None:
    data = many()
    backwards = TrainingSet(data.scheme, data.classes, data.slides[::-1])
    first = split_training_set(data, config(seed=3))
    assert first.record["seed"] == 3
    assert dict(split_training_set(backwards, config(seed=3)).sets) == dict(first.sets)
    assert dict(split_training_set(data, config(seed=4)).sets) != dict(first.sets)


def test_sets_are_tuples_of_slides() -> None:
    split = split_training_set(many(), config())
    assert isinstance(split, Split)
    assert sum(len(split.of(side)) for side in SETS) == 40
    assert all(split.sets[s.key] == "test" for s in split.of("test"))
    assert split.record["slides"] == {side: len(split.of(side)) for side in SETS}


def test_without_a_test_or_validation_share_there_is_no_such_side() -> None:
    split = split_training_set(many(), config(test_share=0))
    assert split.of("test") == ()
    assert split.of("validation")
    split = split_training_set(many(), config(test_share=0, validation_share=0))
    assert len(split.of("train")) == 40
    with pytest.raises(SplitError, match="nothing to train on"):
        split_training_set(many(), config(test_share=0.6, validation_share=0.5))


def test_folds_divide_the_slides_among_them() -> None:
    data = many()
    tested: list[str] = []
    for fold in range(4):
        split = split_training_set(data, config(fold=fold, folds=4))
        tested += [s.key for s in split.of("test")]
        assert split.of("validation")
        assert split.record["fold"] == fold
        assert all(split.counts["test"].values())
    assert sorted(tested) == [s.key for s in data.slides]
    with pytest.raises(SplitError, match="got 4"):
        split_training_set(data, config(fold=4, folds=4))


def test_one_patient_only_is_refused_or_divided_within_on_the_record() -> None:
    data = many(patient="Ms. Ü")
    with pytest.raises(SplitError, match=r"only one patient.*'single-group'"):
        split_training_set(data, config())
    split = split_training_set(data, config(overrides=("single-group",)))
    assert split.record["overrides"]["single-group"]["divided_by"] == "image"
    assert split.record["unit"] == "image"
    assert split.record["audit"]["patients"] == 1, "said, not hidden"
    one = training_set([slide("only", (9, 3, 1))])
    split = split_training_set(one, config(overrides=("single-group", "few-groups")))
    assert [len(split.of(side)) for side in SETS] == [1, 0, 0]


def test_two_patients_are_too_few_for_three_sets() -> None:
    data = training_set([slide("a", (9, 3, 2), "p1"), slide("b", (9, 3, 2), "p2")])
    with pytest.raises(SplitError, match="a test share of 0"):
        split_training_set(data, config())
    split = split_training_set(data, config(test_share=0))
    assert [len(split.of(side)) for side in SETS] == [1, 1, 0]


def test_a_class_of_too_few_groups_is_refused_or_recorded() -> None:
    data = training_set([slide(f"s{i}", (9, 3, 4 if i < 2 else 0)) for i in range(12)])
    with pytest.raises(SplitError, match=r"HSIL in 2; .*'few-groups'"):
        split_training_set(data, config())
    split = split_training_set(data, config(overrides=("few-groups",)))
    assert split.record["overrides"] == {"few-groups": {"HSIL": 2}}
    assert sum(len(lacking) for lacking in split.record["lacking"].values()) == 1
    with pytest.raises(SplitError, match="HSIL in 2"):
        split_training_set(data, config(fold=0, folds=5))


def test_an_unknown_patient_is_refused_or_recorded() -> None:
    data = training_set([slide(f"s{i}", (9, 3, 2), f"p{i}" if i else "", "m") for i in range(12)])
    data = TrainingSet(data.scheme, data.classes, tuple(replace(s, smear="") for s in data.slides))
    with pytest.raises(SplitError, match=r"got 1 slide without one \(s0.png\).*'unknown-patient'"):
        split_training_set(data, config(by="patient"))
    split = split_training_set(data, config(by="patient", overrides=("unknown-patient",)))
    assert split.record["overrides"] == {"unknown-patient": 1}
    assert split_training_set(data, config()).record["unit"] == "patient, else image"


def test_an_override_that_was_not_needed_is_not_recorded() -> None:
    every = ("single-group", "few-groups", "unknown-patient")
    assert split_training_set(many(), config(overrides=every)).record["overrides"] == {}


def test_unknown_overrides_are_refused() -> None:
    with pytest.raises(ValueError, match="overrides"):
        SplitConfig(overrides=("whatever",))


def test_published_sets_are_kept_unless_they_leak() -> None:
    slides = [slide(f"s{i:02}", (9, 3, 2), f"p{i // 2}", side="test" if i < 6 else "train") for i in range(24)]
    split = split_training_set(training_set(slides), config())
    assert {s.key for s in split.of("test")} == {f"s{i:02}" for i in range(6)}
    assert split.of("validation")
    assert split.record["published_sides"]
    anew = split_training_set(training_set(slides), config(published=False, seed=1))
    assert {s.key for s in anew.of("test")} != {f"s{i:02}" for i in range(6)}
    leaking = [*slides[:-1], replace(slides[-1], patient="p0")]
    with pytest.raises(SplitError, match=r"\(1 patient: p0\).*published=false"):
        split_training_set(training_set(leaking), config())


def test_slides_that_came_without_a_side_join_published_ones() -> None:
    slides = [slide(f"a{i:02}", (9, 3, 2), side="test" if i < 4 else "train") for i in range(20)]
    slides += [slide(f"b{i:02}", (9, 3, 2)) for i in range(20)]
    split = split_training_set(training_set(slides), config())
    test = {s.key for s in split.of("test")}
    assert {f"a{i:02}" for i in range(4)} < test
    assert not test & {f"a{i:02}" for i in range(4, 20)}


def olds_and_news(news: int, **facts: str) -> TrainingSet:
    olds = [slide(f"old{i}", (9, 3, 2), side="train") for i in range(6)]
    return training_set([*olds, *(slide(f"new{i}", (9, 3, 2), **facts) for i in range(news))])


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), news=st.integers(1, 5), published=st.booleans())
def test_what_had_a_say_in_the_parent_is_never_tested_on(seed: int, news: int, published: bool) -> None:
    olds = frozenset(f"old{i}" for i in range(6))
    requested = config(seed=seed, published=published, overrides=("single-group", "few-groups"))
    split = split_training_set(olds_and_news(news), requested, known=olds)
    test = {s.key for s in split.of("test")}
    assert test
    assert not test & olds
    assert split.of("train")
    assert split.of("validation")


def test_a_new_slide_of_a_patient_that_had_a_say_is_not_tested_on_either() -> None:
    data = olds_and_news(3)
    slides = [*data.slides, slide("b", (9, 3, 2), "p"), slide("a", (9, 3, 2), "p", side="test")]
    for published in (True, False):
        split = split_training_set(training_set(slides), config(published=published), known=["b"])
        assert split.sets["a"] == split.sets["b"] != "test"


def test_without_anything_new_there_is_no_test_side_to_continue_with() -> None:
    olds = [f"old{i}" for i in range(6)]
    for published in (True, False):
        with pytest.raises(SplitError, match=r"tuned on 6 images here.*test share of 0"):
            split_training_set(olds_and_news(0), config(published=published), known=olds)
    split = split_training_set(olds_and_news(0), config(test_share=0), known=olds)
    assert split.of("validation")


def test_a_published_validation_set_is_kept_whatever_it_is_called() -> None:
    for name in ("validation", "val", "valid"):
        slides = [slide(f"s{i:02}", (9, 3, 2), side=("test", name, "train", "train")[i % 4]) for i in range(24)]
        split = split_training_set(training_set(slides), config())
        assert {s.key for s in split.of("validation")} == {f"s{i:02}" for i in range(1, 24, 4)}


def test_one_patient_needs_no_override_where_nothing_is_held_back() -> None:
    split = split_training_set(many(patient="p"), config(test_share=0, validation_share=0))
    assert len(split.of("train")) == 40


def test_the_same_image_under_two_names_stays_together() -> None:
    slides = [slide(f"s{i:02}", (9, 3, 2), fingerprint="same" if i < 10 else f"f{i}") for i in range(40)]
    split = split_training_set(training_set(slides), config(by="image"))
    assert len({split.sets[f"s{i:02}"] for i in range(10)}) == 1


def test_a_recorded_split_is_found_again() -> None:
    data = many()
    split = split_training_set(data, config())
    record = json.loads(json.dumps(split.record))
    more = TrainingSet(data.scheme, data.classes, (*data.slides, slide("new", (1, 1, 1))))
    again = recorded_split(more, record)
    assert [s.key for s in again.of("test")] == [s.key for s in split.of("test")]
    assert "new" not in again.sets
    with pytest.raises(CytoError, match="does not state"):
        recorded_split(data, {})


def test_what_earlier_versions_recorded_is_read() -> None:
    data = many(4)
    sides = {"train": ["s000", "s001"], "validation": ["s002"], "test": ["s003", "gone"]}
    again = recorded_split(data, {"unit": "image", "seed": 0, "sides": sides, "sides_asked": 3})
    assert [[s.key for s in again.of(name)] for name in SETS] == [["s000", "s001"], ["s002"], ["s003"]]
    assert again.counts["validation"] == {"NILM": 9, "LSIL": 3, "HSIL": 0}
    old = {"by": "auto", "validation_share": 0.15, "test_share": 0.2, "seed": 3, "fold": None, "folds": 5}
    old |= {"published": True, "twins": True, "overrides": ["few-groups"]}
    assert SplitConfig.model_validate(old) == SplitConfig(seed=3, overrides=("few-groups",))


def drawn(path: Path, shift: tuple[int, int] = (0, 0), seed: int = 0) -> list[tuple[float, float]]:
    """Draw a field of textured blots; a shift shows the same place moved, as overlapping photographs do."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 250, (90, 90, 3), dtype=np.uint8))
    whole = np.asarray(coarse.resize((1400, 1400), Image.Resampling.BICUBIC))
    y, x = shift
    Image.fromarray(whole[200 + y : 1000 + y, 200 + x : 1000 + x]).save(path, quality=92)
    return [(400.0 - y, 400.0 - x), (300.0 - y, 520.0 - x)]


def test_fields_that_show_the_same_cells_are_found_and_kept_together(tmp_path: Path) -> None:
    slides = []
    for n in range(8):
        path = tmp_path / f"{n}.jpg"
        centres = drawn(path, (60, -45) if n == 1 else (0, 0), seed=max(n, 1))
        made = slide(f"s{n}", (1, 1, 0))
        slides.append(replace(made, path=str(path), centres_yx=np.array(centres), size_hw=(800, 800)))
    data = TrainingSet(preset("bethesda"), CLASSES, tuple(slides))
    assert twin_slides(data.slides) == (("s0", "s1"),)
    for seed in range(4):
        split = split_training_set(data, SplitConfig(seed=seed))
        assert split.sets["s0"] == split.sets["s1"]
    assert split.record["near_duplicates"] == [["s0.png", "s1.png"]]
    assert split.record["audit"]["near_duplicates"] == 0


@pytest.mark.shared
def test_the_two_real_fields_of_one_place_stay_together(shared: Path) -> None:
    data = read_training_set([f"cric:{shared / 'cric'}"])
    twins = {s.key: s.name for s in data.slides if s.name.startswith(("8457af", "36a2bc"))}
    found = twin_slides(data.slides)
    assert found == (tuple(sorted(twins)),)
    for fold in range(5):
        split = split_training_set(data, SplitConfig(fold=fold), found)
        assert len({split.sets[key] for key in twins}) == 1
        assert set(split.record["audit"].values()) == {0}
        assert split.record["lacking"] == {}


def advised(sentence: str) -> list[str]:
    """What a refusal tells to type after ``--set``."""
    found = re.findall(r"--set ([^\s;)]+)", sentence)
    assert found, sentence
    return found


def refused(data: TrainingSet, typed: Sequence[str]) -> str:
    try:
        split_training_set(data, with_settings(recipe(None, "classifier"), typed).split)
    except SplitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("patients", "typed"),
    [
        (("Ms. Ü",) * 4, []),
        (("one",), []),
        (("one", "two"), []),
        (("",) * 12, ["split.by=patient"]),
        (("one", "two"), ["split.overrides=few-groups"]),
    ],
)
def test_what_a_refusal_tells_to_type_works_as_typed(patients: Sequence[str], typed: list[str]) -> None:
    """Whoever types what stands in each sentence gets a split, however many refusals come one after the other."""
    data = training_set([slide(f"{patient}{i}", (9, 3, 1 + i % 2), patient) for i, patient in enumerate(patients)])
    first = refused(data, typed)
    for advice in advised(first):
        now, sentence, seen = [*typed, advice], refused(data, [*typed, advice]), {first}
        while sentence:
            assert sentence not in seen, f"{now} lead nowhere"
            seen.add(sentence)
            now.append(advised(sentence)[-1])
            sentence = refused(data, now)


def test_slides_of_one_patient_or_of_the_same_pixels_are_one_group() -> None:
    slides = [slide("a", (1, 0, 0), "P", "1"), slide("b", (1, 0, 0), "P", "2"), slide("c", (1, 0, 0), fingerprint="f")]
    slides += [slide("d", (1, 0, 0), fingerprint="f"), slide("e", (0, 0, 0), fingerprint="f")]
    assert grouped_slides(slides, "auto") == {"a": "P", "b": "P", "c": "c.png", "d": "c.png", "e": "e.png"}
    assert grouped_slides(slides, "smear") == {"a": "1", "b": "2", "c": "c.png", "d": "c.png", "e": "e.png"}
    assert len(set(grouped_slides(slides, "image").values())) == 4
