"""Bundles made without torch: a safetensors file is a header and numbers."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from napari_cyto.domain.presets import preset
from napari_cyto.models.manifest import ModelClass, ModelManifest

_DTYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint16": "BF16"}


def tensor_bytes(tensors: Mapping[str, npt.NDArray[Any]], notes: Mapping[str, str] | None = None) -> bytes:
    """What safetensors would write of these arrays; uint16 stands for the bits of bfloat16."""
    header: dict[str, Any] = {"__metadata__": dict(notes)} if notes else {}
    data = b""
    for name, array in tensors.items():
        raw = array.tobytes()
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def manifest_fields(content: bytes, **changes: Any) -> dict[str, Any]:
    """A whole model.json for a file of weights."""
    classes = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]
    return {
        "format": 1,
        "id": "small",
        "kind": "classifier",
        "architecture": "timm-classifier",
        "settings": {"backbone": "test_resnet", "head": 8},
        "classes": classes,
        "mpp": 51.2 / 224,
        "input_px": 224,
        "crop_rule": {"windows": [51.2], "unit": "um", "size_px": 224},
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "weights_bytes": len(content),
        "created_utc": "2026-01-02T03:04:05+00:00",
        "made_by": "a test",
        **changes,
    }


def manifest(**changes: Any) -> ModelManifest:
    return ModelManifest.model_validate(manifest_fields(b"x", **changes))
