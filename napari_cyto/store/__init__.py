"""The project database: slides, annotations, and the history of every edit."""

from napari_cyto.store._history import HistoryEntry
from napari_cyto.store._project import Project

__all__ = [
    "HistoryEntry",
    "Project",
    "columns",
    "kept_sets",
    "project_copy",
    "reading_gate",
    "slide_details",
    "step_origin",
]
