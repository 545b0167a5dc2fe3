"""Networks in OpenVINO, exported once and compared with torch; where the export is there, torch is not imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.files.lock import in_turn
from napari_cyto.inference.engine.tile_memory import FIELD_SIDES_PX, OPENVINO_BYTES_PER_PX, reckoned_hw
from napari_cyto.inference.runtimes.devices import configured_threads
from napari_cyto.inference.runtimes.runtime import RGB
from napari_cyto.jobs.events import Token
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.models.found_cells import READERS, FoundCells, MapReading
from napari_cyto.models.onnx_network import is_onnx
from napari_cyto.models.openvino_cache import Exported, ExportRecord, has_refused_export, read_export, seals_folder
from napari_cyto.models.openvino_library import ON_ANY_CORE, openvino_library, openvino_version
from napari_cyto.models.openvino_store import NotKeptError
from napari_cyto.models.torch_installed import need_torch

CELLS_AT_ONCE = 8
"""Cells of a classifier's batch, which is padded: a field seldom has fewer, and more gain nothing on a processor."""

REQUESTS = 2
"""Tiles in flight: one is read out and another handed over while the cores are busy."""

STREAMS = 2
"""Large tiles are computed by two halves of the cores: no layer of the one waits for a core that reads or decodes.

Whole slides took 8 % less time so than with all cores on each layer (median of four runs each, 2 cores).
"""

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_LOOK_MS = 15
_MADE_ANEW = "{}: the existing OpenVINO export was damaged or made elsewhere, so it was created again."
_WHITE = 255


class OpenVinoModel:
    """A bundle's export, and the precision that was chosen for it.

    Parameters
    ----------
    bundle : Bundle
        The model; where its export is not there, it is made, which takes torch and some seconds.
    precision : str
        ``auto`` for the fastest that keeps the bundle's tolerance.

    Raises
    ------
    CytoError
        When it cannot be exported, or no precision keeps the tolerance.
    """

    def __init__(self, bundle: Bundle, precision: str = "auto") -> None:
        self._bundle, self._exported = bundle, _exported(bundle)
        self.record = self._exported.record
        self.remarks = (self._exported.remark,) if self._exported.remark else ()
        chosen = self.record.precision(bundle.manifest.tolerance, precision)
        if chosen is None:
            raise CytoError(_too_far(bundle, self.record))
        self.precision = chosen

    def compiled(self, shape: tuple[int, ...]) -> OpenVinoNetwork:
        """Return the network for inputs of a shape: a fixed one is a fifth faster, in half the memory.

        Raises
        ------
        CytoError
            When OpenVINO refuses.
        """
        openvino, exported = openvino_library(), self._exported
        hints = {"INFERENCE_PRECISION_HINT": _HINTS[self.precision], **_cores(is_large(shape))}
        try:
            core = openvino.Core()
            graph = exported.model.clone() if exported.model is not None else _graph(core, exported)
            graph.reshape({graph.inputs[0]: list(shape)})
            compiled = core.compile_model(graph, "CPU", hints)
            return OpenVinoNetwork(shape, [compiled.create_infer_request() for _ in range(REQUESTS)])
        except RuntimeError as error:
            said = " ".join(str(error).split())[:160]
            raise CytoError(f"{self._bundle.id}: OpenVINO cannot run its export ({said}).") from error


class OpenVinoNetwork:
    """A compiled network that several threads ask; ``shape`` is that of its input."""

    def __init__(self, shape: tuple[int, ...], requests: list[Any]) -> None:
        self.shape, self._idle = shape, requests
        self._free = threading.Semaphore(len(requests))

    @contextmanager
    def outputs(self, pixels: RGB, token: Token | None = None) -> Iterator[list[npt.NDArray[np.float32]]]:
        """Yield the raw outputs for an input, uint8 of the network's shape; they hold as long as the block runs.

        Raises
        ------
        JobCancelled
            When the token says so.
        """
        with self._free:
            request = self._idle.pop()
            try:
                request.start_async({0: pixels}, share_inputs=True)
                _wait(request, token)
                yield [each.data for each in request.output_tensors]
            finally:
                self._idle.append(request)


