"""A slide of any size out of one picture, laid beside itself as often as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_cyto.slides.tiff_writer import write_pyramid


def write_repeated(path: Path, shape_px: tuple[int, int], image: Any, mpp: float) -> Path:
    """Write a picture (rows, columns, RGB) over and over on ``shape_px`` (rows, columns), in the levels of scanners."""
    high, wide = image.shape[:2]

    def draw(y0: int, x0: int, rows: int, columns: int) -> Any:
        y, x = np.arange(y0, y0 + rows) % high, np.arange(x0, x0 + columns) % wide
        return image[y[:, None], x]

    write_pyramid(path, shape_px, draw, mpp=mpp)
    return path
