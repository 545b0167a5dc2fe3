"""The state of a run on disk: one safetensors file that appears whole or not at all, nothing in it is ever run."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.training._run_progress import Progress
from napari_cyto.training.run_settings import CheckpointSettings

TENSORS = "checkpoint.safetensors"
STATE_FILE = "checkpoint.json"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on to the same numbers.

    Parameters
    ----------
    progress : Progress
        Where it stands.
    network : dict
        Its weights and statistics by name.
    optimiser : dict
        ``state`` (place of a parameter to its tensors and numbers); the rates follow from the progress.
    average : dict
        The averaged weights; empty without.
    request : CheckpointSettings
        What the run's numbers depend on: a resumed run needs the same.
    """

    progress: Progress
    network: dict[str, Any]
    optimiser: dict[int, dict[str, Any]]
    average: dict[str, Any]
    request: CheckpointSettings


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before is good until this one is whole.

    Raises
    ------
    CytoError
        When the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {f"network.{n}": t for n, t in checkpoint.network.items()}
    tensors |= {f"average.{n}": t for n, t in checkpoint.average.items()}
    numbers: dict[str, Any] = {}
    for place, state in checkpoint.optimiser.items():
        for name, value in state.items():
            if hasattr(value, "detach"):
                tensors[f"optimiser.{place}.{name}"] = value
            elif value is not None:
                numbers[f"{place}.{name}"] = value
    record = {"progress": checkpoint.progress.as_dict(), "numbers": numbers, "asked": checkpoint.request.to_json()}
    plain = {n: t.detach().cpu().clone(memory_format=_contiguous()) for n, t in tensors.items()}
    partial = folder / f".{TENSORS}.partial"
    try:
        # All is in one file, so that a machine that stops between two writes leaves no halves that do not fit.
        save_file(plain, partial, metadata={"run": json.dumps(record)})
        with partial.open("r+b") as stream:
            os.fsync(stream.fileno())
        partial.replace(folder / TENSORS)
    except Exception as error:
        partial.unlink(missing_ok=True)
        raise _sentence(error, folder) from error
    write_text(folder / STATE_FILE, json.dumps(record, indent=1) + "\n")


def load(folder: Path) -> Checkpoint | None:
    """Return the last checkpoint; None when there is none.

    Raises
    ------
    CytoError
        When it is damaged.
    """
    from safetensors import safe_open

    path = folder / TENSORS
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as stored:
            record = json.loads(stored.metadata()["run"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  no mapping
    except Exception as error:
        raise CytoError(f"{path}: this checkpoint is damaged ({error}); start the run anew.") from error
    parts: dict[str, dict[str, Any]] = {"network": {}, "average": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    states: dict[int, dict[str, Any]] = {}
    for name, value in (parts["optimiser"] | record["numbers"]).items():
        place, _, rest = name.partition(".")
        states.setdefault(int(place), {})[rest] = value
    request = CheckpointSettings.from_json(record["asked"])
    return Checkpoint(Progress.from_dict(record["progress"]), parts["network"], states, parts["average"], request)


def best_epoch(folder: Path) -> int:
    """Return the epoch that the kept model of a run is of, from 1; 0 when none was kept. Needs no torch."""
    try:
        record = json.loads((folder / STATE_FILE).read_bytes())
        return int(record["progress"]["best_epoch"]) if (folder / TENSORS).exists() else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def forget(folder: Path) -> None:
    """Remove the checkpoint of an earlier run."""
    for name in (TENSORS, STATE_FILE):
        (folder / name).unlink(missing_ok=True)


def _contiguous() -> Any:
    import torch

    return torch.contiguous_format


def _sentence(error: Exception, folder: Path) -> Exception:
    full = isinstance(error, OSError) and error.errno in _FULL
    # safetensors wraps what the system said into an error of its own.
    if full or "os error 28" in str(error) or "No space left" in str(error):
        return CytoError(
            f"The disk of {folder} is full; the checkpoint before this one and the best model so far are kept. Free "
            "some space, then go on with --resume."
        )
    if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
        return CytoError(f"{folder}: the checkpoint cannot be written ({error}); the one before is kept.")
    return error
