"""Guards what an interrupted run goes on from: whole records only, and those of the same request only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cyto.inference._checkpoint import (
    Checkpoint,
    KeptTiles,
    Records,
    RunRequest,
    unfinished_side,
    unfinished_tiles,
)
from napari_cyto.inference.results import ModelUsed, SlidePrediction, StoredCells, UnreadableArea
from napari_cyto.slides import UnreadableTile

DEPENDS_ON: dict[str, Any] = {"detector": "a", "classifier": None, "mpp": 1.0, "region": None}
REQUEST = RunRequest(DEPENDS_ON, ((0, 0, 8, 8), (0, 4, 8, 8), (0, 8, 8, 8)))
ENDED = SlidePrediction(
    slide="s.svs",
    cells=7,
    detector=ModelUsed("finder", "0" * 64),
    megapixels=1.5,
    seconds=2.0,
    remarks=("none",),
    unreadable=(UnreadableArea((0, 0, 16, 16.5), "gone"),),
    stored=StoredCells(
        project="p.cyto", slide_id="1", added=5, there_before=1, judged_before=1, replaced=0, classes={"HSIL": 7}
    ),
)


def test_records_come_back_and_a_torn_one_is_cut_off(tmp_path: Path) -> None:
    records = Records(tmp_path / "tiles.bin")
    tables = [np.arange(6, dtype=np.float32).reshape(2, 3), np.empty((0, 3), np.float32), np.full((1, 3), np.nan, "f4")]
    for number, table in enumerate(tables):
        records.append(number, table)
    whole = (tmp_path / "tiles.bin").read_bytes()
    for cut in range(len(whole)):
        (tmp_path / "tiles.bin").write_bytes(whole[:cut])
        read = list(records.read())
        assert [n for n, _ in read] == list(range(len(read)))
        assert all(np.array_equal(rows, tables[n], equal_nan=True) for n, rows in read)
        size = (tmp_path / "tiles.bin").stat().st_size
        records.append(9, tables[0])
        assert [n for n, _ in records.read()] == [*range(len(read)), 9]
        assert size <= cut


def test_a_flipped_bit_ends_what_is_believed(tmp_path: Path) -> None:
    records = Records(tmp_path / "tiles.bin")
    records.append(0, np.ones((1, 2), np.float32))
    records.append(1, np.ones((1, 2), np.float32))
    data = bytearray((tmp_path / "tiles.bin").read_bytes())
    data[-1] ^= 1
    (tmp_path / "tiles.bin").write_bytes(bytes(data))
    assert [n for n, _ in records.read()] == [0]


def test_another_request_starts_anew_and_the_same_one_goes_on(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "run", RunRequest({"detector": "a", "region": (1, 2)}))
    first.tiles.append(3, np.ones((1, 6), np.float32))
    assert [
        n for n, _ in Checkpoint(tmp_path / "run", RunRequest({"detector": "a", "region": (1, 2)})).tiles.read()
    ] == [3]
    assert list(Checkpoint(tmp_path / "run", RunRequest({"detector": "b", "region": (1, 2)})).tiles.read()) == []


def test_a_run_that_ended_is_known_and_is_forgotten_when_requested_again(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run", RunRequest({"a": 1})).end(ENDED)
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 1})).result == ENDED
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 1}), again=True).result is None


def test_a_run_that_ended_stays_ended_when_tiles_would_be_cut_otherwise(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run", RunRequest({"a": 1}, ((0, 0, 8, 8),))).end(ENDED)
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 1}, ((0, 0, 4, 4),))).result == ENDED
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 2}, ((0, 0, 8, 8),))).result is None
    begun = Checkpoint(tmp_path / "other", RunRequest({"a": 1}, ((0, 0, 8, 8),)))
    begun.tiles.append(0, np.zeros((1, 5), np.float32))
    assert list(Checkpoint(tmp_path / "other", RunRequest({"a": 1}, ((0, 0, 4, 4),))).tiles.read()) == []


def test_damage_is_kept_once_and_a_torn_line_spoils_only_itself(tmp_path: Path) -> None:
    holes = [UnreadableTile("ärzte.tif", 0, (0.0, 0.0, 16.0, float(n)), "gone") for n in (16, 32)]
    first = Checkpoint(tmp_path / "run", RunRequest({"a": 1}))
    first.note_damage(holes[:1])
    first.note_damage(holes[:1])
    kept = tmp_path / "run" / "unreadable.jsonl"
    assert kept.read_text(encoding="utf-8").count("gone") == 1
    kept.write_bytes(kept.read_bytes() + b'\n{"slide_name": "\xc3')
    again = Checkpoint(tmp_path / "run", RunRequest({"a": 1}))
    assert again.damage == (holes[0],)
    again.note_damage(holes)
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 1})).damage == tuple(holes)
    assert Checkpoint(tmp_path / "run", RunRequest({"a": 2})).damage == ()


@pytest.mark.parametrize(
    ("change", "tiles", "why"),
    [
        (
            {"detector": "b"},
            REQUEST.tiles,
            "starting over: the model changed; 2 finished tiles are discarded",
        ),
        ({"classifier": "c"}, REQUEST.tiles, "starting over: the classifier changed; 2 finished tiles"),
        (
            {"mpp": 0.5, "region": [0, 0, 1, 1]},
            REQUEST.tiles,
            "starting over: the µm per px changed and the region changed; 2",
        ),
        ({}, ((0, 0, 4, 4),), "starting over: its tiles cannot be reused; 2 finished tiles"),
    ],
)
def test_why_a_run_starts_anew_is_said_with_what_is_lost(
    tmp_path: Path, change: dict[str, Any], tiles: tuple[tuple[int, ...], ...], why: str
) -> None:
    first = Checkpoint(tmp_path / "run", REQUEST)
    assert first.news is None
    for number in (0, 2):
        first.tiles.append(number, np.ones((1, 6), np.float32))
    news = Checkpoint(tmp_path / "run", RunRequest(DEPENDS_ON | change, tiles)).news
    assert news is not None
    assert news.startswith(why)


def test_going_on_is_said_with_how_much_is_done_and_by_what(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "run", replace(REQUEST, computed_by=("PyTorch fp32",), side_px=8))
    first.tiles.append(2, np.ones((1, 6), np.float32))
    first.tiles.append(9, np.ones((1, 6), np.float32))  # of no tile
    assert Checkpoint(tmp_path / "run", REQUEST).news == "resuming: 1 of 3 tiles are done"
    other = Checkpoint(tmp_path / "run", replace(REQUEST, computed_by=("OpenVINO bf16",)))
    assert other.news is not None
    assert "1 of 3 tiles are done by PyTorch fp32; the others will be computed by OpenVINO bf16" in other.news
    assert other.computed_by == ("PyTorch fp32",)
    assert Checkpoint(tmp_path / "run", REQUEST).computed_by == ("PyTorch fp32", "OpenVINO bf16")
    kept = unfinished_tiles(tmp_path / "run", DEPENDS_ON)
    assert kept == KeptTiles(((0, 0, 8, 8), (0, 4, 8, 8), (0, 8, 8, 8)), 8)
    assert unfinished_tiles(tmp_path / "run", DEPENDS_ON | {"mpp": 2}) is None
    assert unfinished_side(tmp_path / "run") == 8
    other.end(ENDED)
    assert unfinished_side(tmp_path / "run") is None


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 300, b"[1]", b"{", b'{"tiles": 3}'])
def test_a_damaged_request_is_said_and_replaced(tmp_path: Path, garbage: bytes) -> None:
    Checkpoint(tmp_path / "run", REQUEST).tiles.append(0, np.ones((1, 6), np.float32))
    (tmp_path / "run" / "request.json").write_bytes(garbage)
    assert unfinished_tiles(tmp_path / "run", DEPENDS_ON) is None
    news = Checkpoint(tmp_path / "run", REQUEST).news
    assert news is not None
    assert news.startswith("starting over: ")
    assert Checkpoint(tmp_path / "run", REQUEST).news == "resuming: 0 of 3 tiles are done"


def test_a_damaged_result_is_no_end(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run", REQUEST).end(ENDED)
    (tmp_path / "run" / "result.json").write_bytes(b"\x00" * 40)
    damaged = Checkpoint(tmp_path / "run", REQUEST)
    assert damaged.result is None
    assert damaged.news == "starting over: the record of its result is damaged"


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    """The number of a tile too: its cells would lie somewhere else."""
    records = Records(tmp_path / "tiles.bin")
    records.append(0, np.ones((1, 2), np.float32))
    first = (tmp_path / "tiles.bin").stat().st_size
    records.append(1, np.full((1, 2), 2, np.float32))
    whole = (tmp_path / "tiles.bin").read_bytes()
    for place in range(first, len(whole)):
        for bit in range(8):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            (tmp_path / "tiles.bin").write_bytes(bytes(data))
            assert [n for n, _ in records.read()] == [0]
            assert records.cut_off
