"""Which task trains which model; each is imported only when it is to be trained."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_cyto.training._task import Task
from napari_cyto.training.config import TrainConfig

TASKS = {
    "classifier": ("classifier_task", "ClassifierTask"),
    "p2p": ("point_task", "PointTask"),
    "fcrn": ("fcrn_task", "FcrnTask"),
    "faster-rcnn": ("box_task", "BoxTask"),
    "retinanet": ("box_task", "BoxTask"),
}
"""Kind, or a detector's architecture, to the module of ``napari_cyto.training`` and the class in it."""


def make_task(config: TrainConfig, data: Any, split: Any, parent: Any = None) -> Task:
    """Return the task that ``config`` describes.

    Parameters
    ----------
    config : TrainConfig
        The recipe, as run.
    data : TrainingSet
        Slides and cells.
    split : TrainingSplit
        Which slide is on which side.
    parent : Bundle, optional
        The model to continue from.
    """
    name = "classifier" if config.model.kind == "classifier" else config.model.architecture
    module, kind = TASKS[name]
    task: Task = getattr(import_module(f"napari_cyto.training.{module}"), kind)(config, data, split, parent)
    return task
