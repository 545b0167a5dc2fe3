"""A camera's field in a flat file: one level, decoded whole when first looked at; a large one through tiles on disk."""

from __future__ import annotations

import threading
from pathlib import Path

from napari_cyto.slides._flat_image import decode, decode_deep, read_header, said_of_bits
from napari_cyto.slides._flat_tiles import TILE_PX, FlatTiles
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.slide_info import SlideInfo

FLAT_VENDORS = ("png", "jpeg", "bmp", "webp", "jpeg2000", "ppm")
"""What ``SlideInfo.vendor`` says of flat images."""
_DEEP_AND_LARGE = "Its samples have 16 bits; as many of them as the largest sample needs are shown as the full range."


class ImageBackend:
    """Reads one flat image. Its pixels stay as stored: a camera's rotation tag would move the annotations."""

    def __init__(self, path: Path) -> None:
        self._header = header = read_header(path)
        self._lock = threading.Lock()
        self._tiles: FlatTiles | None = None
        self._first: RGB | None = None
        self._closed = False
        height, width = header.size_hw
        self.info = SlideInfo(
            path=path,
            vendor=header.format.lower(),
            width=width,
            height=height,
            level_sizes_hw=((height, width),),
            downsamples=(1.0,),
            factors_yx=((1.0, 1.0),),
            # The dpi of a flat image is for print: no camera writes the microscope's scale there.
            mpp_rejected="The file does not state the pixel size in µm.",
            icc=header.image_header.icc,
            remarks=tuple(r for r in (*header.remarks, self._depth_remark(path)) if r),
        )

    def _depth_remark(self, path: Path) -> str:
        """Return what to say of the depth where the header does not tell it, but the pixels do.

        They are unpacked once: the first who asks for them gets them from here.
        """
        if not self._header.is_deep or self._header.known_bits:
            return ""
        if not self._header.is_whole:
            return _DEEP_AND_LARGE
        try:
            self._first, bits = decode_deep(path, self._header)
        except TileError:
            return ""
        return said_of_bits(bits, 16)

    def tile_shape_hw(self, level: int) -> tuple[int, int]:  # noqa: ARG002 - there is one level
        """Return height and width of the tiles: the whole image, unless it is large."""
        return self.info.size_hw if self._header.is_whole else (TILE_PX, TILE_PX)

    def decode_tile(self, level: int, row: int, column: int) -> RGB:  # noqa: ARG002 - there is one level
        """Return the pixels of one tile."""
        if self._header.is_whole:
            first, self._first = self._first, None
            return decode(self.info.path, self._header) if first is None else first
        with self._lock:
            if self._closed:
                raise TileError("the image is closed")
            if self._tiles is None:
                self._tiles = FlatTiles.of(self.info.path, self._header)
        return self._tiles.tile(row, column)

    def associated(self, name: str) -> RGB:
        """Return an extra image; a flat image has none."""
        raise KeyError(name)

    def close(self) -> None:
        """Let go of the pixels."""
        with self._lock:
            self._closed, self._first = True, None
            if self._tiles is not None:
                self._tiles.close()
            self._tiles = None
