"""Promise: what is read in pieces, since it would not fit into memory, is what would be read as a whole."""

from __future__ import annotations

import gzip
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_rows import annotation_of, row_of
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError, JobCancelled
from napari_cyto.formats import _large_json as large_json
from napari_cyto.formats import _text_pieces as text_pieces
from napari_cyto.formats import annotation_spool, get_format
from napari_cyto.formats._large_json import FarList, read_large_json
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.text import parse_json, read_text
from napari_cyto.jobs.progress import watched

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = VALUES | st.lists(VALUES, max_size=6) | st.builds(
    lambda before, many, after: {**before, "features": many, **after},
    st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
    st.lists(VALUES, max_size=6),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)  # fmt: skip
# What is never there: all of the file is then looked at beforehand.
ALL = ("?",)
INDENTS = st.sampled_from([None, 0, 2])


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch):
    """Read every file in pieces of so many bytes, and keep next to nothing in memory."""

    def of(size: int) -> None:
        monkeypatch.setattr(text_pieces, "PIECE_BYTES", size)
        monkeypatch.setattr(text_pieces, "LARGE_BYTES", 0)
        monkeypatch.setattr(text_pieces, "_LARGE_PACKED_BYTES", 0)
        monkeypatch.setattr(large_json, "_NEAR_END", 100)
        monkeypatch.setattr(AnnotationSpool.__init__, "__defaults__", (2,))
        monkeypatch.setattr(annotation_spool, "ROWS_AT_ONCE", 3)

    return of


def whole(value: object) -> object:
    """Return JSON with its far list as a plain one."""
    if isinstance(value, FarList):
        return list(value)
    if isinstance(value, dict):
        return {name: list(each) if isinstance(each, FarList) else each for name, each in value.items()}
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(value=DOCUMENTS, indent=INDENTS, size=st.integers(1, 40), ascii_=st.booleans())
def test_json_in_pieces_is_the_json(value, indent, size: int, ascii_: bool, tmp_path: Path, pieces) -> None:
    pieces(size)
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode("utf-8", "replace").decode()
    path = tmp_path / "a.json"
    path.write_bytes(text.encode())
    assert repr(whole(read_large_json(path, "features", needed=ALL))) == repr(parse_json(text, path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(value=DOCUMENTS, indent=INDENTS, size=st.integers(1, 40), data=st.data())
def test_broken_json_is_refused_in_pieces_as_it_is_in_whole(value, indent, size, data, tmp_path, pieces) -> None:
    pieces(size)
    text = json.dumps(value, indent=indent)
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.sampled_from(["", "}", "]", ",", '"', "x", "\n", "1", " "])) + text[at + 1 :]
    path = tmp_path / "a.json"
    path.write_text(broken)
    try:
        expected = repr(parse_json(broken, path))
    except FormatError:
        with pytest.raises(FormatError, match="this is not JSON"):
            whole(read_large_json(path, "features", needed=ALL))
    else:
        assert repr(whole(read_large_json(path, "features", needed=ALL))) == expected


def test_an_error_names_line_and_column_in_pieces_too(tmp_path: Path, pieces) -> None:
    pieces(7)
    path = tmp_path / "a.json"
    path.write_text('{"features": [\n{"a": 1},\n{"a": 2, b},\n' + '{"a": 3},\n' * 400 + "]}")
    with pytest.raises(FormatError) as in_whole:
        parse_json(path.read_text(), path)
    with pytest.raises(FormatError) as in_pieces:
        whole(read_large_json(path, "features", needed=ALL))
    assert str(in_pieces.value) == str(in_whole.value)


@pytest.mark.parametrize("text", ['{"features": ' + "[" * 100_000, "[" * 100_000, '{"a": ' * 100_000])
def test_json_nested_without_end_is_a_sentence_in_pieces_too(text: str, tmp_path: Path, pieces) -> None:
    pieces(1 << 20)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FormatError, match="nested too deeply"):
        whole(read_large_json(path, "features", needed=ALL))


