"""Annotations on a napari viewer: layers that show the store, and the tools and keys that edit it."""

from napari_cyto.widgets.canvas.canvas import Canvas, attach

__all__ = [
    "Canvas",
    "attach",
    "badge",
    "canvas",
    "crosshair",
    "drags",
    "focus_frame",
    "frames",
    "key_help",
    "napari_actions",
    "napari_window",
    "pins",
    "slide_lines",
    "step_lines",
    "view_options",
    "view_panel",
]
