"""Export a bundle's network to OpenVINO, compare its answers with torch's on a probe, and keep it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models._probe_fields import (
    CROP_MPP,
    CROPS,
    FIELDS,
    MATCH_UM,
    agreement,
    called,
    probe,
    probe_cells,
    probe_field,
    probe_shapes,
    separate_cells,
)
from napari_cyto.models._pyramid import grid_feature
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.found_cells import READERS, MapReading
from napari_cyto.models.manifest import Normalisation
from napari_cyto.models.openvino_cache import (
    GRAPH_NAME,
    WEIGHTS_NAME,
    Compared,
    Exported,
    ExportRecord,
    Precision,
    export_key,
)
from napari_cyto.models.openvino_library import ON_ANY_CORE, openvino_library, openvino_version
from napari_cyto.models.openvino_store import keep_export
from napari_cyto.models.point_detector import LONGEST_LOG, PROPOSALS, PointDetector

LIKELY = 0.02
"""Places are compared of proposals that torch gives this score or more: the others are never told of."""

SAME_DIRECTION = 0.999
"""Vectors are the same where their cosine is this much or more: neighbours and linear heads then answer alike."""

_RUNS = 3
_TORCHS_PART = 16
_THE_SAME = 1e-3
_USUAL_MPP = 0.5
_MOST_CELLS = 2000
_FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError, OSError)


class Exportable(nn.Module):
    """A network that takes uint8 RGB as it is read, and puts out what is read without torch.

    Parameters
    ----------
    network : nn.Module
        A detector, classifier or encoder.
    normalisation : Normalisation
        The bundle's.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        mean, std = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", mean / std)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return maps of ``(1, h, w, 3)``, or logits of ``(n, windows, s, s, 3)``, both uint8."""
        # Turned after the arithmetic, not before: OpenVINO then reads the pixels in the order that it wants them in.
        images = torch.movedim(pixels.float() * self.scale - self.shift, -1, -3)
        network = self.network
        if not isinstance(network, PointDetector):
            return (network(images),)
        feature = grid_feature(network.backbone, network.pyramid, images, network.stride, network.multiple)
        return network.place.one(network.place(feature)), network.sort.one(network.sort(feature))


def export(bundle: Bundle) -> Exported:
    """Export a bundle's network, and return it as it is read back.

    Its input is ``(1, h, w, 3)`` of a detector, any height and width that are multiples of its ``multiple``, and
    ``(n, windows, s, s, 3)`` of a classifier, any ``n``.

    Raises
    ------
    NotKeptError
        When no place for the export can be written; it has the export.
    CytoError
        When OpenVINO cannot take the network.
    """
    version = openvino_version() or ""
    if bundle.manifest.kind == "detector" and bundle.manifest.architecture not in READERS:
        raise CytoError(f"{bundle.id}: networks of the kind {bundle.manifest.architecture} run in PyTorch only.")
    graph, record = _made(bundle, version)
    return keep_export(bundle, record, lambda folder: _write(folder, graph), Exported(record, model=graph))


def _made(bundle: Bundle, version: str) -> tuple[Any, ExportRecord]:
    """Return a bundle's network as OpenVINO knows it, and what is known of it but for the files, which are not there.

    Raises
    ------
    CytoError
        When OpenVINO cannot take the network.
    """
    try:
        network = bundle.load_network()
        module = Exportable(network, bundle.manifest.normalisation).eval()
        graph = _converted(module, bundle)
        compared = _compared(graph, module, bundle)
    except _FAILURES as error:
        said = " ".join(str(error).split())[:160]
        raise CytoError(f"{bundle.id}: OpenVINO cannot run this network ({said}).") from error
    return graph, ExportRecord(
        bundle=bundle.id,
        key=export_key(bundle, version),
        openvino=version,
        probes=probe_shapes(bundle.manifest),
        sha256={},
        bytes={},
        compared=compared,
        reading=_reading(network, bundle.manifest.architecture),
    )


def _write(folder: Path, graph: Any) -> None:
    """Write graph and weights into a folder."""
    openvino = openvino_library()
    openvino.save_model(graph, folder / GRAPH_NAME, compress_to_fp16=False)
    content = {name: (folder / name).read_bytes() for name in (GRAPH_NAME, WEIGHTS_NAME)}
    # A file that a full disk cut short is told by nobody else.
    openvino.Core().read_model(content[GRAPH_NAME], openvino.Tensor(np.frombuffer(content[WEIGHTS_NAME], np.uint8)))


