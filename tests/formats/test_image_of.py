"""Promise: an image that a label file names is found as it lies there, and another is never taken for it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from napari_cyto.errors import FormatError
from napari_cyto.formats.image_size import ImageFinder, image_of


def _files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("im1.JPG", "im1"),
        ("im1.JPG", "im1.jpg"),
        ("H23.0412.svs", "H23.0412"),
        ("H23.0412.svs", "H23.0412.svs"),
        ("field.ome.tif", "field"),
        ("slide.svs.png", "slide.svs"),
        ("a.mrxs", "a.mrxs"),
        ("patient_A/001.png", "patient_A/001.png"),
        ("patient_A/001.PNG", "Patient_A\\001"),
        (unicodedata.normalize("NFD", "Präparat_é.png"), unicodedata.normalize("NFC", "Präparat_é.png")),
        (unicodedata.normalize("NFC", "Präparat_é.png"), unicodedata.normalize("NFD", "Präparat_é")),
    ],
)
def test_found_by_its_whole_name(tmp_path: Path, there: str, named: str) -> None:
    assert image_of(_files(tmp_path, there), named) == tmp_path / there


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("H23.0412.svs", "H23"),
        ("H23.0412.svs", "H23.0413"),
        ("S1.png", "S1.2"),
        ("S1.geojson", "S1"),
        ("001.png", "patient_A/001.png"),
        ("patient_B/001.png", "patient_A/001.png"),
        ("._a.png", "a"),
        ("a.png", "../a.png"),
        ("a.png", ".."),
        ("a.png", ""),
        ("a.png", "a\x00.png"),
    ],
)
def test_another_is_not_taken_for_it(tmp_path: Path, there: str, named: str) -> None:
    assert image_of(_files(tmp_path, there), named) is None


def test_which_of_two_is_a_question(tmp_path: Path) -> None:
    _files(tmp_path, "S1.png", "S1.tif", "s1.svs")
    with pytest.raises(FormatError, match=r"2 images may be 'S1' \(S1\.png, S1\.tif\)"):
        image_of(tmp_path, "S1")
    assert image_of(tmp_path, "S1.tif") == tmp_path / "S1.tif"
    assert image_of(tmp_path, "s1") == tmp_path / "s1.svs"


def test_a_folder_is_one_slide_when_it_holds_dicom(tmp_path: Path) -> None:
    _files(tmp_path, "case 1/1.dcm", "case 2/notes.txt")
    assert image_of(tmp_path, "case 1") == tmp_path / "case 1"
    assert image_of(tmp_path, "case 2") is None


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _files(tmp_path, *(f"im{k}.PNG" for k in range(20)))
    listed: list[Path] = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self) or iterdir(self))
    finder = ImageFinder()
    assert all(finder.of(tmp_path, f"im{k}") for k in range(20))
    assert listed == [tmp_path]