def test_two_lists_of_features_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"features": [1], "features": [2]}')
    for needed in (ALL, ()):
        with pytest.raises(FormatError, match="two lists called features"):
            whole(read_large_json(path, "features", needed=needed))


def test_a_fact_that_comes_too_late_is_never_passed_over(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(large_json, "_END_BYTES", 4)
    path = tmp_path / "a.json"
    path.write_text('{"features": [1], "crs": 7, "more": "abcdefgh"}')
    with pytest.raises(FormatError, match="its field crs comes long after features"):
        whole(read_large_json(path, "features", facts=("crs",)))


def feature(place: int, **more: object) -> dict:
    shapes = [
        {"type": "Point", "coordinates": [place, 5]},
        {"type": "Polygon", "coordinates": [[[place, 0], [place + 9, 0], [place + 9, 9], [place, 9], [place, 0]]]},
        {"type": "Polygon", "coordinates": [[[place, 0], [place + 9, 1], [place + 5, 8.25], [place, 0]]]},
        {"type": "MultiPoint", "coordinates": [[place, 1], [place, 2]]},
        {"type": "Point", "coordinates": [place, 5, 1]},
        {"type": "LineString", "coordinates": [[place, 1], [place, 2]]},
    ]
    properties = {"classification": {"name": ["a", "b", "Ignore*", "Region*"][place % 4]}, "measurements": {"p": 0.5}}
    return {"type": "Feature", "geometry": shapes[place % 6], "properties": properties, **more}


FACTS = {"napari_cyto": {"slide": {"name": "S 7", "width": 500, "height": 400}, "classes": [["a", "#102030"]]}}
FEATURES = [feature(place) for place in range(40)]
DIALECTS = {
    "facts first": json.dumps({"type": "FeatureCollection", **FACTS, "features": FEATURES}),
    "facts last": json.dumps({"type": "FeatureCollection", "features": FEATURES, **FACTS}, indent=1),
    "a list": json.dumps(FEATURES, indent=2),
    "lines": "\n".join(map(json.dumps, FEATURES)),
    "lines with a bad one": "\n".join([*map(json.dumps, FEATURES), "{", json.dumps(feature(3))]),
    "separators": "".join(f"\x1e{json.dumps(each)}\n" for each in FEATURES),
    "bad rows": json.dumps([*FEATURES, 7, feature(1, geometry={"type": "Point", "coordinates": ["x", 1]})]),
    "one feature": json.dumps(feature(1)),
    "a map's": json.dumps({"features": FEATURES, "crs": {"properties": {"name": "EPSG:31467"}}}),
    "none": '{"features": []}',
    "cut off": json.dumps({"features": FEATURES})[:-20],
    "no geojson": '{"images": []}',
}


def read_named(name: str, path: Path, **options: object) -> object:
    """Return what a format reads, without what differs each time, or its refusal."""
    try:
        labels = get_format(name).read(path, **options)
    except FormatError as error:
        return str(error)
    names = {slide.id: slide.name for slide in labels.slides}
    cells = [replace(a, id="", slide_id=names[a.slide_id], created_utc=None) for a in labels.annotations]
    return replace(labels, annotations=tuple(cells), slides=tuple(replace(s, id="") for s in labels.slides))


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_geojson_in_pieces_is_the_geojson(dialect: str, skip_bad: bool, tmp_path: Path, pieces) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(DIALECTS[dialect])
    expected = read_named("geojson", path, skip_bad=skip_bad)
    for size in (5, 64, 1000):
        pieces(size)
        assert read_named("geojson", path, skip_bad=skip_bad) == expected
    assert isinstance(expected, LabelSet) == (
        dialect not in ("a map's", "cut off", "no geojson") and (skip_bad or "bad" not in dialect)
    )


@pytest.mark.parametrize("pack", ["gz", "zip"])
def test_packed_files_are_read_in_pieces_too(pack: str, tmp_path: Path, pieces) -> None:
    plain = tmp_path / "a.geojson"
    plain.write_text(DIALECTS["facts last"])
    expected = read_named("geojson", plain)
    packed = tmp_path / f"a.geojson.{pack}"
    if pack == "gz":
        packed.write_bytes(gzip.compress(plain.read_bytes()))
    else:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "a.geojson")
    pieces(64)
    found = read_named("geojson", packed)
    assert isinstance(found, LabelSet)
    assert [replace(a, origin="") for a in found.annotations] == [replace(a, origin="") for a in expected.annotations]
    damaged = bytearray(packed.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    packed.write_bytes(bytes(damaged))
    assert "damaged" in str(read_named("geojson", packed)) or "not JSON" in str(read_named("geojson", packed))


@pytest.mark.parametrize("order", [("images", "annotations", "categories"), ("annotations", "categories", "images")])
def test_coco_in_pieces_is_the_coco(order: tuple[str, ...], tmp_path: Path, pieces) -> None:
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [n, 1, 5, 5]} for n in range(30)]
    parts = {
        "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 90}],
        "annotations": [*boxes, 7, {"id": 99, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps({name: parts[name] for name in order}))
    expected = [read_named("coco", path, skip_bad=skip) for skip in (False, True)]
    pieces(64)
    assert [read_named("coco", path, skip_bad=skip) for skip in (False, True)] == expected


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf[1,\n2]", "[1,\n2]".encode("utf-16"), b"[1,\n\xff2]", b"[1,\n\x002]", "[1,\n2]".encode("utf-16-le")],
)
def test_encodings_are_reported_in_pieces_as_in_whole(content: bytes, tmp_path: Path, pieces) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)

    def said(read) -> str:
        try:
            return read()
        except FormatError as error:
            return str(error)

    expected = said(lambda: read_text(path))
    pieces(1 << 20)
    assert said(lambda: "".join(text_pieces.text_pieces(path))) == expected


