"""Safetensors files seen without torch: whether they are whole, what they hold, whether all of it is finite.

Source: the safetensors format, https://huggingface.co/docs/safetensors (8 bytes of length, JSON header, raw data).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cyto.errors import CytoError

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""

_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8}
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_READ_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file.

    Parameters
    ----------
    name : str
        Its name in the state dict.
    dtype : str
        As the format says: ``F32``, ``F16``, ``I64`` ...
    shape : tuple of int
        Its lengths.
    start, end : int
        Bytes from the file's begin.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def looks_pickled(start: bytes) -> bool:
    """Return whether bytes begin as a pickle or a torch archive does."""
    return start.startswith(_PICKLE_STARTS)


def stored_tensors(content: bytes, path: Path) -> tuple[StoredTensor, ...]:
    """Return what a safetensors file holds, in the order of its bytes.

    Parameters
    ----------
    content : bytes
        The whole file.
    path : Path
        Where it comes from, for the sentences.

    Raises
    ------
    CytoError
        When it is a pickle, truncated, or not laid out as the format wants.
    """
    if looks_pickled(content):
        raise CytoError(
            f"{path}: this is a pickle under another name; opening it could run foreign code, so it is refused. "
            "Bundles hold safetensors only."
        )
    header, begin = _header(content, path)
    header.pop("__metadata__", None)
    tensors = sorted((_tensor(name, entry, begin, path) for name, entry in header.items()), key=lambda t: t.start)
    end = begin
    for tensor in tensors:
        if tensor.start != end:
            raise _broken(path, f"the bytes of {tensor.name[:80]!r} do not follow those before")
        end = tensor.end
    if end != len(content):
        raise _broken(path, f"its tensors need {end:,} bytes, but it has {len(content):,}")
    if not tensors:
        raise _broken(path, "it holds no tensor")
    return tuple(tensors)


def written_note(content: bytes, path: Path, name: str) -> str | None:
    """Return a text that the writer of a safetensors file left in its header under ``name``, if there is one.

    Raises
    ------
    CytoError
        When the header cannot be read.
    """
    notes = _header(content, path)[0].get("__metadata__")
    note = notes.get(name) if isinstance(notes, dict) else None
    return note if isinstance(note, str) else None


def first_not_finite(content: bytes, tensors: tuple[StoredTensor, ...]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity, or None."""
    return next((t.name for t in tensors if not _finite(memoryview(content)[t.start : t.end], t.dtype)), None)


def _header(content: bytes, path: Path) -> tuple[dict[str, Any], int]:
    if len(content) < 8:
        raise _broken(path, f"it has {len(content)} bytes")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(MAX_HEADER_BYTES, len(content) - 8):
        raise _broken(path, "its header is cut off")
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is no JSON object")
    return header, 8 + length


def _tensor(name: str, entry: object, begin: int, path: Path) -> StoredTensor:
    fault = _broken(path, f"its header says nonsense of {name[:80]!r}")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise fault
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise fault
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _broken(path, f"{name[:80]!r} has the type {str(dtype)[:20]!r}, and known are {', '.join(_BITS)}")
    if math.prod(shape) * _BITS[dtype] // 8 != offsets[1] - offsets[0]:
        raise fault
    return StoredTensor(name, dtype, tuple(shape), begin + offsets[0], begin + offsets[1])


def _counts(values: object) -> bool:
    """Whether ``values`` is a list of whole numbers that a file's size may hold."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in values)


def _finite(data: memoryview, dtype: str) -> bool:
    if dtype == "BF16":
        # All ones in the exponent: NaN or infinity, as in the float32 whose upper half it is.
        values = np.frombuffer(data, dtype="<u2")
        return not bool(((values & 0x7F80) == 0x7F80).any())
    if dtype not in _FLOATS:
        return True
    numbers = np.frombuffer(data, dtype=_FLOATS[dtype])
    step = _READ_AT_ONCE
    return all(bool(np.isfinite(numbers[i : i + step]).all()) for i in range(0, len(numbers), step))


def _broken(path: Path, reason: str) -> CytoError:
    return CytoError(f"{path}: this is no whole safetensors file ({reason}); copy or train the model again.")
