"""Promise: APACC names and label files are the collection's own, to the byte, and a tree comes back as it went."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format
from napari_cyto.formats.apacc.apacc_format import (
    CropName,
    SliceName,
    StemStyle,
    crop_name,
    label_line,
    match_stem,
    parse_crop_name,
    parse_label_text,
    parse_stem,
    read_tree,
    slice_labels,
    slice_stem,
)

VERBATIM = """3 0.07525 0.8035 0.1505 0.211
0 0.106 0.06475 0.212 0.1295
0 0.536 0.20875 0.185 0.1865
1 0.712 0.506 0.174 0.176
1 0.181 0.77675 0.143 0.1755
"""


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("10030_18_18000_136000", SliceName("10030_18", 136000, 18000, StemStyle.UNDERSCORE)),
        ("669-15_36000-74000", SliceName("669-15", 74000, 36000, StemStyle.DASH)),
        ("a_0_0", SliceName("a", 0, 0, StemStyle.UNDERSCORE)),
    ],
)
def test_both_kinds_of_stems(stem: str, name: SliceName) -> None:
    assert parse_stem(stem) == name
    assert slice_stem(name.smear, name.y0, name.x0, name.style) == stem


@pytest.mark.parametrize("stem", ["", "smear", "a_2000", "_0_0", "a_02000_0", "a_2001_0", "a_0_-2000", "a_0-0.png"])
def test_what_is_no_stem(stem: str) -> None:
    assert match_stem(stem) is None
    with pytest.raises(FormatError, match="Expected a slice's name like"):
        parse_stem(stem)


def test_crop_names() -> None:
    name = "669-15_36000-74000_10_850-1300_2021-07-07.png"
    assert parse_crop_name(name) == CropName("669-15", 74000, 36000, 10, 1300, 850, date(2021, 7, 7))
    assert crop_name(parse_crop_name(name)) == name
    for wrong in ("669-15_36000-74000_10_850-1300_2021-13-07.png", "a.png", name[:-4], name.replace(".png", ".jpeg")):
        with pytest.raises(FormatError, match="Expected a crop's name like"):
            parse_crop_name(wrong)


def test_lines_are_the_shortest_exact_decimals_grouped_by_class_name() -> None:
    lines = parse_label_text(VERBATIM)
    assert [line.class_id for line in lines] == ["bothcells", "healthy", "healthy", "rubbish", "rubbish"]
    assert lines[0].box == Box(1396, 0, 1818, 301)
    shuffled = [lines[i] for i in (3, 1, 4, 0, 2)]
    assert slice_labels([r.box for r in shuffled], [r.class_id or "" for r in shuffled]) == VERBATIM


@pytest.mark.parametrize(
    ("box", "line"),
    [
        (Box(0, 0, 2000, 2000), "0 0.5 0.5 1 1"),
        (Box(0, 0, 1, 1), "0 0.00025 0.00025 0.0005 0.0005"),
        (Box(1999, 1999, 2000, 2000), "0 0.99975 0.99975 0.0005 0.0005"),
        (Box(-50.5, 10.2, 30, 20.4), "0 0.0075 0.0075 0.005 0.015"),
        (Box(700.1, 700.2, 700.3, 700.4), "0 0.35025 0.35025 0.0005 0.0005"),
    ],
)
def test_boxes_are_rounded_and_clipped(box: Box, line: str) -> None:
    assert label_line("healthy", box) == line


def test_no_cells_make_an_empty_file_and_foreign_classes_are_refused() -> None:
    assert slice_labels([], []) == ""
    with pytest.raises(FormatError, match="got 'HSIL'"):
        label_line("HSIL", Box(0, 0, 1, 1))
    with pytest.raises(FormatError, match="outside its slice"):
        label_line("healthy", Box(2000, 0, 2010, 10))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0.5 0.5 0.1", "five values"),
        ("0 0.5 0.5 0.1 0.1 0.9", "five values"),
        ("x 0.5 0.5 0.1 0.1", "whole number"),
        ("0.0 0.5 0.5 0.1 0.1", "whole number"),
        ("0 0.5 0.5 0.1 nan", "fraction"),
        ("0 0.5 0.5 0.1 1e99", "fraction"),
        ("0 0,5 0.5 0.1 0.1", "fraction"),
        ("0 0.5 0.5 0 0.1", "at least one pixel"),
        ("0 0.5 0.5 -0.1 0.1", "at least one pixel"),
    ],
)
def test_errors_name_file_line_and_reason(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=rf"a\.txt, line 2: .*{reason}"):
        parse_label_text(f"0 0.5 0.5 0.1 0.1\n{text}\n", "a.txt")


@pytest.mark.shared
def test_the_collections_own_file_is_written_back_byte_for_byte(shared: Path, tmp_path: Path) -> None:
    source = shared / "apacc" / "10030_18_18000_150000.txt"
    labels = get_format("apacc").read(source)
    get_format("apacc").write(labels, tmp_path / "out")
    assert (tmp_path / "out" / source.name).read_bytes() == source.read_bytes()


def test_a_tree_becomes_slices_of_their_smears(golden: Path) -> None:
    labels = read_tree(golden / "apacc")
    assert {(s.stem, s.smear, s.side, s.offset_yx) for s in labels.slides} == {
        ("10030_18_18000_136000", "10030_18", "train", (136000, 18000)),
        ("10030_18_18000_138000", "10030_18", "train", (138000, 18000)),
        ("669-15_36000-74000", "669-15", "test", (74000, 36000)),
    }
    assert len(labels.annotations) == 5
    assert labels.classes == ("healthy", "rubbish", "unhealthy", "bothcells")
    assert dict(labels.colours)["unhealthy"] == "#be201c"


def test_an_imported_tree_is_exported_with_the_same_stems_and_bytes(golden: Path, tmp_path: Path) -> None:
    get_format("apacc").write(read_tree(golden / "apacc"), tmp_path / "out")
    for side in ("train", "test"):
        for source in (golden / "apacc" / side).iterdir():
            assert (tmp_path / "out" / side / source.name).read_bytes() == source.read_bytes()


def test_images_are_found_and_crop_folders_and_strangers_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train" / "healthy").mkdir(parents=True)
    (tmp_path / "train" / "healthy" / "notes.txt").write_text("crops of healthy cells")
    (tmp_path / "train" / "readme.txt").write_text("how we cut these slices")
    (tmp_path / "train" / "a_0_0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "train" / "a_0_0.png")
    (tmp_path / "loose_name.txt").write_text("")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "loose_name.png")
    labels = read_tree(tmp_path)
    assert [(s.stem, s.smear, s.path) for s in labels.slides] == [
        ("loose_name", "", str(tmp_path / "loose_name.png")),
        ("a_0_0", "a", str(tmp_path / "train" / "a_0_0.png")),
    ]
    assert labels.remarks == (
        "readme.txt was left out: its name is not that of a slice, and there is no image beside it.",
    )


def test_a_class_that_the_collection_does_not_know_stops_the_import(tmp_path: Path) -> None:
    (tmp_path / "a_0_0.txt").write_text("0 0.5 0.5 0.1 0.1\n4 0.5 0.5 0.1 0.1\n")
    with pytest.raises(FormatError, match=r"a_0_0\.txt, line 2: expected a class from 0 to 3"):
        read_tree(tmp_path)


def test_a_folder_without_label_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no APACC label files"):
        read_tree(tmp_path)
    with pytest.raises(FormatError, match="no such file"):
        read_tree(tmp_path / "absent")


def test_a_cell_goes_into_the_slice_that_holds_its_centre(tmp_path: Path) -> None:
    slide = SlideRecord(name="s.svs", size_hw=(4000, 4000))
    marks = [
        ("healthy", Box(1900, 1950, 2080, 2090)),
        ("rubbish", Box(2000, 10, 2010, 20)),
        ("healthy", Box(9, 4500, 19, 4600)),
    ]
    labels = LabelSet((slide,), tuple(Annotation(slide_id=slide.id, geometry=box, class_id=c) for c, box in marks))
    apacc = get_format("apacc")
    assert [loss for loss in apacc.losses(labels) if "centre" in loss or "clipped" in loss] == [
        "1 box is clipped at the border of a slice.",
        "1 annotation with the centre outside the slide left out.",
    ]
    apacc.write(labels, tmp_path / "out")
    assert {p.name: p.read_text() for p in (tmp_path / "out").glob("*.txt")} == {
        "s_2000_0.txt": "0 0.0225 0.975 0.045 0.05\n",
        "s_0_2000.txt": "1 0.0075 0.0025 0.005 0.005\n",
    }
    apacc.write(labels, tmp_path / "all", all_slices=True)
    assert len(list((tmp_path / "all").glob("*.txt"))) == 4


def test_two_slices_of_one_name_are_refused(golden: Path, tmp_path: Path) -> None:
    labels = read_tree(golden / "apacc")
    twin = replace(labels.slides[0], id="f" * 32)
    with pytest.raises(FormatError, match="Two slices are called"):
        get_format("apacc").write(LabelSet((labels.slides[0], twin), ()), tmp_path / "out")
    assert not (tmp_path / "out").exists()
