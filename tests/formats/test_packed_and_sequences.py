"""Promise: label files are read packed or as sequences too, and a small file cannot fill the memory."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from napari_cyto.domain.geometry import Point
from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format, label_files
from napari_cyto.formats.format_guess import format_of
from napari_cyto.formats.label_files import inner_suffix, label_stem

GOLDEN = Path(__file__).parents[1] / "golden"
QUPATH = (GOLDEN / "geojson" / "qupath_0.5.geojson").read_bytes()


def feature(x: float, y: float) -> dict[str, object]:
    place = {"type": "Point", "coordinates": [x, y]}
    return {"type": "Feature", "geometry": place, "properties": {"classification": {"name": "HSIL"}}}


def archive(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".geojson.gz", ".json.gz", ".zip", ".geojson.zip"])
def test_packed_geojson_is_of_the_slide_that_it_is_called_after(suffix: str, tmp_path: Path) -> None:
    """QuPath exports .geojson.gz and .zip: https://github.com/qupath/qupath/pull/1103."""
    path = tmp_path / f"H23.0412{suffix}"
    packed = gzip.compress(QUPATH) if suffix.endswith(".gz") else archive(**{"H23.0412.geojson": QUPATH})
    path.write_bytes(packed)
    labels = get_format("geojson").read(path)
    assert labels.slides[0].name == "H23.0412"
    plain = get_format("geojson").read(GOLDEN / "geojson" / "qupath_0.5.geojson")
    assert [a.geometry for a in labels.annotations] == [a.geometry for a in plain.annotations]
    assert len(get_format("geojson").read(tmp_path).annotations) == len(plain.annotations)


@pytest.mark.parametrize(
    ("name", "place", "inside"),
    [("coco", "coco/instances.json", "a.json"), ("cvat", "cvat/annotations.xml", "annotations.xml")],
)
def test_other_formats_may_be_packed_too(name: str, place: str, inside: str, tmp_path: Path) -> None:
    content = (GOLDEN / place).read_bytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.zip").write_bytes(archive(**{inside: content, "images/1.png": b"", "__MACOSX/._a.json": b"\0"}))
    for packed in ("a.gz", "a.zip"):
        assert format_of(tmp_path / packed) == name
        assert len(get_format(name).read(tmp_path / packed).annotations) == len(
            get_format(name).read(GOLDEN / place).annotations
        )


def test_an_archive_of_several_label_files_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive(**{"S1.geojson": QUPATH, "S2.geojson": QUPATH}))
    with pytest.raises(FormatError, match=r"one label file, but it holds 2 \(S1\.geojson, S2\.geojson\); unpack it"):
        get_format("geojson").read(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(archive(**{"a.png": b""}))
    with pytest.raises(FormatError, match="one label file, but it holds none"):
        get_format("geojson").read(tmp_path / "b.zip")


@pytest.mark.parametrize("suffix", [".geojson.gz", ".zip"])
def test_what_unpacks_to_too_much_is_refused_before_it_is_there(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_files, "MAX_UNPACKED_BYTES", 1 << 21)
    bomb = b" " * (1 << 22)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(bomb) if suffix.endswith(".gz") else archive(**{"a.geojson": bomb}))
    assert path.stat().st_size < 10_000
    with pytest.raises(FormatError, match="unpacked, it has more than 2,097,152 bytes"):
        get_format("geojson").read(path)


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    for content in (gzip.compress(QUPATH)[:-20], archive(**{"a.geojson": QUPATH})[:200]):
        (tmp_path / "a.geojson.gz").write_bytes(content)
        with pytest.raises(FormatError, match="damaged or of an unknown kind"):
            get_format("geojson").read(tmp_path / "a.geojson.gz")


@pytest.mark.parametrize("start", ["", "\x1e"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sequences_of_features(start: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "S1.geojsonl"
    path.write_bytes("".join(f"{start}{json.dumps(feature(x, 2))}{end}" for x in (1, 3)).encode())
    assert format_of(path) == "geojson"
    labels = get_format("geojson").read(path)
    assert [a.geometry for a in labels.annotations] == [Point(2, 1), Point(2, 3)]
    assert labels.slides[0].name == "S1"


def test_texts_of_a_sequence_may_have_lines(tmp_path: Path) -> None:
    path = tmp_path / "S1.geojsons"
    path.write_text("".join(f"\x1e{json.dumps(feature(x, 2), indent=1)}\n" for x in (1, 3)), encoding="utf-8")
    assert len(get_format("geojson").read(path).annotations) == 2


def test_a_bad_line_of_a_sequence_is_named_and_may_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    lines = [json.dumps(feature(1, 2)), json.dumps(feature(3, 2)), "{broken", json.dumps(feature(5, 2))]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(FormatError, match="line 3: this is not JSON"):
        get_format("geojson").read(path)
    assert len(get_format("geojson").read(path, skip_bad=True).annotations) == 3


def test_names_lose_the_endings_of_label_files_only() -> None:
    names = ["S1.2.geojson", "S1.2.geojson.gz", "S1.2.zip", "S1.2", ".geojson", "a.JSON.GZ"]
    assert [label_stem(Path(n)) for n in names] == ["S1.2", "S1.2", "S1.2", "S1.2", ".geojson", "a"]
    assert [inner_suffix(Path(n)) for n in ("a.csv.gz", "a.JSON", "a")] == [".csv", ".json", ""]
