"""The levels of a slide as lazy arrays, for napari and for dask."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.slide import Slide

Index: TypeAlias = int | slice | EllipsisType

# np.asarray of a whole level is for thumbnails; beyond this it is a mistake that would fill the memory.
WHOLE_LEVEL_MAX_BYTES = 2**30


class LevelArray:
    """One level of a slide as an array that reads only what is asked of it.

    Parameters
    ----------
    slide : Slide
        Where the pixels come from.
    level : int
        Which level.
    icc : bool
        Whether to bring its colours to sRGB by the slide's ICC profile.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, slide: Slide, level: int, icc: bool = False) -> None:
        self.slide = slide
        self.level = level
        self.icc = icc
        self.shape: tuple[int, int, int] = (*slide.info.level_sizes_hw[level], 3)

    @property
    def size(self) -> int:
        """How many samples it has."""
        return self.shape[0] * self.shape[1] * 3

    @property
    def nbytes(self) -> int:
        """How many bytes it would take in memory."""
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<LevelArray {self.slide.info.name} level {self.level}, shape {self.shape}>"

    def __getitem__(self, index: Index | tuple[Index, ...]) -> npt.NDArray[np.uint8]:
        """Return what numpy would for slices (with steps), integers and an ellipsis, as a fresh array."""
        rows, columns, channels = _normalise(index, self.shape)
        y, x = _span(rows, self.shape[0]), _span(columns, self.shape[1])
        region = self._read(y[0], x[0], y[1] - y[0], x[1] - x[0])
        return region[_within(rows, y[0], self.shape[0]), _within(columns, x[0], self.shape[1]), channels]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("A level of a slide is read from its file, which always makes a copy.")
        if self.nbytes > WHOLE_LEVEL_MAX_BYTES:
            raise SlideError(
                f"Level {self.level} of {self.slide.info.name} would take {self.nbytes / 2**30:.1f} GiB in memory; "
                "read a region of it, or a smaller level."
            )
        # numpy takes a dtype of None for float64.
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def _read(self, y0: int, x0: int, height: int, width: int) -> RGB:
        return self.slide.read_region(self.level, y0, x0, height, width, self.icc)


def pyramid(slide: Slide, icc: bool = False) -> list[LevelArray]:
    """Return all levels of a slide, largest first; they share one bounded cache of tiles.

    Parameters
    ----------
    slide : Slide
        An open slide.
    icc : bool
        Whether to bring the colours to sRGB by the slide's ICC profile.
    """
    return [LevelArray(slide, level, icc) for level in range(slide.info.levels)]


def as_dask(slide: Slide, level: int = 0, tiles_per_chunk: int = 4, icc: bool = False) -> Any:
    """Return a level as a dask array ``(h, w, 3)`` whose chunks are whole tiles, for those who compute.

    Parameters
    ----------
    slide : Slide
        An open slide; a worker in another process opens it again.
    level : int
        Which level.
    tiles_per_chunk : int
        Side of a chunk, in tiles: few large chunks keep the graph small.
    icc : bool
        Whether to bring the colours to sRGB.
    """
    import dask.array

    from_array: Callable[..., Any] = dask.array.from_array

    th, tw = slide.tile_shape_hw(level)
    chunks = (th * tiles_per_chunk, tw * tiles_per_chunk, 3)
    return from_array(LevelArray(slide, level, icc), chunks=chunks, asarray=True, fancy=False, name=False)


def _normalise(index: Index | tuple[Index, ...], shape: tuple[int, int, int]) -> tuple[int | slice, ...]:
    parts = list(index) if isinstance(index, tuple) else [index]
    if sum(part is Ellipsis for part in parts) > 1 or sum(part is not Ellipsis for part in parts) > len(shape):
        raise IndexError(f"Expected an index of at most {len(shape)} axes, got {index!r}.")
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    result: list[int | slice] = []
    for part, length in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            result.append(part)
            continue
        place = operator.index(part)  # type: ignore[arg-type]  # raises TypeError for what is no integer
        if not -length <= place < length:
            raise IndexError(f"Index {place} is outside an axis of {length}.")
        result.append(place % length)
    return tuple(result)


def _span(part: int | slice, length: int) -> tuple[int, int]:
    """Return the half-open range of positions that must be read for one axis."""
    if isinstance(part, int):
        return (part, part + 1)
    numbers = range(*part.indices(length))
    return (min(numbers[0], numbers[-1]), max(numbers[0], numbers[-1]) + 1) if numbers else (0, 0)


def _within(part: int | slice, start: int, length: int) -> int | slice:
    """Return the same index counted from ``start``."""
    if isinstance(part, int):
        return part - start
    numbers = range(*part.indices(length))
    if not numbers:
        return slice(0, 0)
    stop = numbers[-1] - start + (1 if numbers.step > 0 else -1)
    return slice(numbers[0] - start, None if stop < 0 else stop, numbers.step)
