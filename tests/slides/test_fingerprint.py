"""Guards that a slide is known again under another name, and not mistaken for another."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from napari_cyto.domain.fingerprints import proves_same, same_fingerprint, sampled_part
from napari_cyto.errors import SlideError
from napari_cyto.slides import fingerprint, same_files


def test_moved_and_renamed_is_the_same(tmp_path: Path, plain_path: Path) -> None:
    moved = tmp_path / "other.tif"
    shutil.copyfile(plain_path, moved)
    assert fingerprint(moved) == fingerprint(plain_path)
    assert len(sampled_part(fingerprint(moved))) == 32


@pytest.mark.parametrize("place", [0, -1])
def test_another_byte_is_another_slide(tmp_path: Path, plain_path: Path, place: int) -> None:
    other = tmp_path / "other.tif"
    data = bytearray(plain_path.read_bytes())
    data[place] ^= 1
    other.write_bytes(data)
    assert fingerprint(other) != fingerprint(plain_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"gone\.svs cannot be read"):
        fingerprint(tmp_path / "gone.svs")


@pytest.mark.shared
def test_mirax_is_known_by_its_folder(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "renamed.mrxs").touch()
    shutil.copytree(shared / "slides" / "cric_fields", tmp_path / "renamed", copy_function=shutil.copyfile)
    (tmp_path / "renamed").chmod(0o755)
    original = fingerprint(shared / "slides" / "cric_fields.mrxs")
    assert fingerprint(tmp_path / "renamed.mrxs") == original
    with (tmp_path / "renamed" / "Data0000.dat").open("ab") as handle:
        handle.write(b"more")
    assert fingerprint(tmp_path / "renamed.mrxs") != original


@pytest.mark.shared
def test_dicom_is_known_by_any_of_its_files(shared: Path) -> None:
    folder = shared / "slides" / "dicom"
    assert len({fingerprint(p) for p in [folder, *folder.iterdir()]}) == 1


def _two_with_one_sample(folder: Path) -> tuple[Path, Path]:
    """Two files of one size that differ only between the 16 pieces."""
    blank = bytearray(b"\xff" * 4_000_000)
    paths = folder / "a.tif", folder / "b.tif"
    for path, place in zip(paths, (100_000, 400_000), strict=True):
        data = bytearray(blank)
        data[place : place + 20] = b"cell" * 5
        path.write_bytes(data)
    return paths


def test_two_patients_that_agree_in_16_pieces_are_distinguished(tmp_path: Path) -> None:
    """54: the sampled hash that projects kept before took patient B's slide for patient A's."""
    a, b = _two_with_one_sample(tmp_path)
    assert sampled_part(fingerprint(a)) == sampled_part(fingerprint(b))
    assert fingerprint(a) != fingerprint(b)
    assert not same_fingerprint(fingerprint(a), fingerprint(b))
    assert not same_files(a, b)


def test_older_fingerprints_are_still_recognised(tmp_path: Path) -> None:
    a, b = _two_with_one_sample(tmp_path)
    older = sampled_part(fingerprint(a))
    assert same_fingerprint(older, fingerprint(a))
    assert same_fingerprint(older, fingerprint(b))  # which is why it is no proof
    assert not proves_same(older, fingerprint(a))
    assert not proves_same(older, older)
    assert proves_same(fingerprint(a), fingerprint(a))
    assert not same_fingerprint("", "")


def test_of_a_large_file_only_pieces_are_hashed_and_the_whole_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[fingerprint.__module__], "WHOLE_BYTES", 1_000_000)
    a, b = _two_with_one_sample(tmp_path)
    copy = tmp_path / "copy.tif"
    shutil.copyfile(a, copy)
    assert same_fingerprint(fingerprint(a), fingerprint(copy))
    assert not proves_same(fingerprint(a), fingerprint(copy))
    pieces: list[int] = []
    assert same_files(a, copy, lambda: pieces.append(1))
    assert pieces
    assert not same_files(a, b)


def test_a_comparison_can_be_stopped(tmp_path: Path) -> None:
    a, b = _two_with_one_sample(tmp_path)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        same_files(a, b, stop)
