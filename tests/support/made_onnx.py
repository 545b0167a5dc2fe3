"""ONNX files written byte by byte, so that a test can make one that no library would: no package is needed for it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

FLOAT, INT64 = 1, 7


def varint(value: int) -> bytes:
    made = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        made.append(low | (0x80 if value else 0))
        if not value:
            return bytes(made)


def part(number: int, value: int | bytes | str) -> bytes:
    """One field: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, shape: Sequence[int], raw: bytes, kind: int = FLOAT, more: bytes = b"") -> bytes:
    return b"".join(part(1, n) for n in shape) + part(2, kind) + part(8, name) + part(9, raw) + more


def floats(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    return tensor(name, shape, struct.pack(f"<{len(values)}f", *values))


def integers(name: str, values: Sequence[int]) -> bytes:
    return tensor(name, [len(values)], struct.pack(f"<{len(values)}q", *values), INT64)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", more: bytes = b"") -> bytes:
    made = b"".join(part(1, i) for i in inputs) + b"".join(part(2, o) for o in outputs)
    return made + part(4, operator) + (part(7, domain) if domain else b"") + more


def value(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    """An input or output; an axis with a name is one of any length."""
    axes = b"".join(part(1, part(1, n) if isinstance(n, int) else part(2, n)) for n in shape)
    return part(1, name) + part(2, part(1, part(1, kind) + part(2, axes)))


def model(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    tensors: Sequence[bytes] = (),
    more: bytes = b"",
    graph_more: bytes = b"",
) -> bytes:
    graph = b"".join(part(1, n) for n in nodes) + part(2, "made")
    graph += b"".join(part(5, t) for t in tensors) + b"".join(part(11, i) for i in inputs)
    graph += b"".join(part(12, o) for o in outputs) + graph_more
    return part(1, 8) + part(7, graph) + part(8, part(2, 17)) + more


def mean_classifier(
    weights: Sequence[Sequence[float]] = ((1.0, 0.0, -1.0), (-1.0, 0.0, 1.0)),
    *,
    side: int | str = 32,
    more_nodes: Sequence[bytes] = (),
    result: str = "logits",
    tensors: Sequence[bytes] = (),
) -> bytes:
    """A classifier of a cell's mean colour: one row of weights for each class."""
    columns = [row[colour] for colour in range(3) for row in weights]
    nodes = [
        node("GlobalAveragePool", ["pixels"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["logits"]),
        *more_nodes,
    ]
    return model(
        nodes,
        [value("pixels", ["n", 3, side, side])],
        [value(result, ["n", len(weights)])],
        [floats("weights", [3, len(weights)], columns), *tensors],
    )
