"""What a training run was started with, as its folder and its checkpoints keep it; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.domain.json_values import from_plain
from napari_cyto.errors import CytoError
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run was started with.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    sources : tuple of str
        As ``--data`` takes them.
    parent : Path or None
        The bundle that it continues from.
    """

    config: TrainConfig
    sources: tuple[str, ...]
    parent: Path | None = None

    @classmethod
    def of(cls, folder: RunFolder) -> RunSettings | None:
        """Return what the run in a folder was started with; None where it does not say so any more."""
        try:
            return cls.from_json(folder.config())
        except CytoError:
            return None

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``config.json`` holds."""
        parent = None if self.parent is None else str(self.parent)
        return {"config": self.config.model_dump(mode="json"), "sources": list(self.sources), "parent": parent}

    @classmethod
    def from_json(cls, value: object) -> RunSettings:
        """Return what ``to_json`` made; settings that an earlier version did not know have their defaults.

        Raises
        ------
        CytoError
            When it is none.
        """
        return from_plain(cls, value, "What a run was started with")


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """What a run's numbers depend on: a run that goes on needs the same.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    data : str
        Fingerprint of the training set.
    """

    config: TrainConfig
    data: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that a checkpoint holds."""
        return {"config": self.config.model_dump(mode="json"), "data": self.data}

    @classmethod
    def from_json(cls, value: object) -> CheckpointSettings:
        """Return what ``to_json`` made; settings that an earlier version did not know have their defaults.

        Raises
        ------
        CytoError
            When it is none.
        """
        return from_plain(cls, value, "What a checkpoint is of")
