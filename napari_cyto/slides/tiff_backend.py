"""Plain TIFF, pyramidal (SubIFDs or further pages) or a single page, tiled or in strips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.flat_image import said_of_bits
from napari_cyto.slides.slide_info import SlideInfo, true_factors_yx
from napari_cyto.slides.tiff_says import believed_mpp, is_colour_in_planes, ome_of, plane_remarks
from napari_cyto.slides.tiff_tiles import Level, TiffTiles, _readable

_ASPECT_TOLERANCE = 0.05


class TiffBackend:
    """Reads TIFFs that OpenSlide does not."""

    def __init__(self, path: Path) -> None:
        try:
            with tifffile.TiffFile(path) as tiff:
                pages = _levels(tiff)
                self._check(path, pages)
                levels, remarks = _planes(tiff, pages)
                self._tiles = TiffTiles(path, levels)
                self.joins_planes = len(levels[0]) > 1
                remarks += [said_of_bits(*self._tiles.bits)]
                self.info = _info(path, tiff, pages[: len(levels)], tuple(r for r in remarks if r))
        except (tifffile.TiffFileError, ValueError, TypeError, IndexError, KeyError) as error:
            # A lookup that failed has no sentence to pass on, only what was looked up.
            reason = "" if isinstance(error, LookupError) else f" ({error})"
            raise SlideError(
                f"{path.name} is a damaged or unusual TIFF of which no image can be read{reason}; "
                "check that it was copied whole."
            ) from error

    @staticmethod
    def _check(path: Path, pages: list[tifffile.TiffPage]) -> None:
        page = pages[0]
        if not isinstance(page.compression, tifffile.COMPRESSION):
            raise SlideError(f"{path.name} cannot be read: its TIFF compression {page.compression} is not known.")
        if not _readable(page):
            raise SlideError(
                f"{path.name} cannot be shown: an RGB, grey or palette TIFF of whole numbers was expected, "
                f"but its pixels are {page.dtype} in the colour model {page.photometric!s}."
            )

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of the tiles of a level."""
        return self._tiles.tile_shape_hw(level)

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        """Return the pixels of one tile; a tile that the file leaves out on purpose is background."""
        tile = self._tiles.decode(level, row, column)
        if tile is not None:
            return tile
        (h, w), (th, tw) = self.info.level_sizes_hw[level], self.tile_shape_hw(level)
        shape = (min(th, h - row * th), min(tw, w - column * tw), 3)
        return np.full(shape, np.uint8(255))

    def associated(self, name: str) -> RGB:
        """Return an extra image; a plain TIFF has none."""
        raise KeyError(name)

    def close(self) -> None:
        """Let go of the file."""
        self._tiles.close()


def _levels(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    first = tiff.pages.first
    candidates = list(first.pages or ()) + [p for p in list(tiff.pages)[1:] if isinstance(p, tifffile.TiffPage)]
    levels = [first]
    for page in candidates:
        last = levels[-1]
        if not isinstance(page, tifffile.TiffPage) or not _readable(page):
            continue
        smaller = page.imagelength < last.imagelength and page.imagewidth < last.imagewidth
        ratio_y, ratio_x = first.imagelength / page.imagelength, first.imagewidth / page.imagewidth
        # Truncation to whole px changes the ratio of small levels; thumbnails and labels differ by far more.
        slack = _ASPECT_TOLERANCE + 1 / page.imagelength + 1 / page.imagewidth
        if smaller and abs(ratio_y / ratio_x - 1) <= slack and page.is_tiled == first.is_tiled:
            levels.append(page)
    return levels


def _planes(tiff: tifffile.TiffFile, levels: list[tifffile.TiffPage]) -> tuple[list[Level], list[str]]:
    """Return the pages of each level, three where red, green and blue lie apart, and what is not shown."""
    ome, first = ome_of(tiff), levels[0]
    size = (first.imagelength, first.imagewidth)
    same = [p for p in tiff.pages if isinstance(p, tifffile.TiffPage) and (p.imagelength, p.imagewidth) == size]
    apart = first.samplesperpixel == 1 and len(same) >= 3 and is_colour_in_planes(tiff, ome)
    if not apart:
        return [(page,) for page in levels], plane_remarks(tiff, ome, same, 1)
    planes = [[plane, *(p for p in plane.pages or () if isinstance(p, tifffile.TiffPage))] for plane in same[:3]]
    below = [tuple(plane[level] for plane in planes) for level in range(min(len(levels), *map(len, planes)))]
    return below, plane_remarks(tiff, ome, same, 3)


def _info(path: Path, tiff: tifffile.TiffFile, pages: list[tifffile.TiffPage], remarks: tuple[str, ...]) -> SlideInfo:
    sizes = tuple((p.imagelength, p.imagewidth) for p in pages)
    believed = believed_mpp(tiff, pages[0])
    icc = pages[0].tags.get("InterColorProfile")
    return SlideInfo(
        path=path,
        vendor="tiff",
        width=sizes[0][1],
        height=sizes[0][0],
        level_sizes_hw=sizes,
        downsamples=tuple((sizes[0][0] / h + sizes[0][1] / w) / 2 for h, w in sizes),
        factors_yx=true_factors_yx(sizes[0], sizes),
        mpp=believed.mpp,
        mpp_source=believed.source,
        mpp_rejected=believed.rejected,
        icc=None if icc is None else bytes(icc.value),
        properties={
            "tiff.compression": str(getattr(pages[0].compression, "name", pages[0].compression)),
            "tiff.ImageDescription": pages[0].description,
            "tiff.Software": pages[0].software,
        },
        remarks=remarks,
    )
