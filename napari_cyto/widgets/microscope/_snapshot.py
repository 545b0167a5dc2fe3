"""What is on screen as an image to keep: with a scale bar, and a caption that says what it is and what was changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from napari_cyto import __version__
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.slide_lines import slide_lines

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

SUFFIXES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
_LONGEST_SHARE = 0.25
_UM_PER_CM, _UM_PER_MM = 1e4, 1e3
_MARGIN_PX, _BAR_PX, _CAPTION_GAP_PX = 12, 4, 6
_WRAPS = int(Qt.TextFlag.TextWordWrap)
_CENTIMETRE, _DESCRIPTION, _SOFTWARE, _UNIT, _PER_X, _PER_Y = 3, 270, 305, 296, 282, 283


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An image of the view.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, with scale bar and caption.
    caption : str
        What it shows.
    um_per_px : float or None
        How much a px of it covers; None where the size of the slide's px is unknown.
    """

    image: Image.Image
    caption: str
    um_per_px: float | None


@contextmanager
def _bare(viewer: Viewer, hidden: Layer | None) -> Iterator[None]:
    """Leave out, for as long as it lasts, what lies over the slide: tools, napari's scale bar, and one layer."""
    nodes = [*slide_lines(viewer), *([] if hidden is None else [napari_window.node_of(viewer, hidden)])]
    shown = [node for node in nodes if node.visible]
    bar = napari_window.scale_bar_of(viewer)
    was_barred, bar.visible = bar.visible, False
    for node in shown:
        node.visible = False
    try:
        yield
    finally:
        bar.visible = was_barred
        for node in shown:
            node.visible = True


def snapshot(viewer: Viewer, annotations: Layer | None, um_per_screen_px: float | None, caption: str) -> Snapshot:
    """Return an image of what is on screen, without rulers and other tools.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose view it is.
    annotations : Layer or None
        The layer to leave out.
    um_per_screen_px : float or None
        How much a px of the screen covers, None where that is not known: no scale bar is drawn then.
    caption : str
        What stands below the image.
    """
    with _bare(viewer, annotations):
        shot = np.ascontiguousarray(viewer.screenshot(canvas_only=True, flash=False)[..., :3])
    # On a fine screen a px of the canvas is several of the image.
    _, width = napari_window.canvas_size_px(viewer)
    per_px = um_per_screen_px * width / shot.shape[1] if um_per_screen_px else None
    return Snapshot(_captioned(shot, caption, per_px), caption, per_px)


def write(taken: Snapshot, path: Path) -> None:
    """Write a snapshot as PNG or TIFF; its file says what the caption says, and a TIFF how much a px covers.

    Raises
    ------
    CytoError
        When there is a file of that name, the name has another end, or the place cannot be written.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise CytoError(f"Expected a name that ends in .png or .tif, got {path.name}.")
    if path.exists():
        raise CytoError(f"{path.name} exists already, and a snapshot replaces no file; choose another name.")
    software = f"napari-cyto {__version__}"
    with atomic_file(path) as written:
        if kind == "PNG":
            said = PngInfo()
            for name, words in (("Description", taken.caption), ("Software", software)):
                said.add_itxt(name, words)
            taken.image.save(written, format=kind, pnginfo=said)
        else:
            taken.image.save(written, format=kind, compression="tiff_deflate", tiffinfo=_tags(taken, software))


def _tags(taken: Snapshot, software: str) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2()
    # TIFF has no other letters in its texts.
    tags[_DESCRIPTION], tags[_SOFTWARE] = taken.caption.replace("µ", "u").encode("ascii", "replace").decode(), software
    if taken.um_per_px:
        per_cm = IFDRational(_UM_PER_CM / taken.um_per_px)
        tags[_UNIT], tags[_PER_X], tags[_PER_Y] = _CENTIMETRE, per_cm, per_cm
    return tags


def bar_um(width_um: float) -> float:
    """Return the length of a scale bar, 1, 2 or 5 times a power of ten, for an image so many µm wide."""
    most = width_um * _LONGEST_SHARE
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= most * (1 + 1e-9))


def _captioned(shot: npt.NDArray[np.uint8], caption: str, um_per_px: float | None) -> Image.Image:
    """Return the shot ``(h, w, 3)`` with its bar, over its caption.

    Qt draws it, in letters that the user's system has: those that come with Pillow have none for micro.
    """
    height, width = shot.shape[:2]
    font = QFont()
    font.setPixelSize(max(13, width // 60))
    inner = QRect(_MARGIN_PX, 0, width - 2 * _MARGIN_PX, 0)
    words = QFontMetrics(font).boundingRect(inner.adjusted(0, 0, 0, 9999), _WRAPS, caption)
    whole = QImage(width, height + words.height() + 2 * _CAPTION_GAP_PX, QImage.Format.Format_RGB888)
    whole.fill(QColor("white"))
    painter = QPainter(whole)
    painter.drawImage(0, 0, QImage(shot.data, width, height, 3 * width, QImage.Format.Format_RGB888))
    painter.setFont(font)
    painter.setPen(QColor("black"))
    painter.drawText(inner.translated(0, height + _CAPTION_GAP_PX).adjusted(0, 0, 0, words.height()), _WRAPS, caption)
    if um_per_px:
        _draw_bar(painter, width, height, um_per_px)
    painter.end()
    return _pil_image(whole)


def _draw_bar(painter: QPainter, width: int, height: int, um_per_px: float) -> None:
    um = bar_um(width * um_per_px)
    length = round(um / um_per_px)
    words = f"{um / _UM_PER_MM:g} mm" if um >= _UM_PER_MM else f"{um:g} µm"
    metrics = painter.fontMetrics()
    ground_px = max(length, metrics.horizontalAdvance(words)) + _MARGIN_PX
    # Black on white shows on stain, glass and beside the slide alike.
    ground = QRect(0, 0, ground_px, metrics.height() + _BAR_PX + _MARGIN_PX)
    ground.moveBottomRight(QPoint(width - _MARGIN_PX, height - _MARGIN_PX))
    painter.fillRect(ground, QColor("white"))
    painter.drawText(ground, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter, words)
    left = ground.center().x() - length // 2
    painter.fillRect(QRect(left, ground.bottom() - _MARGIN_PX // 2 - _BAR_PX, length, _BAR_PX), QColor("black"))


def _pil_image(image: QImage) -> Image.Image:
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    # Qt begins each row at a multiple of four bytes.
    return Image.frombytes("RGB", (image.width(), image.height()), bytes(bits), "raw", "RGB", image.bytesPerLine())
