"""Promise: one bad row never hides the others, and what is left out is listed and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format
from napari_cyto.formats.bad_rows import SKIPPABLE, BadRows, LeftOut

ASAP = "<ASAP_Annotations><Annotations>{}</Annotations><AnnotationGroups/></ASAP_Annotations>"
DOT = (
    '<Annotation Name="a" Type="Dot" PartOfGroup="HSIL" Color="#ffffff"><Coordinates>'
    '<Coordinate Order="0" X="{}" Y="{}"/></Coordinates></Annotation>\n'
)


def geojson(values: list[Any]) -> str:
    rows = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [v, 5]}, "properties": {"classification": "A"}}
        for v in values
    ]
    return json.dumps({"type": "FeatureCollection", "features": rows})


def coco(values: list[Any]) -> str:
    rows = [{"id": i, "image_id": 1, "category_id": 1, "bbox": [v, 5, 4, 4]} for i, v in enumerate(values)]
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 90}],
            "annotations": rows,
            "categories": [{"id": 1, "name": "A"}],
        }
    )


def written(name: str, values: list[Any], folder: Path) -> Path:
    """A source of the format with a row a value, each the row's x; a text is a bad one."""
    single = {
        "csv": ("s.csv", "x,y,label\n" + "".join(f"{v},5,A\n" for v in values)),
        "cric": (
            "classifications.csv",
            "image_filename,bethesda_system,nucleus_x,nucleus_y\n" + "".join(f"a.png,HSIL,{v},5\n" for v in values),
        ),
        "geojson": ("s.geojson", geojson(values)),
        "coco": ("s.json", coco(values)),
        "asap": ("s.xml", ASAP.format("".join(DOT.format(v, 5) for v in values))),
        "apacc": ("1_0_0.txt", "".join(f"0 {v if isinstance(v, str) else 0.5} 0.5 0.1 0.1\n" for v in values)),
    }
    if name == "yolo":
        (folder / "labels").mkdir()
        (folder / "data.yaml").write_text("names: [A]\n")
        lines = "".join(f"0 {v if isinstance(v, str) else 0.5} 0.5 0.1 0.1\n" for v in values)
        (folder / "labels" / "s.txt").write_text(lines)
        return folder
    path = folder / single[name][0]
    path.write_text(single[name][1])
    return path


def read(name: str, source: Path, **options: Any) -> Any:
    size = {"image_width": 100, "image_height": 100} if name == "yolo" else {}
    return get_format(name).read(source, **options, **size)


FORMATS = ("csv", "cric", "geojson", "coco", "asap", "apacc", "yolo")


@pytest.mark.parametrize("name", FORMATS)
def test_all_bad_rows_are_listed_in_one_go(name: str, tmp_path: Path) -> None:
    source = written(name, [7, "north", 8, "south"], tmp_path)
    with pytest.raises(FormatError, match="2 entries cannot be read") as caught:
        read(name, source)
    assert "north" in str(caught.value)
    assert "south" in str(caught.value)
    assert SKIPPABLE in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_the_rest_is_read_when_bad_rows_are_skipped_and_these_are_listed(name: str, tmp_path: Path) -> None:
    labels = read(name, written(name, [7, "north", 8, "south", 9], tmp_path), skip_bad=True)
    assert len(labels.annotations) == 3
    (said,) = [r for r in labels.remarks if "2 entries could not be read, left out" in r]
    assert "north" in said
    assert "south" in said


@pytest.mark.parametrize("name", FORMATS)
def test_a_source_without_a_single_good_row_is_refused_even_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no entry could be read"):
        read(name, written(name, ["north"], tmp_path), skip_bad=True)


def test_a_long_list_ends_after_twenty_with_the_number_of_the_others(tmp_path: Path) -> None:
    source = written("csv", [1, *(f"bad{i:02d}" for i in range(30))], tmp_path)
    with pytest.raises(FormatError, match="30 entries cannot be read") as caught:
        read("csv", source)
    words = str(caught.value)
    assert "bad19" in words
    assert "bad20" not in words
    assert "... and 10 more." in words


def test_a_single_bad_row_keeps_its_place_and_says_what_to_do(tmp_path: Path) -> None:
    source = written("csv", [1, "north"], tmp_path)
    with pytest.raises(FormatError, match=r"s\.csv, line 3: expected x to be a number.*north") as caught:
        read("csv", source)
    assert caught.value.line == 3
    assert SKIPPABLE in str(caught.value)


def test_a_file_of_a_folder_that_is_broken_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("{")
    (tmp_path / "b.geojson").write_text(geojson([1, "north"]))
    (tmp_path / "c.geojson").write_text(geojson([2]))
    with pytest.raises(FormatError, match=r"2 entries(.|\n)*a\.geojson, line 1: this is not JSON(.|\n)*b\.geojson"):
        read("geojson", tmp_path)
    assert len(read("geojson", tmp_path, skip_bad=True).annotations) == 2


def test_only_what_a_file_says_wrong_counts_as_a_bad_row() -> None:
    bad = BadRows(Path("a"), skip=True)
    with pytest.raises(ZeroDivisionError), bad:
        raise ZeroDivisionError
    assert bad.total == 0


def test_what_is_left_out_is_counted_by_kind_in_plain_words() -> None:
    left = LeftOut()
    left.add("entry", "without a shape left out.")
    left.add("entry", "without a shape left out.", 2)
    left.add("box", "read as a point.", 0)
    left.add("box", "outside.", 1200)
    assert left.remarks("a.json") == ("a.json: 3 entries without a shape left out.", "a.json: 1,200 boxes outside.")


@pytest.mark.parametrize(("name", "suffix"), [("geojson", ".geojson"), ("asap", ".xml")])
def test_a_lone_file_that_cannot_be_read_is_not_offered_to_be_left_out(name: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_text("{")
    with pytest.raises(FormatError) as caught:
        read(name, tmp_path / f"a{suffix}")
    assert SKIPPABLE not in str(caught.value)
