"""What runs a network here: PyTorch, or OpenVINO where it keeps to the bundle's tolerance; nothing here imports torch.

The choice is made by itself and told: PyTorch on a graphics card; on a processor OpenVINO where it is installed and
its answers are those of torch; else PyTorch.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from napari_cyto.errors import CytoError
from napari_cyto.inference.request import Runtime
from napari_cyto.inference.runtimes.runtime import CropRuntime, DetectorRuntime
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.onnx_network import is_onnx
from napari_cyto.models.openvino_library import openvino_version

Runtimes = TypeVar("Runtimes")


@dataclass(frozen=True)
class RuntimeRequest:
    """What was asked for of a runtime.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` ...
    precision : str
        ``auto``, ``fp32`` or ``bf16``.
    runtime : str
        ``auto``, ``torch`` or ``openvino``.
    """

    device: str = "auto"
    precision: str = "auto"
    runtime: Runtime = "auto"


def detector_runtime(bundle: Bundle, requested: RuntimeRequest) -> tuple[DetectorRuntime, tuple[str, ...]]:
    """Return what runs a detector, and what to know of the choice, a sentence each.

    Raises
    ------
    CytoError
        When the device or the runtime that was demanded cannot be had.
    """

    def openvino() -> tuple[DetectorRuntime, tuple[str, ...]]:
        from napari_cyto.inference.runtimes._openvino_runtime import OpenVinoDetector

        made = OpenVinoDetector(bundle, _precision(bundle, requested))
        return made, made.remarks

    def torch() -> DetectorRuntime:
        from napari_cyto.inference.runtimes.torch_runtime import TorchDetector

        return TorchDetector.of_bundle(bundle, requested.device, requested.precision)

    return _chosen(bundle, requested, openvino, torch)


def crop_runtime(bundle: Bundle, requested: RuntimeRequest) -> tuple[CropRuntime, tuple[str, ...]]:
    """Return what runs a classifier or an encoder, and what to know of the choice, a sentence each.

    Raises
    ------
    CytoError
        When the device or the runtime that was demanded cannot be had.
    """

    def openvino() -> tuple[CropRuntime, tuple[str, ...]]:
        from napari_cyto.inference.runtimes._openvino_runtime import OpenVinoCrops

        made = OpenVinoCrops(bundle, _precision(bundle, requested))
        return made, made.remarks

    def torch() -> CropRuntime:
        from napari_cyto.inference.runtimes.torch_runtime import TorchCrops

        return TorchCrops(bundle, requested.device, requested.precision)

    return _chosen(bundle, requested, openvino, torch)


def takes_openvino(requested: RuntimeRequest) -> bool:
    """Whether OpenVINO is to be tried.

    Raises
    ------
    CytoError
        When it was demanded and is not installed, or together with a graphics card.
    """
    if requested.runtime == "torch":
        return False
    on_processor = requested.device == "cpu" or (requested.device == "auto" and not gpu_here())
    if requested.runtime == "auto":
        return on_processor and openvino_version() is not None
    if requested.device not in ("auto", "cpu"):
        raise CytoError(
            f"OpenVINO runs networks on the CPU only, but the device is {requested.device}; use the runtime torch."
        )
    if openvino_version() is None:
        raise CytoError('OpenVINO is not installed; install it with: pip install "napari-cyto[openvino]".')
    return True


@cache
def gpu_here() -> bool:
    """Whether torch has a graphics card; it is asked only where a driver for one is, because it starts slowly."""
    if not _has_driver():
        return False
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _has_driver() -> bool:
    if Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _precision(bundle: Bundle, requested: RuntimeRequest) -> str:
    """Return the precision that is asked for; that of a foreign network is always its own."""
    return "fp32" if is_onnx(bundle.manifest) else requested.precision


def _chosen(
    bundle: Bundle,
    requested: RuntimeRequest,
    openvino: Callable[[], tuple[Runtimes, tuple[str, ...]]],
    torch: Callable[[], Runtimes],
) -> tuple[Runtimes, tuple[str, ...]]:
    """Return what OpenVINO makes where it is to be tried and can, else what torch makes and a sentence why."""
    if is_onnx(bundle.manifest):
        if requested.device not in ("auto", "cpu"):
            raise CytoError(
                f"{bundle.id}: networks that are kept as ONNX run on the CPU only, but the device is "
                f"{requested.device}; choose auto or cpu."
            )
        return openvino()
    if not takes_openvino(requested):
        return torch(), ()
    try:
        return openvino()
    except CytoError as error:
        if requested.runtime == "openvino":
            raise
        return torch(), (f"{error} PyTorch is used instead.",)
