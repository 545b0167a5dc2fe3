"""The project database: slides, annotations, and the history of every edit."""

from napari_cyto.store.history import HistoryEntry
from napari_cyto.store.project import Project

__all__ = ["HistoryEntry", "Project"]
