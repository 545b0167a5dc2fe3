"""Promise: the classes Ignore* and Region* are no cells in any format; the one is left out, the other are regions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import get_format
from napari_cyto.formats._non_cell_classes import only_cells

AREA = Polygon(((1, 2), (1, 9), (8, 9), (8, 2)))
TRIANGLE = Polygon(((1, 2), (1, 9), (8, 9)))


def made(ignored: str = "Ignore*", region: str = "Region*") -> LabelSet:
    slide = SlideRecord(name="a.png", size_hw=(40, 50))
    rows = [
        (Box(1, 2, 8, 9), "HSIL"),
        (Box(11, 12, 18, 19), ignored),
        (Box(1, 2, 8, 9), region),
        (TRIANGLE, region),
        (Box(20, 20, 28, 28), f"{ignored}: stain"),
    ]
    cells = tuple(Annotation(slide_id=slide.id, geometry=g, class_id=c) for g, c in rows)
    return LabelSet((slide,), cells, ("HSIL", ignored, region, f"{ignored}: stain"), ((region, "#ff0000"),))


def test_by_itself() -> None:
    lone = Annotation(slide_id=(labels := made()).slides[0].id, geometry=Point(3, 3), class_id="region*")
    sifted = only_cells(LabelSet(labels.slides, (*labels.annotations, lone), labels.classes, labels.colours), "a.json")
    assert [(a.class_id, a.geometry) for a in sifted.annotations] == [
        ("HSIL", Box(1, 2, 8, 9)),
        (None, AREA),
        (None, TRIANGLE),
    ]
    assert (sifted.classes, sifted.colours) == (("HSIL",), ())
    assert sifted.remarks == (
        "a.json: 1 annotation of the class Ignore* left out.",
        "a.json: 2 areas of the class Region* read as regions, inside which every cell is annotated.",
        "a.json: 1 annotation of the class Ignore*: stain left out.",
        "a.json: 1 point of the class region* left out.",
    )


@pytest.mark.parametrize("names", [("Ignore*", "Region*"), ("ignore", "REGION")])
@pytest.mark.parametrize("name", ["coco", "yolo", "csv", "voc", "labelstudio", "labelme", "asap"])
def test_in_formats_that_are_written(name: str, names: tuple[str, str], tmp_path: Path) -> None:
    each = get_format(name)
    target = tmp_path / (f"a{each.suffix}" if each.target_kind == "file" else "out")
    each.write(made(*names), target)
    labels = each.read(target)
    assert [a.class_id for a in labels.annotations] == ["HSIL", None, None]
    assert labels.annotations[1].geometry.bounds_yxyx == pytest.approx((1, 2, 8, 9))
    assert labels.classes == ("HSIL",)
    said = " ".join(labels.remarks)
    assert f"1 annotation of the class {names[0]} left out." in said
    assert f"2 areas of the class {names[1]} read as regions" in said


CVAT = """<annotations><meta/><image id="0" name="a.png" width="50" height="40">
<box label="Ignore*" xtl="1" ytl="1" xbr="5" ybr="5"/><box label="Region*" xtl="1" ytl="1" xbr="5" ybr="5"/>
<polygon label="Region*" group_id="1" points="1,1;5,1;5,5"/>
<polygon label="Region*" group_id="1" points="9,9;15,9;15,15"/>
<points label="HSIL" points="3,4"/><points label="Region*" points="3,4"/></image></annotations>"""
SCOPE = """<Annotations><Annotation Name="Ignore*"><Regions><Region Type="0"><Vertices><Vertex X="1" Y="1"/>
<Vertex X="5" Y="1"/><Vertex X="5" Y="5"/></Vertices></Region></Regions></Annotation>
<Annotation Name="HSIL"><Regions><Region Type="5"><Vertices><Vertex X="3" Y="4"/></Vertices></Region></Regions>
</Annotation><Annotation Name="Region*"><Regions>
<Region Type="1"><Vertices><Vertex X="1" Y="1"/><Vertex X="5" Y="5"/></Vertices></Region><Region Type="5"><Vertices>
<Vertex X="3" Y="4"/></Vertices></Region></Regions></Annotation></Annotations>"""
VIA = json.dumps(
    {
        "a": {
            "filename": "a.png",
            "regions": [
                {"shape_attributes": shape, "region_attributes": {"class": name}}
                for shape, name in (
                    ({"name": "rect", "x": 1, "y": 1, "width": 4, "height": 4}, "Ignore*"),
                    ({"name": "rect", "x": 1, "y": 1, "width": 4, "height": 4}, "Region*"),
                    ({"name": "point", "cx": 3, "cy": 4}, "HSIL"),
                    ({"name": "point", "cx": 3, "cy": 4}, "Region*"),
                )
            ],
        }
    }
)


@pytest.mark.parametrize(
    ("name", "file", "content", "regions"),
    [("cvat", "a.xml", CVAT, 3), ("imagescope", "a.xml", SCOPE, 1), ("via", "a.json", VIA, 1)],
)
def test_in_formats_that_are_read_only(name: str, file: str, content: str, regions: int, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)
    labels = get_format(name).read(tmp_path / file)
    assert sum(a.is_region for a in labels.annotations) == regions
    assert [a.geometry for a in labels.annotations if a.class_id] == [Point(4, 3)]
    assert labels.classes == ("HSIL",)
    said = " ".join(labels.remarks)
    assert "1 annotation of the class Ignore* left out." in said
    assert "1 point of the class Region* left out." in said


def test_parts_of_a_region_are_regions_and_never_the_box_around_them(tmp_path: Path) -> None:
    rings = [[1, 1, 5, 1, 5, 5], [30, 30, 35, 30, 35, 35]]
    entries = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": rings, "bbox": [1, 1, 34, 34]},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [40, 50], "counts": [5, 9]}},
    ]
    images, categories = [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}], [{"id": 1, "name": "Region*"}]
    data = {"images": images, "annotations": entries, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(data))
    labels = get_format("coco").read(tmp_path / "a.json")
    assert [a.geometry.bounds_yxyx for a in labels.annotations] == [(1, 1, 5, 5), (30, 30, 35, 35)]
    assert all(a.is_region for a in labels.annotations)
    assert "1 mask of regions left out; export outlines." in labels.remarks
    shapes = [
        {"label": "Region*", "group_id": 1, "shape_type": "polygon", "points": [[x, x], [x + 4, x], [x + 4, x + 4]]}
        for x in (1, 30)
    ]
    (tmp_path / "b.json").write_text(json.dumps({"shapes": shapes, "imagePath": "b.png"}))
    assert len(get_format("labelme").read(tmp_path / "b.json").annotations) == 2
