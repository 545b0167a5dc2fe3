"""Promise: published collections are read as they are downloaded: CRIC, APCData, APACC, Herlev, SIPaKMeD."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.datasets.training._class_folders import read_class_folders
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format

HEADER = "image_id,image_filename,image_doi,cell_id,bethesda_system,nucleus_x,nucleus_y\n"


def image(path: Path, size_wh: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, (200, 180, 200)).save(path)


def cric_json(folder: Path, name: str) -> None:
    cells = [
        {"cell_id": 1, "bethesda_system": "HSIL", "nucleus_x": 10, "nucleus_y": 9},
        {"cell_id": 2, "bethesda_system": "Negative for intraepithelial lesion", "nucleus_x": 1, "nucleus_y": 2},
    ]
    images = [
        {"image_id": 1, "image_doi": None, "image_name": "a.png", "classifications": cells},
        {"image_id": 2, "image_name": "b.png", "classifications": []},
    ]
    (folder / name).write_text(json.dumps(images))


@pytest.mark.parametrize("whole", [True, False])
def test_cric_as_json_a_file_or_its_folder(whole: bool, tmp_path: Path) -> None:
    cric_json(tmp_path, "classifications.json")
    labels = get_format("cric").read(tmp_path if whole else tmp_path / "classifications.json")
    assert [(a.geometry, a.class_id) for a in labels.annotations] == [(Point(9, 10), "HSIL"), (Point(2, 1), "NILM")]
    assert [s.name for s in labels.slides] == ["a.png", "b.png"]


def test_a_folder_with_a_table_an_image_keeps_its_own_classes_for_a_map(tmp_path: Path) -> None:
    for name, row in (("a", "1,a.png,null,1,Negative,8,7"), ("b", "2,b.png,null,2,ASCUS,5,3")):
        image(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels/csv").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels/csv" / f"{name}.csv").write_text(HEADER + row + "\n")
    for source in (tmp_path, tmp_path / "labels/csv"):
        labels = get_format("cric").read(source)
        expected = [(Point(7, 8), "Negative"), (Point(3, 5), "ASCUS")]
        assert [(a.geometry, a.class_id) for a in labels.annotations] == expected
        assert labels.classes == ("Negative", "ASCUS")
        assert all(Path(s.path).parent.name == "images" for s in labels.slides)
        assert any("Negative, ASCUS" in remark for remark in labels.remarks)


@pytest.mark.parametrize("folder", ["val", "valid", "validation"])
@pytest.mark.parametrize("with_test", [True, False])
def test_the_validation_folder_of_an_apacc_tree_is_read(folder: str, with_test: bool, tmp_path: Path) -> None:
    for place in ("train", folder, *(["test"] if with_test else [])):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{len(place)}_0_0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    labels = get_format("apacc").read(tmp_path)
    side = {s.stem: s.side for s in labels.slides}[f"{len(folder)}_0_0"]
    assert side == ("train" if with_test else "test")
    assert f"Slices of the validation set count as {side}." in labels.remarks


@pytest.mark.parametrize("mask", ["1-d", "1_mask", "1_Mask", "1-seg"])
def test_masks_in_class_folders_are_counted_and_no_cells(mask: str, tmp_path: Path) -> None:
    image(tmp_path / "normal" / "1.png")
    image(tmp_path / "normal" / f"{mask}.png")
    image(tmp_path / "normal" / "lone-d.png")
    all_images, remarks = read_class_folders(tmp_path, None, "")
    assert [p.record.name for p in all_images] == ["normal/1.png", "normal/lone-d.png"]
    assert remarks[0].startswith("1 mask in")


def test_sipakmed_as_it_is_downloaded(tmp_path: Path) -> None:
    inner = tmp_path / "im_Parabasal" / "im_Parabasal"
    image(inner / "001.bmp", (90, 80))
    image(inner / "CROPPED" / "001_01.bmp")
    (inner / "CROPPED" / "001_01_cyt.dat").write_text("1.0,2.0\n")
    found_images, remarks = read_class_folders(tmp_path, 0.25, "")
    assert remarks[0].startswith("1 image beside a folder CROPPED")
    assert [(p.record.name, p.class_id, p.record.size_hw) for p in found_images] == [
        ("im_Parabasal/001_01.bmp", "im_Parabasal", (30, 40))
    ]


def sipakmed(folder: Path, contours: dict[str, str]) -> Path:
    image(folder / "001.bmp", (90, 80))
    for name, content in contours.items():
        (folder / name).write_text(content)
    return folder


TRIANGLE = "10.0,20.0\n40,20\n40,50\n"


def test_sipakmeds_contours_are_a_cell_each_of_the_folders_class(tmp_path: Path) -> None:
    for name in ("im_Parabasal", "im_Koilocytotic"):
        folder = tmp_path / name / name
        sipakmed(folder, {"001_cyt01.dat": TRIANGLE, "001_nuc01.dat": TRIANGLE, "001_nuc02.dat": "1,2\n5,2\n5,6\n"})
        image(folder / "CROPPED" / "001_01.bmp")
        (folder / "CROPPED" / "001_01_cyt.dat").write_text(TRIANGLE)
    image(folder / "002.bmp")
    labels = get_format("sipakmed").read(tmp_path)
    assert [s.name for s in labels.slides] == ["im_Koilocytotic/001.bmp", "im_Parabasal/001.bmp"]
    assert all(s.size_hw == (80, 90) and Path(s.path).is_file() for s in labels.slides)
    assert [a.class_id for a in labels.annotations] == ["im_Koilocytotic"] * 2 + ["im_Parabasal"] * 2
    assert labels.annotations[0].geometry == Polygon(((20, 10), (20, 40), (50, 40)))
    said = " ".join(labels.remarks)
    for words in (
        "2 nucleus outlines left out, since the outline of the cytoplasm is used for the cell.",
        "2 nucleus outlines without an outline of the cytoplasm read as the cell.",
        "2 contour files of cropped cells left out.",
        "1 picture without contours left out.",
    ):
        assert words in said


@pytest.mark.parametrize("inside", [True, False])
def test_one_class_folder_of_sipakmed_keeps_its_class_before_the_names(inside: bool, tmp_path: Path) -> None:
    folder = sipakmed(tmp_path / "im_Parabasal" / "im_Parabasal", {"001_cyt01.dat": TRIANGLE})
    labels = get_format("sipakmed").read(folder if inside else folder.parent)
    assert [s.name for s in labels.slides] == ["im_Parabasal/001.bmp"]
    assert labels.classes == ("im_Parabasal",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,2\n3\n", "001_cyt01.dat, line 2: expected a line 'x,y', got '3'."),
        ("1,2\n3,x\n", "001_cyt01.dat, line 2: expected y to be a number"),
        ("", "001_cyt01.dat: expected an outline with at least 3 corners, got 0."),
        ("100,2\n120,2\n120,9\n", "001_cyt01.dat: "),
    ],
)
def test_a_broken_contour_is_a_bad_row_and_its_nucleus_does_not_stand_in(
    content: str, words: str, tmp_path: Path
) -> None:
    contours = {"001_cyt01.dat": content, "001_nuc01.dat": TRIANGLE, "001_cyt02.dat": TRIANGLE}
    folder = sipakmed(tmp_path / "im_Metaplastic", contours)
    with pytest.raises(FormatError):
        get_format("sipakmed").read(folder)
    labels = get_format("sipakmed").read(folder, skip_bad=True)
    assert len(labels.annotations) == 1
    assert words in labels.remarks[-1]


def test_a_folder_of_cropped_cells_alone_has_no_fields(tmp_path: Path) -> None:
    (tmp_path / "001_01_cyt.dat").write_text(TRIANGLE)
    with pytest.raises(FormatError, match=r"no contours of fields .* 1 contour file of cropped cells left out\."):
        get_format("sipakmed").read(tmp_path)
