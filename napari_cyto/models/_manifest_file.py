"""Reading ``model.json``: whatever is in it, a whole manifest or one sentence comes of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from napari_cyto.errors import FormatError
from napari_cyto.formats.text import read_text
from napari_cyto.models.manifest import FORMAT, ModelManifest, first_fault

MANIFEST_NAME = "model.json"
MAX_BYTES = 1 << 24
_MEANING = ("kind", "architecture", "settings", "mpp", "input_px", "normalisation", "crop_rule", "colour")
Digests = tuple[str, str]
_CALLING = ("temperature", "logit_offsets", "miss_costs", "views")


def read_manifest(folder: Path) -> tuple[ModelManifest, Digests]:
    """Return the manifest of the bundle in ``folder``, and its digests; the weights are not looked at.

    Raises
    ------
    CytoError
        When it is missing, a link, no JSON, of a newer version, or says what no model can be.
    """
    path = folder / MANIFEST_NAME
    try:
        if path.is_symlink():
            raise FormatError(
                "the manifest is a link to a file elsewhere, which a bundle must not contain; copy the file itself.",
                path,
            )
        there = path.is_file()
    except (OSError, ValueError) as error:
        raise FormatError(
            f"the manifest cannot be read ({getattr(error, 'strerror', None) or error}).", path
        ) from error
    if not there:
        raise FormatError(f"the manifest is missing, so this is no model bundle; a bundle has a {MANIFEST_NAME}.", path)
    return parse_manifest(read_text(path, MAX_BYTES), path)


def parse_manifest(text: str, path: Path) -> tuple[ModelManifest, Digests]:
    """Return the manifest that a text holds, and the digests of what it says of the weights and of calls.

    Parameters
    ----------
    text : str
        JSON.
    path : Path
        Where it comes from, for the sentences.

    Raises
    ------
    CytoError
        As ``read_manifest``.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise FormatError("the manifest is nested too deeply.", path) from None
    except ValueError as error:
        raise FormatError(f"the manifest is not valid JSON ({str(error)[:120]}).", path) from error
    _check_version(content, path)
    try:
        return ModelManifest.model_validate_json(json.dumps(content)), (meaning(content), calling(content))
    except ValidationError as error:
        raise FormatError(f"the manifest is invalid ({first_fault(error)}).", path) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"the manifest is invalid ({str(error)[:120]}).", path) from error


def meaning(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says the weights mean: exchanged classes must not go unnoticed.

    Parameters
    ----------
    content : mapping
        The JSON of ``model.json``, as it was written: fields that a later version adds change nothing.
    """
    fields: dict[str, Any] = {name: content.get(name) for name in _MEANING}
    fields["classes"] = [c["id"] for c in content["classes"]]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def calling(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says of probabilities and calls: exchanged costs must not go unnoticed.

    Parameters
    ----------
    content : mapping
        The JSON of ``model.json``, as it was written.
    """
    decision = content.get("decision") or {}
    fields = {name: decision[name] for name in _CALLING if decision.get(name)}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def jsonable(value: Any) -> Any:
    """Return plain values that JSON can hold, of what a run knows: numpy's numbers, paths, names of any bytes."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {jsonable(str(name)): jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, PurePath):
        value = str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _check_version(content: Any, path: Path) -> None:
    if not isinstance(content, dict):
        raise FormatError("expected one JSON object as the manifest.", path)
    version = content.get("format")
    if type(version) is int and version > FORMAT:
        raise FormatError(
            f"the manifest has format {str(version)[:20]}, and this napari-cyto reads up to {FORMAT}; update "
            "napari-cyto.",
            path,
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
