"""Promise: YOLO folders are read as the tools of the field write them, and every line for the shape that it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.geometry import Box, Geometry, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError
from napari_cyto.formats._yolo import YoloFormat

BOX = Box(40, 80, 60, 120)  # 0.5 0.5 0.2 0.2 of 200 x 100 px


def dataset(folder: Path, lines: str = "1 0.5 0.5 0.2 0.2\n", yaml: str | None = "names: [NILM, HSIL]\n") -> Path:
    for name in ("a.png", "b.png", "c.JPG"):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save(path)
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{path.stem}.txt").write_text(lines if name == "a.png" else "")
    if yaml is not None:
        (folder / "data.yaml").write_text(yaml)
    return folder


def read(source: Path, **options: bool) -> LabelSet:
    return YoloFormat().read(source, **options)


@pytest.mark.parametrize(
    ("rest", "shape", "score", "remark"),
    [
        ("0.5 0.5 0.2 0.2", BOX, None, ""),
        ("0.5 0.5 0.2 0.2 0.75", BOX, 0.75, ""),
        ("0.5 0.5 0.2 0.2 0.75 7", BOX, 0.75, "1 track id left out."),
        ("0.5 0.5 0.2 0.2 0.75 1", BOX, 0.75, "1 track id left out."),
        ("0.5 0.5 0.2 0.2 12", BOX, None, "1 track id left out."),
        ("0.1 0.1 0.5 0.2 0.2 0.9", Polygon(((10, 20), (20, 100), (90, 40))), None, ""),
        ("0.1 0.1 0.5 0.2 0.2 0.9 0.25", Polygon(((10, 20), (20, 100), (90, 40))), 0.25, ""),
        ("0.1 0.1 0.5 0.1 0.5 0.4 0.1 0.4", Polygon(((10, 20), (10, 100), (40, 100), (40, 20))), None, ""),
    ],
)
def test_each_line_is_the_shape_that_it_is(
    rest: str, shape: Geometry, score: float | None, remark: str, tmp_path: Path
) -> None:
    labels = read(dataset(tmp_path, f"1 {rest}\n"))
    (cell,) = labels.annotations
    assert (cell.geometry, cell.class_id) == (shape, "HSIL")
    assert dict(cell.scores).get("HSIL") == score
    assert labels.remarks == ((remark,) if remark else ())


@pytest.mark.parametrize(
    ("shape", "points"), [("[2, 2]", "0.4 0.4 0.6 0.6"), ("[2, 3]", "0.4 0.4 2 0 0 0"), ("[1, 3]", "0.4 0.4 1 0.875")]
)
def test_a_pose_is_its_box_and_the_key_points_are_counted(shape: str, points: str, tmp_path: Path) -> None:
    labels = read(dataset(tmp_path, f"1 0.5 0.5 0.2 0.2 {points}\n", f"names: [NILM, HSIL]\nkpt_shape: {shape}\n"))
    assert [a.geometry for a in labels.annotations] == [BOX]
    assert labels.remarks == ("1 pose read as its box, without the key points.",)


@pytest.mark.parametrize("place", ["classes.txt", "obj.names", "labels/classes.txt", "labels/train/classes.txt"])
def test_classes_may_stand_in_a_text_file(place: str, tmp_path: Path) -> None:
    folder = dataset(tmp_path, yaml=None)
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text("NILM\r\nHSIL\r\n\r\n")
    labels = read(folder)
    assert (labels.classes, [a.class_id for a in labels.annotations]) == (("NILM", "HSIL"), ["HSIL"])
    assert len(labels.slides) == 3


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("names:\n  0: NILM\n  1: HSIL\n", "HSIL"),
        ("nc: 2\nnames: ['NILM', 'HSIL']\n", "HSIL"),
        ("nc: 2\n", "1"),
        ("names: own.names\n", "HSIL"),
    ],
)
def test_each_way_to_name_classes_in_a_yaml(yaml: str, expected: str, tmp_path: Path) -> None:
    folder = dataset(tmp_path, yaml=yaml)
    (folder / "own.names").write_text("NILM\nHSIL\n")
    labels = read(folder)
    assert [a.class_id for a in labels.annotations] == [expected]
    assert any("--map" in r for r in labels.remarks) == (expected == "1")


def test_lists_of_images_give_the_sets_however_their_paths_are_written(tmp_path: Path) -> None:
    folder = dataset(tmp_path, yaml="names: [NILM, HSIL]\ntrain: train.txt\nval: [val.txt, more.txt]\n")
    (folder / "train.txt").write_text("./images/a.png\n\n")
    (folder / "val.txt").write_text(".\\images\\b.png\n")
    (folder / "more.txt").write_text("/content/drive/images/c.JPG\n")
    assert {s.name: s.side for s in read(folder).slides} == {"a.png": "train", "b.png": "test", "c.JPG": "test"}


def test_a_line_of_a_list_that_names_no_image_is_counted(tmp_path: Path) -> None:
    folder = dataset(tmp_path, yaml="names: [NILM, HSIL]\ntrain: train.txt\nval: val.txt\n")
    (folder / "train.txt").write_text("images/a.png\nimages/gone.png\nimages/val/a.png\n/content/c.JPG\n")
    (folder / "val.txt").write_text("images/a.png\n")
    labels = read(folder)
    assert {s.name: s.side for s in labels.slides} == {"a.png": "test", "b.png": "", "c.JPG": "train"}
    assert labels.remarks[-3:] == (
        "2 lines in the lists of images left out, since the image does not exist: first images/gone.png.",
        "1 image in the train list and in another one; the later list counts.",
        "1 image in no list read without a set.",
    )


@pytest.mark.parametrize("name", ["obj.names", "classes.txt"])
def test_lists_beside_names_without_a_yaml_give_the_sets_too(name: str, tmp_path: Path) -> None:
    folder = dataset(tmp_path, yaml=None)
    (folder / name).write_text("NILM\nHSIL\n")
    (folder / "train.txt").write_text("data/images/a.png\ndata/images/b.png\n")
    (folder / "test.txt").write_text("data/images/c.JPG\n")
    assert {s.name: s.side for s in read(folder).slides} == {"a.png": "train", "b.png": "train", "c.JPG": "test"}


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        read(dataset(tmp_path, yaml="names: [NILM, HSIL]\ntrain: train.txt\n"))


def test_the_path_of_a_yaml_is_followed(tmp_path: Path) -> None:
    dataset(tmp_path / "ds", yaml=None)
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "pap.yaml").write_text("path: ../ds\ntrain: images\nnames: [NILM, HSIL]\n")
    assert len(read(tmp_path / "cfg" / "pap.yaml").slides) == 3


def test_a_label_beside_its_image_is_counted_where_labels_have_folders(tmp_path: Path) -> None:
    folder = dataset(tmp_path)
    (folder / "images" / "a.txt").write_text("9 0.5 0.5 0.2 0.2\n")
    labels = read(folder)
    assert len(labels.annotations) == 1
    assert labels.remarks[0].startswith("1 label file beside its image left out")


@pytest.mark.parametrize("rest", ["0.5 0.5 0 0.2", "0.5 0.5 -0.2 0.2", "nan 0.5 0.2 0.2", "0.5 0.5 0.2", "5 5 0.2 0.2"])
def test_what_is_no_label_is_refused_with_its_line_or_left_out(rest: str, tmp_path: Path) -> None:
    folder = dataset(tmp_path, f"0 0.5 0.5 0.2 0.2\n1 {rest}\n")
    with pytest.raises(FormatError, match="line 2"):
        read(folder)
    assert len(read(folder, skip_bad=True).annotations) == 1


@pytest.mark.parametrize("line", ["0 .5 .5 .1 .1 .5 .5 2 .6 .6 1", "0 .5 .5 .1 .1 .5 .5 1", "0 .5 .5 .1 .1 .5 .5 2.0"])
def test_a_pose_without_its_kpt_shape_is_no_outline(line: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="add kpt_shape"):
        read(dataset(tmp_path, line))


def test_an_outline_with_corners_on_the_border_is_no_pose(tmp_path: Path) -> None:
    assert isinstance(read(dataset(tmp_path, "0 0 0 .5 0 1 0 .7 .7 1 1")).annotations[0].geometry, Polygon)


def test_a_file_of_labels_is_no_list_of_classes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 .5 .5 .1 .1\n", encoding="utf-8")
    with pytest.raises(FormatError, match="expected a list of classes, got labels"):
        read(tmp_path / "a.txt")
