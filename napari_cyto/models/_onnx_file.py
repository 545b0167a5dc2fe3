"""ONNX files seen without any library: what a graph holds and declares, before native code is given a byte of it.

Source: the ONNX format, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (protobuf's wire format).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from napari_cyto.errors import CytoError
from napari_cyto.models._tensor_file import looks_pickled

MAX_GRAPH_BYTES = 1 << 30
"""Protobuf itself ends at 2 GiB; what holds half of that needs several times as much while it is read."""

MAX_NODES = 50_000
"""A Faster R-CNN has some 1,700."""

MAX_TENSORS = 50_000
MAX_VALUES = 64
MAX_AXES = 16
MAX_DEPTH = 8
"""Graphs inside graphs: the branches of a condition, the body of a loop."""

MAX_PARTS = 1_000_000
"""Fields that are looked at, so that a file of nothing but small fields is refused in seconds."""

MAX_SIDE = 1 << 16
"""Of a declared input or output, along any axis."""

_STANDARD = ("", "ai.onnx")
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
_BITS |= {17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4}
_EXTERNAL_DATA, _EXTERNAL_PLACE = 13, 14
_TYPED_DATA = (4, 5, 7, 10, 11)
_RAW_DATA = 9
ELEMENTS = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}


@dataclass(frozen=True, slots=True)
class OnnxValue:
    """An input or output that a graph declares.

    Parameters
    ----------
    name : str
        Its name in the graph.
    element : str
        ``float32``, ``uint8`` ...; empty where none is declared.
    shape : tuple of int or None, or None
        Its axes, None for one of any length; None where no shape is declared.
    """

    name: str
    element: str
    shape: tuple[int | None, ...] | None

    @property
    def words(self) -> str:
        """The shape as people read it: ``1 x 3 x ? x ?``."""
        if self.shape is None:
            return "any shape"
        return " x ".join("?" if n is None else str(n) for n in self.shape) or "a single number"


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """What is known of a graph.

    Parameters
    ----------
    opset : int
        Version of the standard operators.
    nodes, tensors : int
        How many it has, those of inner graphs counted.
    inputs, outputs : tuple of OnnxValue
        What it takes and gives; initialisers are no inputs.
    """

    opset: int
    nodes: int
    tensors: int
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]


@dataclass(slots=True)
class _Seen:
    """What was counted so far."""

    path: Path
    nodes: int = 0
    tensors: int = 0
    parts: int = 0
    names: set[str] = field(default_factory=set)

    def fault(self, reason: str) -> CytoError:
        return CytoError(f"{self.path}: {reason}")

    def broken(self, reason: str) -> CytoError:
        return self.fault(
            f"expected an ONNX file, got one that is incomplete or something else ({reason}); export or copy it again."
        )


def read_onnx(path: Path) -> bytes:
    """Return the bytes of an ONNX file, none of which was interpreted yet.

    Raises
    ------
    CytoError
        When it is not there, a link or pickle, or larger than any graph that is taken.
    """
    try:
        if not path.is_file():
            raise CytoError(f"{path}: expected an ONNX file, but there is none.")
        size = path.stat().st_size
        if size > MAX_GRAPH_BYTES:
            raise CytoError(
                f"{path}: expected a graph of at most {MAX_GRAPH_BYTES >> 20:,} MiB, got {size >> 20:,} MiB; export a "
                "smaller network, or its weights as fp16."
            )
        with path.open("rb") as stream:
            content = stream.read(MAX_GRAPH_BYTES + 1)
    except OSError as error:
        raise CytoError(f"{path}: this file cannot be read ({error.strerror or error}).") from error
    return content


def checked_graph(content: bytes | memoryview, path: Path) -> OnnxGraph:
    """Return what a graph declares, which holds only what may be given to a runtime.

    Parameters
    ----------
    content : bytes
        The whole file.
    path : Path
        Where it comes from, for the sentences.

    Raises
    ------
    CytoError
        When it is no ONNX graph, refers to other files, brings operators of its own, or is larger in any respect than
        what is taken; a tensor that declares more than the file holds is refused before memory is taken for it.
    """
    view = memoryview(content)
    seen = _Seen(path)
    if looks_pickled(bytes(view[:8])):
        raise seen.fault(
            "this is a pickle with another suffix; opening it could run foreign code, so it is refused. Export the "
            "network to ONNX where it was made."
        )
    if len(view) > MAX_GRAPH_BYTES:
        raise seen.fault(f"expected a graph of at most {MAX_GRAPH_BYTES >> 20:,} MiB, got {len(view) >> 20:,} MiB.")
    graphs: list[memoryview] = []
    opset = 0
    for number, value in _fields(view, seen):
        if number == 7:
            graphs.append(_bytes(value, seen))
        elif number == 8:
            opset = max(opset, _opset(_bytes(value, seen), seen))
        elif number == 20:
            raise seen.fault("this graph holds steps of training; export it for inference.")
        elif number == 25:
            raise seen.fault("this graph defines functions of its own, which are refused; export it with them inlined.")
    if len(graphs) != 1:
        raise seen.broken(f"it holds {len(graphs)} graphs")
    inputs, outputs = _graph(graphs[0], seen, 0)
    if not opset:
        raise seen.broken("it names no version of the standard operators")
    return OnnxGraph(opset, seen.nodes, seen.tensors, inputs, outputs)


def _graph(view: memoryview, seen: _Seen, depth: int) -> tuple[tuple[OnnxValue, ...], tuple[OnnxValue, ...]]:
    """Look through a graph and those inside it, and return its inputs and outputs."""
    if depth > MAX_DEPTH:
        raise seen.fault(f"expected graphs inside graphs at most {MAX_DEPTH} deep, got more.")
    inputs: list[OnnxValue] = []
    outputs: list[OnnxValue] = []
    filled: set[str] = set()
    for number, value in _fields(view, seen):
        if number == 1:
            _node(_bytes(value, seen), seen, depth)
        elif number == 5:
            filled.add(_tensor(_bytes(value, seen), seen))
        elif number == 15:
            raise seen.fault("this graph holds sparse tensors, which are not supported; export it with dense ones.")
        elif number in (11, 12):
            kept = inputs if number == 11 else outputs
            kept.append(_value(_bytes(value, seen), seen))
            if depth == 0 and len(kept) > MAX_VALUES + len(filled) + seen.tensors:
                raise seen.fault(f"expected at most {MAX_VALUES} inputs and outputs, got more.")
    return tuple(i for i in inputs if i.name not in filled), tuple(outputs)


def _node(view: memoryview, seen: _Seen, depth: int) -> None:
    seen.nodes += 1
    if seen.nodes > MAX_NODES:
        raise seen.fault(f"expected at most {MAX_NODES:,} nodes, got more.")
    operator, domain = "", ""
    for number, value in _fields(view, seen):
        if number == 4:
            operator = _text(value, seen)
        elif number == 7:
            domain = _text(value, seen)
        elif number == 5:
            _attribute(_bytes(value, seen), seen, depth)
    if domain not in _STANDARD:
        raise seen.fault(
            f"this graph needs the operator {operator[:40]!r} of {domain[:40]!r}, which is none of the standard ones; "
            "operators of one's own are code, so it is refused. Export it with standard operators only."
        )


def _attribute(view: memoryview, seen: _Seen, depth: int) -> None:
    for number, value in _fields(view, seen):
        if number in (5, 10):
            _tensor(_bytes(value, seen), seen)
        elif number in (6, 11):
            _graph(_bytes(value, seen), seen, depth + 1)
        elif number in (22, 23):
            raise seen.fault("this graph holds sparse tensors, which are not supported; export it with dense ones.")


def _tensor(view: memoryview, seen: _Seen) -> str:
    """Look at a tensor, of which as much must be there as it declares, and return its name."""
    seen.tensors += 1
    if seen.tensors > MAX_TENSORS:
        raise seen.fault(f"expected at most {MAX_TENSORS:,} tensors, got more.")
    shape: list[int] = []
    name, kind, raw, typed, is_elsewhere = "", 0, -1, 0, False
    for number, value in _fields(view, seen):
        if number == 1:
            shape += [value] if isinstance(value, int) else _varints(value, seen)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value, seen)
        elif number == _RAW_DATA:
            raw = len(_bytes(value, seen))
        elif number in _TYPED_DATA:
            typed += 1 if isinstance(value, int) else len(value)
        is_elsewhere |= number == _EXTERNAL_DATA or (number == _EXTERNAL_PLACE and value != 0)
    if is_elsewhere:
        raise seen.fault(
            f"its tensor {name[:60]!r} lies in another file, which is refused; export the network as one file (with "
            "torch: external_data=False)."
        )
    _check_size(name, kind, shape, (raw, typed), seen)
    return name


def _check_size(name: str, kind: int, shape: list[int], there: tuple[int, int], seen: _Seen) -> None:
    """Refuse a tensor that declares another size than that of the raw, or of the typed data that are there."""
    if kind not in _BITS:
        raise seen.fault(f"its tensor {name[:60]!r} is of the type {kind}, which is not supported.")
    if len(shape) > MAX_AXES or any(not 0 <= n < 1 << 40 for n in shape):
        raise seen.fault(f"its tensor {name[:60]!r} declares a shape that none can have.")
    raw, typed = there
    many = math.prod(shape)
    needed = -(-many * _BITS[kind] // 8)
    # Typed numbers take a byte or more each, so that no more of them can be there than bytes.
    if (raw >= 0 and raw != needed) or (raw < 0 and many > typed):
        held = raw if raw >= 0 else typed
        raise seen.fault(f"its tensor {name[:60]!r} declares {needed:,} bytes, but the file holds {held:,} of it.")


def _value(view: memoryview, seen: _Seen) -> OnnxValue:
    name, element, shape = "", "", None
    for number, value in _fields(view, seen):
        if number == 1:
            name = _text(value, seen)
        elif number == 2:
            for kind, inner in _fields(_bytes(value, seen), seen):
                if kind == 1:
                    element, shape = _tensor_type(_bytes(inner, seen), seen)
    return OnnxValue(name, element, shape)


def _tensor_type(view: memoryview, seen: _Seen) -> tuple[str, tuple[int | None, ...] | None]:
    element, shape = "", None
    for number, value in _fields(view, seen):
        if number == 1 and isinstance(value, int):
            element = ELEMENTS.get(value, f"type {value}")
        elif number == 2:
            axes = [_axis(_bytes(axis, seen), seen) for kind, axis in _fields(_bytes(value, seen), seen) if kind == 1]
            if len(axes) > MAX_AXES:
                raise seen.fault(f"expected inputs and outputs of at most {MAX_AXES} axes, got {len(axes)}.")
            shape = tuple(axes)
    return element, shape


def _axis(view: memoryview, seen: _Seen) -> int | None:
    length: int | None = None
    for number, value in _fields(view, seen):
        if number == 1 and isinstance(value, int):
            length = value if 0 < value < 1 << 63 else None
    if length is not None and length > MAX_SIDE:
        raise seen.fault(f"expected inputs and outputs of at most {MAX_SIDE:,} along an axis, got {length:,}.")
    return length


def _opset(view: memoryview, seen: _Seen) -> int:
    domain, version = "", 0
    for number, value in _fields(view, seen):
        if number == 1:
            domain = _text(value, seen)
        elif number == 2 and isinstance(value, int):
            version = value
    # A graph may name others' operators as long as no node needs one.
    return version if domain in _STANDARD else 0


def _fields(view: memoryview, seen: _Seen) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: numbers, and bytes that are not copied; fixed ones of 4 and 8 bytes as bytes."""
    place, end = 0, len(view)
    while place < end:
        seen.parts += 1
        if seen.parts > MAX_PARTS:
            raise seen.fault(f"expected a graph of at most {MAX_PARTS:,} parts, got more.")
        tag, place = _varint(view, place, seen)
        kind = tag & 7
        if kind == 0:
            number, place = _varint(view, place, seen)
            yield tag >> 3, number
            continue
        length = {1: 8, 5: 4}.get(kind, -1)
        if kind == 2:
            length, place = _varint(view, place, seen)
        if length < 0 or place + length > end or not tag >> 3:
            raise seen.broken("it is cut short or damaged")
        yield tag >> 3, view[place : place + length]
        place += length


def _varint(view: memoryview, place: int, seen: _Seen) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(view):
            raise seen.broken("it is cut short")
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise seen.broken("a number in it has no end")


def _varints(view: memoryview, seen: _Seen) -> list[int]:
    numbers, place = [], 0
    while place < len(view):
        number, place = _varint(view, place, seen)
        numbers.append(number)
        if len(numbers) > MAX_AXES:
            raise seen.fault(f"expected tensors of at most {MAX_AXES} axes, got more.")
    return numbers


def _bytes(value: int | memoryview, seen: _Seen) -> memoryview:
    if isinstance(value, int):
        raise seen.broken("a number lies where a part should be")
    return value


def _text(value: int | memoryview, seen: _Seen) -> str:
    return bytes(_bytes(value, seen)[:1_000]).decode("utf-8", "replace")
