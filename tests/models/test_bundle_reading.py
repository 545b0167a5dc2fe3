"""Guards that a bundle is what it was written as, and that everything else is refused in a sentence, torch or not."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_bundles import manifest_fields, tensor_bytes

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.models._manifest_file import calling, jsonable, meaning, read_manifest
from napari_cyto.models._tensor_file import looks_pickled, opened_tensors, stored_tensors
from napari_cyto.models.bundle import id_from_name, read_bundle, with_figures
from napari_cyto.models.manifest import Card

MakeBundle = Callable[..., Path]
ONES = {"w": np.ones((2, 3), dtype=np.float32)}


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")


def test_a_whole_bundle_is_read_without_torch(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    bundle = read_bundle(folder)
    assert (bundle.id, bundle.path, len(bundle.sha256)) == ("small", folder, 64)
    assert bundle.manifest.class_ids == preset("bethesda").ids
    assert bundle.as_parent("new cells").added == "new cells"
    code = (
        "import sys; from napari_cyto.models.bundle import read_bundle; from napari_cyto.models import library, card, "
        "suitability, registry; "
        f"read_bundle({str(folder)!r}); print('torch' in sys.modules, 'safetensors' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def link(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        away = folder.parent / f"away-{name}"
        shutil.move(folder / name, away)
        (folder / name).symlink_to(away)

    return change


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def say(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, **changes)


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


PICKLED = pickle.dumps({"w": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (cut, "incomplete"),
        (flip, "SHA-256"),
        (drop("model.safetensors"), "weights are missing"),
        (drop("model.json"), "no model bundle"),
        (link("model.safetensors"), "link"),
        (link("model.json"), "link"),
        (write("model.pth", b"x"), "safetensors only"),
        (write("pytorch_model.BIN", b"x"), "safetensors only"),
        (write("model.safetensors", PICKLED), "pickle"),
        (write("model.safetensors", b"PK\x03\x04" + b"0" * 60), "pickle"),
        (write("model.json", b"{"), "not valid JSON"),
        (write("model.json", b"[]"), "one JSON object"),
        (write("model.json", b"\xff\xfe\x00"), "UTF-16"),
        (write("model.json", b'{"mpp": NaN}'), "NaN"),
        (write("model.json", b'{"mpp": 1e999}'), "too large"),
        (write("model.json", b"[" * 100_000), "deeply"),
        (say(format=2), "format 2"),
        (say(format="1"), "format"),
        (say(architecture="gpt"), "architecture 'gpt' is unknown"),
        (say(kind="detector"), "which timm-classifier is not"),
        (say(kind="oracle"), "kind"),
        (say(wings=2), "wings"),
        (say(id="../../etc"), "id"),
        (say(id=""), "id"),
        (say(classes=[]), "classes"),
        (say(classes=[{"id": "a", "name": "a", "colour": "#000000"}] * 2), "more than once"),
        (say(classes=[{"id": "a", "name": "a", "colour": "red"}]), "#1a2b3c"),
        (say(decision={"logit_offsets": [0.0]}), "logit_offsets"),
        (say(normalisation={"std": [0, 1, 1]}), "above 0"),
        (say(crop_rule=None), "crop_rule"),
        (say(input_px=192), "input_px"),
        (say(mpp=0.5), "µm per px"),
        (say(mpp=-1), "mpp"),
        (say(weights_bytes=0), "weights_bytes"),
        (say(created_utc="yesterday"), "created_utc"),
    ],
)
def test_what_is_not_whole_is_refused(spoil: Callable[[Path], None], word: str, make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    spoil(folder)
    with pytest.raises(CytoError) as caught:
        read_bundle(folder)
    assert word in str(caught.value)
    assert str(folder) in str(caught.value) or "architecture" in word
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\x00" * 4, "4 bytes"),
        (struct.pack("<Q", 1 << 62) + b"{}", "cut off"),
        (struct.pack("<Q", 2) + b"no", "its header is not JSON"),
        (struct.pack("<Q", 2) + b"[]", "JSON object"),
        (struct.pack("<Q", 2) + b"{}", "no tensor"),
        (tensor_bytes(ONES) + b"more", "need"),
        (tensor_bytes(ONES).replace(b"F32", b"F99"), "F99"),
        (tensor_bytes(ONES).replace(b"[2, 3]", b"[2, 4]"), "invalid"),
        (tensor_bytes(ONES).replace(b"[2, 3]", b"[-2,3]"), "invalid"),
        (tensor_bytes(ONES).replace(b"[0, 24]", b"[4, 28]"), "do not follow"),
        (tensor_bytes(ONES).replace(b'"shape"', b'"shade"'), "invalid"),
        (tensor_bytes({"w": np.array([1, np.nan], dtype=np.float32)}), "NaN"),
        (tensor_bytes({"w": np.array([1, np.inf], dtype=np.float16)}), "NaN"),
        (tensor_bytes({"w": np.array([np.inf], dtype=np.float64)}), "NaN"),
        (tensor_bytes({"w": np.array([0x3F80, 0x7FC0], dtype=np.uint16)}), "NaN"),
    ],
)
def test_weights_with_the_right_hash_may_still_be_wrong(content: bytes, word: str, make_bundle: MakeBundle) -> None:
    with pytest.raises(CytoError, match=r"model\.safetensors") as caught:
        read_bundle(make_bundle(content=content))
    assert word in str(caught.value)


@pytest.mark.parametrize("bits", [0x7F7F, 0xFF7F, 0x0000])
def test_the_largest_bfloat16_is_finite(bits: int, make_bundle: MakeBundle) -> None:
    assert read_bundle(make_bundle(content=tensor_bytes({"w": np.array([bits], dtype=np.uint16)})))


def test_exchanged_classes_are_noticed(make_bundle: MakeBundle) -> None:
    said = manifest_fields(b"")
    content = tensor_bytes(ONES, {"napari_cyto.meaning": meaning(said)})
    folder = make_bundle(content=content)
    assert read_bundle(folder)
    rewrite(folder, classes=said["classes"][::-1])
    with pytest.raises(CytoError, match="changed after the weights"):
        read_bundle(folder)
    rewrite(folder, classes=said["classes"], summary="nothing that matters")


def test_exchanged_costs_and_calibration_are_noticed(make_bundle: MakeBundle) -> None:
    said = manifest_fields(b"", decision={"miss_costs": [1, 1, 1, 2, 2, 2, 1, 1], "temperature": 0.8})
    content = tensor_bytes(ONES, {"napari_cyto.meaning": meaning(said), "napari_cyto.calling": calling(said)})
    folder = make_bundle(content=content)
    for exchanged in ({"miss_costs": [1] * 8, "temperature": 0.8}, {"miss_costs": [1, 1, 1, 2, 2, 2, 1, 1]}):
        rewrite(folder, decision=exchanged)
        with pytest.raises(CytoError, match="costs were changed"):
            read_bundle(folder)
    rewrite(folder, decision=said["decision"] | {"score_threshold": 0.4})
    assert read_bundle(folder).manifest.decision.score_threshold == 0.4


@pytest.mark.parametrize("costs", [[1.0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, -1]])
def test_costs_that_are_none_are_refused(costs: list[float], make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    rewrite(folder, decision={"miss_costs": costs})
    with pytest.raises(CytoError, match="miss_costs"):
        read_bundle(folder)


def test_the_card_may_be_corrected_by_hand(make_bundle: MakeBundle) -> None:
    folder = make_bundle(content=tensor_bytes(ONES, {"napari_cyto.meaning": meaning(manifest_fields(b""))}))
    rewrite(folder, card={"summary": "better words"}, id="other-name")
    assert read_bundle(folder).manifest.card.summary == "better words"


def test_other_figures_leave_the_model_as_it_is(make_bundle: MakeBundle) -> None:
    before = read_bundle(
        make_bundle(content=tensor_bytes(ONES, {"napari_cyto.meaning": meaning(manifest_fields(b""))}))
    )
    result = with_figures(before, {"side": "out of fold", "value": np.float64(0.5), "gone": float("nan")})
    after = read_bundle(before.path)
    assert after.manifest == result.manifest
    assert after.manifest.card.metrics == {"side": "out of fold", "value": 0.5, "gone": None}
    unchanged = before.manifest.card.model_dump() | {"metrics": after.manifest.card.metrics}
    assert after.manifest.model_dump() == before.manifest.model_dump() | {"card": unchanged}


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("model.pt", PICKLED, "pickle"),
        ("weights", PICKLED, "pickle"),
        ("weights.bin", b"", "pickle"),
        ("notes.txt", b"hello", "this is a file"),
    ],
)
def test_a_file_is_no_bundle(name: str, content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CytoError, match=word):
        read_bundle(tmp_path / name)


@pytest.mark.parametrize("path", ["nowhere", "x" * 5000, "a\0b"])
def test_what_is_not_there_is_said(path: str, tmp_path: Path) -> None:
    with pytest.raises(CytoError):
        read_bundle(tmp_path / path)


def test_a_huge_manifest_is_not_read(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    with (folder / "model.json").open("r+b") as stream:
        stream.truncate(1 << 25)
    with pytest.raises(CytoError, match="bytes"):
        read_manifest(folder)


def test_what_a_run_knows_becomes_json() -> None:
    said = {"a": np.float32(0.5), Path("b"): np.arange(2), "c": ("x\udc80", Card(metrics={"d": np.int64(3)}))}
    plain = json.loads(json.dumps(jsonable(said)))
    assert (plain["a"], plain["b"], plain["c"][0], plain["c"][1]["metrics"]) == (0.5, [0, 1], "x?", {"d": 3})


def test_any_name_gives_an_id() -> None:
    assert [id_from_name(n) for n in ("My model, 2", "...", "жук", "a" * 200)] == [
        "My-model-2",
        "model",
        "model",
        "a" * 80,
    ]


def test_a_header_whose_length_begins_as_a_pickle_does_is_none(tmp_path: Path) -> None:
    """Of a header of 640 bytes the length begins with 80 02 (hex), as a pickle of protocol 2 does."""
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    for length in (640, 896, 1152, 1408):
        padded = struct.pack("<Q", length) + header.ljust(length) + bytes(8)
        (tmp_path / "w.safetensors").write_bytes(padded)
        assert [tensor.name for tensor in opened_tensors(tmp_path / "w.safetensors").tensors] == ["w"]
        assert [tensor.name for tensor in stored_tensors(padded, tmp_path)] == ["w"]
    for protocol in range(2, 6):
        assert looks_pickled(pickle.dumps({"w": [1.0]}, protocol)[:8])
