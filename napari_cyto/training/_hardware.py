"""What a run works on: devices through Lightning Fabric, the precision that agrees, what is not enough memory."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from lightning_fabric import Fabric

from napari_cyto.training._run_progress import Precision
from napari_cyto.training._task import Batch, Share, Task
from napari_cyto.training.config import PhaseConfig, TrainConfig

AGREES = 0.02
"""Largest relative difference between the losses in bf16 and in fp32 at which bf16 is taken."""

_FABRIC_NAMES = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_fabric(config: TrainConfig, precision: Precision) -> Fabric:
    """Return the engine: GPUs where there are some, as many as asked for, else the processor."""
    gpus = torch.cuda.device_count()
    devices = min(config.devices, gpus) if gpus else 1
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Fabric has advice on interconnects and matmul precision that is not for the users of this product.
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator="cuda" if gpus else ("mps" if torch.backends.mps.is_available() else "cpu"),
            devices=devices,
            strategy="ddp" if devices > 1 else "auto",
            precision=_FABRIC_NAMES[precision],
        )
        fabric.launch()
    return fabric


def chosen_precision(config: TrainConfig, task: Task, phase: PhaseConfig) -> tuple[Precision, str]:
    """Return the precision of a run and the sentence that says why.

    With ``auto``, bf16 where the processor or GPU computes in it and the loss of one batch agrees with fp32.
    """
    if config.precision != "auto":
        return config.precision, f"Computing in {config.precision}, as requested."
    if not _has_bf16():
        return "fp32", "Computing in fp32: this processor has no bf16 of its own."
    batch = next(iter(task.batches(0, min(config.batch, 16), Share())))
    task.parameter_groups(phase)
    losses = [_loss_of(task, phase, batch, enabled) for enabled in (False, True)]
    apart = abs(losses[1] - losses[0]) / max(abs(losses[0]), 1e-6)
    if apart <= AGREES:
        return "bf16", f"Computing in bf16: the loss of one batch agrees with fp32 to {apart:.2%}."
    return "fp32", f"Computing in fp32: in bf16 the loss of one batch differs by {apart:.2%}."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a step failed for lack of memory, on a GPU or here."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _native_bf16()


def _native_bf16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def _loss_of(task: Task, phase: PhaseConfig, batch: Batch, reduced: bool) -> float:
    """Return a batch's loss with the same chance in dropout, the weights and statistics untouched."""
    kept = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    task.train_mode(phase)
    with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=reduced):
        network = task.network.to(kind)
        loss = float(task.loss(network, _moved(batch, kind)))
    task.network.cpu().load_state_dict(kept)
    return loss


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {k: _moved(v, device) for k, v in value.items()}
    return [_moved(v, device) for v in value] if isinstance(value, list | tuple) else value