class OpenVinoDetector:
    """A detector in OpenVINO; see `DetectorRuntime`.

    Parameters
    ----------
    bundle : Bundle
        The model.
    precision : str
        As asked for.

    Raises
    ------
    CytoError
        When OpenVINO cannot take its place.
    """

    device, bytes_per_px = "cpu", OPENVINO_BYTES_PER_PX

    def __init__(self, bundle: Bundle, precision: str = "auto") -> None:
        if bundle.manifest.architecture not in READERS:
            raise CytoError(
                f"{bundle.id}: networks of the architecture {bundle.manifest.architecture} run in PyTorch only."
            )
        self._model, self._name = OpenVinoModel(bundle, precision), bundle.id
        reading = self._model.record.reading
        assert reading is not None, "an export of a detector says how its maps are read"
        self._reading: MapReading = reading
        self.halo, self.multiple = reading.halo, reading.multiple
        self.side_px = reading.foreign.side_px if reading.foreign is not None else None
        self.title, self.remarks = f"OpenVINO {self._model.precision}", self._model.remarks
        self._networks: dict[tuple[int, int], OpenVinoNetwork] = {}
        self._large: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def cells(self, pixels: RGB, floor: float, token: Token | None = None) -> FoundCells:
        """See `DetectorRuntime.cells`."""
        height, width = pixels.shape[:2]
        network = self.network(height, width)
        if network.shape[1:3] != (height, width):
            whole = np.full(network.shape[1:], _WHITE, np.uint8)
            whole[:height, :width] = pixels
            pixels = whole
        with network.outputs(np.ascontiguousarray(pixels)[None], token) as maps:
            refuse_not_finite(self._name, maps)
            cells = self._reading.cells(maps, floor)
        return cells.at((cells.points_yx[:, 0] < height) & (cells.points_yx[:, 1] < width))

    def ready(self, height: int, width: int) -> None:
        """See `DetectorRuntime.ready`; a network of a slide with larger tiles would only look at more for nothing."""
        with self._lock:
            self._compiled(self._shape(height, width))

    def network(self, height: int, width: int) -> OpenVinoNetwork:
        """Return the network for tiles of up to a size, px; of the large ones only the last is kept.

        The narrow tiles at a slide's edges are filled up for the large one; a field, for which somebody waits, is not.

        Raises
        ------
        CytoError
            When OpenVINO refuses.
        """
        with self._lock:
            large = self._large
            shape = self._shape(height, width)
            if is_large((1, *shape, 3)) and large and large[0] >= shape[0] and large[1] >= shape[1]:
                return self._networks[large]
            return self._compiled(shape)

    def _shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width, px, that the network is compiled for; a foreign one knows a single size."""
        if self.side_px is None:
            return reckoned_hw(height, width, self.multiple)
        if max(height, width) > self.side_px:
            raise CytoError(
                f"{self._name}: expected tiles of at most {self.side_px} px, which this network was made for, got "
                f"{height} x {width} px."
            )
        return self.side_px, self.side_px

    def _compiled(self, shape: tuple[int, int]) -> OpenVinoNetwork:
        if shape not in self._networks:
            self._networks[shape] = self._model.compiled((1, *shape, 3))
            if is_large((1, *shape, 3)):
                if self._large is not None:
                    del self._networks[self._large]
                self._large = shape
        return self._networks[shape]


class OpenVinoCrops:
    """A classifier or an encoder in OpenVINO; see `CropRuntime`.

    Parameters
    ----------
    bundle : Bundle
        The model.
    precision : str
        As asked for.

    Raises
    ------
    CytoError
        When OpenVINO cannot take its place.
    """

    device = "cpu"

    def __init__(self, bundle: Bundle, precision: str = "auto") -> None:
        model, rule = OpenVinoModel(bundle, precision), bundle.manifest.crop_rule
        assert rule is not None, "classifiers and encoders have a crop rule"
        at_once = model.record.at_once or CELLS_AT_ONCE
        self._network = model.compiled((at_once, len(rule.windows), rule.size_px, rule.size_px, 3))
        self.title, self.remarks = f"OpenVINO {model.precision}", model.remarks

    def outputs(self, crops: RGB, token: Token | None = None) -> npt.NDArray[np.float64]:
        """See `CropRuntime.outputs`."""
        answers: list[npt.NDArray[np.float64]] = []
        at_once = self._network.shape[0]
        for start in range(0, len(crops), at_once):
            part = crops[start : start + at_once]
            batch = np.zeros(self._network.shape, np.uint8)
            batch[: len(part)] = part
            with self._network.outputs(batch, token) as outputs:
                answers.append(outputs[0][: len(part)].astype(np.float64))
        return np.concatenate(answers)


def _graph(core: Any, exported: Exported) -> Any:
    return core.read_model(exported.graph, openvino_library().Tensor(np.frombuffer(exported.weights, np.uint8)))


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether an input ``(1, h, w, 3)`` is a slide's tile, whose answer nobody waits for; a batch of cells is none."""
    return len(shape) == 4 and max(shape) > FIELD_SIDES_PX[-1]


