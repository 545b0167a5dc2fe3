"""One open project in one viewer: state, commands and signals, without Qt."""

from napari_cyto.session._session import Session
from napari_cyto.session.tools import Tool

__all__ = [
    "Session",
    "Tool",
    "cell_places",
    "commands",
    "coverage_recorder",
    "handles",
    "keys",
    "model_commands",
    "outlines",
    "predict_commands",
    "review_keys",
    "review_progress",
    "slide_details",
    "tools",
    "view_options",
]