def _converted(module: nn.Module, bundle: Bundle) -> Any:
    """Return the network as OpenVINO knows it, for inputs of any size."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    first, other = probe_shapes(bundle.manifest)
    # Tracing warns of sizes that may be burned in; that none is, is seen on a probe of another size.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        pixels = torch.from_numpy(probe(first))
        traced = torch.jit.trace(module, (pixels,), check_trace=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=(pixels,))  # the frontend does not keep it alive
        # Not through convert_model, which reports to its maker what it converts.
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(decoder))
    graph.reshape({graph.inputs[0]: [a if a == b else -1 for a, b in zip(first, other, strict=True)]})
    return graph


def _compared(graph: Any, module: Exportable, bundle: Bundle) -> dict[Precision, Compared]:
    core = openvino_library().Core()
    # Who knows that bf16 will not do spares each user's machine the longest part of the comparison.
    known = bundle.manifest.tolerance.turned_down
    can_bf16 = "bf16" not in known and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precisions: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"} if can_bf16 else {"fp32": "f32"}
    worst: dict[Precision, tuple[float, float]] = dict.fromkeys(precisions, (0.0, 0.0))
    seconds: dict[Precision, float] = {}
    for shape in probe_shapes(bundle.manifest):
        pixels = probe(shape)
        with torch.no_grad():
            truth = [each.float().numpy() for each in module(torch.from_numpy(pixels))]
        fixed = graph.clone()
        fixed.reshape({fixed.inputs[0]: list(shape)})
        requests: dict[Precision, Any] = {name: _request(core, fixed, hint) for name, hint in precisions.items()}
        seconds = _timed(requests, pixels)
        for name, request in requests.items():
            outputs = [np.array(output.data, dtype=np.float32) for output in request.output_tensors]
            found = differences(truth, outputs, bundle, module.network)
            worst[name] = (max(worst[name][0], found[0]), max(worst[name][1], found[1]))
    kept = _kept(graph, module, bundle, core, precisions, max(worst["fp32"]) <= _THE_SAME)
    return {
        n: Compared(
            matched_f1=kept[n][0],
            same_calls=kept[n][1],
            probability=worst[n][0],
            place_px=worst[n][1],
            seconds=seconds[n],
        )
        for n in precisions
    }


def _kept(
    graph: Any, module: Exportable, bundle: Bundle, core: Any, precisions: dict[Precision, str], fp32_stands_in: bool
) -> dict[Precision, tuple[float, float]]:
    """Return the F1 of matched detections, and the share of equal calls, of each precision on fields of a smear.

    Torch takes several times as long. Where fp32 was found to be the same, it stands in for torch on most of them.
    """
    batches = _field_batches(bundle)
    fixed = graph.clone()
    fixed.reshape({fixed.inputs[0]: list(batches[0].shape)})
    requests = {name: _request(core, fixed, hint) for name, hint in precisions.items()}
    counts: dict[Precision, npt.NDArray[np.float64]] = {name: np.zeros(3) for name in precisions}
    by_torch = len(batches) if not fp32_stands_in else -(-len(batches) // _TORCHS_PART)
    for pixels in batches[:by_torch]:
        with torch.no_grad():
            truth = [each.float().numpy() for each in module(torch.from_numpy(pixels))]
        for name, request in requests.items():
            counts[name] += _agreed(truth, _answer(request, pixels), bundle, module.network)
    others: list[Precision] = [name for name in precisions if name != "fp32"]
    for pixels in batches[by_torch:] if others else ():
        truth = _answer(requests["fp32"], pixels)
        for name in others:
            counts[name] += _agreed(truth, _answer(requests[name], pixels), bundle, module.network)
    return {
        name: (2 * matched / every if every else 1.0, same / matched if matched else 1.0)
        for name, (matched, same, every) in counts.items()
    }


def _answer(request: Any, pixels: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    request.infer({0: pixels})
    return [np.array(output.data, dtype=np.float32) for output in request.output_tensors]


def _field_batches(bundle: Bundle) -> list[npt.NDArray[np.uint8]]:
    """Return inputs of one shape, cut from fields of a smear."""
    rule, mpp = bundle.manifest.crop_rule, bundle.manifest.mpp or _USUAL_MPP
    if bundle.manifest.kind == "detector" or rule is None:
        return [probe_field(n, mpp)[0][None] for n in range(FIELDS)]
    shape = probe_shapes(bundle.manifest)[-1]
    windows = [window / CROP_MPP if rule.unit == "um" else window for window in rule.windows]
    crops = probe_cells(CROPS, windows, rule.size_px)
    return [crops[start : start + shape[0]] for start in range(0, CROPS, shape[0])]


def _agreed(
    truth: Sequence[npt.NDArray[np.float32]], outputs: Sequence[npt.NDArray[np.float32]], bundle: Bundle, network: Any
) -> tuple[int, int, int]:
    """Return cells that both tell of, those of them that both call the same, and the cells of both.

    Of an encoder two cells are the same where their vectors point the same way.
    """
    manifest = bundle.manifest
    if not all(np.isfinite(t).all() for t in outputs):
        return 0, 0, 1
    if manifest.kind == "classifier":
        same = called(truth[0], manifest.decision) == called(outputs[0], manifest.decision)
        return same.size, int(same.sum()), 2 * same.size
    if manifest.kind == "encoder":
        near = 1 - _cosine_distances(truth[0], outputs[0]) >= SAME_DIRECTION
        return near.size, int(near.sum()), 2 * near.size
    reading = _reading(network, manifest.architecture)
    assert reading is not None
    apart = 0.0 if manifest.mpp is None else manifest.decision.merge_um / manifest.mpp
    threshold = max(manifest.decision.score_threshold, 1e-6)
    scores = reading.cells(truth, threshold).scores
    if len(scores) > _MOST_CELLS:  # of a network that was never trained, which finds cells everywhere
        threshold = float(np.partition(scores, -_MOST_CELLS)[-_MOST_CELLS])
    found = [separate_cells(reading.cells(maps, threshold), apart) for maps in (truth, outputs)]
    return agreement(found[0], found[1], MATCH_UM / (manifest.mpp or _USUAL_MPP), manifest.decision)


def _request(core: Any, graph: Any, precision: Any) -> Any:
    """Return what runs a graph of one shape in a precision."""
    return core.compile_model(
        graph, "CPU", {"INFERENCE_PRECISION_HINT": precision, **ON_ANY_CORE}
    ).create_infer_request()


def _timed(requests: dict[Precision, Any], pixels: npt.NDArray[np.uint8]) -> dict[Precision, float]:
    """Run each in turns and return its processor's seconds: what else the machine does shall not choose."""
    seconds: dict[Precision, float] = dict.fromkeys(requests, float("inf"))
    for turn in range(_RUNS):
        for name, request in requests.items():
            started_s = time.process_time()
            request.infer({0: pixels})
            if turn:  # the first one prepares
                seconds[name] = min(seconds[name], time.process_time() - started_s)
    return seconds


