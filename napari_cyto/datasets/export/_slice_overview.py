"""A slice with its cells drawn in the collection's colours, class names beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from napari_cyto.datasets._crops import RGB
from napari_cyto.formats.apacc.label_lines import COLOURS
from napari_cyto.formats.apacc.slices import SliceCell

LINE_PX = 4
FONT_PX = 28


NAME_HEIGHT_PX, NAME_WIDTH_PX = 2 * FONT_PX, 8 * FONT_PX
"""How far a class's name may reach beyond the box of its cell."""


def draw_overview(image: RGB, cells: Iterable[SliceCell], size_hw: tuple[int, int] | None = None) -> RGB:
    """Return a copy of a slice with the boxes and class names of its cells drawn.

    Parameters
    ----------
    image : ndarray, (h, w, 3), uint8, RGB
        The slice.
    cells : iterable of SliceCell
        Boxes in px of the slice; classes of the collection.
    size_hw : tuple of int, optional
        Size of the slice, px, when ``image`` is only its top left; names keep within it.

    Returns
    -------
    ndarray, (h, w, 3), uint8, RGB

    Notes
    -----
    Source: colours as drawn by the collection's own code (Kupas et al. 2024, Usage Notes and Fig. 5).
    """
    height, width = size_hw or image.shape[:2]
    shown_image = Image.fromarray(image)
    pen = ImageDraw.Draw(shown_image)
    # Without antialiasing every drawn pixel is exactly the class's colour, so a program can read them back.
    pen.fontmode = "1"
    font = _font()
    for cell in cells:
        colour = ImageColor.getrgb(COLOURS[cell.class_id])
        y0, x0, y1, x1 = (int(v) for v in cell.box.bounds_yxyx)
        pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colour, width=LINE_PX)
        length = int(pen.textlength(cell.class_id, font=font))
        x = min(max(x0, 0), max(width - length, 0))
        y = y0 - FONT_PX - LINE_PX if y0 >= FONT_PX + LINE_PX else min(y1 + LINE_PX, height - FONT_PX)
        pen.text((x, y), cell.class_id, fill=colour, font=font)
    return np.asarray(shown_image)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_PX)