def _cores(large: bool) -> dict[str, Any]:
    """Return how the cores are shared out: all for the answer that is waited for, or for as many answers as can be.

    The environment's number of threads holds, which OpenVINO does not look up: workers share a machine.
    """
    threads = configured_threads()
    hints: dict[str, Any] = dict(ON_ANY_CORE)
    if threads:
        hints["INFERENCE_NUM_THREADS"] = threads
    if large and (threads or os.cpu_count() or 1) >= STREAMS:
        return hints | {"NUM_STREAMS": STREAMS}
    return hints | {"PERFORMANCE_HINT": "LATENCY"}


def _exported(bundle: Bundle) -> Exported:
    version = openvino_version() or ""
    known = read_export(bundle, version)
    if known is not None:
        return known
    if not is_onnx(bundle.manifest):
        need_torch("Exporting a network")
    # Of two programs that begin together one exports; the other would find half an export and call it damaged.
    with in_turn(seals_folder()):
        return read_export(bundle, version) or _exported_anew(bundle, version)


def _exported_anew(bundle: Bundle, version: str) -> Exported:
    refused = has_refused_export(bundle, version)
    try:
        made = _made(bundle)
    except NotKeptError as error:
        return replace(error.exported, remark=str(error))
    return replace(made, remark=_MADE_ANEW.format(bundle.id)) if refused else made


def _made(bundle: Bundle) -> Exported:
    """Return a bundle's export, made now: of a foreign graph in a process of its own, else by torch."""
    if is_onnx(bundle.manifest):
        from napari_cyto.models.onnx_trial import export_onnx

        return export_onnx(bundle)
    from napari_cyto.models.openvino_export import export

    return export(bundle)


def _wait(request: Any, token: Token | None) -> None:
    if token is None:
        request.wait()
        return
    while not request.wait_for(_LOOK_MS):
        if token.cancelled():
            request.cancel()
            with suppress(RuntimeError):  # this is how it says that it was cancelled
                request.wait()
            raise JobCancelled("Cancelled. What was found so far is kept.")


def _too_far(bundle: Bundle, record: ExportRecord) -> str:
    tolerance, compared = bundle.manifest.tolerance, record.compared.items()
    gaps = ", ".join(
        f"{c.matched_f1:.4g}, {c.same_calls:.4g}, {c.probability:.2g} and {c.place_px:.2g} px in {p}"
        for p, c in compared
    )
    return (
        f"{bundle.id}: in OpenVINO its results differ too much from PyTorch's. Expected at least "
        f"{tolerance.matched_f1:g} matched detections (F1) and {tolerance.same_calls:g} equal classes, and differences "
        f"of at most {tolerance.probability:g} in probability and {tolerance.place_px:g} px in position, got {gaps}."
    )
