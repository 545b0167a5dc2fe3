"""A picture in memory as the slide that the engine reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.slides import Slide, open_slide


@contextmanager
def image_slide(rgb: np.ndarray) -> Iterator[Slide]:
    """Open a picture, uint8 RGB ``(h, w, 3)``, through a file without losses that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(rgb).save(path, compress_level=0)
        with open_slide(path) as slide:
            yield slide