NUMBERS = st.floats(-1e9, 1e9)
SHAPES = (
    st.builds(Point, NUMBERS, NUMBERS)
    | st.builds(lambda y, x, h, w: Box(y, x, y + h, x + w), *[st.floats(1, 1e6)] * 4)
    | st.builds(Polygon, st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=9).map(tuple))
)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
ANNOTATIONS = st.builds(
    Annotation,
    slide_id=TEXTS,
    geometry=SHAPES,
    class_id=TEXTS.filter(bool),
    status=st.sampled_from(Status),
    author=TEXTS,
    origin=TEXTS,
    scores=st.lists(st.tuples(TEXTS, st.floats(0, 1)), max_size=3).map(tuple),
    note=TEXTS,
)


@settings(max_examples=60, deadline=None)
@given(annotations=st.lists(ANNOTATIONS, max_size=12))
def test_what_goes_through_a_file_comes_back_exactly(annotations: list[Annotation]) -> None:
    spool = AnnotationSpool(most_in_memory=2)
    spool.extend(annotations)
    assert list(spool) == list(spool) == annotations
    assert len(spool) == len(annotations)
    assert [annotation_of(row) for rows in spool.rows() for row in rows] == annotations
    assert list(spool.class_ids) == list(dict.fromkeys(a.class_id for a in annotations))
    assert [row_of(a) for a in annotations] == [row for rows in spool.rows() for row in rows]


def test_reading_says_how_far_it_is_and_can_be_ended(tmp_path: Path, pieces) -> None:
    pieces(64)
    path = tmp_path / "a.geojson"
    path.write_text(DIALECTS["facts first"])
    said: list[tuple[int, int, str]] = []

    def tell(*how_far: object) -> None:
        if how_far[2]:
            said.append(how_far)  # type: ignore[arg-type]
        if len(said) == 20:
            raise JobCancelled("Cancelled.")

    with watched(tell), pytest.raises(JobCancelled):
        get_format("geojson").read(path)
    assert said[-1] == (20 * 64, path.stat().st_size, "Checking a.geojson")
