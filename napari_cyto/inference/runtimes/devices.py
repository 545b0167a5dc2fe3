"""What a network runs on here, and in which precision."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_cyto.errors import CytoError

if TYPE_CHECKING:
    import torch


def chosen_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``; with ``auto`` a GPU where there is one, else the processor.

    Raises
    ------
    CytoError
        When there is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise CytoError(
            f"There is no device {name[:40]!r} on this machine; choose auto, cpu, or cuda if there is a GPU."
        ) from error
    return device


def check_device(name: str) -> None:
    """Refuse a device that is not here; torch is imported only where one is named that may not be.

    Raises
    ------
    CytoError
        When there is no such device here.
    """
    if name not in ("auto", "cpu"):
        chosen_device(name)


def configured_threads() -> int:
    """Return how many threads the environment allows a process (``OMP_NUM_THREADS``), 0 where it does not say."""
    configured = os.environ.get("OMP_NUM_THREADS", "")
    return int(configured) if configured.isdecimal() else 0


def computes_bf16(device: torch.device) -> bool:
    """Whether a device computes in bf16 faster than in fp32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)
