"""Promise: a table of points is read for what its columns say, and asked about where they can say two things."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets import ImportOptions
from napari_cyto.datasets.import_.label_source import read_source
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format
from napari_cyto.formats.csv_points import CsvFormat


def read(folder: Path, text: str | bytes, size_hw: tuple[int, int] | None = None, **options: Any) -> LabelSet:
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CsvFormat().read(path, size_finder=lambda _name: size_hw, **options)


def cells(labels: LabelSet) -> list[tuple[Any, ...]]:
    return [(a.geometry, a.class_id) for a in labels.annotations]


IMAGE_SIZED = "filename,width,height,class,x,y\na.png,640,480,HSIL,100,120\na.png,640,480,NILM,300,220\n"


def test_width_and_height_that_are_the_images_make_points(tmp_path: Path) -> None:
    labels = read(tmp_path, IMAGE_SIZED, (480, 640))
    assert cells(labels) == [(Point(120, 100), "HSIL"), (Point(220, 300), "NILM")]
    assert labels.slides[0].size_hw == (480, 640)
    assert "width and height are those of the images" in labels.remarks[0]


@pytest.mark.parametrize("size_hw", [None, (960, 1280)], ids=["unknown", "another"])
def test_sizes_that_can_be_either_are_a_question(size_hw: tuple[int, int] | None, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"can be the image's size or the cells'.*--size-of"):
        read(tmp_path, IMAGE_SIZED, size_hw)
    assert cells(read(tmp_path, IMAGE_SIZED, size_hw, size_of="image"))[0][0] == Point(120, 100)
    boxes = cells(read(tmp_path, IMAGE_SIZED, size_hw, size_of="cell", position="centre"))
    assert boxes[0][0] == Box(-120, -220, 360, 420)


def test_sizes_of_cells_stay_boxes_also_where_all_are_alike(tmp_path: Path) -> None:
    text = "image,x,y,width,height,label\na,100,100,50,50,A\na,300,200,50,50,B\n"
    assert cells(read(tmp_path, text)) == [(Box(75, 75, 125, 125), "A"), (Box(175, 275, 225, 325), "B")]


def test_a_cell_that_fills_its_image_is_a_box(tmp_path: Path) -> None:
    assert cells(read(tmp_path, "x,y,width,height,label\n32,24,64,48,A\n", (48, 64))) == [(Box(0, 0, 48, 64), "A")]


def test_sizes_that_are_the_images_here_and_the_cells_there_are_refused(tmp_path: Path) -> None:
    text = IMAGE_SIZED + "b.png,30,20,NILM,300,220\n"
    with pytest.raises(FormatError, match=r"image's for 'a\.png', but not for 'b\.png'"):
        read(tmp_path, text, (480, 640))


def test_a_size_that_is_called_the_images_is_no_cells(tmp_path: Path) -> None:
    labels = read(tmp_path, "x,y,label,Image_Width,image_height\n10,20,A,640,480\n")
    assert cells(labels) == [(Point(20, 10), "A")]
    assert labels.slides[0].size_hw == (480, 640)
    both = read(tmp_path, "x,y,w,h,label,image_width,image_height\n10,20,4,6,A,640,480\n")
    assert cells(both) == [(Box(17, 8, 23, 12), "A")]


def test_boxes_that_fit_from_their_corner_only_are_a_question(tmp_path: Path) -> None:
    text = "image,x,y,w,h,label\na.png,0,0,40,40,HSIL\na.png,200,100,40,30,HSIL\n"
    with pytest.raises(FormatError, match="--position corner"):
        read(tmp_path, text, (480, 640))
    assert cells(read(tmp_path, text, position="corner", size_of="cell"))[0][0] == Box(0, 0, 40, 40)
    assert cells(read(tmp_path, text, position="centre", size_of="cell"))[0][0] == Box(-20, -20, 20, 20)


def test_boxes_that_fit_both_ways_are_centred_and_that_is_said(tmp_path: Path) -> None:
    labels = read(tmp_path, "x,y,w,h,label\n100,100,40,40,A\n200,200,30,30,A\n")
    assert cells(labels)[0][0] == Box(80, 80, 120, 120)
    assert "--position corner" in labels.remarks[0]


@pytest.mark.parametrize("names", ["x_min,y_min", "xmin,ymin", "left,top", "x_topleft,y_topleft"])
def test_a_corner_that_is_called_one_is_one(names: str, tmp_path: Path) -> None:
    labels = read(tmp_path, f"{names},width,height,label\n0,10,40,20,A\n")
    assert cells(labels) == [(Box(10, 0, 30, 40), "A")]


def test_two_corners_make_a_box_and_the_size_is_the_images(tmp_path: Path) -> None:
    labels = read(tmp_path, "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,640,480,HSIL,10,20,40,60\n")
    assert cells(labels) == [(Box(20, 10, 60, 40), "HSIL")]
    assert labels.slides[0].size_hw == (480, 640)


def test_fractions_are_not_taken_for_pixels(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="fractions of the image"):
        read(tmp_path, "x,y,label\n0.5,0.25,A\n0.1,0.9,B\n")


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("class_name,class", "HSIL,5", "HSIL"),
        ("class,class_name", "5,HSIL", "HSIL"),
        ("label,category", "3,HSIL", "HSIL"),
        ("class_id,bethesda_system", "3,ASC-H", "ASC-H"),
        ("label,bethesda", "2,LSIL", "LSIL"),
        ("category_id,category", "7,SCC", "SCC"),
        ("class", "4", "4"),
    ],
)
def test_names_of_classes_go_before_their_numbers(header: str, row: str, expected: str, tmp_path: Path) -> None:
    labels = read(tmp_path, f"x,y,{header}\n10,20,{row}\n")
    assert cells(labels) == [(Point(20, 10), expected)]
    assert any("--map" in r for r in labels.remarks) == (expected == "4")


def test_of_two_columns_of_names_it_is_said_which_was_taken(tmp_path: Path) -> None:
    labels = read(tmp_path, "x,y,label,class_name\n10,20,cell,HSIL\n")
    assert cells(labels)[0][1] == "HSIL"
    assert labels.remarks == ("a.csv: classes are from the column class_name, not from label.",)


def test_a_label_that_is_a_file_names_the_image_and_no_class(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="the column label names images"):
        read(tmp_path, "x,y,label\n10,20,a.tif\n")
    labels = read(tmp_path, "x,y,label,class\n10,20,a.tif,HSIL\n")
    assert (labels.slides[0].name, cells(labels)) == ("a.tif", [(Point(20, 10), "HSIL")])


def test_imagejs_results_are_boxes_from_bx_by_on_the_image_in_their_label(tmp_path: Path) -> None:
    text = " ,Label,Area,Mean,X,Y,XM,YM,BX,BY,Width,Height\n1,a.tif:0001-0120,12,3,10.5,20.5,10,20,5,6,12,30\n"
    labels = read(tmp_path, text, unclassified="cell")
    assert (labels.slides[0].name, cells(labels)) == ("a.tif", [(Box(6, 5, 36, 17), "cell")])
    points = read(tmp_path, " ,Area,Mean,X,Y,Counter,Count\n1,0,3,10.5,20.5,0,1\n")
    assert cells(points) == [(Point(20.5, 10.5), "unclassified")]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"sep=\xff\r\n", b'\xef\xbb\xbf"SEP=\xff"\r\n'])
def test_a_decimal_comma_is_read_where_something_else_separates(separator: str, start: bytes, tmp_path: Path) -> None:
    lines = ["x,y,label", '"12","-30.25",HSIL', "1e2,7,LSIL", ",,"]
    text = "\r\n".join(line.replace(",", separator).replace(".", ",") for line in lines) + "\r\n\r\n"
    labels = read(tmp_path, start.replace(b"\xff", separator.encode()) + text.encode())
    assert cells(labels) == [(Point(-30.25, 12), "HSIL"), (Point(7, 100), "LSIL")]


def test_a_decimal_point_is_read_beside_semicolons_too(tmp_path: Path) -> None:
    assert cells(read(tmp_path, "x;y;label\n12.5;30.25;A, B\n")) == [(Point(30.25, 12.5), "A, B")]


def test_a_comma_that_might_group_thousands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected y to be a number"):
        read(tmp_path, 'x,y,label\n12,"1,234",A\n')
    with pytest.raises(FormatError, match="expected y to be a number"):
        read(tmp_path, "x;y;label\n12;1.234,5;A\n")


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (
            "x;y;label",
            "12,5;1;A\n2.5;3;A\n",
            r"the column 'x' has commas \('12,5' in line 2\) and points \('2\.5' in line 3",
        ),
        ("x;y;label", "7;1;A\n8;1.5;A\n9;-2,25;A\n", r"the column 'y' has commas .* and points"),
        ("x;y;label", "12,345;7;A\n987;8;A\n", r"the column 'x' has commas that may separate decimals or thousands"),
        ("x;y;score;label", "1;2;0,5;A\n1;2;0.25;A\n", r"the column 'score' has commas"),
        ("image;bethesda;x;y", "a.png;HSIL;1,5;2\nb.png;HSIL;1.5;2\n", r"the column 'x' has commas"),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_a_comma_that_is_two_things_in_one_column_is_refused(
    header: str, rows: str, words: str, skip: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n{rows}")
    with pytest.raises(FormatError, match=words):
        get_format("cric" if "bethesda" in header else "csv").read(tmp_path / "a.csv", skip_bad=skip)


def test_commas_that_can_only_be_decimal_are_read_and_text_is_no_number(tmp_path: Path) -> None:
    text = "x;y;label;note\n512,125;0,125;1,5 and 2.5;2.5\n1024;3;A;1,5\n1,25E+02;,5;B;\n"
    found = [shape for shape, _ in cells(read(tmp_path, text))]
    assert found == [Point(0.125, 512.125), Point(3, 1024), Point(0.5, 125)]


def test_rows_between_two_stray_quotes_are_not_taken_for_a_note(tmp_path: Path) -> None:
    text = 'x,y,label,note\n1,2,A,"one\n3,4,B,\n5,6,C,two"\n7,8,D,"a\nnote, of lines"\n'
    with pytest.raises(FormatError, match="turns the following rows into text"):
        read(tmp_path, text)
    labels = read(tmp_path, text, skip_bad=True)
    assert [a.note for a in labels.annotations if a.class_id == "D"] == ["a\nnote, of lines"]
    assert [a.class_id for a in labels.annotations] == ["B", "C", "D"]
    assert "1 entry could not be read, left out" in labels.remarks[-1]


@pytest.mark.parametrize(
    "broken", ['3,4,"HS"IL', '3,4,"HSIL', '"3,4,HSIL', '3,"4"x,HSIL', '3,4,"a\n3,4,"b"', '3,4,"' + "a" * (1 << 20)]
)
def test_a_quote_that_is_not_right_spoils_its_row_alone(broken: str, tmp_path: Path) -> None:
    """A quote that is never closed would take every row up to the next quote with it."""
    text = f'x,y,label\n1,2,"A, a"\n{broken}\n5,6,B\n7,8,"C"\n9,1,D\n'
    with pytest.raises(FormatError, match=r"the row cannot be read|entries cannot be read"):
        read(tmp_path, text)
    labels = read(tmp_path, text, skip_bad=True)
    found = [shape for shape, _ in cells(labels)]
    assert [Point(2, 1), Point(6, 5), Point(8, 7), Point(1, 9)] == [p for p in found if p != Point(4, 3)]
    assert "a.csv, line 3: the row cannot be read" in labels.remarks[-1] or "line 3: the row" in labels.remarks[-1]


@pytest.mark.parametrize(
    "content",
    ["x,y,label\n1,2,Zell\u00e4\n".encode("cp1252"), "x,y,label\n1,2,A\n".encode("utf-16-le")],
    ids=["cp1252", "utf-16 without a mark"],
)
def test_text_in_another_encoding_is_refused_with_advice(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="in Excel: CSV UTF-8"):
        read(tmp_path, content)


def test_a_row_with_nothing_but_its_image_is_an_image_without_cells(tmp_path: Path) -> None:
    labels = read(tmp_path, "image,x,y,label\na.png,1,2,A\nb.png,,,\n")
    assert ([s.name for s in labels.slides], len(labels.annotations)) == (["a.png", "b.png"], 1)


def test_other_focal_planes_are_counted(tmp_path: Path) -> None:
    labels = read(tmp_path, "x,y,z,label\n1,2,0,A\n3,4,2,A\n5,6,3,A\n")
    assert len(labels.annotations) == 3
    assert labels.remarks[0].startswith("a.csv: 2 annotations of other focal planes")


def test_an_import_finds_the_images_whose_size_it_compares(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "a.csv").write_text(IMAGE_SIZED)
    labels = read_source("csv", tmp_path / "a.csv", ImportOptions(images=tmp_path / "images"))
    assert cells(labels)[0][0] == Point(120, 100)
    labels = read_source("csv", tmp_path / "a.csv", ImportOptions(slide=tmp_path / "images" / "a.png"))
    assert cells(labels)[0][0] == Point(120, 100)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 400), st.integers(1, 600), st.integers(1, 600)), min_size=1)
)
def test_no_box_becomes_another_without_a_word(rows: list[tuple[int, int, int, int]]) -> None:
    """Whatever the numbers: boxes as they stand, points where all sizes are the image's, or a question."""
    text = "image,x,y,width,height,label\n" + "".join(f"a,{x},{y},{w},{h},A\n" for x, y, w, h in rows)
    with tempfile.TemporaryDirectory() as folder:
        try:
            labels = read(Path(folder), text, (400, 500))
        except FormatError as error:
            requested = str(error)
        else:
            requested = ""
    if requested:
        assert re.search("--size-of|--position", requested)
        return
    found = [a.geometry for a in labels.annotations]
    centred = [Box(y - h / 2, x - w / 2, y + h / 2, x + w / 2) for x, y, w, h in rows]
    points = [Point(y, x) for x, y, _, _ in rows]
    assert found == (points if {(w, h) for *_, w, h in rows} == {(500, 400)} and found != centred else centred)


def test_a_bare_table_names_the_images_only_where_there_are_several(tmp_path: Path) -> None:
    slides = tuple(SlideRecord(name=f"{n}.png") for n in "ab")
    for number, head in ((1, "x,y,label"), (2, "x,y,label,image")):
        cell = Annotation(slide_id=slides[0].id, geometry=Point(2, 1), class_id="HSIL")
        path = tmp_path / f"{number}.csv"
        get_format("csv").write(LabelSet(slides[:number], (cell,)), path, more_columns=False)
        assert path.read_text(encoding="utf-8-sig").splitlines()[0] == head
