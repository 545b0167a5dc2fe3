"""A factory of whole small bundles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_bundles import manifest_fields, tensor_bytes


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "small", content: bytes | None = None, **changes: Any) -> Path:
        if content is None:
            content = tensor_bytes({"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.zeros((), np.int64)})
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(content)
        text = json.dumps(manifest_fields(content, **({"id": name} | changes)))
        (folder / "model.json").write_text(text, encoding="utf-8")
        return folder

    return make
