"""One open project in one viewer: state, commands and signals, without Qt."""

from napari_cyto.files.reader import reader_name
from napari_cyto.session._session import Session
from napari_cyto.session.tools import Tool

__all__ = [
    "Session",
    "Tool",
    "cell_tint",
    "commands",
    "coverage_recorder",
    "outlines",
    "reader_name",
    "review_progress",
    "similar_cells",
    "tools",
]
