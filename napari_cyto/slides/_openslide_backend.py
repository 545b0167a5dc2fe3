"""Every vendor format, by OpenSlide; JPEG-tiled TIFFs among them take a faster way to the same pixels."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openslide
from openslide import OpenSlide, OpenSlideError
from PIL import ImageCms

from napari_cyto.errors import SlideError
from napari_cyto.slides._native_check import look, open_natively
from napari_cyto.slides._tiff_tiles import TiffTiles
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.colour import unusable_remark, usable_profile
from napari_cyto.slides.slide_info import BelievedMpp, SlideInfo, believe_mpp, true_factors_yx

# These store each level as one grid of independent tiles, which can be decoded without OpenSlide.
_PLAIN_TILES = ("aperio", "generic-tiff")
_TILE_PX = 512
_OPENSLIDE_CACHE_BYTES = 32 * 2**20
MOST_OBJECTIVE = 1000.0
"""No objective of a light microscope magnifies more: 100 is common, 150 the most."""


class OpenSlideBackend:
    """Reads whatever OpenSlide opens.

    OpenSlide refuses everything after its first error on a handle, so a damaged tile costs a fresh handle.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: OpenSlide | None = _open(path)
        self._closed = False
        self._repair = threading.Lock()
        try:
            self.info = _info(path, self._handle)
        except (OpenSlideError, ValueError, OverflowError, ZeroDivisionError) as error:
            raise SlideError(f"{path.name} cannot be opened as a slide: {str(error).rstrip('.')}.") from error
        self._tiles_hw = tuple(_tile_hw(self._handle, k) for k in range(self.info.levels))
        self._plain = _plain_tiles(path, self.info, self._tiles_hw)

    @property
    def decodes_itself(self) -> bool:
        """Whether its tiles are decoded here, one by one, and not by OpenSlide."""
        return self._plain is not None

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of the tiles of a level."""
        return self._tiles_hw[level]

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        """Return the pixels of one tile."""
        if self._plain is not None:
            tile = self._plain.decode(level, row, column)
            if tile is not None:
                return tile
        handle = self._handle
        try:
            if handle is not None:
                return self._read(handle, level, row, column)
        except OpenSlideError:
            pass
        return self._read_afresh(level, row, column, handle)

    def _read(self, handle: OpenSlide, level: int, row: int, column: int) -> RGB:
        (th, tw), (level_h, level_w) = self._tiles_hw[level], self.info.level_sizes_hw[level]
        y, x = row * th, column * tw
        downsample = self.info.downsamples[level]
        size = (min(tw, level_w - x), min(th, level_h - y))
        image = np.asarray(handle.read_region((round(x * downsample), round(y * downsample)), level, size))
        return _on_background(image, self.info.background_rgb)

    def _read_afresh(self, level: int, row: int, column: int, spoilt: OpenSlide | None) -> RGB:
        """Read a tile with a handle that no other tile has spoilt: only there a failure is this tile's.

        A damaged tile costs one opening, and one more by the next tile that is read.
        """
        with self._repair:
            if self._closed:
                raise TileError("the slide is closed")
            handle, self._handle = self._handle, None
            if handle is not None and handle is not spoilt:
                with contextlib.suppress(OpenSlideError):
                    tile = self._read(handle, level, row, column)
                    self._handle = handle
                    return tile
            try:
                fresh = _open(self._path)
                tile = self._read(fresh, level, row, column)
            except (SlideError, OpenSlideError) as error:
                raise TileError(str(error)) from error
            self._handle = fresh
            return tile

    def associated(self, name: str) -> RGB:
        """Return an extra image."""
        try:
            image = np.asarray(_open(self._path).associated_images[name].convert("RGBA"))
        except (SlideError, OpenSlideError, MemoryError, ValueError) as error:
            raise TileError(str(error) or type(error).__name__) from error
        return _on_background(image, (255, 255, 255))

    def close(self) -> None:
        """Let go of the file; a thread that is reading from it keeps it open until it is done."""
        self._closed = True
        self._handle = None
        if self._plain is not None:
            self._plain.close()


def _open(path: Path) -> OpenSlide:
    handle = open_natively(path)
    handle.set_cache(openslide.OpenSlideCache(_OPENSLIDE_CACHE_BYTES))
    return handle


def _on_background(rgba: RGB, background: tuple[int, int, int]) -> RGB:
    alpha = rgba[..., 3]
    if alpha.size and alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight: npt.NDArray[np.uint16] = alpha[..., None].astype(np.uint16)
    mixed = rgba[..., :3] * weight + np.array(background, np.uint16) * (255 - weight) + 127
    return np.asarray(mixed // 255, np.uint8)


def _tile_hw(handle: OpenSlide, level: int) -> tuple[int, int]:
    try:
        th = int(handle.properties[f"openslide.level[{level}].tile-height"])
        tw = int(handle.properties[f"openslide.level[{level}].tile-width"])
    except (KeyError, ValueError):
        return (_TILE_PX, _TILE_PX)
    # Strips and giant tiles make bad units of caching.
    return (th, tw) if min(th, tw) >= 64 and max(th, tw) <= 1024 else (_TILE_PX, _TILE_PX)


def _number(properties: Mapping[str, str], name: str) -> float | None:
    """Return a property that is a finite number, or None."""
    try:
        value = float(properties[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _objective(properties: Mapping[str, str]) -> tuple[float | None, str]:
    """Return the magnification, and what to say of one that no microscope has."""
    # What is no number at all the library leaves out, and only the vendor's own word for it is left.
    text = properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER) or properties.get("aperio.AppMag", "")
    value = _number(properties, openslide.PROPERTY_NAME_OBJECTIVE_POWER)
    if value is not None and 0 < value <= MOST_OBJECTIVE:
        return value, ""
    said = f"The file says that the objective magnifies {text[:40]!r} times, which is treated as unknown."
    return None, said if text.strip() else ""


def _mpp(properties: Mapping[str, str]) -> BelievedMpp:
    """Return the mpp; a statement that is no number at all is told, too."""
    names = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    values = [_number(properties, name) for name in names]
    nonsense = [text for name, v in zip(names, values, strict=True) if v is None and (text := properties.get(name))]
    if nonsense:
        return BelievedMpp(None, "", f"The file says {nonsense[0][:40]!r} µm per pixel, which is not a number.")
    return believe_mpp(*values)


def _info(path: Path, handle: OpenSlide) -> SlideInfo:
    properties = dict(handle.properties)
    sizes = tuple((h, w) for w, h in handle.level_dimensions)
    believed = _mpp(properties)
    objective, objective_remark = _objective(properties)
    icc, icc_remark = _icc(handle)
    left_out = look(path).left_out
    too_large = f"The extra images {', '.join(left_out)} are too large to be shown." if left_out else ""
    return SlideInfo(
        path=path,
        vendor=properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
        width=sizes[0][1],
        height=sizes[0][0],
        level_sizes_hw=sizes,
        downsamples=tuple(handle.level_downsamples),
        factors_yx=true_factors_yx(sizes[0], sizes),
        mpp=believed.mpp,
        mpp_source=believed.source,
        mpp_rejected=believed.rejected,
        objective=objective,
        bounds_yxyx=_bounds(properties, sizes[0]),
        icc=icc,
        associated=tuple(name for name in handle.associated_images if name not in left_out),
        background_rgb=_background(properties),
        properties=properties,
        remarks=tuple(remark for remark in (objective_remark, icc_remark, too_large) if remark),
    )


def _bounds(properties: Mapping[str, str], size_hw: tuple[int, int]) -> tuple[int, int, int, int] | None:
    y, x, h, w = (_number(properties, f"openslide.bounds-{name}") for name in ("y", "x", "height", "width"))
    if y is None or x is None or h is None or w is None or min(h, w) < 1 or min(y, x) < 0:
        return None
    # Nothing was scanned beyond the image.
    y1, x1 = min(y + h, size_hw[0]), min(x + w, size_hw[1])
    return (int(y), int(x), int(y1), int(x1)) if y1 > y and x1 > x else None


def _background(properties: Mapping[str, str]) -> tuple[int, int, int]:
    text = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "")
    try:
        r, g, b = bytes.fromhex(text)
    except ValueError:
        return (255, 255, 255)
    return (r, g, b)


def _icc(handle: OpenSlide) -> tuple[bytes | None, str]:
    """Return the colour profile, and what to say of one that cannot be used."""
    try:
        profile = handle.color_profile
        return (None, "") if profile is None else usable_profile(bytes(profile.tobytes()))
    except (OpenSlideError, OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
        return None, unusable_remark(str(error))


def _plain_tiles(path: Path, info: SlideInfo, tiles_hw: tuple[tuple[int, int], ...]) -> TiffTiles | None:
    if info.vendor not in _PLAIN_TILES:
        return None
    return TiffTiles.matching(path, info.level_sizes_hw, tiles_hw)
