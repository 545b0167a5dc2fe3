"""Promise: hostile names and files cannot write outside, collapse, hang or crash; they become one sentence."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError, SchemeError
from napari_cyto.formats import get_format, safe_name, safe_names
from napari_cyto.formats.schemes import load_scheme, save_scheme

HOSTILE = [
    "..", ".", "", " ", "../../etc/passwd", "/etc", "a/b", "a\\b", "C:\\x", "a\x00b", "CON", "nul.txt", "com1", "LPT³",
    "a.", "a ", "a:b", "x" * 500, "ü" * 200, "\ud800", "\u202egnp.exe", "*?", "~", "a~b", "\n", "-rf", "con .png",
]  # fmt: skip
WINDOWS_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}


def is_safe(name: str) -> bool:
    good = 0 < len(name.encode("utf-8")) <= 120 and not set(name) & set('/\\:*?"<>|\x00\n') and name.isprintable()
    reserved = name.partition(".")[0].strip().lower() in WINDOWS_RESERVED
    inside = Path("x", name).resolve().parent == Path("x").resolve() and PureWindowsPath(name).name == name
    return good and not reserved and inside and name[-1] not in ". " and name[0] not in ". "


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_become_safe(text: str) -> None:
    assert is_safe(safe_name(text))


@pytest.mark.parametrize("text", ["healthy", "ASC-US", "10030_18", "Plattenepithel ü", "細胞", "a+b (2)", "v1.2"])
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert safe_name(text) == text


@given(st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), unique=True, max_size=8))
def test_different_names_stay_different(texts: list[str]) -> None:
    assert len({safe_name(text) for text in texts}) == len(texts)
    names = safe_names(texts)
    assert all(map(is_safe, names.values()))
    assert len({name.casefold() for name in names.values()}) == len(texts)


def test_names_that_differ_in_case_only_get_folders_of_their_own() -> None:
    names = safe_names(["HSIL", "hsil", "Hsil"])
    assert names["HSIL"] == "HSIL"
    assert len({n.lower() for n in names.values()}) == 3


@pytest.mark.parametrize("name", ["geojson", "yolo", "asap", "apacc"])
def test_hostile_slides_and_classes_write_inside_the_target_only(name: str, tmp_path: Path) -> None:
    classes = ["healthy"] if name == "apacc" else [t for t in HOSTILE if t.isprintable() and t.strip()]
    slides = tuple(SlideRecord(name=t, size_hw=(2000, 2000), smear=t, stem=t, side="../up") for t in HOSTILE)
    cells = tuple(
        Annotation(slide_id=s.id, geometry=Box(1, 1, 9, 9), class_id=classes[i % len(classes)])
        for i, s in enumerate(slides)
    )
    get_format(name).write(LabelSet(slides, cells), tmp_path / "a" / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["out"]
    files = [p for p in (tmp_path / "a" / "out").rglob("*") if p.suffix in (".geojson", ".xml", ".txt")]
    assert len(files) == len(HOSTILE)
    assert all(is_safe(p.stem) for p in files)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
@pytest.mark.parametrize("name", PRESETS)
def test_schemes_come_back_as_they_were_saved(name: str, suffix: str, tmp_path: Path) -> None:
    save_scheme(preset(name), tmp_path / f"a{suffix}")
    assert load_scheme(tmp_path / f"a{suffix}") == preset(name)


def test_a_scheme_of_ones_own(golden: Path) -> None:
    scheme = load_scheme(golden / "schemes" / "own.yaml")
    assert (scheme.name, scheme.version, scheme.ids) == ("own", 2, ("Trichomonas", "Candida"))
    assert load_scheme(golden / "schemes" / "own.json") == scheme


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "line 2|line 1"),
        ("name: a\nversion: 1\nclasses:\n- {id: a}\n", "own.yaml: Expected at least an id and a colour for each class"),
        ("a: &x [1]\nb: *x\n", "line 2: .*aliases"),
        ("name: a\nshoe: 1\n", "unknown field"),
        ("- 1", "Expected a class scheme"),
        ("", "Expected a class scheme"),
        ("a: !!python/object:os.system {}", "line 1"),
        ("[" * 5000, "cannot be read|not plain YAML"),
        ("name: a\nclasses: [{id: a, colour: 0x" + "f" * 5000 + "}]", "own.yaml"),
    ],
)
def test_schemes_that_are_none(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises((SchemeError, FormatError), match=reason) as caught:
        load_scheme(tmp_path / "own.yaml")
    assert "own.yaml" in str(caught.value)


def test_a_scheme_of_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"\.yaml, \.yml, \.json"):
        load_scheme(tmp_path / "a.toml")
    with pytest.raises(FormatError, match="no such file"):
        load_scheme(tmp_path / "a.yaml")


BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<ASAP_Annotations>&lol2;</ASAP_Annotations>"""
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><ASAP_Annotations>&x;</ASAP_Annotations>'
POINT = '{"type": "Point", "coordinates": [1, %s]}'


