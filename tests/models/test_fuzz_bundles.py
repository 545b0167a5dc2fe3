"""Promise: whatever bytes are in a bundle, reading it gives a whole bundle or one CytoError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bundles import manifest_fields, tensor_bytes

from napari_cyto.errors import CytoError
from napari_cyto.models._manifest_file import parse_manifest
from napari_cyto.models.bundle import read_bundle
from napari_cyto.models.card import card_html, card_text
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.models.suitability import fit

EXAMPLES = max(300, settings.default.max_examples if settings.default else 0)
hard = settings(max_examples=EXAMPLES, deadline=None)
WEIGHTS = tensor_bytes({"w": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float16)}, {"format": "pt"})
VALID = json.dumps(manifest_fields(WEIGHTS)).encode()
BOMBS = [
    *(b"NaN -Infinity 1e999 null true [] {} 0 -1 1e9 \x00 \xff\xfe \xef\xbb\xbf \\ud800 , : \" ''".split(b" ")),
    *(b"9" * 5000, b"[" * 3000, b'{"a":' * 2000, b"../../etc", b"\xed\xa0\x80"),
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["HSIL", "#000000", "p2p"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    content = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        new = draw(st.sampled_from(BOMBS) | st.binary(max_size=8) | st.just(content[start:end] * 2))
        content = content[:start] + new + content[end:]
    return content


@st.composite
def changed_fields(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest of which some fields, at any depth, hold something else."""
    fields = json.loads(VALID)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = fields
        while True:
            key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                break
            place = inner
        place[key] = draw(values)
    return dict(fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


def whole_or_refused(folder: Path, said: bytes, weights: bytes) -> None:
    (folder / "model.json").write_bytes(said)
    (folder / "model.safetensors").write_bytes(weights)
    try:
        bundle = read_bundle(folder)
    except CytoError:
        return
    used(bundle.manifest)


def used(manifest: ModelManifest) -> None:
    """What is accepted can be shown, judged and written again."""
    assert card_text(manifest)
    assert card_html(manifest)
    fit(manifest, manifest.class_scheme(), [None, 0.25])
    assert manifest.model_validate(manifest.model_dump()) == manifest


@hard
@given(said=st.one_of(mutated(VALID), st.binary(max_size=200)))
def test_any_manifest(said: bytes, folder: Path) -> None:
    whole_or_refused(folder, said, WEIGHTS)


@hard
@given(fields=changed_fields())
def test_any_value_anywhere(fields: dict[str, Any], folder: Path) -> None:
    try:
        manifest, _ = parse_manifest(json.dumps(fields), folder / "model.json")
    except CytoError:
        return
    used(manifest)


@hard
@given(weights=st.one_of(mutated(WEIGHTS), st.binary(max_size=200)))
def test_any_weights_whose_hash_is_right(weights: bytes, folder: Path) -> None:
    said = json.dumps(manifest_fields(weights or b"x")).encode()
    whole_or_refused(folder, said, weights)
