"""Guards that a slide is known again under another name, and not mistaken for another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_cyto.errors import SlideError
from napari_cyto.slides import fingerprint


def test_moved_and_renamed_is_the_same(tmp_path: Path, plain_path: Path) -> None:
    moved = tmp_path / "other.tif"
    shutil.copyfile(plain_path, moved)
    assert fingerprint(moved) == fingerprint(plain_path)
    assert len(fingerprint(moved)) == 32


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
