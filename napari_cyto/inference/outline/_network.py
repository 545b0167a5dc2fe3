"""The outline by the network: find the nucleus's size, look again at that scale, then look for the cell round it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError
from napari_cyto.inference.outline._crops import Crop, cell_side, cut
from napari_cyto.inference.outline._rings import OutlinedCell, dice, part_at, ring_of
from napari_cyto.inference.runtimes.devices import chosen_device
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.slides.pixel_source import Pixels

Maps = npt.NDArray[np.float32]
Predict = Callable[[Maps], Maps]
"""From inputs (b, 4, n, n), RGB 0 to 1 and the click, to shares (b, 2, n, n) of nucleus and cell."""

SEARCH_UM = (16.0, 32.0, 64.0)
"""Sides of the first crops where the µm per px are known: nuclei have 5 to 25 µm."""

FILL = 0.42
"""Share of the crop's side that the nucleus's diameter takes in the second look."""

SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 20.0, 820.0
"""Sides of the first crops where the µm per px are unknown, level-0 px: a nucleus of 500 px still has room."""

CLICK_SIGMA_PX = 4.0
"""Of the Gaussian that stands for the click, px of the crop."""
_CELL_FILL = 0.62
_LEAST_SHARE = 0.5


@dataclass
class NetworkOutlines:
    """A network that outlines the cell under a click; torch is loaded with it.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``outline``.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    CytoError
        When the bundle is of another kind, torch is not installed, or there is no such device.
    """

    bundle: Bundle
    device: str = "cpu"
    name: str = ""
    _network: Any = field(default=None, repr=False)
    _device: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.bundle.manifest.kind != "outline":
            raise CytoError(f"{self.bundle.id}: expected a model of outlines, got {self.bundle.manifest.kind_words}.")
        self.name = self.bundle.id
        self._device = chosen_device(self.device)
        self._network = self.bundle.load_network(str(self._device))

    def outline(self, pixels: Pixels, click_yx: YX, mpp: float | None) -> OutlinedCell:
        """Return what lies under a click, all in level-0 px."""
        return outline_with(self._predict, self.bundle.manifest.input_px, pixels, click_yx, mpp)

    def _predict(self, inputs: Maps) -> Maps:
        import torch

        known = self.bundle.manifest.normalisation
        seen = np.array(inputs)
        seen[:, :3] = (seen[:, :3] - np.reshape(known.mean, (1, 3, 1, 1))) / np.reshape(known.std, (1, 3, 1, 1))
        with torch.inference_mode():
            shares = self._network(torch.from_numpy(seen).to(self._device)).sigmoid().cpu().numpy()
        refuse_not_finite(self.bundle.id, shares)
        return np.asarray(shares, np.float32)


def outline_with(predict: Predict, side_px: int, pixels: Pixels, click_yx: YX, mpp: float | None) -> OutlinedCell:
    """Return what lies under a click.

    Parameters
    ----------
    predict : callable
        The network.
    side_px : int
        Side of its crops.
    pixels : Pixels
        The slide or image.
    click_yx : tuple of float
        Level-0 px.
    mpp : float or None
        µm per level-0 px, where known.
    """
    first = [cut(pixels, click_yx, side / side_px, side_px) for side in _search_windows(pixels, mpp)]
    shares = predict(_inputs(first))
    best = int(np.argmax([_worth(share[0], crop) for share, crop in zip(shares, first, strict=True)]))
    nucleus, near = first[best], shares[best, 0]
    for _ in range(2):
        part = part_at(near > _LEAST_SHARE, nucleus.click_yx)
        if not part.any():
            return OutlinedCell(click_yx, (), (), 0.0)
        fill = _diameter(part) / side_px
        if _is_seen_well(fill) and nucleus is not first[best]:
            break
        middle = nucleus.to_level0((_middle(part),))[0]
        scale = float(np.clip(nucleus.scale * fill / FILL, nucleus.scale / 4, nucleus.scale * 4))
        nucleus = cut(pixels, click_yx, scale, side_px, middle)
        views = _views(predict, nucleus)
        near = views.mean(axis=0)[0]
    part = part_at(near > _LEAST_SHARE, nucleus.click_yx)
    ring = nucleus.to_level0(ring_of(near, nucleus.click_yx))
    if len(ring) < 3:
        return OutlinedCell(click_yx, (), (), 0.0)
    agreed = float(np.mean([dice(view[0] > _LEAST_SHARE, near > _LEAST_SHARE) for view in views]))
    diameter = _diameter(part) * nucleus.scale
    cell = _cell(predict, pixels, nucleus, diameter, mpp)
    return OutlinedCell(click_yx, ring, cell, float(np.clip(agreed * _certainty(near), 0, 1)))


def _cell(predict: Predict, pixels: Pixels, nucleus: Crop, diameter: float, mpp: float | None) -> tuple[YX, ...]:
    """Return the ring of the cell, level-0 px: seen in a wide crop first, then in one of its own size."""
    side_px = nucleus.rgb.shape[0]
    click = nucleus.to_level0((nucleus.click_yx,))[0]
    wide = cut(pixels, click, cell_side(diameter, mpp) / side_px, side_px)
    share = predict(_inputs([wide]))[0, 1]
    part = part_at(share > _LEAST_SHARE, wide.click_yx)
    if not part.any():
        return ()
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    if extent < 0.8 * _CELL_FILL * side_px:
        middle = wide.to_level0(((float(rows.mean()) + 0.5, float(columns.mean()) + 0.5),))[0]
        scale = max(wide.scale * extent / (_CELL_FILL * side_px), 1.4 * diameter / side_px)
        wide = cut(pixels, click, scale, side_px, middle)
    share = _views(predict, wide, 2).mean(axis=0)[1]
    return wide.to_level0(ring_of(share, wide.click_yx))


def _search_windows(pixels: Pixels, mpp: float | None) -> list[float]:
    if mpp is not None:
        return [um / mpp for um in SEARCH_UM]
    most = min(1.6 * max(pixels.size_hw), LARGEST_SIDE_PX)
    count = int(np.ceil(np.log2(max(most / SMALLEST_SIDE_PX, 1.0)))) + 1
    return [SMALLEST_SIDE_PX * 2.0**n for n in range(count)]


def _inputs(crops: Sequence[Crop]) -> Maps:
    """Return what the network sees of crops, ``(b, 4, n, n)``."""
    out = np.empty((len(crops), 4, *crops[0].rgb.shape[:2]), np.float32)
    for target, crop in zip(out, crops, strict=True):
        target[:3] = crop.rgb.transpose(2, 0, 1) / np.float32(255)
        target[3] = click_map(crop.rgb.shape[0], crop.click_yx)
    return out


def click_map(side_px: int, click_yx: YX) -> Maps:
    """Return the Gaussian ``(n, n)`` that stands for a click, 1 at the click itself."""
    y = np.arange(side_px, dtype=np.float32) + 0.5 - click_yx[0]
    x = np.arange(side_px, dtype=np.float32) + 0.5 - click_yx[1]
    return np.asarray(np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * CLICK_SIGMA_PX**2)), np.float32)


def _views(predict: Predict, crop: Crop, count: int = 4) -> Maps:
    """Return the shares ``(views, 2, n, n)`` of turned and mirrored views, brought back."""
    seen = _inputs([crop])[0]
    turned = [np.rot90(seen, k, axes=(1, 2))[:, :, :: -1 if k % 2 else 1] for k in range(count)]
    answers = predict(np.ascontiguousarray(np.stack(turned)))
    return np.stack([np.rot90(a[:, :, :: -1 if k % 2 else 1], -k, axes=(1, 2)) for k, a in enumerate(answers)])


def _worth(share: Maps, crop: Crop) -> float:
    """Return how well a crop shows the nucleus: a sure answer, at a size that the network sees well."""
    part = part_at(share > _LEAST_SHARE, crop.click_yx)
    if not part.any():
        return 0.0
    fill = _diameter(part) / share.shape[0]
    size = float(np.exp(-0.5 * (np.log(fill / FILL) / 0.7) ** 2))
    y, x = (int(np.clip(v, 0, share.shape[0] - 1)) for v in crop.click_yx)
    return _certainty(share) * size * (1.0 if part[y, x] else 0.5)


def _certainty(share: Maps) -> float:
    """Return the mean share among those that count, 0 to 1: low where the border is a wide ramp."""
    return float((share**2).sum() / max(share.sum(), 1e-6))


def _diameter(part: npt.NDArray[np.bool_]) -> float:
    return float(2 * np.sqrt(part.sum() / np.pi))


def _middle(part: npt.NDArray[np.bool_]) -> YX:
    y, x = ndimage.center_of_mass(part)
    return (float(y) + 0.5, float(x) + 0.5)


def _is_seen_well(fill: float) -> bool:
    return 0.75 * FILL < fill < 1.4 * FILL
