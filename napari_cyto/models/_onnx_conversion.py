"""Give a foreign graph to OpenVINO, try it on fixed pictures, and write down what came of it; a program of its own.

Native code reads a stranger's graph here, and nowhere else: in a process whose memory and time are limited, and that
holds nothing of a user's. What it writes is OpenVINO's own form of the graph, and `Facts`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from napari_cyto.errors import CytoError
from napari_cyto.jobs.limited_program import LIMIT_OPTION, limit_own_memory
from napari_cyto.models._foreign_outputs import refuse_labels, yolo_layout
from napari_cyto.models._onnx_file import OnnxGraph, checked_graph, read_onnx
from napari_cyto.models._probe_fields import probe
from napari_cyto.models.finite_outputs import is_finite
from napari_cyto.models.manifest import Kind, Normalisation
from napari_cyto.models.onnx_network import OnnxSettings
from napari_cyto.models.openvino_cache import GRAPH_NAME
from napari_cyto.models.openvino_library import openvino_library

REQUEST_NAME, FACTS_NAME, ONNX_NAME = "request.json", "facts.json", "graph.onnx"
CELLS = 8
"""Of a batch, as the runtime takes them."""

FAULT_CODE = 2

Arrays = dict[str, npt.NDArray[Any]]
Layout = Literal["nchw", "nhwc", "chw", "nwchw"]
_SUM_TO_ONE = 1e-3
_PROBABILITY_SLACK = 1e-3
_SAME = 1e-3
_MOST_PIXELS_VALUES = 1 << 27
_RGB = 3


class TrialRequest(BaseModel):
    """What a graph is tried as."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    n_classes: int
    input_px: int
    windows: int = 1
    normalisation: Normalisation
    settings: OnnxSettings


