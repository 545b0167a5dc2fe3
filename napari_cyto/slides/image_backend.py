"""PNG and JPEG: a camera's field, one level, decoded whole when first looked at."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.slide_info import SlideInfo

_TILE_PX = 4096


class ImageBackend:
    """Reads one flat image. Its pixels stay as stored: a camera's rotation tag would move the annotations."""

    def __init__(self, path: Path) -> None:
        self._pixels: RGB | None = None
        self._lock = threading.Lock()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    self._format = image.format or ""
                    width, height = image.size
                    icc = image.info.get("icc_profile")
        except Image.DecompressionBombError as error:
            raise SlideError(
                f"{path.name} is too large for an image without levels ({error}); make it a pyramidal TIFF."
            ) from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise SlideError(f"{path.name} is no image that can be read: {error}.") from error
        if self._format not in ("PNG", "JPEG"):
            raise SlideError(f"{path.name} should be a PNG or JPEG image, but it is {self._format}.")
        self.info = SlideInfo(
            path=path,
            vendor=self._format.lower(),
            width=width,
            height=height,
            level_sizes_hw=((height, width),),
            downsamples=(1.0,),
            factors_yx=((1.0, 1.0),),
            # The dpi of a flat image is for print: no camera writes the microscope's scale there.
            mpp_rejected="The file does not say how many µm a pixel covers.",
            icc=icc,
        )

    def tile_shape_hw(self, level: int) -> tuple[int, int]:  # noqa: ARG002 - there is one level
        """Return height and width of the tiles: the whole image, unless it is very large."""
        return (min(_TILE_PX, self.info.height), min(_TILE_PX, self.info.width))

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        """Return the pixels of one tile."""
        th, tw = self.tile_shape_hw(level)
        if (th, tw) == self.info.size_hw:
            return self._decode()
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        return self._pixels[row * th : (row + 1) * th, column * tw : (column + 1) * tw].copy()

    def _decode(self) -> RGB:
        try:
            if self._format == "JPEG":
                _check_jpeg(self.info.path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(self.info.path) as image:
                    return _as_rgb(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise TileError(str(error)) from error

    def associated(self, name: str) -> RGB:
        """Return an extra image; a flat image has none."""
        raise KeyError(name)

    def close(self) -> None:
        """Let go of the pixels."""
        self._pixels = None


def _check_jpeg(path: Path) -> None:
    # PIL fills what damage leaves out with grey and says nothing; the strict decoder tells.
    data = path.read_bytes()
    if simplejpeg.decode_jpeg_header(data)[2] != "CMYK":
        simplejpeg.decode_jpeg(data, "GRAY", strict=True, fastdct=True)


def _as_rgb(image: Image.Image) -> RGB:
    if image.mode in ("I;16", "I;16B", "I"):
        return np.repeat((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return np.array(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    return np.array(image.convert("RGB"))
