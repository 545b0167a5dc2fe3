"""Every vendor format, by OpenSlide; JPEG-tiled TIFFs among them take a faster way to the same pixels."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openslide
from openslide import OpenSlide, OpenSlideError

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.slide_info import BelievedMpp, SlideInfo, believe_mpp, true_factors_yx
from napari_cyto.slides.tiff_tiles import TiffTiles

# These store each level as one grid of independent tiles, which can be decoded without OpenSlide.
_PLAIN_TILES = ("aperio", "generic-tiff")
_TILE_PX = 512
_OPENSLIDE_CACHE_BYTES = 32 * 2**20


class OpenSlideBackend:
    """Reads whatever OpenSlide opens.

    OpenSlide refuses everything after its first error on a handle, so a damaged tile costs a fresh handle.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: OpenSlide | None = _open(path)
        self._repair = threading.Lock()
        self.info = _info(path, self._handle)
        self._tiles_hw = tuple(_tile_hw(self._handle, k) for k in range(self.info.levels))
        self._plain = _plain_tiles(path, self.info, self._tiles_hw)

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
        if handle is None:
            raise TileError("the slide is closed")
        try:
            return self._read(handle, level, row, column)
        except OpenSlideError:
            return self._read_afresh(level, row, column)

    def _read(self, handle: OpenSlide, level: int, row: int, column: int) -> RGB:
        (th, tw), (level_h, level_w) = self._tiles_hw[level], self.info.level_sizes_hw[level]
        y, x = row * th, column * tw
        downsample = self.info.downsamples[level]
        size = (min(tw, level_w - x), min(th, level_h - y))
        image = np.asarray(handle.read_region((round(x * downsample), round(y * downsample)), level, size))
        return _on_background(image, self.info.background_rgb)

    def _read_afresh(self, level: int, row: int, column: int) -> RGB:
        # The handle may have been spoilt by another tile: only a failure on a handle of our own is this tile's.
        with self._repair:
            try:
                fresh, spare = _open(self._path), _open(self._path)
            except SlideError as error:
                raise TileError(str(error)) from error
            try:
                tile, good = self._read(fresh, level, row, column), fresh
            except OpenSlideError as error:
                good = spare
                raise TileError(str(error)) from error
            finally:
                if self._handle is not None:
                    self._handle = good
            return tile

    def associated(self, name: str) -> RGB:
        """Return an extra image."""
        try:
            handle = self._handle or _open(self._path)
            image = np.asarray(handle.associated_images[name].convert("RGBA"))
        except OpenSlideError:
            try:
                image = np.asarray(_open(self._path).associated_images[name].convert("RGBA"))
            except OpenSlideError as error:
                raise TileError(str(error)) from error
        return _on_background(image, (255, 255, 255))

    def close(self) -> None:
        """Let go of the file; a thread that is reading from it keeps it open until it is done."""
        self._handle = None
        if self._plain is not None:
            self._plain.close()


def _open(path: Path) -> OpenSlide:
    try:
        handle = OpenSlide(path)
    except OpenSlideError as error:
        raise SlideError(f"{path.name} cannot be opened as a slide: {str(error).rstrip('.')}.") from error
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


def _number(properties: dict[str, str], name: str) -> float | None:
    try:
        return float(properties[name])
    except (KeyError, ValueError):
        return None


def _info(path: Path, handle: OpenSlide) -> SlideInfo:
    properties = dict(handle.properties)
    sizes = tuple((h, w) for w, h in handle.level_dimensions)
    believed: BelievedMpp = believe_mpp(
        _number(properties, openslide.PROPERTY_NAME_MPP_X), _number(properties, openslide.PROPERTY_NAME_MPP_Y)
    )
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
        objective=_number(properties, openslide.PROPERTY_NAME_OBJECTIVE_POWER),
        bounds_yxyx=_bounds(properties),
        icc=_icc(handle),
        associated=tuple(handle.associated_images),
        background_rgb=_background(properties),
        properties=properties,
    )


def _bounds(properties: dict[str, str]) -> tuple[int, int, int, int] | None:
    y, x, h, w = (_number(properties, f"openslide.bounds-{name}") for name in ("y", "x", "height", "width"))
    if y is None or x is None or not h or not w:
        return None
    return (int(y), int(x), int(y + h), int(x + w))


def _background(properties: dict[str, str]) -> tuple[int, int, int]:
    text = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "")
    try:
        r, g, b = bytes.fromhex(text)
    except ValueError:
        return (255, 255, 255)
    return (r, g, b)


def _icc(handle: OpenSlide) -> bytes | None:
    try:
        profile = handle.color_profile
        return None if profile is None else bytes(profile.tobytes())
    except (OpenSlideError, OSError, ValueError):
        return None


def _plain_tiles(path: Path, info: SlideInfo, tiles_hw: tuple[tuple[int, int], ...]) -> TiffTiles | None:
    if info.vendor not in _PLAIN_TILES:
        return None
    return TiffTiles.matching(path, info.level_sizes_hw, tiles_hw)
