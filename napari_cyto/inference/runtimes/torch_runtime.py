"""Networks in PyTorch: on a graphics card, and on a processor where no other runtime keeps their answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.errors import JobCancelled
from napari_cyto.inference.engine.tile_memory import BYTES_PER_PX
from napari_cyto.inference.network_input import as_input
from napari_cyto.inference.runtimes.devices import chosen_device, computes_bf16
from napari_cyto.inference.runtimes.runtime import RGB
from napari_cyto.jobs.events import Token
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite, try_network, watched
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import Normalisation
from napari_cyto.models.raw_cells import RawCells


class TorchDetector:
    """A detector in PyTorch.

    Parameters
    ----------
    network : nn.Module
        With ``decode``, ``halo`` and ``multiple``.
    run : callable
        Takes prepared pictures ``(1, 3, h, w)`` to the network's raw outputs.
    normalisation : Normalisation
        The bundle's.
    device : torch.device
        Where it runs.
    title : str
        What people read.
    name : str
        What people call the model.
    """

    bytes_per_px = BYTES_PER_PX
    side_px: int | None = None

    def __init__(
        self,
        network: Any,
        run: Callable[[torch.Tensor], Any],
        normalisation: Normalisation,
        device: str = "cpu",
        title: str = "PyTorch",
        name: str = "The network",
    ) -> None:
        self.network, self.run, self._normalisation = network, run, normalisation
        self.device, self.title, self._name = device, title, name
        self.halo, self.multiple = int(network.halo), int(network.multiple)
        self._lock = threading.Lock()

    @classmethod
    def of_bundle(cls, bundle: Bundle, device: str, precision: str) -> TorchDetector:
        """Return a bundle's detector on a device.

        Raises
        ------
        CytoError
            When the device is not here, or the network's answers are no numbers.
        """
        where = chosen_device(device)
        network = bundle.load_network(str(where)).to(memory_format=torch.channels_last)
        try_network(network, bundle.manifest, where)
        reduced = precision == "bf16" or (precision == "auto" and computes_bf16(where))

        def run(images: torch.Tensor) -> Any:
            with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=reduced):
                return network(images.to(where))

        return cls(network, run, bundle.manifest.normalisation, str(where), titled(where, reduced), bundle.id)

    def prepared(self, pixels: RGB) -> torch.Tensor:
        """Return a tile, uint8 RGB ``(h, w, 3)``, as the network takes it, ``(1, 3, h, w)`` float32."""
        return as_input(pixels[None, None], self._normalisation)[0]

    def ready(self, height: int, width: int) -> None:
        """See `DetectorRuntime.ready`: any size will do."""

    def cells(self, pixels: RGB, floor: float, token: Token | None = None) -> FoundCells:
        """See `DetectorRuntime.cells`."""
        images = self.prepared(pixels)
        # One at a time: the network takes all cores by itself, and a tile all the memory that was reckoned with.
        with self._lock:
            with interruptible(self.network, token), watched(self.network, self._name):
                outputs = self.run(images)
            refuse_not_finite(self._name, outputs)
            return plain(self.network.decode(outputs, floor)[0])


class TorchCrops:
    """A classifier or an encoder in PyTorch.

    Parameters
    ----------
    bundle : Bundle
        The model.
    device, precision : str
        As asked for; without a word on precision, that in which the model was judged.

    Raises
    ------
    CytoError
        When the device is not here, or the network's answers are no numbers.
    """

    def __init__(self, bundle: Bundle, device: str, precision: str = "auto") -> None:
        self._where = chosen_device(device)
        self.network = bundle.load_network(str(self._where))
        try_network(self.network, bundle.manifest, self._where)
        self._normalisation = bundle.manifest.normalisation
        chosen = bundle.manifest.decision.precision if precision == "auto" else precision
        self._reduced = chosen == "bf16" and (precision == "bf16" or computes_bf16(self._where))
        self.device, self.title = str(self._where), titled(self._where, self._reduced)
        self._lock = threading.Lock()

    def outputs(self, crops: RGB, token: Token | None = None) -> npt.NDArray[np.float64]:
        """See `CropRuntime.outputs`."""
        pixels = as_input(crops, self._normalisation).to(self._where)
        context = torch.autocast(self._where.type, torch.bfloat16, enabled=self._reduced)
        with self._lock, interruptible(self.network, token), torch.inference_mode(), context:
            answers: npt.NDArray[np.float64] = self.network(pixels).float().cpu().double().numpy()
        return answers


def titled(device: torch.device, reduced: bool) -> str:
    """Return what people read of a network on a device."""
    return f"PyTorch {'bf16' if reduced else 'fp32'}" + ("" if device.type == "cpu" else f" on {device}")


def plain(cells: RawCells) -> FoundCells:
    """Return a network's cells as plain arrays."""
    points, sizes, scores, class_scores = (
        t.detach().cpu().double().numpy() for t in (cells.points_yx, cells.sizes_hw, cells.scores, cells.class_scores)
    )
    return FoundCells(points, sizes, scores, class_scores)


@contextmanager
def interruptible(network: Any, token: Token | None) -> Iterator[None]:
    """Look at the token before each layer of a torch network while the block runs.

    Raises
    ------
    JobCancelled
        Out of the network.
    """
    if token is None or not hasattr(network, "modules"):
        yield
        return

    def look(*_: Any) -> None:
        if token.cancelled():
            raise JobCancelled("Cancelled. What was found so far is kept.")

    leaves = [m for m in network.modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_pre_hook(look) for m in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
