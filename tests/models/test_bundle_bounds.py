"""Promise: a stranger's bundle is bounded before it is read: its numbers, its files' sizes, how deep it is nested."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_bundles import manifest_fields, tensor_bytes

from napari_cyto.errors import CytoError
from napari_cyto.models import _tensor_file as tensor_file
from napari_cyto.models._manifest_file import parse_manifest
from napari_cyto.models.bundle import read_bundle

MakeBundle = Callable[..., Path]
NAN, INF = float("nan"), float("inf")
SIX, EIGHT = [1.0] * 6, [1.0] * 8


def with_value(place: str, value: Any) -> dict[str, Any]:
    fields = manifest_fields(b"x", colour={"picture": "a", "mean_lab": [50, 0, 0], "std_lab": [9, 9, 9]})
    fields |= {"normalisation": {"mean": [0.5] * 3, "std": [0.5] * 3}, "tolerance": {}, "decision": {}}
    inner: Any = fields
    *path, last = place.split(".")
    for part in path:
        inner = inner[int(part)] if isinstance(inner, list) else inner[part]
    inner[int(last) if isinstance(inner, list) else last] = value
    return fields


NONSENSE = {
    "normalisation.std.0": (0, 1e-30, 1e-4, -1, 1e30, NAN, INF, "x", None),
    "normalisation.mean.1": (1e30, -11, NAN, INF, "x", None),
    "normalisation.mean": ([], [0.5], [0.5] * 4),
    "normalisation.std": ([], [0.5], [0.5] * 4),
    "colour.std_lab.0": (-1, 1e9, NAN),
    "colour.mean_lab.0": (1e9, NAN),
    "mpp": (0, -1, 1e-9, 1e9, NAN, INF),
    "input_px": (0, -1, 8, 1e9, 0.5, NAN),
    "crop_rule.windows": ([], [0], [-1], [1e9], [NAN], [1] * 5),
    "crop_rule.size_px": (0, -1, 1e9, NAN),
    "decision.temperature": (0, -1, 1e-30, 1e30, NAN, INF),
    "decision.score_threshold": (-0.1, 1.1, NAN),
    "decision.merge_um": (-1, 1e9, NAN),
    "decision.views": (0, 9, 1e9, NAN),
    "decision.miss_costs": ([0.0, *[1.0] * 7], [-1.0] * 8, [1e30] * 8, [NAN] * 8, [1.0] * 7),
    "decision.logit_offsets": ([1e9] * 8, [NAN] * 8, [0.0] * 7),
    "tolerance.matched_f1": (0, 0.01, 1.1, NAN),
    "tolerance.same_calls": (0, 0.01, 1.1, NAN),
    "tolerance.probability": (0, 1.1, NAN),
    "tolerance.place_px": (0, 100, NAN),
    "classes.0.box_um": (0, -1, 1e9, NAN),
    "classes.0.severity": (1e9, 0.5, NAN),
    "classes.0.id": ("", "x" * 10_000, "a\nb", 3),
    "classes": ([],),
    "weights_bytes": (0, -1, 1e30, 1 << 40, NAN),
}


@pytest.mark.parametrize(("place", "value"), [(p, v) for p, values in NONSENSE.items() for v in values])
def test_every_number_of_a_manifest_has_a_range(place: str, value: Any) -> None:
    text = json.dumps(with_value(place, value))
    with pytest.raises(CytoError):
        parse_manifest(text, Path("model.json"))


def test_the_manifest_that_they_are_put_into_is_whole() -> None:
    parse_manifest(json.dumps(with_value("decision.miss_costs", EIGHT)), Path("model.json"))


@pytest.mark.parametrize("deep", ['{"card":' * 500 + "1" + "}" * 500, "[" * 100_000 + "]" * 100_000])
def test_deep_nesting_is_a_sentence(deep: str) -> None:
    with pytest.raises(CytoError):
        parse_manifest(deep, Path("model.json"))


def test_a_header_of_gigabytes_is_refused_before_it_is_read(make_bundle: MakeBundle) -> None:
    """The file is sparse: whoever reads what its first bytes ask for takes 8 GB."""
    folder = make_bundle()
    weights, size = folder / "model.safetensors", (1 << 32) - 8
    with weights.open("wb") as stream:
        stream.write(struct.pack("<Q", size - 8))
        stream.truncate(size)
    said = json.loads((folder / "model.json").read_text()) | {"weights_bytes": size}
    (folder / "model.json").write_text(json.dumps(said))
    tracemalloc.start()
    with pytest.raises(CytoError, match="its header has"):
        read_bundle(folder)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_file_longer_than_the_manifest_says_is_not_read(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.truncate(10 << 30)
    with pytest.raises(CytoError, match="bytes are expected, but it has"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [0, 1 << 47], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [-6], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [6], "data_offsets": [0, 1 << 63]},
        {"dtype": "F32", "shape": [1] * 10_000, "data_offsets": [0, 4]},
    ],
)
def test_shapes_that_overflow_are_refused(entry: dict[str, Any], make_bundle: MakeBundle) -> None:
    text = json.dumps({"w": entry}).encode()
    with pytest.raises(CytoError, match="incomplete or damaged"):
        read_bundle(make_bundle(content=struct.pack("<Q", len(text)) + text + bytes(24)))


def test_weights_are_hashed_and_looked_at_in_parts(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_file, "_READ_AT_ONCE", 16)
    values = np.arange(50, dtype=np.float32)
    read_bundle(make_bundle("good", tensor_bytes({"w": values, "n": np.zeros(3, np.int64)})))
    values[33] = np.nan
    with pytest.raises(CytoError, match="'w' contain NaN"):
        read_bundle(make_bundle("bad", tensor_bytes({"v": np.zeros(2, np.float32), "w": values})))


def test_links_pickles_and_archives_are_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    folder = make_bundle()
    for name in ("model.json", "model.safetensors"):
        kept = folder / f"elsewhere-{name}"
        (folder / name).rename(kept)
        (folder / name).symlink_to(kept)
        with pytest.raises(CytoError, match="link to a file elsewhere"):
            read_bundle(folder)
        (folder / name).unlink()
        kept.rename(folder / name)
    archive = tmp_path / "model.zip"
    archive.write_bytes(b"PK\x03\x04" + bytes(30))
    with pytest.raises(CytoError, match="a bundle is a folder"):
        read_bundle(archive)
    (folder / "extra.pt").write_bytes(b"")
    with pytest.raises(CytoError, match="can run foreign code"):
        read_bundle(folder)


RESERVED = ("con", "NUL", "aux.v2", "com1", "LPT9", "CONIN$", "..", ".hidden", "a/b", "a\\b", "", "a" * 81, "end.")


@pytest.mark.parametrize("name", RESERVED)
def test_an_id_is_a_folders_name_on_every_system(name: str) -> None:
    with pytest.raises(CytoError):
        parse_manifest(json.dumps(with_value("id", name)), Path("model.json"))
