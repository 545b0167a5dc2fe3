"""Guards what a stranger's ONNX file can do before native code sees it: nothing, at a cost that is bounded first."""

from __future__ import annotations

import io
import pickle
import time
import tracemalloc
from pathlib import Path

import pytest
from made_onnx import FLOAT, floats, mean_classifier, model, node, part, tensor, value

from napari_cyto.errors import CytoError
from napari_cyto.models import _onnx_file as onnx_file
from napari_cyto.models._onnx_file import checked_graph, read_onnx

WHERE = Path("theirs.onnx")
IN, OUT = value("x", [1, 3, 8, 8]), value("y", [1, 3, 8, 8])


def identity(*nodes: bytes, tensors: tuple[bytes, ...] = (), **more: bytes) -> bytes:
    return model(nodes or (node("Identity", ["x"], ["y"]),), [IN], [OUT], tensors, **more)


def refusal(content: bytes) -> str:
    with pytest.raises(CytoError) as caught:
        checked_graph(content, WHERE)
    said = str(caught.value)
    assert said.startswith("theirs.onnx: ")
    assert said.endswith(".")
    return said


def test_what_a_graph_declares_is_read() -> None:
    graph = checked_graph(mean_classifier(), WHERE)
    assert (graph.opset, graph.nodes, graph.tensors) == (17, 3, 1)
    assert [(i.name, i.element, i.words) for i in graph.inputs] == [("pixels", "float32", "? x 3 x 32 x 32")]
    assert [(o.name, o.shape) for o in graph.outputs] == [("logits", (None, 2))]


def test_an_input_that_is_filled_by_a_tensor_is_none() -> None:
    content = model([node("Add", ["x", "w"], ["y"])], [IN, value("w", [1])], [OUT], [floats("w", [1], [0.0])])
    assert [i.name for i in checked_graph(content, WHERE).inputs] == ["x"]


def test_an_operator_of_ones_own_is_refused_wherever_it_hides() -> None:
    own = node("Run", ["x"], ["y"], domain="com.evil")
    assert "needs the operator 'Run' of 'com.evil'" in refusal(identity(own))
    inner = part(1, own) + part(12, OUT)
    branch = node("If", ["x"], ["y"], more=part(5, part(1, "then_branch") + part(6, inner)))
    assert "com.evil" in refusal(identity(branch))


def test_tensors_in_another_file_are_refused() -> None:
    entry = part(13, part(1, "location") + part(2, "../../etc/passwd"))
    elsewhere = tensor("w", [4], b"", more=entry + part(14, 1))
    assert "lies in another file" in refusal(identity(tensors=(elsewhere,)))
    # By its mark alone too, and in a node's attribute.
    marked = tensor("w", [0], b"", more=part(14, 1))
    constant = node("Constant", [], ["y"], more=part(5, part(1, "value") + part(5, marked)))
    assert "lies in another file" in refusal(identity(constant))


@pytest.mark.parametrize("shape", [[2_500_000_000], [50_000, 50_000], [1 << 39, 1 << 39], [1 << 62]])
def test_a_tensor_that_declares_more_than_is_there_takes_no_memory(shape: list[int]) -> None:
    content = identity(tensors=(tensor("w", shape, b"\0" * 16),))
    tracemalloc.start()
    said = refusal(content)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert "declares" in said


def test_typed_numbers_are_counted_as_raw_ones_are() -> None:
    enough = part(1, 3) + part(2, FLOAT) + part(8, "w") + part(4, b"\0" * 12)
    checked_graph(identity(tensors=(enough,)), WHERE)
    few = part(1, 3_000_000_000) + part(2, FLOAT) + part(8, "w") + part(4, b"\0" * 12)
    assert "declares 12,000,000,000 bytes, but the file holds 12 of it" in refusal(identity(tensors=(few,)))


def test_functions_training_and_sparse_tensors_are_refused() -> None:
    assert "functions of its own" in refusal(identity(more=part(25, b"")))
    assert "steps of training" in refusal(identity(more=part(20, b"")))
    assert "sparse" in refusal(identity(graph_more=part(15, b"")))


def test_a_pickle_is_refused_by_its_first_bytes() -> None:
    for content in (pickle.dumps({"a": 1}, 4), b"PK\x03\x04torch"):
        assert "pickle" in refusal(content)


def test_every_cut_of_a_file_is_refused_or_smaller_and_never_crashes() -> None:
    content = mean_classifier()
    for length in range(len(content)):
        try:
            checked_graph(content[:length], WHERE)
        except CytoError:
            continue
        pytest.fail(f"the first {length} of {len(content)} bytes were taken")


def test_changed_bytes_give_a_graph_or_a_sentence() -> None:
    content = bytearray(mean_classifier())
    for place in range(len(content)):
        for change in (0x01, 0x80, 0xFF):
            other = bytes(content[:place]) + bytes([content[place] ^ change]) + bytes(content[place + 1 :])
            try:
                checked_graph(other, WHERE)
            except CytoError as error:
                assert str(error).endswith(".")  # noqa: PT017  whichever comes of it


def test_graphs_inside_graphs_and_numbers_of_things_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = part(1, node("Identity", ["x"], ["y"]))
    for _ in range(onnx_file.MAX_DEPTH + 1):
        inner = part(1, node("If", ["x"], ["y"], more=part(5, part(6, inner))))
    assert "graphs inside graphs" in refusal(part(1, 8) + part(7, inner) + part(8, part(2, 17)))
    many = identity(*[node("Identity", ["x"], ["y"])] * 30)
    monkeypatch.setattr(onnx_file, "MAX_NODES", 20)
    assert "at most 20 nodes" in refusal(many)
    monkeypatch.setattr(onnx_file, "MAX_NODES", 50_000)
    monkeypatch.setattr(onnx_file, "MAX_PARTS", 100)
    assert "at most 100 parts" in refusal(many)


def test_a_file_of_nothing_but_small_fields_is_refused_in_seconds() -> None:
    content = part(1, 1) * (onnx_file.MAX_PARTS + 10)
    started_s = time.process_time()
    assert "parts" in refusal(content)
    assert time.process_time() - started_s < 20


def test_a_file_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as stream:
        stream.truncate(onnx_file.MAX_GRAPH_BYTES + 1)
    monkeypatch.setattr(Path, "open", lambda *_a, **_k: io.BytesIO())  # who reads it all the same gets nothing
    with pytest.raises(CytoError, match=r"at most 1,024 MiB, got 1,024 MiB"):
        read_onnx(path)


def test_text_and_an_empty_file_are_refused() -> None:
    assert "incomplete or something else" in refusal(b"")
    assert "incomplete or something else" in refusal(b"hello, this is no graph at all")