@pytest.mark.parametrize(
    ("name", "file_name", "content", "reason"),
    [
        ("asap", "a.xml", BILLION_LAUGHS, "document type"),
        ("asap", "a.xml", EXTERNAL, "document type"),
        ("asap", "a.xml", "<html/>", "expected ASAP"),
        ("asap", "a.xml", "<ASAP_Annotations>\n<a>\n</b>", "line 3: this is not XML"),
        (
            "asap",
            "a.xml",
            "<ASAP_Annotations>\n<Annotation Type='Dot'></Annotation></ASAP_Annotations>",
            "line 2: .*Dot",
        ),
        ("geojson", "a.json", '{\n"a": }', "line 2: this is not JSON"),
        ("geojson", "a.json", "[" * 100_000, "too deeply|not JSON"),
        ("geojson", "a.json", POINT % ("9" * 5000), "number"),
        ("geojson", "a.json", POINT % "1e999", "to be a number"),
        ("geojson", "a.json", POINT % "NaN", "to be a number"),
        ("geojson", "a.json", POINT % '"7; drop"', "to be a number"),
        ("geojson", "a.json", '[{"type": "Feature", "geometry": {"type": "Circle"}}]', "feature 1: .*'Circle'"),
        ("geojson", "a.json", '{"type": "Topology"}', "expected GeoJSON"),
        (
            "coco",
            "a.json",
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}',
            "entry 2: the id 1",
        ),
        ("coco", "a.json", "[]", "expected a mapping with images"),
        ("cric", "a.csv", "image,x,y\n", "bethesda_system is missing"),
        ("cric", "a.csv", "image,bethesda,x,y\na,NILM,1,2\na,,1,2\n", "line 3: expected a printable class name"),
        ("csv", "a.csv", "", "the file is empty"),
        ("csv", "a.csv", "x,y\n1,2\n", "label is missing"),
        ("csv", "a.csv", "x,y,label\n1,2,a\n1,2,a,b\n", "line 3: expected 3 values"),
        ("csv", "a.csv", 'x,y,label\n1,2,"a\n', "line 2"),
        ("csv", "a.csv", "x,y,label,status\n1,2,a,maybe\n", "line 2: expected one of the statuses"),
        ("csv", "a.csv", "x,y,x,label\n", "occurs more than once"),
        ("csv", "a.csv", "x,y,label\n1,inf,a\n", "line 2: expected y to be a number"),
        ("yolo", "data.yaml", "train: x\n", "expected a mapping with names"),
    ],
)
def test_bad_files_name_file_line_and_reason(
    name: str, file_name: str, content: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / file_name
    path.write_text(content)
    with pytest.raises(FormatError, match=reason) as caught:
        get_format(name).read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["geojson", "coco", "cric", "asap", "csv", "apacc"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"\xff\xfe\x00"])
def test_binary_and_empty_files(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a_0_0.txt"
    path.write_bytes(content)
    if name == "apacc" and not content:
        assert get_format(name).read(path).annotations == ()
        return
    with pytest.raises(CytoError, match=r"a_0_0\.txt"):
        get_format(name).read(path)


def test_files_too_large_for_labels_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(FormatError, match="bytes; label files up to"):
        get_format("coco").read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("apacc", "geojson", "coco", "yolo", "cric", "asap", "csv"):
        with pytest.raises(FormatError, match="no such file"):
            get_format(name).read(tmp_path / "absent")
