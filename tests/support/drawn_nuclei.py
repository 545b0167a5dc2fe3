"""Fields of mature cells drawn with nuclei of a chosen size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

GLASS, CYTOPLASM, NUCLEUS = (242, 240, 244), (180, 205, 205), (70, 60, 110)


def drawn(cells: int = 20, nucleus_px: float = 28, side: int = 800, seed: int = 0) -> np.ndarray:
    """A field of mature cells on a grid, each with one nucleus; two leucocytes of three lobes lie on plain glass."""
    rng = np.random.default_rng(seed)
    big = Image.new("RGB", (side, side), GLASS)
    draw = ImageDraw.Draw(big)
    step = nucleus_px * 5
    per_row = int(side // step)
    for i in range(min(cells, per_row * per_row)):
        y, x = (i // per_row + 0.5) * step, (i % per_row + 0.5) * step
        draw.ellipse((x - step * 0.47, y - step * 0.47, x + step * 0.47, y + step * 0.47), fill=CYTOPLASM)
        r = nucleus_px / 2 * float(np.exp(rng.normal(0, 0.05)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=NUCLEUS)
    return np.asarray(big.filter(ImageFilter.GaussianBlur(0.8)))
