"""Plain TIFF, pyramidal (SubIFDs or further pages) or a single page, tiled or in strips."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from napari_cyto.domain.tiff_layout import TiffFault
from napari_cyto.errors import SlideError
from napari_cyto.slides._encoded_size import KNOWN
from napari_cyto.slides._flat_image import said_of_bits
from napari_cyto.slides._focal_planes import ONE_PLANE, FocalPlanes, stack_of
from napari_cyto.slides._tiff_check import MOST_SEGMENTS, CheckedPage, CheckedTiff, checked_tiff, damaged
from napari_cyto.slides._tiff_metadata import believed_mpp, is_colour_in_planes, ome_of, plane_remarks
from napari_cyto.slides._tiff_stack import alike, focal_stack, levels_of
from napari_cyto.slides._tiff_tiles import Level, TiffTiles, readable
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.colour import unusable_remark, usable_profile
from napari_cyto.slides.slide_info import SlideInfo, true_factors_yx

_ASPECT_TOLERANCE = 0.05
# Halved from 2,147,483,647 px, a side is 1 px after 31 levels.
_MOST_LEVELS = 32


class TiffBackend:
    """Reads TIFFs that OpenSlide does not; of several focal planes the default one."""

    def __init__(self, path: Path) -> None:
        with checked_tiff(path) as checked:
            try:
                pages = _levels(checked)
                self._check(path, pages[0])
                planes, facts, remarks = _planes(checked, pages)
                self._n_levels = len(planes[0])
                self._tiles = TiffTiles(path, [level for plane in planes for level in plane])
                self.joins_planes = len(planes[0][0]) > 1
                remarks = [*checked.remarks, *remarks, said_of_bits(*self._tiles.bits)]
                self.info = replace(_info(checked, pages[: self._n_levels], remarks), planes=facts)
            except (tifffile.TiffFileError, ValueError, TypeError, LookupError, ArithmeticError, OSError) as error:
                # A lookup that failed has no sentence to pass on, only what was looked up.
                reason = ValueError("it has no image") if isinstance(error, LookupError) else error
                raise damaged(path, reason) from error

    @staticmethod
    def _check(path: Path, checked: CheckedPage) -> None:
        page = checked.page
        if checked.compression not in KNOWN:
            raise SlideError(f"{path.name} cannot be read: its TIFF compression {checked.compression} is not known.")
        if not readable(checked):
            raise SlideError(
                f"{path.name} cannot be shown: an RGB, grey or palette TIFF of whole numbers was expected, "
                f"but its pixels are {page.dtype} in the colour model {page.photometric!s}."
            )

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of the tiles of a level."""
        return self._tiles.tile_shape_hw(level)

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        """Return the pixels of one tile; a tile that the file leaves out on purpose is background."""
        tile = self._tiles.decode(self.info.planes.shown * self._n_levels + level, row, column)
        if tile is not None:
            return tile
        (h, w), (th, tw) = self.info.level_sizes_hw[level], self.tile_shape_hw(level)
        shape = (min(th, h - row * th), min(tw, w - column * tw), 3)
        return np.full(shape, np.uint8(255))

    def associated(self, name: str) -> RGB:
        """Return an extra image; a plain TIFF has none."""
        raise KeyError(name)

    def at_plane(self, plane: int) -> TiffBackend:
        """Return what reads the tiles of a focal plane, from 0; it shares the open file."""
        other = copy.copy(self)
        other.info = replace(self.info, planes=replace(self.info.planes, shown=plane))
        return other

    def close(self) -> None:
        """Let go of the file."""
        self._tiles.close()


