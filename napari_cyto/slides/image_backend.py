"""A camera's field in a flat file: one level, decoded whole when first looked at; a large one through tiles on disk."""

from __future__ import annotations

import threading
from pathlib import Path

from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.flat_image import decode, depth_remark, read_header
from napari_cyto.slides.flat_tiles import TILE_PX, FlatTiles
from napari_cyto.slides.slide_info import SlideInfo

FLAT_VENDORS = ("png", "jpeg", "bmp", "webp", "jpeg2000", "ppm")
"""What ``SlideInfo.vendor`` says of flat images."""
WHOLE_PX = 4096**2
"""Up to this many px the image is one tile, which the cache of tiles holds."""


class ImageBackend:
    """Reads one flat image. Its pixels stay as stored: a camera's rotation tag would move the annotations."""

    def __init__(self, path: Path) -> None:
        self._header = header = read_header(path)
        self._lock = threading.Lock()
        self._tiles: FlatTiles | None = None
        height, width = header.size_hw
        self._is_whole = height * width <= WHOLE_PX
        self.info = SlideInfo(
            path=path,
            vendor={"MPO": "jpeg", "DIB": "bmp"}.get(header.format, header.format.lower()),
            width=width,
            height=height,
            level_sizes_hw=((height, width),),
            downsamples=(1.0,),
            factors_yx=((1.0, 1.0),),
            # The dpi of a flat image is for print: no camera writes the microscope's scale there.
            mpp_rejected="The file does not say how many µm a pixel covers.",
            icc=header.icc,
            remarks=tuple(r for r in (*header.remarks, depth_remark(path, header)) if r),
        )

    def tile_shape_hw(self, level: int) -> tuple[int, int]:  # noqa: ARG002 - there is one level
        """Return height and width of the tiles: the whole image, unless it is large."""
        return self.info.size_hw if self._is_whole else (TILE_PX, TILE_PX)

    def decode_tile(self, level: int, row: int, column: int) -> RGB:  # noqa: ARG002 - there is one level
        """Return the pixels of one tile."""
        if self._is_whole:
            return decode(self.info.path, self._header)
        with self._lock:
            if self._tiles is None:
                self._tiles = FlatTiles.of(self.info.path, self._header)
        tile = self._tiles.tile(row, column)
        if tile is None:
            raise TileError("the tiles that were made of the image are gone; open it again")
        return tile

    def associated(self, name: str) -> RGB:
        """Return an extra image; a flat image has none."""
        raise KeyError(name)

    def close(self) -> None:
        """Let go of the pixels."""
        if self._tiles is not None:
            self._tiles.close()
        self._tiles = None
