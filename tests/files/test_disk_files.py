"""Promise: the files that a disk or system leaves beside people's own are not read, whatever the format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.datasets.audit.job import audit
from napari_cyto.datasets.training._class_folders import read_class_folders
from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import files_below, folder_entries, is_disk_file
from napari_cyto.formats import get_format

SYSTEM_FILES = ("._{}", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._{}", "__MACOSX/{}", ".hidden/{}")


def left_by_a_disk(folder: Path, name: str) -> None:
    """Put beside ``name`` what systems put beside it."""
    for pattern in SYSTEM_FILES:
        path = folder / pattern.format(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")


def image(path: Path, size: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (200, 180, 200)).save(path)


@pytest.mark.parametrize(
    "name", ["._a.png", ".DS_Store", "THUMBS.DB", "Desktop.ini", "__macosx", ".x", "Icon\r", "~$a"]
)
def test_a_disks_own_names_are_known_in_any_case(name: str) -> None:
    assert is_disk_file(name)


@pytest.mark.parametrize("name", ["a.png", "_a.png", "a._b", "MACOSX", "thumbs.png"])
def test_a_persons_names_are_not_taken_for_them(name: str) -> None:
    assert not is_disk_file(name)


def test_yolo_passes_over_them_beside_labels_and_images(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [A]\n")
    image(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    left_by_a_disk(tmp_path / "images", "a.png")
    left_by_a_disk(tmp_path / "labels", "a.txt")
    left_by_a_disk(tmp_path, "a.txt")
    (tmp_path / "__MACOSX" / "labels").mkdir()
    (tmp_path / "__MACOSX" / "labels" / "._a.txt").write_bytes(b"\x00\x05")
    labels = get_format("yolo").read(tmp_path)
    assert [s.name for s in labels.slides] == ["a.png"]
    assert len(labels.annotations) == 1


@pytest.mark.parametrize(
    ("name", "suffix", "text"),
    [
        ("geojson", ".geojson", json.dumps({"type": "Point", "coordinates": [1, 2]})),
        ("asap", ".xml", "<ASAP_Annotations/>"),
    ],
)
def test_folders_with_a_file_a_slide_pass_over_them(name: str, suffix: str, text: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_text(text)
    left_by_a_disk(tmp_path, f"a{suffix}")
    assert [s.name for s in get_format(name).read(tmp_path).slides] == ["a"]


def test_cric_passes_over_them_in_its_image_folder(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    left_by_a_disk(tmp_path / "images", "a.png")
    (tmp_path / "cells.csv").write_text("image,bethesda,x,y\na.png,HSIL,1,2\n")
    assert [s.name for s in get_format("cric").read(tmp_path).slides] == ["a.png"]


def test_apacc_and_its_audit_pass_over_them(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    image(folder / "1_0_0.png", 2000)
    (folder / "1_0_0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    left_by_a_disk(folder, "1_0_0.txt")
    left_by_a_disk(folder, "1_0_0.png")
    left_by_a_disk(tmp_path, "1_0_0.txt")
    assert [s.name for s in get_format("apacc").read(tmp_path).slides] == ["1_0_0"]
    assert audit(tmp_path).ok


def test_class_folders_pass_over_them(tmp_path: Path) -> None:
    image(tmp_path / "HSIL" / "a.png")
    left_by_a_disk(tmp_path / "HSIL", "a.png")
    left_by_a_disk(tmp_path, "a.png")
    images, remarks = read_class_folders(tmp_path, None, "")
    assert [p.record.name for p in images] == ["HSIL/a.png"]
    assert remarks == []


def test_a_folder_that_cannot_be_read_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(FormatError, match="the folder cannot be read"):
        folder_entries(tmp_path / "a")
    with pytest.raises(FormatError, match="the folder cannot be read"):
        list(files_below(tmp_path / "absent"))
