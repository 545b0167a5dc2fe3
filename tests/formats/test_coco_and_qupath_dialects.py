"""Promise: what is no cell in COCO and QuPath files is not read as one and is counted; what is one is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon, pixels_in_outline
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats._asap import AsapFormat
from napari_cyto.formats._coco import CocoFormat
from napari_cyto.formats._geojson import GeoJsonFormat

GOOD = {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
RING = [[0, 0], [8, 1], [9, 9], [0, 7], [0, 0]]


def coco(folder: Path, *entries: dict[str, Any], image_id: Any = 1, **options: Any) -> LabelSet:
    document = {
        "images": [{"id": image_id, "file_name": "a.png", "width": 640, "height": 480}],
        "annotations": [{**GOOD, **entry} for entry in entries],
        "categories": [{"id": 1, "name": "NILM"}, {"id": "2", "name": "HSIL"}],
    }
    (folder / "a.json").write_text(json.dumps(document))
    return CocoFormat().read(folder / "a.json", **options)


@pytest.mark.parametrize("flag", [1, True, "1", "true", "True"])
@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_a_crowd_is_no_cell(key: str, flag: Any, tmp_path: Path) -> None:
    labels = coco(tmp_path, {key: flag}, {key: 0})
    assert len(labels.annotations) == 1
    assert labels.remarks[0].startswith(f"1 entry with {key} set left out")


@pytest.mark.parametrize(("image_id", "said"), [(1, "1"), ("1", 1), ("1", "1"), (1, 1.0), ("a", "a")])
def test_an_id_is_the_same_as_text_and_as_a_number(image_id: Any, said: Any, tmp_path: Path) -> None:
    (cell,) = coco(tmp_path, {"image_id": said, "category_id": 2}, image_id=image_id).annotations
    assert cell.class_id == "HSIL"


@pytest.mark.parametrize(
    ("entry", "shape"),
    [
        ({"bbox": None, "segmentation": [[0, 0, 8, 1, 9, 9]]}, Polygon(((0, 0), (1, 8), (9, 9)))),
        ({"bbox": [], "segmentation": [0, 0, 8, 1, 9, 9]}, Polygon(((0, 0), (1, 8), (9, 9)))),
        ({"bbox": None, "segmentation": [[0, 0, 8, 0, 8, 9, 0, 9]]}, Box(0, 0, 9, 8)),
        ({"bbox": None, "segmentation": [[0, 0, 8, 1, 9, 9], [20, 20, 30, 21, 28, 40]]}, Box(0, 0, 40, 30)),
        # Down the columns of 480 rows: column 1 rows 1 and 2, column 2 row 1.
        ({"bbox": None, "segmentation": {"size": [480, 640], "counts": [481, 2, 478, 1, 306238]}}, Box(1, 1, 3, 3)),
        ({"bbox": None, "segmentation": {"size": [480, 640], "counts": [482, 480, 306238]}}, Box(0, 1, 480, 3)),
        ({"bbox": [10, 10, 20, 20], "keypoints": [1, 1, 2, 5, 5, 2]}, Box(10, 10, 30, 30)),
        ({"bbox": [10, 12, 0, 0], "keypoints": [10, 12, 2]}, Point(12, 10)),
        ({"attributes": {"rotation": 90}, "bbox": [100, 100, 80, 20]}, Box(70, 130, 150, 150)),
        ({"attributes": {"rotation": "360.0"}}, Box(2, 1, 6, 4)),
    ],
)
def test_each_way_to_write_a_shape(entry: dict[str, Any], shape: Geometry, tmp_path: Path) -> None:
    (cell,) = coco(tmp_path, entry).annotations
    assert cell.geometry == shape


def test_a_mask_as_pycocotools_packs_it(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    import numpy as np

    pixels = np.zeros((480, 640), np.uint8, order="F")
    pixels[100:130, 200:260] = 1
    pixels[90, 230] = 1
    packed = mask.encode(pixels)
    counts = packed["counts"].decode()
    (cell,) = coco(tmp_path, {"bbox": None, "segmentation": {"size": [480, 640], "counts": counts}}).annotations
    assert cell.geometry == Box(90, 200, 130, 260)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_outlines_are_written_as_masks_that_pycocotools_reads(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    import numpy as np

    slide = SlideRecord(name="a.png", path="a.png", size_hw=(480, 640))
    turns = np.arange(0, 6.2, 0.1)
    reach = np.where(np.arange(len(turns)) % 2, 90.0, 40.0)
    star = tuple(zip((200 + reach * np.sin(turns)).tolist(), (300 + reach * np.cos(turns)).tolist(), strict=True))
    edge = ((-9.0, -9.0), (-9.0, 60.5), (70.2, 31.0), (30.0, -9.0))
    speck = ((9.1, 9.1), (9.1, 9.3), (9.3, 9.2))
    cells = tuple(
        Annotation(slide_id=slide.id, geometry=Polygon(ring), class_id="HSIL") for ring in (star, edge, speck)
    )
    form, labels = CocoFormat(), LabelSet((slide,), cells)
    form.write(labels, tmp_path / "o.json", segmentation="masks")
    assert any("3 outlines written as masks" in each for each in form.losses(labels, segmentation="masks"))
    *written, last = json.loads((tmp_path / "o.json").read_bytes())["annotations"]
    for ring, entry in zip((star, edge), written, strict=True):
        truth = pixels_in_outline(ring, (0, 0), (480, 640))
        assert np.array_equal(mask.decode(entry["segmentation"]), truth)
        assert entry["area"] == truth.sum()
    assert isinstance(last["segmentation"], list)
    assert len(form.read(tmp_path / "o.json").annotations) == 3


def test_a_turned_box_is_an_outline_and_reported(tmp_path: Path) -> None:
    labels = coco(tmp_path, {"attributes": {"rotation": 45.0}, "bbox": [100, 100, 80, 20]})
    assert isinstance(labels.annotations[0].geometry, Polygon)
    assert labels.remarks == ("1 box turned by the rotation that the file states.",)


def test_entries_without_a_shape_are_counted_and_empty_ones_refused(tmp_path: Path) -> None:
    labels = coco(tmp_path, {}, {"bbox": None}, {"bbox": [], "segmentation": []})
    assert labels.remarks == ("2 entries without a shape left out.",)
    for bad in ({"bbox": [1, 2, 0, 4]}, {"bbox": [1, 2, -3, 4]}, {"bbox": None, "segmentation": [[0, 0, 1, 1, 2, 2]]}):
        with pytest.raises(FormatError, match="entry 1"):
            coco(tmp_path, bad)


def feature(geometry: Any, classification: Any = "HSIL", **more: Any) -> dict[str, Any]:
    properties = {"objectType": "annotation", "classification": classification}
    return {"type": "Feature", "geometry": geometry, "properties": properties, **more}


def polygon(ring: list[list[float]] = RING) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


POINT = {"type": "Point", "coordinates": [5, 6]}


def qupath(folder: Path, *features: Any, **options: Any) -> LabelSet:
    (folder / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return GeoJsonFormat().read(folder / "a.geojson", **options)


@pytest.mark.parametrize(
    "classification",
    [
        "HSIL",
        {"name": "HSIL", "color": [200, 0, 0]},
        '{ "name": "HSIL", "color": [ 200, 0, 0 ] }',
        "{'name': 'HSIL', 'color': [200, 0, 0]}",
        {"name": {"name": "HSIL"}},
        {"names": ["HSIL"]},
        ["HSIL"],
        '["HSIL"]',
        {"classification": '{"name": "HSIL"}'},
    ],
)
def test_a_class_however_it_is_packed(classification: Any, tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(POINT, classification))
    assert (labels.annotations[0].class_id, labels.classes) == ("HSIL", ("HSIL",))


def test_a_derived_class_keeps_all_its_names(tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(POINT, {"names": ["HSIL", "Ki67"]}), feature(POINT, "HSIL: Ki67"))
    assert {a.class_id for a in labels.annotations} == {"HSIL: Ki67"}


@pytest.mark.parametrize("name", ["Ignore*", "ignore*", "IGNORE*", "Ignore"])
def test_what_is_to_be_ignored_is_left_out_with_a_count(name: str, tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(polygon(), {"name": name}), feature(POINT))
    assert [a.class_id for a in labels.annotations] == ["HSIL"]
    assert labels.classes == ("HSIL",)
    assert labels.remarks == (f"a.geojson: 1 annotation of the class {name} left out.",)


@pytest.mark.parametrize("name", ["Region*", "REGION*", "region"])
def test_a_region_of_qupath_is_a_region(name: str, tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(polygon(), name), feature(POINT, name), feature(POINT))
    assert [a.is_region for a in labels.annotations] == [True, False]
    assert labels.classes == ("HSIL",)
    assert "1 point of the class" in labels.remarks[0]


def test_old_ids_say_what_an_object_is(tmp_path: Path) -> None:
    ids = ("PathCellObject", "PathDetectionObject", "PathTileObject", "PathAnnotationObject", "PathRootObject")
    old = [{"type": "Feature", "id": i, "geometry": polygon(), "properties": {"isLocked": False}} for i in ids]
    labels = qupath(tmp_path, *old)
    assert [a.class_id for a in labels.annotations] == ["unclassified", "unclassified", None]
    assert set(labels.remarks) == {"a.geojson: 1 tile left out.", "a.geojson: 1 root left out."}


def test_a_cell_of_several_parts_is_one_cell(tmp_path: Path) -> None:
    parts = {"type": "MultiPolygon", "coordinates": [[RING], [[[20, 20], [30, 21], [28, 40], [20, 20]]]]}
    labels = qupath(tmp_path, feature(parts))
    assert [a.geometry for a in labels.annotations] == [Box(0, 0, 40, 30)]
    assert labels.remarks == ("a.geojson: 1 cell of several parts read as the box around them.",)
    assert len(qupath(tmp_path, feature(parts, None)).annotations) == 2


@pytest.mark.parametrize(
    "geometry", [None, {"type": "Polygon", "coordinates": []}, {"type": "GeometryCollection", "geometries": []}]
)
def test_features_without_a_shape_are_counted(geometry: Any, tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(geometry), feature(POINT))
    assert len(labels.annotations) == 1
    assert labels.remarks == ("a.geojson: 1 feature without a shape left out.",)


@pytest.mark.parametrize("ring", [[[1, 1], [2, 2], [1, 1]], [[1, 1], [2, 2], [3, 3], [1, 1]], [[1, 1]] * 4])
def test_outlines_without_area_are_counted(ring: list[list[float]], tmp_path: Path) -> None:
    labels = qupath(tmp_path, feature(polygon(ring)), feature(POINT))
    assert len(labels.annotations) == 1
    assert labels.remarks == ("a.geojson: 1 outline of fewer than three corners or without area left out.",)


def test_other_focal_planes_are_left_out_with_a_count_or_read_when_requested(tmp_path: Path) -> None:
    deep = {**POINT, "plane": {"c": -1, "z": 7, "t": 0}}
    first = {**POINT, "plane": {"c": -1, "z": 0, "t": 0}}
    third = {"type": "Point", "coordinates": [200, 200, 5]}
    labels = qupath(tmp_path, feature(first), feature(deep), feature(third))
    assert len(labels.annotations) == 1
    assert labels.remarks == (
        "a.geojson: 2 annotations on other focal planes than the first left out (--planes all imports them).",
    )
    assert len(qupath(tmp_path, feature(first), feature(deep), feature(third), planes="all").annotations) == 3
    with pytest.raises(FormatError, match="--planes all"):
        qupath(tmp_path, feature(deep))


def test_asap_draws_corners_by_their_order(tmp_path: Path) -> None:
    corners = [(2, 30, 30), (0, 10, 10), (1, 30, 10), (10, 10, 30)]
    rows = "".join(f'<Coordinate Order="{o}" X="{x}" Y="{y}"/>' for o, x, y in corners)
    text = (
        "<ASAP_Annotations><Annotations><Annotation Name='A' Type='Polygon' PartOfGroup='HSIL' Color='#ff0000'>"
        f"<Coordinates>{rows}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    (tmp_path / "a.xml").write_text(text)
    (cell,) = AsapFormat().read(tmp_path / "a.xml").annotations
    assert cell.geometry == Polygon(((10, 10), (10, 30), (30, 30), (30, 10)))


@pytest.mark.parametrize("geometries", [True, 7, {"a": 1}])
def test_a_collection_of_no_list_is_a_bad_row(geometries: object, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        qupath(tmp_path, {"type": "Feature", "geometry": {"geometries": geometries}, "properties": {}})


def test_an_outline_of_another_place_than_its_box_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="lie at two places"):
        coco(tmp_path, {"bbox": [1, 1, 5, 5], "segmentation": [[30, 30, 40, 30, 40, 40]]})


def test_a_mask_of_another_size_than_it_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="counts are of 5 px"):
        coco(tmp_path, {"bbox": None, "segmentation": {"size": [480, 640], "counts": [0, 5]}})


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="mask's size is 7 x 5 px"):
        coco(tmp_path, {"bbox": None, "segmentation": {"size": [7, 5], "counts": [0, 5, 30]}})


def test_places_on_the_earth_are_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    for name, read in (("EPSG:25832", False), ("urn:ogc:def:crs:OGC:1.3:CRS84", True)):
        crs = {"type": "name", "properties": {"name": name}}
        path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature(polygon())]}))
        if read:
            assert GeoJsonFormat().read(path).annotations
            continue
        with pytest.raises(FormatError, match="expected pixels of the slide"):
            GeoJsonFormat().read(path)
