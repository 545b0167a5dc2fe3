"""Promise: a vector is never another cell's, nor a damaged one's; what was kept survives whatever ends the program."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.errors import CytoError
from napari_cyto.files.lock import alone_in
from napari_cyto.vectors import VectorFile, VectorFileError, VectorKind

KIND = VectorKind(encoder="e", sha256="a" * 64, crop="{}", length=4)
ids = st.lists(st.sampled_from([f"{n:032x}" for n in range(8)] + ["one", "ümlaut", ""]), min_size=1, unique=True)


def numbers(names: list[str], shift: float = 0.0) -> np.ndarray:
    return np.array([[hash(n) % 97 + shift, 1, 2, 3] for n in names], dtype=np.float64)


def filled(folder: Path, count: int = 6) -> tuple[VectorFile, list[str]]:
    file, names = VectorFile(folder, KIND), [f"{n:032x}" for n in range(count)]
    file.add(names, ["s"] * count, np.arange(count)[:, None] * [1.0, 2.0], numbers(names))
    return file, names


@settings(max_examples=20)
@given(st.lists(ids, min_size=1, max_size=5))
def test_each_cell_has_the_vector_that_was_added_last(batches: list[list[str]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        file, expected = VectorFile(folder, KIND), {}
        for turn, names in enumerate(batches):
            file.add(names, ["s"] * len(names), np.zeros((len(names), 2)), numbers(names, turn))
            expected |= dict(zip(names, numbers(names, turn), strict=True))
        for each in (file, VectorFile(folder, KIND)):
            assert len(each) == len(expected)
            assert np.array_equal(each.vectors(each.rows_of(list(expected))), np.stack(list(expected.values())))
        keep = list(expected)[::2]
        file.compact(keep)
        for each in (file, VectorFile(folder, KIND)):
            assert each.rows_on_disk == len(keep)
            assert np.array_equal(each.vectors(each.rows_of(keep)), np.stack([expected[k] for k in keep]))
            assert not len(each.damaged_rows())
            assert (each.rows_of(list(expected)[1::2]) < 0).all()
    finally:
        shutil.rmtree(folder)


def test_a_cell_that_moved_or_changed_slides_lacks_a_vector(tmp_path: Path) -> None:
    file, names = filled(tmp_path)
    centres = np.arange(6)[:, None] * [1.0, 2.0]
    centres[1] += 0.4
    centres[2, 1] += 0.6
    lacking = file.lacking([*names, "new"], ["s", "s", "s", "t", "s", "s", "s"], np.vstack([centres, [0, 0]]))
    assert lacking.moved.tolist() == [2, 3]
    assert lacking.missing.tolist() == [6]
    assert lacking.positions.tolist() == [2, 3, 6]


def test_wherever_a_write_was_cut_off_the_rows_before_it_are_whole(tmp_path: Path) -> None:
    """Both files at each length that a kill may leave: the numbers are on the disk before their entries are written."""
    file, names = filled(tmp_path / "a")
    before = {p.name: p.read_bytes() for p in file.folder.iterdir()}
    more = [f"{n:032x}" for n in range(100, 103)]
    file.add(more, ["s"] * 3, np.ones((3, 2)), numbers(more))
    after = {p.name: p.read_bytes() for p in file.folder.iterdir()}
    [vectors] = [n for n in after if n.startswith("vectors")]
    [cells] = [n for n in after if n.startswith("cells")]
    states = [(cut, len(before[cells])) for cut in range(len(before[vectors]), len(after[vectors]) + 1)]
    states += [(len(after[vectors]), cut) for cut in range(len(before[cells]), len(after[cells]) + 1)]
    for n, (of_vectors, of_cells) in enumerate(states):
        copy = tmp_path / str(n)
        shutil.copytree(tmp_path / "a", copy)
        place = copy / file.folder.name
        (place / vectors).write_bytes(after[vectors][:of_vectors])
        (place / cells).write_bytes(after[cells][:of_cells])
        again = VectorFile(copy, KIND)
        assert len(again) == 6 + (of_cells - len(before[cells])) // (len(before[cells]) // 6)
        assert np.array_equal(again.vectors(again.rows_of(names)), numbers(names))
        again.add(more, ["s"] * 3, np.ones((3, 2)), numbers(more))
        assert np.array_equal(again.vectors(again.rows_of(more)), numbers(more))
        shutil.rmtree(copy)


@pytest.mark.parametrize("name", ["vectors-0.f16", "cells-0.bin"])
def test_a_flipped_bit_costs_its_row_and_is_said(tmp_path: Path, name: str) -> None:
    file, names = filled(tmp_path)
    path = file.folder / name
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    again = VectorFile(tmp_path, KIND)
    assert (len(again), again.dropped_rows) == (5, 1)
    assert again.lacking(names, ["s"] * 6, np.arange(6)[:, None] * [1.0, 2.0]).missing.tolist() == [5]


def test_a_disk_that_is_full_leaves_the_rows_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, names = filled(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_cyto.vectors._vector_file.os.fsync", full)
        with pytest.raises(CytoError, match="full"):
            file.add(["f" * 32], ["s"], [[0, 0]], [[1, 2, 3, 4]])
        with pytest.raises(CytoError, match="full"):
            file.compact(names[:2])
    for each in (file, VectorFile(tmp_path, KIND)):
        assert (len(each), each.dropped_rows) == (6, 0)
        assert np.array_equal(each.vectors(each.rows_of(names)), numbers(names))
    assert sorted(p.name for p in file.folder.iterdir()) == ["about.json", "cells-0.bin", "vectors-0.f16"]


@pytest.mark.parametrize(
    ("vector", "said"),
    [([1, 2, 3, np.nan], "NaN"), ([1, 2, 3, 1e6], "65,504"), ([1, 2, 3], r"4 numbers for each of 1 cell")],
)
def test_what_is_no_vector_is_refused_and_nothing_kept(tmp_path: Path, vector: list[float], said: str) -> None:
    file, _ = filled(tmp_path)
    with pytest.raises(VectorFileError, match=said):
        file.add(["f" * 32], ["s"], [[0, 0]], [vector])
    assert len(VectorFile(tmp_path, KIND)) == 6


def test_vectors_of_two_encoders_are_never_mixed(tmp_path: Path) -> None:
    file, names = filled(tmp_path)
    other = VectorFile(tmp_path, KIND.model_copy(update={"sha256": "b" * 64}))
    assert len(other) == 0
    assert (other.rows_of(names) < 0).all()
    shutil.copytree(file.folder, other.folder)
    with pytest.raises(VectorFileError, match="move the folder away"):
        VectorFile(tmp_path, other.kind)


def test_a_second_program_waits_and_takes_in_what_the_first_one_made(tmp_path: Path) -> None:
    first, names = filled(tmp_path)
    second = VectorFile(tmp_path, KIND)
    with alone_in(first.folder, ""), pytest.raises(CytoError, match="another program"):
        second.add(["f" * 32], ["s"], [[0, 0]], [[1, 2, 3, 4]])
    first.compact(names[:3])
    second.add(["f" * 32], ["s"], [[0, 0]], [[1, 2, 3, 4]])
    assert len(VectorFile(tmp_path, KIND)) == 4


def test_a_cell_without_a_vector_has_none(tmp_path: Path) -> None:
    file, _ = filled(tmp_path)
    with pytest.raises(VectorFileError, match="has none"):
        file.vectors(file.rows_of(["e" * 32]))
