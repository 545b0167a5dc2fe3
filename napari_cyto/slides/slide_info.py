"""What is known of a slide without its pixels, and which mpp is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_cyto.domain.quantities import MPP
from napari_cyto.slides._focal_planes import ONE_PLANE, FocalPlanes

MPP_MIN_UM, MPP_MAX_UM = MPP.low, MPP.high
_MPP_ANISOTROPY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideInfo:
    """A slide's metadata; sizes and boxes in px, level 0 unless said otherwise.

    Parameters
    ----------
    path : Path
        The file, absolute.
    vendor : str
        OpenSlide's name of the format (``mirax``, ``aperio`` ...), or ``tiff``, ``png``, ``jpeg``.
    width, height : int
        Size of level 0, px.
    level_sizes_hw : tuple of (height, width)
        Size of each level in its own px.
    downsamples : tuple of float
        How much smaller each level is than level 0, as the file's sizes say; never rounded.
    factors_yx : tuple of (float, float)
        How many level-0 px one px of a level really covers: sizes are truncated to whole px, so a level
        of 312 px over 2500 has a downsample of 8.0128 but a factor of 8.
    mpp : float or None
        µm per level-0 px when the file's statement is believed.
    mpp_source : str
        ``file`` when ``mpp`` is believed, else empty.
    mpp_rejected : str
        Why the file's mpp is not believed, one sentence; empty when it is.
    objective : float or None
        Magnification of the objective.
    bounds_yxyx : tuple of int or None
        The scanned part, level-0 px, where the format says so. It only moves the camera.
    icc : bytes or None
        ICC profile of the pixels.
    associated : tuple of str
        Names of the extra images: ``label``, ``macro``, ``thumbnail``.
    background_rgb : tuple of int
        Colour of what was not scanned.
    properties : mapping
        Everything else that the file says, as text.
    remarks : tuple of str
        What of the file is not shown, or not as another program would show it, one sentence each.
    planes : FocalPlanes
        The focal planes that can be shown, and which one is.
    """

    path: Path
    vendor: str
    width: int
    height: int
    level_sizes_hw: tuple[tuple[int, int], ...]
    downsamples: tuple[float, ...]
    factors_yx: tuple[tuple[float, float], ...]
    mpp: float | None = None
    mpp_source: str = ""
    mpp_rejected: str = ""
    objective: float | None = None
    bounds_yxyx: tuple[int, int, int, int] | None = None
    icc: bytes | None = field(default=None, repr=False)
    associated: tuple[str, ...] = ()
    background_rgb: tuple[int, int, int] = (255, 255, 255)
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()
    planes: FocalPlanes = ONE_PLANE

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return len(self.level_sizes_hw)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of level 0, px."""
        return (self.height, self.width)


@dataclass(frozen=True, slots=True)
class BelievedMpp:
    """An mpp with its source, or the reason why there is none."""

    mpp: float | None
    source: str
    rejected: str


def believe_mpp(mpp_x: float | None, mpp_y: float | None) -> BelievedMpp:
    """Decide whether a file's statement of µm per px can be true.

    Scanners and microscope cameras lie between 0.05 µm (100x, oversampled) and 20 µm (a macro image); beyond that
    the number is a print resolution (72 dpi is 353 µm) or a unit mix-up.

    Parameters
    ----------
    mpp_x, mpp_y : float or None
        µm per level-0 px as the file states it; None when it does not.
    """
    if mpp_x is None and mpp_y is None:
        return BelievedMpp(None, "", "The file does not state the pixel size in µm.")
    x = mpp_x if mpp_x is not None else mpp_y
    y = mpp_y if mpp_y is not None else mpp_x
    if x is None or y is None:
        raise AssertionError
    for value in (x, y):
        if not MPP_MIN_UM <= value <= MPP_MAX_UM:
            return BelievedMpp(
                None,
                "",
                f"The file says {value:.4g} µm per pixel, which no microscope gives "
                f"(expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g}).",
            )
    if abs(x - y) > _MPP_ANISOTROPY * max(x, y):
        return BelievedMpp(None, "", f"The file says {x:.4g} µm per pixel across but {y:.4g} down.")
    return BelievedMpp((x + y) / 2, "file", "")


def true_factors_yx(
    size0_hw: tuple[int, int], sizes_hw: tuple[tuple[int, int], ...]
) -> tuple[tuple[float, float], ...]:
    """Return how many level-0 px one px of each level covers, down and across.

    Level sizes are whole numbers, truncated (Aperio, libvips) or rounded up: when one whole factor explains both
    sides of a level, its pixels were made with it, and the ratio of the sizes would drift by up to a pixel of the
    level towards the far end. Only where none does, the level was resampled to its size and the ratios hold.

    Parameters
    ----------
    size0_hw : tuple of int
        Height and width of level 0, px.
    sizes_hw : tuple of (height, width)
        Those of each level, in its own px.
    """
    return tuple(_true_factor_yx(size0_hw, size_hw) for size_hw in sizes_hw)


def _true_factor_yx(size0_hw: tuple[int, int], size_hw: tuple[int, int]) -> tuple[float, float]:
    ratios = (size0_hw[0] / size_hw[0], size0_hw[1] / size_hw[1])
    ranges = [_wholes(s0, s, max(size0_hw)) for s0, s in zip(size0_hw, size_hw, strict=True)]
    lowest, highest = max(r[0] for r in ranges), min(r[1] for r in ranges)
    if lowest > highest:
        return ratios
    # Small levels fit several whole factors; scanners and writers halve.
    mean = sum(ratios) / 2
    halved = [1 << k for k in range(lowest.bit_length() - 1, highest.bit_length()) if lowest <= 1 << k <= highest]
    near = halved or [min(max(n, lowest), highest) for n in (math.floor(mean), math.ceil(mean))]
    nearest = float(min(near, key=lambda n: (abs(n - mean), n)))
    return (nearest, nearest)


def _wholes(size0: int, size: int, largest: int) -> tuple[int, int]:
    """Return the first and last whole factor by which ``size0`` px become ``size``, truncated or rounded up.

    Truncated are those above ``size0 / (size + 1)`` and up to ``size0 / size``, rounded up those from there to below
    ``size0 / (size - 1)``: one range. A side of 1 px comes of every larger factor too, up to ``largest``.
    """
    return (size0 // (size + 1) + 1, -(-size0 // (size - 1)) - 1 if size > 1 else largest)