class Facts(BaseModel):
    """What a trial found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: OnnxSettings
    stride: int
    seconds: float
    shapes: dict[str, tuple[int, ...]]
    opset: int


@dataclass(frozen=True)
class _Picked:
    """The outputs that are read, in order, and what they say of the settings."""

    names: tuple[str, ...]
    changes: Mapping[str, Any]
    stride: int = 1


def convert(folder: Path) -> Facts:
    """Convert the graph in ``folder`` as its request says, try it, and write OpenVINO's form of it there.

    Raises
    ------
    CytoError
        When the graph, its input or its outputs are not what was declared.
    """
    request = TrialRequest.model_validate_json((folder / REQUEST_NAME).read_bytes())
    content = read_onnx(folder / ONNX_NAME)
    declared = checked_graph(content, Path(request.name))
    layout = input_layout(declared, request)
    core = openvino_library().Core()
    whole, pixels, seen, at_once = _first_answers(core, content, declared, layout, request)
    picked = _picked(seen[0], request)
    settings = request.settings.model_copy(update={**picked.changes, "outputs": picked.names, "at_once": at_once})
    scored = [s[_scored(picked.names, settings)] for s in seen]
    settings = settings.model_copy(update={"scores": _score_kind(scored, settings, request)})
    _check_outputs(seen, picked.names, settings, request)
    try:
        final = _final(whole, picked.names, settings, request)
        runner = core.compile_model(final, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        first = _run(runner, pixels[0])
        _check_rows(first[0], len(pixels[0]), request)
        started_s = time.process_time()
        _run(runner, pixels[0])
        seconds = time.process_time() - started_s
        at_once = at_once if at_once or request.kind == "detector" else _batches_agree(runner, pixels[0], first[0])
        if at_once and not settings.at_once:
            settings = settings.model_copy(update={"at_once": at_once})
            final.reshape({final.inputs[0]: list(pixels[0][:at_once].shape)})
        openvino_library().save_model(final, folder / GRAPH_NAME, compress_to_fp16=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CytoError(f"{request.name}: OpenVINO cannot run this network ({_said(error)}).") from error
    settings = settings.model_copy(update={"length": int(first[0].shape[-1]) if request.kind == "encoder" else None})
    _check_declared(settings, request)
    return Facts(
        settings=settings,
        stride=picked.stride,
        seconds=seconds,
        shapes={name: tuple(seen[0][name].shape) for name in picked.names},
        opset=declared.opset,
    )


def _first_answers(
    core: Any, content: bytes, declared: OnnxGraph, layout: str, request: TrialRequest
) -> tuple[Any, list[npt.NDArray[np.uint8]], list[Arrays], int | None]:
    """Return the graph behind its pixels, the fixed pictures, all answers, and how many cells it takes at a time."""
    fixed = _fixed_batch(declared, request)
    # Most graphs that were exported for one cell take several as well, which is faster; that is tried first.
    ways = [fixed] if request.kind == "detector" or fixed not in (None, 1) else [None, 1]
    for at_once in ways:
        try:
            whole = _with_pixels(core.read_model(content), layout, request, at_once)
            pixels = _probes(request, at_once)
            runner = core.compile_model(whole, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            return whole, pixels, [_answers(runner, whole, each) for each in pixels], at_once
        except (RuntimeError, ValueError, TypeError) as error:
            if at_once == ways[-1]:
                raise CytoError(f"{request.name}: OpenVINO cannot run this network ({_said(error)}).") from error
    raise AssertionError("one way is the last")


def _check_rows(answers: npt.NDArray[Any], many: int, request: TrialRequest) -> None:
    if request.kind != "detector" and (answers.ndim != 2 or len(answers) != many):
        raise CytoError(
            f"{request.name}: expected one row for each of {many} cells, got {' x '.join(map(str, answers.shape))}."
        )


def input_layout(declared: OnnxGraph, request: TrialRequest) -> Layout:
    """Return how a graph takes its pictures.

    Raises
    ------
    CytoError
        When it takes anything but one picture of the declared size, or a number of them.
    """
    if len(declared.inputs) != 1:
        names = ", ".join(i.name[:40] for i in declared.inputs[:5]) or "none"
        raise CytoError(f"{request.name}: expected a network with one input, RGB images, got {names}.")
    only, side = declared.inputs[0], request.input_px
    shape = only.shape
    layout: Layout | None = None
    if shape is not None and len(shape) == 4 and request.windows == 1:
        layout = "nhwc" if shape[3] == _RGB and shape[1] != _RGB else "nchw"
    elif shape is not None and len(shape) == 3 and request.windows == 1:
        layout = "chw"
    elif shape is not None and len(shape) == 5 and request.kind != "detector" and shape[1] == request.windows:
        layout = "nwchw"
    lengths, colours = _axes(shape, layout)
    if layout is None or any(n not in (side, None) for n in lengths) or colours not in (_RGB, None):
        windows = f"{request.windows} x " if request.windows > 1 else ""
        raise CytoError(
            f"{request.name}: expected an input of RGB images of {side} x {side} px, such as 1 x {windows}3 x {side} x "
            f"{side}, got {only.words}; give the size with --input-px, or export the network anew."
        )
    if only.element not in ("float32", "float16", "uint8"):
        raise CytoError(f"{request.name}: expected an input of float32, float16 or uint8, got {only.element}.")
    is_raw = request.normalisation.mean == (0, 0, 0) and np.allclose(request.normalisation.std, 1 / 255)
    if only.element == "uint8" and not is_raw:
        raise CytoError(f"{request.name}: this network takes whole numbers 0 to 255, so its normalisation must be raw.")
    return layout


def _axes(shape: Sequence[int | None] | None, layout: str | None) -> tuple[list[int | None], int | None]:
    if shape is None or layout is None:
        return [], None
    at = {"nchw": (2, 3, 1), "nhwc": (1, 2, 3), "chw": (1, 2, 0), "nwchw": (3, 4, 2)}[layout]
    return [shape[at[0]], shape[at[1]]], shape[at[2]]


def _fixed_batch(declared: OnnxGraph, request: TrialRequest) -> int | None:
    """Return how many cells a graph takes at a time, None for any number; of a detector it is one picture."""
    shape = declared.inputs[0].shape or ()
    first = 1 if len(shape) == 3 else shape[0] if shape else None
    if request.kind == "detector":
        if first not in (1, None):
            raise CytoError(f"{request.name}: expected a detector that takes one image at a time, got one for {first}.")
        return None
    if first is not None and first > CELLS:
        raise CytoError(f"{request.name}: expected at most {CELLS} cells at a time, got {first}; export it for any.")
    return first


def _with_pixels(graph: Any, layout: str, request: TrialRequest, at_once: int | None) -> Any:
    """Return the graph behind what turns uint8 RGB as it is read into its input."""
    from openvino import Model, Type
    from openvino import opset13 as ops

    side, crops = request.input_px, request.kind != "detector"
    many = -1 if crops and at_once is None else (at_once or 1)
    taken = graph.inputs[0]
    shapes = {
        "nchw": [many, _RGB, side, side],
        "nhwc": [many, side, side, _RGB],
        "chw": [_RGB, side, side],
        "nwchw": [many, request.windows, _RGB, side, side],
    }
    graph.reshape({taken: shapes[layout]})
    shown = [many, request.windows, side, side, _RGB] if crops else [1, side, side, _RGB]
    pixels = ops.parameter(shown, Type.u8, "pixels")
    one_window = crops and layout != "nwchw"
    flat = ops.squeeze(pixels, ops.constant(np.array([1], np.int64))) if one_window else pixels
    std, mean = (np.asarray(v, np.float32) for v in (request.normalisation.std, request.normalisation.mean))
    values = ops.multiply(ops.convert(flat, "f32"), ops.constant((1 / (255 * std)).astype(np.float32)))
    values = ops.subtract(values, ops.constant((mean / std).astype(np.float32)))
    if layout != "nhwc":
        order = [0, 1, 4, 2, 3] if layout == "nwchw" else [0, 3, 1, 2]
        values = ops.transpose(values, ops.constant(np.array(order, np.int64)))
    if layout == "chw":
        values = ops.squeeze(values, ops.constant(np.array([0], np.int64)))
    element = taken.get_element_type()
    if element == Type.u8:
        values = ops.round(values, "half_to_even")
    if element != Type.f32:
        values = ops.convert(values, element.get_type_name())
    for reader in list(taken.get_node().output(0).get_target_inputs()):
        reader.replace_source_output(values.output(0))
    made = Model(list(graph.results), [pixels], "foreign")
    made.validate_nodes_and_infer_types()
    return made


def _probes(request: TrialRequest, at_once: int | None) -> list[npt.NDArray[np.uint8]]:
    """Return the fixed pictures: dark discs on pale ground, and bare glass, which fills up tiles at a slide's edges."""
    side = request.input_px
    if request.kind == "detector":
        found = probe((1, side, side, 3))
        return [found, np.full_like(found, 255)]
    many = at_once or CELLS
    found = probe((many, request.windows, side, side, 3))
    return [found, np.full_like(found, 255)]


