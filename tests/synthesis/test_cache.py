"""Guards the promise that the demo smear is made once, whole or not at all, and made again when damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import CancelToken
from napari_cyto.slides import open_slide
from napari_cyto.synthesis import MadeSmear, SmearSpec, demo_smear, demo_specs, obtain_smear
from napari_cyto.synthesis import _cache as cache
from napari_cyto.synthesis.job import make_smears

SPEC = SmearSpec((700, 900), seed=5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeSmear:
    return obtain_smear(SPEC, "small", tmp_path_factory.mktemp("cache"))


def again(made: MadeSmear, monkeypatch: pytest.MonkeyPatch) -> tuple[MadeSmear, int]:
    """Return the smear from the same cache and how often it was laid out for that."""
    times: list[SmearSpec] = []
    lay_out = cache.lay_out

    def counting(spec: SmearSpec, token: object = None) -> object:
        times.append(spec)
        return lay_out(spec)

    monkeypatch.setattr(cache, "lay_out", counting)
    return obtain_smear(SPEC, "small", made.slide_path.parents[1]), len(times)


def test_the_slide_opens_with_size_and_scale(made: MadeSmear) -> None:
    with open_slide(made.slide_path) as slide:
        assert (slide.info.height, slide.info.width) == (700, 900)
        assert slide.info.mpp == pytest.approx(0.25)


def test_it_is_made_only_once(made: MadeSmear, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again(made, monkeypatch) == (made, 0)


@pytest.mark.parametrize("damage", ["shorter", "flipped", "no slide", "no truth", "truth is no JSON", "truth is short"])
def test_a_damaged_one_is_made_again_identical(made: MadeSmear, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    before = made.slide_path.read_bytes()
    truth = made.slide_path.with_suffix(".json")
    match damage:
        case "shorter":
            made.slide_path.write_bytes(before[:-100])
        case "flipped":
            made.slide_path.write_bytes(before[:2000] + bytes(64) + before[2064:])
        case "no slide":
            made.slide_path.unlink()
        case "no truth":
            truth.unlink()
        case "truth is no JSON":
            truth.write_text("{")
        case "truth is short":
            truth.write_text("{}")
    found, times = again(made, monkeypatch)
    assert (found, times) == (made, 1)
    assert found.slide_path.read_bytes() == before


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    token = CancelToken()
    with pytest.raises(JobCancelled):
        obtain_smear(SPEC, "small", tmp_path, advance=lambda done, total: token.cancel(), token=token)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CytoError, match="cannot be written") as caught:
        obtain_smear(SPEC, "small", tmp_path / "file")
    assert "NAPARI_CYTO_CACHE" in str(caught.value)


def test_the_demo_is_a_large_smear_and_two_small_ones_of_other_patients() -> None:
    specs = demo_specs(20_000)
    assert [spec.size_hw[0] for spec in specs.values()] == [20_000, 6_000, 6_000]
    assert len({spec.seed for spec in specs.values()}) == 3


def test_the_demo_smear_reports_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = demo_smear(tmp_path, 1500, advance=lambda done, total: seen.append((done, total)))
    assert made.record.size_hw == (1500, 1500)
    assert seen == [(0, 1500), (1024, 1500)]


def test_a_job_that_nobody_listens_to_any_more_stops_drawing(tmp_path: Path) -> None:
    steps = make_smears({"small": SPEC}, tmp_path)
    next(steps)
    next(steps)
    steps.close()
    assert list(tmp_path.rglob("*.part")) == []


def test_what_killed_programs_left_half_made_is_swept_up(made: MadeSmear, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, name = made.slide_path.parent, made.slide_path.name
    abandoned, drawing = folder / f".{name}.11.part", folder / f".{name}.12.part"
    for half in (abandoned, drawing):
        half.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    again(made, monkeypatch)
    assert [half.exists() for half in (abandoned, drawing)] == [False, True]
    drawing.unlink()
