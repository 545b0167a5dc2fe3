"""Size of an image from its header, for label files in fractions of it; no pixels are decoded."""

from __future__ import annotations

import warnings
from pathlib import Path

import tifffile
from PIL import Image

from napari_cyto.errors import FormatError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_TIFF = (".tif", ".tiff")


def image_size_hw(path: Path) -> tuple[int, int]:
    """Return height and width, px, as the header of an image file has them.

    Raises
    ------
    FormatError
        When the file is not there or is no image.
    """
    try:
        with warnings.catch_warnings():
            # Large images are what this is for; their pixels are not decoded here.
            warnings.simplefilter("ignore")
            return _tiff_size(path) if path.suffix.lower() in _TIFF else _plain_size(path)
    except FileNotFoundError:
        raise FormatError("there is no such image.", path) from None
    except Image.DecompressionBombError:
        raise FormatError("the image is larger than any that is read here.", path) from None
    except Exception as error:  # PIL and tifffile raise anything on broken headers, TypeError among it
        raise FormatError(f"the size of the image cannot be read ({str(error)[:100]}).", path) from error


def image_of(folder: Path, name: str) -> Path | None:
    """Return the image called ``name`` (with or without extension) in a folder, or None; never one outside it."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    if not plain or plain in (".", "..") or "\x00" in plain:
        return None
    for candidate in (plain, *(plain + suffix for suffix in IMAGE_SUFFIXES)):
        path = folder / candidate
        try:
            if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
                return path
        except OSError:  # a name too long for this file system
            return None
    return None


def _plain_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return (image.height, image.width)


def _tiff_size(path: Path) -> tuple[int, int]:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return (int(page.shape[0]), int(page.shape[1]))
