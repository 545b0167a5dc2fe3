"""Promise: whatever bytes a label file holds, its parser gives a whole label set or one CytoError naming the file."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import logging
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import CytoError
from napari_cyto.formats import get_format
from napari_cyto.formats.image_size import image_size_hw
from napari_cyto.formats.schemes import load_scheme

GOLDEN = Path(__file__).parents[1] / "golden"
EXAMPLES = max(300, settings.default.max_examples if settings.default else 0)
hard = settings(max_examples=EXAMPLES, deadline=None)
brief = settings(max_examples=max(50, settings.default.max_examples if settings.default else 0), deadline=None)

BOMBS = [
    *(b"NaN -Infinity 1e999 -1e-999 1_0 null true [] {} 0 -1 1e9 2024-99-99 ../../etc &b; &#0; &x *x % ? -".split()),
    *(b"\x00 \xff\xfe \xef\xbb\xbf \xed\xa0\x80 \xe2\x80\xa8 \x1b[31m \\ud800 , ; : \" ' \"\" ''".split(b" ")),
    *(b"9" * 5000, b"0x" + b"f" * 300, b"[" * 3000, b'{"a":' * 2000, b"- " * 500, b"<a>" * 2000),
    *(b"!!int ''", b"!!bool x", b"!!timestamp x", b"!!float ''", b"!!binary x", b"<<: 1\n"),
    *(b"\t", b"\r", b"\r\n", b"\n\n", b"<!DOCTYPE a [<!ENTITY b 'bb'>]>"),
]


def seeds(folder: str, *suffixes: str) -> list[bytes]:
    return [p.read_bytes() for p in sorted((GOLDEN / folder).rglob("*")) if p.suffix in suffixes]


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    content = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        new = draw(st.sampled_from(BOMBS) | st.binary(max_size=8) | st.just(content[start:end] * 3))
        content = content[:start] + new + content[end:]
    return content


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.geojson", content)
    return stream.getvalue()


def spoiled(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(mutated(valid), mutated(valid), st.binary(max_size=300))


def words(*lines: str) -> list[str]:
    return " ".join(lines).split()


KEYS = words(
    "type features geometry geometries coordinates properties classification name names color colorRGB measurements",
    "metadata objectType nucleusGeometry id value status created shape images annotations categories image_id bbox",
    "category_id segmentation score file_name width height napari_cyto slide slides mpp offset_x offset_y progress",
    "classes version colour key severity parent box_um result value type x y width height labels rectanglelabels",
    "original_width points label shape_type shape_attributes region_attributes filename regions cx cy r",
)
WORDS = [
    *words(
        "FeatureCollection Feature Point MultiPoint Polygon MultiPolygon GeometryCollection LineString annotation cell"
    ),
    *words("tile HSIL a.png #e69f00 1 2024-01-01 done rejected"),
    *("Score: a", "\ud800", ""),
]
leaves = st.one_of(
    st.sampled_from(WORDS),
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.integers(),
    st.text(max_size=5),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6), st.tuples(inner, inner)
    ),
    max_leaves=25,
)


def documents(*shapes: Callable[[Any], Any]) -> st.SearchStrategy[bytes]:
    """JSON of the right outer shape with anything inside."""
    return st.tuples(st.sampled_from(shapes), trees).map(lambda s: json.dumps(s[0](s[1])).encode())


def survives(read: Callable[[], Any], path: Path) -> None:
    try:
        result = read()
    except CytoError as error:
        sentence = str(error)
        result = None
        assert str(path) in sentence or str(path.parent) in sentence
    if isinstance(result, LabelSet):
        known = {slide.id for slide in result.slides}
        assert {a.slide_id for a in result.annotations} <= known
        assert len({a.id for a in result.annotations}) == len(result.annotations)
        json.dumps([[a.note, a.author, a.class_id] for a in result.annotations], ensure_ascii=False).encode("utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def reads(format_name: str, path: Path, content: bytes, **options: Any) -> None:
    path.write_bytes(content)
    survives(lambda: get_format(format_name).read(path, **options), path)


@hard
@given(content=spoiled(seeds("apacc", ".txt")))
def test_apacc(place: Path, content: bytes) -> None:
    reads("apacc", place / "1_2000_4000.txt", content)


@hard
@given(content=spoiled(seeds("geojson", ".json", ".geojson")), nucleus=st.booleans())
def test_geojson_bytes(place: Path, content: bytes, nucleus: bool) -> None:
    reads("geojson", place / "a.geojson", content, cell_outline="nucleus" if nucleus else "cell")


@hard
@given(
    content=documents(
        lambda t: t,
        lambda t: {"type": "FeatureCollection", "features": t},
        lambda t: [{"type": "Feature", "geometry": t, "properties": {}}],
        lambda t: {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": t}},
        lambda t: {"type": "Feature", "geometry": {"type": "MultiPoint", "coordinates": [[1, 2]]}, "properties": t},
        lambda t: {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]},
                   "properties": {"classification": t, "metadata": t, "measurements": t}},
        lambda t: {"napari_cyto": {"slide": t, "classes": t}, "features": []},
    )
)  # fmt: skip
def test_geojson_values(place: Path, content: bytes) -> None:
    reads("geojson", place / "b.geojson", content)


@hard
@given(content=spoiled(seeds("coco", ".json")))
def test_coco_bytes(place: Path, content: bytes) -> None:
    reads("coco", place / "a.json", content)


@hard
@given(
    content=documents(
        lambda t: t,
        lambda t: {"images": t, "annotations": t, "categories": t},
        lambda t: {"images": [t], "annotations": [t], "categories": [t]},
        lambda t: {"images": [{"id": 1, "file_name": "a", "napari_cyto": t, "width": t, "height": 5}]},
        lambda t: {"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "c"}],
                   "annotations": [{"image_id": 1, "category_id": 1, "bbox": t, "segmentation": t, "score": t}]},
        lambda t: {"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "c"}],
                   "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [t]}]},
    )
)  # fmt: skip
def test_coco_values(place: Path, content: bytes) -> None:
    reads("coco", place / "b.json", content)


@hard
@given(content=spoiled(seeds("cric", ".csv")))
def test_cric(place: Path, content: bytes) -> None:
    reads("cric", place / "classifications.csv", content)


@hard
@given(content=spoiled(seeds("asap", ".xml")))
def test_asap(place: Path, content: bytes) -> None:
    reads("asap", place / "a.xml", content)


@brief
@given(content=spoiled(seeds("voc", ".xml")), devkit=st.booleans(), skip=st.booleans())
def test_voc(place: Path, content: bytes, devkit: bool, skip: bool) -> None:
    reads("voc", place / "voc.xml", content, pixels="devkit" if devkit else "edges", skip_bad=skip)


@brief
@given(content=spoiled(seeds("cvat", ".xml")), skip=st.booleans())
def test_cvat(place: Path, content: bytes, skip: bool) -> None:
    reads("cvat", place / "cvat.xml", content, skip_bad=skip)


@brief
@given(content=spoiled(seeds("imagescope", ".xml")), skip=st.booleans())
def test_imagescope(place: Path, content: bytes, skip: bool) -> None:
    reads("imagescope", place / "scope.xml", content, skip_bad=skip)


@brief
@given(content=spoiled(seeds("sipakmed", ".dat")), skip=st.booleans())
def test_sipakmed(place: Path, content: bytes, skip: bool) -> None:
    folder = place / "im_Parabasal"
    folder.mkdir(exist_ok=True)
    (folder / "001_cyt01.dat").write_bytes(content)
    with contextlib.suppress(CytoError):
        assert isinstance(get_format("sipakmed").read(folder, skip_bad=skip), LabelSet)


@brief
@given(
    content=spoiled(seeds("labelstudio", ".json"))
    | documents(
        lambda t: t,
        lambda t: [{"data": t, "annotations": t}],
        lambda t: [{"data": {"image": "a.png"}, "annotations": t, "predictions": t, "drafts": t}],
        lambda t: [{"data": {"image": "a.png", "width": 5, "height": t},
                    "annotations": [{"result": t, "completed_by": t}]}],
        lambda t: [{"data": {"image": "a.png", "width": 5, "height": 5}, "annotations": [{"result": [
            {"type": "polygonlabels", "id": t, "value": {"points": t, "polygonlabels": t}, "meta": t}]}]}],
    ),
    skip=st.booleans(),
)  # fmt: skip
def test_labelstudio(place: Path, content: bytes, skip: bool) -> None:
    reads("labelstudio", place / "studio.json", content, skip_bad=skip)


@brief
@given(
    content=spoiled(seeds("labelme", ".json"))
    | documents(
        lambda t: t,
        lambda t: {"shapes": t, "imagePath": t, "imageHeight": t, "imageWidth": 5},
        lambda t: {"shapes": [{"label": "a", "points": t, "shape_type": t, "group_id": t, "score": t}]},
        lambda t: {"shapes": [{"label": "a", "points": t}], "napari_cyto": t},
    ),
    skip=st.booleans(),
)
def test_labelme(place: Path, content: bytes, skip: bool) -> None:
    reads("labelme", place / "me.json", content, skip_bad=skip)


@brief
@given(
    content=spoiled(seeds("via", ".json"))
    | documents(
        lambda t: t,
        lambda t: {"a": {"filename": "a.png", "regions": t}},
        lambda t: {"_via_img_metadata": {"a": {"filename": t, "regions": [
                   {"shape_attributes": t, "region_attributes": t}]}}},
        lambda t: {"a": {"filename": "a.png", "regions": [{"shape_attributes": {"name": "polygon", "all_points_x": t,
                   "all_points_y": t}, "region_attributes": {"class": t}}]}},
    ),
    skip=st.booleans(),
)  # fmt: skip
def test_via_json(place: Path, content: bytes, skip: bool) -> None:
    reads("via", place / "via.json", content, skip_bad=skip)


@brief
@given(content=spoiled(seeds("via", ".csv")), skip=st.booleans())
def test_via_table(place: Path, content: bytes, skip: bool) -> None:
    reads("via", place / "via.csv", content, skip_bad=skip)


RESULT = {"image_id": 1, "category_id": 1}


@brief
@given(
    content=spoiled([(GOLDEN / "coco-results" / "results.json").read_bytes()])
    | documents(lambda t: t, lambda t: [t], lambda t: [{**RESULT, "bbox": t, "score": t, "segmentation": t}],
                lambda t: [{**RESULT, "score": 0.5, "segmentation": [t]}]),
    skip=st.booleans(),
)  # fmt: skip
def test_coco_results(place: Path, content: bytes, skip: bool) -> None:
    reads("coco-results", place / "r.json", content, truth=GOLDEN / "coco-results" / "truth.json", skip_bad=skip)


@brief
@given(
    content=documents(
        lambda t: t,
        lambda t: {"images": t, "categories": t},
        lambda t: {"images": [{"id": t, "file_name": t}], "categories": [{"id": t, "name": t}]},
    )
)
def test_coco_results_truth(place: Path, content: bytes) -> None:
    truth = place / "truth.json"
    truth.write_bytes(content)
    results = place / "results.json"
    shutil.copy(GOLDEN / "coco-results" / "results.json", results)
    survives(lambda: get_format("coco-results").read(results, truth=truth), truth)


@brief
@given(content=spoiled([gzip.compress(b"[]"), zipped(b"[]")]))
def test_packed(place: Path, content: bytes) -> None:
    reads("geojson", place / "a.geojson.gz", content)


@hard
@given(content=spoiled(seeds("csv", ".csv", ".tsv")))
def test_csv(place: Path, content: bytes) -> None:
    reads("csv", place / "a.csv", content)


@pytest.fixture(scope="module")
def yolo(place: Path) -> Path:
    shutil.copytree(GOLDEN / "yolo", place / "yolo")
    return place / "yolo"


@hard
@given(content=spoiled(seeds("yolo", ".txt")))
def test_yolo_labels(yolo: Path, content: bytes) -> None:
    shutil.copy(GOLDEN / "yolo" / "data.yaml", yolo)
    (yolo / "napari-cyto-export.json").unlink(missing_ok=True)
    (yolo / "labels" / "train" / "field_1.txt").write_bytes(content)
    survives(lambda: get_format("yolo").read(yolo, image_width=100, image_height=200), yolo / "x")


@hard
@given(content=spoiled(seeds("yolo", ".yaml")))
def test_yolo_classes(yolo: Path, content: bytes) -> None:
    (yolo / "data.yaml").write_bytes(content)
    survives(lambda: get_format("yolo").read(yolo, image_width=100, image_height=200), yolo / "x")


@hard
@given(content=documents(lambda t: t, lambda t: {"slides": t}, lambda t: {"slides": {"field_1": t, "field_2": t}}))
def test_yolo_record(yolo: Path, content: bytes) -> None:
    shutil.copy(GOLDEN / "yolo" / "data.yaml", yolo)
    (yolo / "napari-cyto-export.json").write_bytes(content)
    survives(lambda: get_format("yolo").read(yolo, image_width=100, image_height=200), yolo / "x")


@hard
@given(content=spoiled(seeds("schemes", ".yaml")))
def test_yaml_schemes(place: Path, content: bytes) -> None:
    (place / "own.yaml").write_bytes(content)
    survives(lambda: load_scheme(place / "own.yaml"), place / "own.yaml")


@hard
@given(
    content=spoiled(seeds("schemes", ".json"))
    | documents(lambda t: t, lambda t: {"name": "a", "classes": t}, lambda t: {"name": "a", "classes": [t]})
)
def test_json_schemes(place: Path, content: bytes) -> None:
    (place / "own.json").write_bytes(content)
    survives(lambda: load_scheme(place / "own.json"), place / "own.json")


@pytest.fixture(scope="module")
def _quiet_tifffile() -> Iterator[None]:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    yield
    logging.getLogger("tifffile").setLevel(logging.NOTSET)


@hard
@given(data=st.data(), suffix=st.sampled_from([".png", ".tif", ".jpg", ".bmp"]))
@pytest.mark.usefixtures("_quiet_tifffile")
def test_image_headers(place: Path, data: st.DataObject, suffix: str) -> None:
    path = place / f"image{suffix}"
    valid = place / f"valid{suffix}"
    if not valid.exists():
        pixels = np.zeros((6, 9, 3), np.uint8)
        if suffix == ".tif":
            tifffile.imwrite(valid, pixels, photometric="rgb")
        else:
            Image.fromarray(pixels).save(valid)
    path.write_bytes(data.draw(spoiled([valid.read_bytes()])))
    survives(lambda: image_size_hw(path), path)
