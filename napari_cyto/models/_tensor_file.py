"""Safetensors files seen without torch: whether they are whole, what they hold, whether all of it is finite.

Source: the safetensors format, https://huggingface.co/docs/safetensors (8 bytes of length, JSON header, raw data).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_cyto.errors import CytoError

MAX_HEADER_BYTES = 1 << 24
"""The format's own limit is 100 MB, which takes a gigabyte to read; 16 MiB are some 150,000 tensors."""

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


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file of which the header was read, and no tensor.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Its bytes.
    start : bytes
        Those before the first tensor.
    tensors : tuple of StoredTensor
        What it holds, in the order of its bytes, without a gap from the header to the end.
    notes : mapping
        Texts that its writer left in the header.
    """

    path: Path
    size: int
    start: bytes
    tensors: tuple[StoredTensor, ...]
    notes: Mapping[str, str]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor by its name."""
        return {t.name: t.shape for t in self.tensors}

    def looked_through(self) -> tuple[str, str | None]:
        """Return the SHA-256 of the whole file, and the first tensor that holds NaN or infinity, if one does.

        A part at a time is in memory, however large the file is.

        Raises
        ------
        CytoError
            When it is not as long any more as it was.
        OSError
            When it cannot be read.
        """
        digest, fault = hashlib.sha256(), None
        with self.path.open("rb") as stream:
            digest.update(_exactly(stream, len(self.start), self.path))
            for tensor in self.tensors:
                left = tensor.end - tensor.start
                while left:
                    part = _exactly(stream, min(left, _READ_AT_ONCE), self.path)
                    left -= len(part)
                    digest.update(part)
                    if fault is None and not _finite(memoryview(part), tensor.dtype):
                        fault = tensor.name
        return digest.hexdigest(), fault


def opened_tensors(path: Path) -> TensorFile:
    """Return a safetensors file of which the header alone is read; its length decides nothing before it is checked.

    Raises
    ------
    CytoError
        When it is a pickle, truncated, or not laid out as the format wants.
    OSError
        When it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        _refuse_pickle(start, path)
        start += stream.read(_header_bytes(start, size, path))
    header, begin = _header(start, path, size)
    notes = header.pop("__metadata__", None)
    texts = {n: t for n, t in notes.items() if isinstance(t, str)} if isinstance(notes, dict) else {}
    return TensorFile(path, size, start, _laid_out(header, begin, size, path), texts)


def looks_pickled(start: bytes) -> bool:
    """Return whether bytes begin as a pickle or a torch archive does.

    A safetensors file whose header is 640, 896, 1,152 or 1,408 bytes long begins with the same two bytes; but the rest
    of its length is zeros, and 0 is no opcode of a pickle.
    """
    return start.startswith(_PICKLE_STARTS) and start[2:8] != bytes(6)


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
    _refuse_pickle(content, path)
    header, begin = _header(content, path, len(content))
    header.pop("__metadata__", None)
    return _laid_out(header, begin, len(content), path)


def file_as_tensor(name: str, content: bytes, notes: Mapping[str, str]) -> bytes:
    """Return a safetensors file that holds the bytes of another file as one tensor of uint8.

    Parameters
    ----------
    name : str
        Of the tensor.
    content : bytes
        The other file.
    notes : mapping
        Texts for the header.
    """
    entry = {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}
    header = json.dumps({"__metadata__": dict(notes), name: entry}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content


def _refuse_pickle(start: bytes, path: Path) -> None:
    if looks_pickled(start):
        raise CytoError(
            f"{path}: this is a pickle with another suffix; opening it could run foreign code, so it is refused. "
            "Bundles may contain safetensors only."
        )


def _laid_out(header: dict[str, Any], begin: int, size: int, path: Path) -> tuple[StoredTensor, ...]:
    tensors = sorted((_tensor(name, entry, begin, path) for name, entry in header.items()), key=lambda t: t.start)
    end = begin
    for tensor in tensors:
        if tensor.start != end:
            raise _broken(path, f"the bytes of {tensor.name[:80]!r} do not follow those before")
        end = tensor.end
    if end != size:
        raise _broken(path, f"its tensors need {end:,} bytes, but it has {size:,}")
    if not tensors:
        raise _broken(path, "it has no tensors")
    return tuple(tensors)


def _header_bytes(start: bytes, size: int, path: Path) -> int:
    """Return how long the header is, by the first 8 bytes of a file."""
    if len(start) < 8:
        raise _broken(path, f"it has {len(start)} bytes")
    (length,) = struct.unpack("<Q", start[:8])
    if length > MAX_HEADER_BYTES and length <= size - 8:
        raise _broken(path, f"its header has {length:,} bytes, and {MAX_HEADER_BYTES:,} are the most that is read")
    if length > size - 8:
        raise _broken(path, "its header is cut off")
    return int(length)


def _header(content: bytes, path: Path, size: int) -> tuple[dict[str, Any], int]:
    length = _header_bytes(content, size, path)
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not a JSON object")
    return header, 8 + length


def _exactly(stream: BinaryIO, count: int, path: Path) -> bytes:
    part = stream.read(count)
    if len(part) != count:
        raise _broken(path, "it became shorter while it was read")
    return part


def _tensor(name: str, entry: object, begin: int, path: Path) -> StoredTensor:
    fault = _broken(path, f"its header is invalid for {name[:80]!r}")
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
    return bool(np.isfinite(np.frombuffer(data, dtype=_FLOATS[dtype])).all())


def _broken(path: Path, reason: str) -> CytoError:
    return CytoError(
        f"{path}: this safetensors file is incomplete or damaged ({reason}); copy or train the model again."
    )
