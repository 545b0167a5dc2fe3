"""Networks in OpenVINO, exported once and compared with torch; where the export is there, torch is not imported."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.jobs import Token
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.memory import BYTES_PER_PX, OPENVINO_BYTES_PER_PX, SIDES_PX, need_memory
from napari_cyto.inference.runtime import RGB
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.exported import Exported, read_export
from napari_cyto.models.found_cells import FoundCells, MapReading
from napari_cyto.models.openvino_library import openvino_library, openvino_version
from napari_cyto.models.torch_installed import need_torch

CELLS_AT_ONCE = 8
"""Cells of a classifier's batch, which is padded: a field seldom has fewer, and more gain nothing on a processor."""

REQUESTS = 2
"""Tiles in flight: one is read out and another handed over while the cores are busy."""

_LOOK_MS = 15
_WHITE = 255


def exported_for(bundle: Bundle, shape: tuple[int, ...]) -> Exported:
    """Return the export of a bundle for an input; where none is, it is made, which takes torch and some seconds.

    Raises
    ------
    CytoError
        When it cannot be made.
    """
    known = read_export(bundle, shape, openvino_version() or "")
    if known is not None:
        return known
    need_torch("Exporting a network")
    if bundle.manifest.kind == "detector":
        need_memory(shape[1] * shape[2] * BYTES_PER_PX, f"Exporting {bundle.id} to OpenVINO")
    from napari_cyto.models.exporting import export

    return export(bundle, shape)


class OpenVinoNetwork:
    """A compiled network that several threads ask.

    Parameters
    ----------
    bundle : Bundle
        The model.
    shape : tuple of int
        Of its input.
    precision : str
        ``auto`` for the fastest that keeps the bundle's tolerance.

    Raises
    ------
    CytoError
        When it cannot be exported, or no precision keeps the tolerance.
    """

    def __init__(self, bundle: Bundle, shape: tuple[int, ...], precision: str = "auto") -> None:
        exported = exported_for(bundle, shape)
        self.record, self.shape = exported.record, shape
        chosen = self.record.precision(bundle.manifest.tolerance, precision)
        if chosen is None:
            raise CytoError(_too_far(bundle, self.record.compared))
        self.precision = chosen
        openvino = openvino_library()
        hints = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[chosen], "PERFORMANCE_HINT": "LATENCY"}
        try:
            core = openvino.Core()
            graph = core.read_model(exported.graph, openvino.Tensor(np.frombuffer(exported.weights, np.uint8)))
            compiled = core.compile_model(graph, "CPU", hints)
            self._idle = [compiled.create_infer_request() for _ in range(REQUESTS)]
        except RuntimeError as error:
            raise CytoError(f"{bundle.id}: OpenVINO cannot run its export ({str(error)[:160]}).") from error
        self._free = threading.Semaphore(REQUESTS)

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
        self._bundle, self._precision = bundle, precision
        self._networks: dict[int, OpenVinoNetwork] = {}
        self._lock = threading.Lock()
        first = self._network(min(SIDES_PX))
        reading = first.record.reading
        if reading is None:
            raise CytoError(f"{bundle.id}: its export does not say how its maps are read.")
        self._reading: MapReading = reading
        self.halo, self.multiple = reading.halo, reading.multiple
        self.title = f"OpenVINO {first.precision}"

    def cells(self, pixels: RGB, floor: float, token: Token | None = None) -> FoundCells:
        """See `DetectorRuntime.cells`."""
        height, width = pixels.shape[:2]
        side = padded_side(max(height, width))
        if (height, width) != (side, side):
            whole = np.full((side, side, 3), _WHITE, np.uint8)
            whole[:height, :width] = pixels
            pixels = whole
        with self._network(side).outputs(np.ascontiguousarray(pixels)[None], token) as maps:
            cells = self._reading.cells(maps, floor)
        return cells.at((cells.points_yx[:, 0] < height) & (cells.points_yx[:, 1] < width))

    def ready(self, side: int) -> None:
        """See `DetectorRuntime.ready`: the network is exported where it must be."""
        self._network(padded_side(side))

    def _network(self, side: int) -> OpenVinoNetwork:
        with self._lock:
            if side not in self._networks:
                self._networks[side] = OpenVinoNetwork(self._bundle, (1, side, side, 3), self._precision)
            return self._networks[side]


class OpenVinoClassifier:
    """A classifier in OpenVINO; see `ClassifierRuntime`.

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
        rule = bundle.manifest.crop_rule
        assert rule is not None, "a classifier has a crop rule"
        shape = (CELLS_AT_ONCE, len(rule.windows), rule.size_px, rule.size_px, 3)
        self._network = OpenVinoNetwork(bundle, shape, precision)
        self.title = f"OpenVINO {self._network.precision}"

    def logits(self, crops: RGB, token: Token | None = None) -> npt.NDArray[np.float64]:
        """See `ClassifierRuntime.logits`."""
        told: list[npt.NDArray[np.float64]] = []
        for start in range(0, len(crops), CELLS_AT_ONCE):
            part = crops[start : start + CELLS_AT_ONCE]
            batch = np.zeros(self._network.shape, np.uint8)
            batch[: len(part)] = part
            with self._network.outputs(batch, token) as outputs:
                told.append(outputs[0][: len(part)].astype(np.float64))
        return np.concatenate(told)


def padded_side(side: int) -> int:
    """Return the side of the square that a tile is padded to, px: shapes are burned into an export."""
    smallest = min(SIDES_PX)
    return min((s for s in SIDES_PX if s >= side), default=-(-side // smallest) * smallest)


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


def _too_far(bundle: Bundle, compared: Any) -> str:
    tolerance = bundle.manifest.tolerance
    told: Sequence[str] = [f"{c.probability:.2g} and {c.place_px:.2g} px in {p}" for p, c in compared.items()]
    return (
        f"{bundle.id}: in OpenVINO its answers differ from PyTorch's by {', '.join(told)}, and by at most "
        f"{tolerance.probability:g} and {tolerance.place_px:g} px they may."
    )