def _levels(checked: CheckedTiff) -> list[CheckedPage]:
    first = checked.pages[0]
    levels, segments = [first], first.stored_segments
    for page in (*first.below, *checked.pages[1:]):
        (height, width), (last_h, last_w) = page.size_hw, levels[-1].size_hw
        if not readable(page) or len(levels) == _MOST_LEVELS or segments + page.stored_segments > MOST_SEGMENTS:
            continue
        ratio_y, ratio_x = first.size_hw[0] / height, first.size_hw[1] / width
        # Truncation to whole px changes the ratio of small levels; thumbnails and labels differ by far more.
        slack = _ASPECT_TOLERANCE + 1 / height + 1 / width
        is_smaller = height < last_h and width < last_w
        if is_smaller and abs(ratio_y / ratio_x - 1) <= slack and page.is_tiled == first.is_tiled:
            levels.append(page)
            segments += page.stored_segments
    return levels


def _planes(checked: CheckedTiff, levels: list[CheckedPage]) -> tuple[list[list[Level]], FocalPlanes, list[str]]:
    """Return the levels of each focal plane, what is known of these, and what is not shown.

    A level is one page, or three where red, green and blue lie apart.
    """
    tiff, ome, first = checked.tiff, ome_of(checked.tiff), levels[0]
    same = [page for page in checked.pages if page.size_hw == first.size_hw]
    apart = first.samples == 1 and len(same) >= 3 and is_colour_in_planes(tiff, ome)
    joined: list[Level] = _colours_joined(levels, same) if apart else []
    shown, colours = joined or [(page,) for page in levels], 3 if joined else 1
    stack = focal_stack(checked, ome, colours)
    if stack is None:
        return [shown], ONE_PLANE, plane_remarks(tiff, ome, len(same), colours)
    remarks = plane_remarks(tiff, ome, len(same), colours, is_stack=True)
    if stack.assumed:
        remarks.append(
            f"The file holds {len(stack.planes)} images of one size and does not say what they are; they are taken "
            "for focal planes of one field."
        )
    planes = levels_of(stack, checked.pages, shown)
    if sum(page.stored_segments for plane in planes for level in plane for page in level) > MOST_SEGMENTS:
        too_many = f"The file holds {len(planes)} focal planes, too large to be listed together; the first is shown."
        return [shown], ONE_PLANE, [*plane_remarks(tiff, ome, len(same), colours, is_stack=True), too_many]
    return planes, stack_of(len(planes), stack.spacing_um), remarks


def _colours_joined(levels: list[CheckedPage], same: list[CheckedPage]) -> list[Level]:
    """Return the levels of an image whose colours lie in its first three pages, as far as all three have them."""
    joined: list[Level] = []
    for level in zip(levels, *([plane, *plane.below] for plane in same[:3]), strict=False):
        if not all(alike(plane, level[0]) for plane in level[1:]):
            break
        joined.append(tuple(level[1:]))
    return joined


def _info(checked: CheckedTiff, pages: list[CheckedPage], remarks: list[str]) -> SlideInfo:
    sizes = tuple(page.size_hw for page in pages)
    first = pages[0].page
    believed = believed_mpp(checked.tiff, first)
    icc, icc_remark = _icc(pages[0])
    return SlideInfo(
        path=checked.path,
        vendor="tiff",
        width=sizes[0][1],
        height=sizes[0][0],
        level_sizes_hw=sizes,
        downsamples=tuple((sizes[0][0] / h + sizes[0][1] / w) / 2 for h, w in sizes),
        factors_yx=true_factors_yx(sizes[0], sizes),
        mpp=believed.mpp,
        mpp_source=believed.source,
        mpp_rejected=believed.rejected,
        icc=icc,
        properties={
            "tiff.compression": str(getattr(first.compression, "name", first.compression)),
            "tiff.ImageDescription": first.description,
            "tiff.Software": first.software,
        },
        remarks=tuple(remark for remark in (*remarks, icc_remark) if remark),
    )


def _icc(page: CheckedPage) -> tuple[bytes | None, str]:
    try:
        return usable_profile(page.icc())
    except TiffFault as fault:
        return None, unusable_remark(str(fault))