def _output_name(output: Any, number: int) -> str:
    names = sorted(output.get_names())
    return names[0] if names else f"output {number}"


def _answers(runner: Any, graph: Any, pixels: npt.NDArray[np.uint8]) -> Arrays:
    found = _run(runner, pixels)
    return {_output_name(output, n): array for n, (output, array) in enumerate(zip(graph.outputs, found, strict=True))}


def _run(runner: Any, pixels: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
    request = runner.create_infer_request()
    request.infer({0: pixels})
    return [np.array(output.data) for output in request.output_tensors]


def _picked(seen: Arrays, request: TrialRequest) -> _Picked:
    """Return which outputs are read; those that were named, else those that alone have the shape that was declared."""
    named = request.settings.outputs
    missing = [name for name in named if name not in seen]
    if missing:
        raise CytoError(f"{request.name}: expected an output {missing[0][:60]!r}, got {_list(seen)}.")
    among = {name: seen[name] for name in named} if named else seen
    find = {
        "yolo": _pick_yolo,
        "boxes": _pick_boxes,
        "points": _pick_points,
        "scores": _pick_map if request.kind == "detector" else _pick_logits,
        "features": _pick_features,
    }[request.settings.output]
    return find(among, request)


def _pick_yolo(seen: Arrays, request: TrialRequest) -> _Picked:
    fitting, faults = {}, []
    for name, array in seen.items():
        try:
            fitting[name] = yolo_layout(array.shape, request.n_classes, request.input_px)
        except CytoError as error:
            faults.append(str(error))
    if not fitting:
        raise CytoError(f"{request.name}: {faults[0] if len(faults) == 1 else f'{faults[0]} It gives {_list(seen)}.'}")
    name = _only(fitting, seen, request, "a YOLO's output")
    return _Picked((name,), {"layout": fitting[name], "sizes": True})


def _pick_boxes(seen: Arrays, request: TrialRequest) -> _Picked:
    is_batched = any(array.ndim == 3 for array in seen.values())
    plain = {n: a[0] if is_batched and a.ndim and len(a) == 1 else a for n, a in seen.items()}
    boxes = [n for n, a in plain.items() if a.ndim == 2 and a.shape[1] == 4]
    labels = [n for n, a in plain.items() if a.ndim == 1 and np.issubdtype(a.dtype, np.integer)]
    scores = [n for n, a in plain.items() if a.ndim == 1 and np.issubdtype(a.dtype, np.floating)]
    if not (len(boxes) == len(labels) == len(scores) == 1):
        raise CytoError(
            f"{request.name}: expected boxes (N x 4), whole-numbered labels (N) and scores (N), one of each, got "
            f"{_list(seen)}; export the network with these outputs alone."
        )
    return _Picked((boxes[0], labels[0], scores[0]), {"sizes": True})


def _pick_points(seen: Arrays, request: TrialRequest) -> _Picked:
    n = request.n_classes
    plain = {name: array[0] if array.ndim == 3 and array.shape[0] == 1 else array for name, array in seen.items()}
    pairs = [name for name, a in plain.items() if a.ndim == 2 and a.shape[1] == 2]
    each = [name for name, a in plain.items() if a.ndim == 2 and a.shape[1] in (n, n + 1) and name not in pairs]
    if not each and len(pairs) > 1:  # scores of two columns look like places
        each = [
            name for name in plain if name in pairs and "point" not in name.casefold() and "size" not in name.casefold()
        ]
    points = [name for name in pairs if name not in each and "size" not in name.casefold()]
    sizes = [name for name in pairs if name not in each and "size" in name.casefold()]
    if not (len(points) == len(each) == 1 and len(sizes) <= 1) or len(plain[points[0]]) != len(plain[each[0]]):
        raise CytoError(
            f"{request.name}: expected points (N x 2), their scores (N x {n}, or N x {n + 1} with background last) "
            f"and, if at all, an output 'sizes' (N x 2), got {_list(seen)}."
        )
    return _Picked((points[0], each[0], *sizes), {"sizes": bool(sizes)})


def _pick_map(seen: Arrays, request: TrialRequest) -> _Picked:
    n, side = request.n_classes, request.input_px
    fitting = {
        name: side // a.shape[3]
        for name, a in seen.items()
        if a.ndim == 4 and a.shape[:2] == (1, n) and a.shape[2] == a.shape[3] and a.shape[3] and not side % a.shape[3]
    }
    if not fitting:
        raise CytoError(
            f"{request.name}: expected a score map for each of {n} classes (1 x {n} x h x w, where {side} is a "
            f"multiple of h and w), got {_list(seen)}."
        )
    name = _only(fitting, seen, request, f"score maps of {n} classes")
    return _Picked((name,), {}, fitting[name])


def _pick_logits(seen: Arrays, request: TrialRequest) -> _Picked:
    fitting = {name: a for name, a in seen.items() if a.ndim == 2 and a.shape[1] == request.n_classes}
    if not fitting:
        raise CytoError(
            f"{request.name}: expected one score for each of {request.n_classes} classes (N x {request.n_classes}), "
            f"got {_list(seen)}; check the classes."
        )
    return _Picked((_only(fitting, seen, request, f"scores of {request.n_classes} classes"),), {})


def _pick_features(seen: Arrays, request: TrialRequest) -> _Picked:
    fitting = {n: a for n, a in seen.items() if a.ndim in (2, 3, 4) and a.shape[-1] > 1}
    rows = {name: a for name, a in fitting.items() if a.ndim == 2}
    if not fitting:
        raise CytoError(f"{request.name}: expected a vector for each cell (N x length), got {_list(seen)}.")
    name = _only(rows or fitting, seen, request, "vectors")
    return _Picked((name,), {"tokens": _tokens(seen[name].ndim == 3, request)})


def _tokens(has_tokens: bool, request: TrialRequest) -> str:
    """Return which tokens make the vector: none where the network gives one by itself."""
    if has_tokens and request.settings.tokens == "pooled":
        raise CytoError(f"{request.name}: it gives tokens; say which of them make the vector: cls, patches or both.")
    return request.settings.tokens if has_tokens else "pooled"


def _only(fitting: Mapping[str, Any], seen: Arrays, request: TrialRequest, what: str) -> str:
    if len(fitting) > 1:
        raise CytoError(
            f"{request.name}: expected one output with {what}, got {len(fitting)} of {_list(seen)}; name the right one "
            "with --output-name."
        )
    return next(iter(fitting))


def _score_kind(scores: Sequence[npt.NDArray[Any]], settings: OnnxSettings, request: TrialRequest) -> str:
    """Return whether scores are probabilities or logits: as declared, else as they look."""
    if request.kind == "encoder" or settings.output == "boxes" or settings.layout == "end-to-end":
        return "probabilities"
    if settings.scores != "auto":
        return settings.scores
    if request.kind == "classifier":
        sums = [s.astype(np.float64).sum(axis=1) for s in scores]
        is_shared = all(
            (s >= 0).all() and np.allclose(t, 1, atol=_SUM_TO_ONE) for s, t in zip(scores, sums, strict=True)
        )
        return "probabilities" if is_shared and request.n_classes > 1 else "logits"
    return "probabilities" if all(_are_probabilities(_scores_in(s, settings)) for s in scores) else "logits"


def _scored(names: Sequence[str], settings: OnnxSettings) -> str:
    """Return which of the outputs has the scores: of points, those after the places."""
    return names[1] if settings.output == "points" else names[-1]


def _scores_in(array: npt.NDArray[Any], settings: OnnxSettings) -> npt.NDArray[Any]:
    """Return the part of an output that holds scores: a YOLO's has places before them."""
    if settings.layout == "v8":
        return array[:, 4:]
    return array[..., 4:] if settings.layout in ("v5", "end-to-end") else array


def _are_probabilities(scores: npt.NDArray[Any]) -> bool:
    return bool(scores.min(initial=0.0) >= -_PROBABILITY_SLACK and scores.max(initial=0.0) <= 1 + _PROBABILITY_SLACK)


def _check_outputs(seen: Sequence[Arrays], names: Sequence[str], settings: OnnxSettings, request: TrialRequest) -> None:
    for answers in seen:
        for name in names:
            if not is_finite(answers[name].astype(np.float64)):
                raise CytoError(
                    f"{request.name}: its output {name[:40]!r} contains NaN or infinity on a fixed image, so it is "
                    "refused; check its normalisation, or export it again."
                )
            if answers[name].size > _MOST_PIXELS_VALUES:
                raise CytoError(f"{request.name}: its output {name[:40]!r} is larger than what can be read.")
        if settings.output == "boxes":
            refuse_labels(answers[names[1]].reshape(-1).astype(np.int64) - settings.first_label, request.n_classes)
            _check_scores(answers[names[2]], request)
        elif settings.layout == "end-to-end":
            rows = answers[names[0]][0]
            _check_scores(rows[:, 4], request)
            refuse_labels(np.rint(rows[:, 5]).astype(np.int64), request.n_classes)
        elif request.kind == "detector" and settings.scores == "probabilities":
            _check_scores(_scores_in(answers[_scored(names, settings)], settings), request)


def _check_scores(scores: npt.NDArray[Any], request: TrialRequest) -> None:
    if not _are_probabilities(scores):
        raise CytoError(
            f"{request.name}: expected scores from 0 to 1, got {scores.min():.3g} to {scores.max():.3g} on a fixed "
            "image; if they are logits, say so with --scores logits."
        )


def _check_declared(settings: OnnxSettings, request: TrialRequest) -> None:
    """Refuse a bundle whose settings, written when it was made, are not what its graph does."""
    before = request.settings
    for name in ("layout", "length", "at_once"):
        came, expected = getattr(settings, name), getattr(before, name)
        if expected not in (None, "", came):
            raise CytoError(f"{request.name}: expected {name} {expected}, got {came}; check what was declared.")


def _final(whole: Any, names: Sequence[str], settings: OnnxSettings, request: TrialRequest) -> Any:
    """Return the graph with the outputs that are read, in order, and what makes them what a runtime expects."""
    from openvino import Model
    from openvino import opset13 as ops

    by_name = {_output_name(output, n): output for n, output in enumerate(whole.outputs)}
    kept = []
    for name in names:
        value = by_name[name].get_node().input_value(0)
        if request.kind == "classifier" and settings.scores == "probabilities":
            value = ops.log(ops.maximum(ops.convert(value, "f32"), ops.constant(np.float32(1e-12)))).output(0)
        elif request.kind == "encoder":
            value = _vector(value, settings, ops)
        kept.append(ops.result(value))
    made = Model(kept, list(whole.get_parameters()), "foreign")
    made.validate_nodes_and_infer_types()
    return made


def _vector(value: Any, settings: OnnxSettings, ops: Any) -> Any:
    """Return one vector a cell: of tokens as the settings say, of a map its mean."""
    rank = len(value.get_partial_shape())
    if rank == 4:
        return ops.reduce_mean(value, ops.constant(np.array([2, 3], np.int64))).output(0)
    if rank != 3:
        return value
    one = ops.constant(np.array([1], np.int64))
    first = ops.gather(value, ops.constant(np.int64(0)), ops.constant(np.int64(1))).output(0)
    if settings.tokens == "cls":
        return first
    end = ops.constant(np.array([np.iinfo(np.int64).max], np.int64))
    patches = ops.reduce_mean(ops.slice(value, one, end, one, one), one).output(0)
    return patches if settings.tokens == "patches" else ops.concat([first, patches], 1).output(0)


def _batches_agree(runner: Any, pixels: npt.NDArray[np.uint8], together: npt.NDArray[Any]) -> int | None:
    """Return None where cells get the same answer alone and among others; else 1: the graph mixes them up."""
    try:
        alone = _run(runner, pixels[1:2])[0]
    except RuntimeError:
        return 1
    scale = max(float(np.abs(together).max(initial=0.0)), 1e-6)
    same = together.shape[0] == len(pixels) and bool(np.abs(alone[0] - together[1]).max() <= _SAME * scale)
    return None if same else 1


def _list(seen: Arrays) -> str:
    shown = [f"{name[:40]} ({' x '.join(map(str, a.shape))})" for name, a in list(seen.items())[:6]]
    return ", ".join(shown) + (" and more" if len(seen) > 6 else "")


def _said(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words[-200:] if words else type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert what lies in a folder; the exit code is 2 and stdout has a sentence where it is refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument(LIMIT_OPTION, type=int, required=True)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    openvino_library()
    limit_own_memory(given.memory_bytes)
    try:
        facts = convert(given.folder)
    except CytoError as error:
        print(error)
        return FAULT_CODE
    (given.folder / FACTS_NAME).write_text(facts.model_dump_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
