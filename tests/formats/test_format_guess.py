"""Promise: what a file is told by what is in it, nothing is guessed where two fit, and a refusal names what came."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.errors import FormatError
from napari_cyto.formats import FORMATS, get_format
from napari_cyto.formats import _sniffing_reader as glimpse
from napari_cyto.formats._sniffing_reader import HEAD_BYTES, Glimpse
from napari_cyto.formats.format_guess import fitting_formats, format_of

GOLDEN = Path(__file__).parents[1] / "golden"
EACH = {
    "apacc": ("apacc", "apacc/test", "apacc/train/10030_18_18000_136000.txt"),
    "geojson": ("geojson", "geojson/qupath_0.2.json", "geojson/qupath_0.5.geojson"),
    "coco": ("coco/instances.json", "coco-results/truth.json"),
    "yolo": ("yolo", "yolo/data.yaml"),
    "cric": ("cric", "cric/cells.csv", "cric/classifications.csv"),
    "asap": ("asap", "asap/smear_4.xml"),
    "csv": ("csv/everything.csv", "csv/semicolons.csv", "csv/tabs.tsv"),
    "voc": ("voc", "voc/Annotations", "voc/Annotations/field_1.xml"),
    "labelstudio": ("labelstudio/export.json",),
    "labelme": ("labelme", "labelme/field_1.json"),
    "cvat": ("cvat", "cvat/annotations.xml"),
    "imagescope": ("imagescope", "imagescope/smear_4.xml"),
    "via": ("via/project.json", "via/annotations.csv"),
    "coco-results": ("coco-results/results.json",),
    "sipakmed": ("sipakmed", "sipakmed/im_Parabasal", "sipakmed/im_Parabasal/im_Parabasal/001_cyt01.dat"),
}
PLACES = [(place, name) for name, places in EACH.items() for place in places]


def test_every_format_is_tried_here() -> None:
    assert set(EACH) == set(FORMATS)


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_exactly_one_format_fits(place: str, name: str) -> None:
    assert fitting_formats(GOLDEN / place) == (name,)


def test_a_format_is_looked_up_by_path() -> None:
    assert FORMATS["coco"].sniff(GOLDEN / "coco" / "instances.json")
    assert not FORMATS["coco"].sniff(GOLDEN / "voc")


@pytest.mark.parametrize(("place", "name"), [(p, n) for p, n in PLACES if (GOLDEN / p).is_file()])
def test_each_reader_says_what_came_instead(place: str, name: str) -> None:
    for other in FORMATS.keys() - {name}:
        if (other, name) in READ_AS_WELL:
            continue
        with pytest.raises(FormatError) as caught:
            get_format(other).read(GOLDEN / place)
        assert f"expected {FORMATS[other].title}, got {FORMATS[name].title}; import it as {name}." in str(caught.value)


# A reader that takes the other's file for what it says need not refuse it.
READ_AS_WELL = {("csv", "cric"), ("cric", "csv"), ("yolo", "apacc"), ("apacc", "yolo")}


def test_fields_are_seen_however_long_the_file_is(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png", "width": 1, "height": 1} for n in range(20_000)]
    content = json.dumps({"images": images, "annotations": [], "categories": []})
    assert len(content) > 2 * HEAD_BYTES
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    assert format_of(tmp_path / "a.json") == "coco"
    rows = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [1, 1, 1, 1]} for n in range(10_000)]
    (tmp_path / "b.json").write_text(json.dumps({"annotations": rows, "images": []}), encoding="utf-8")
    assert format_of(tmp_path / "b.json") == "coco"


def test_packed_files_are_looked_into(tmp_path: Path) -> None:
    content = (GOLDEN / "geojson" / "qupath_0.5.geojson").read_bytes()
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.geojson", content)
    assert format_of(tmp_path / "a.geojson.gz") == format_of(tmp_path / "a.zip") == "geojson"


def test_a_suffix_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes((GOLDEN / "voc" / "Annotations" / "field_1.xml").read_bytes())
    assert format_of(tmp_path / "a.json") == "voc"


def test_two_that_fit_are_named_and_none_is_taken(tmp_path: Path) -> None:
    for place in ("asap/smear_4.xml", "voc/Annotations/field_1.xml"):
        (tmp_path / Path(place).name).write_bytes((GOLDEN / place).read_bytes())
    with pytest.raises(FormatError, match=r"may be asap \(ASAP XML\) or voc \(Pascal VOC\)"):
        format_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'{"answer": 42, "question": {"a": 1}}', "JSON, a mapping with answer, question"),
        ("a.xml", b"<?xml version='1.0'?><!-- x --><svg></svg>", "XML whose first element is svg"),
        ("a.csv", b"colour;weight\nred;3\n", "a table with the columns colour, weight"),
        ("a.bin", b"\x00\x01\x02", "no text"),
        ("a.txt", b"hello there", "text of no known kind"),
    ],
)
def test_what_is_no_label_file_is_described(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match="its format cannot be recognised from its content") as caught:
        format_of(tmp_path / name, "say it")
    assert f"({words}); say it (apacc, " in str(caught.value)


def test_a_folder_of_something_else_names_the_file_to_choose(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_bytes((GOLDEN / "coco" / "instances.json").read_bytes())
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FormatError, match=r"in it, labels\.json looks like coco \(COCO\): choose the file"):
        format_of(tmp_path)


@pytest.mark.parametrize("piece", [b"[", b"{", b'{"a":', b'[{"a":[', b'"', b"<", b"\\", b"]", b'"a",', b"<a", b"a,"])
def test_looking_at_the_worst_is_quick(piece: bytes, tmp_path: Path) -> None:
    """A look that is paid for by the square of what is looked at would hang here for minutes."""
    path = tmp_path / "a.json"
    path.write_bytes((b"{" if piece == b'"a",' else b"") + piece * (HEAD_BYTES // len(piece) + 10))
    assert fitting_formats(path) in ((), ("csv",))


def test_a_tree_of_millions_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glimpse, "MOST_LOOKED_AT", 50)
    looked_at: list[Path] = []
    monkeypatch.setattr(glimpse, "inner_suffix", lambda path: looked_at.append(path) or path.suffix)
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(20):
            (tmp_path / str(folder) / f"{number}.dcm").touch()
    assert list(Glimpse(tmp_path).files((".xml",), below=True)) == []
    assert len(looked_at) <= 50 + 11


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file or folder"):
        format_of(tmp_path / "nothing.json")


@given(st.binary(max_size=400) | st.text(alphabet='{}[]:,"\\ab<>?!/=;\n', max_size=200).map(str.encode))
def test_looking_never_fails(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "looked_at.json"
    path.write_bytes(content)
    fitting_formats(path)
    assert Glimpse(path).words()


names = st.text("abc\\\"'{[]:,", max_size=3)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abc\\\"'{[]:,", max_size=3), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_fields_are_those_that_json_has(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    path = tmp_path_factory.getbasetemp() / "fields.json"
    path.write_text(json.dumps({"top": data, "other": 1}), encoding="utf-8")
    keys = Glimpse(path).keys
    assert {("top",), ("other",)} <= keys
    assert {key[0] for key in keys} == {"top", "other"}