def differences(
    truth: Sequence[npt.NDArray[np.float32]], outputs: Sequence[npt.NDArray[np.float32]], bundle: Bundle, network: Any
) -> tuple[float, float]:
    """Return by how much probabilities and places differ at most, the latter in px of the input.

    Parameters
    ----------
    truth, outputs : sequence of ndarray
        Raw outputs of torch and of another runtime.
    bundle : Bundle
        Whose.
    network : nn.Module
        Loaded from it.
    """
    if [t.shape for t in truth] != [t.shape for t in outputs] or not all(np.isfinite(t).all() for t in outputs):
        return 1e9, 1e9
    if bundle.manifest.kind == "classifier":
        heat = bundle.manifest.decision.temperature
        return _largest(softmax(truth[0] / heat, axis=-1) - softmax(outputs[0] / heat, axis=-1)), 0.0
    if bundle.manifest.kind == "encoder":
        return _largest(_cosine_distances(truth[0], outputs[0])), 0.0
    if not isinstance(network, PointDetector):
        return _largest(np.clip(truth[0], 0, 1) - np.clip(outputs[0], 0, 1)), 0.0
    per_cell = PROPOSALS**2
    places, shares = (
        [np.moveaxis(m[n].reshape(per_cell, -1, *m[n].shape[-2:]), 1, -1) for m in (truth, outputs)] for n in (0, 1)
    )
    each = [softmax(s.astype(np.float64), axis=-1) for s in shares]
    likely = 1 - each[0][..., -1] >= LIKELY
    moved = (places[0] - places[1])[likely][:, :2] * network.stride
    return _largest(each[0] - each[1]), _largest(moved)


def _cosine_distances(truth: npt.NDArray[np.float32], outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return 1 - the cosine of each pair of vectors; a vector of nothing but zeros is near to its like only."""
    a, b = truth.astype(np.float64), outputs.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.einsum("ij,ij->i", a, b) / np.where(lengths > 0, lengths, 1)
    apart: npt.NDArray[np.float64] = np.where(lengths > 0, 1 - cosines, np.abs(a - b).max(axis=1, initial=0.0))
    return apart


def _largest(differences: npt.NDArray[Any]) -> float:
    return float(np.abs(differences).max(initial=0.0))


def _reading(network: Any, architecture: str) -> MapReading | None:
    if architecture not in READERS:
        return None
    known = {"architecture": architecture, "stride": network.stride, "halo": network.halo, "multiple": network.multiple}
    if isinstance(network, PointDetector):
        known |= {"size_px": network.size_px, "sizes": network.sizes, "per_side": PROPOSALS, "longest_log": LONGEST_LOG}
    return MapReading.model_validate(known)
