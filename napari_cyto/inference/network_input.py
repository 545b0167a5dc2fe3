"""From cut cells to what a network takes: views, normalisation, memory layout; the same for training and proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cyto.models.manifest import Normalisation

if TYPE_CHECKING:
    import torch


def view_of(crops: npt.NDArray[np.uint8], view: int) -> npt.NDArray[np.uint8]:
    """Return cells turned and flipped, (..., s, s, 3).

    Parameters
    ----------
    crops : ndarray, uint8 (..., s, s, 3)
        The cells.
    view : int
        0: as they are; 1: left-right; 2: up-down; 3: both; 4 to 7: the same, rows and columns exchanged.
    """
    if view & 4:
        crops = np.swapaxes(crops, -3, -2)
    if view & 2:
        crops = np.flip(crops, -3)
    return np.flip(crops, -2) if view & 1 else crops


def as_input(crops: npt.NDArray[np.uint8], normalisation: Normalisation) -> torch.Tensor:
    """Return cells as the network takes them.

    Parameters
    ----------
    crops : ndarray, uint8, RGB
        (n, w, s, s, 3).
    normalisation : Normalisation
        The model's.

    Returns
    -------
    Tensor, float32
        (n, w, 3, s, s), with the channels last in memory.
    """
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(crops)).float()
    mean, std = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
    return pixels.mul_(1 / (255 * std)).sub_(mean / std).permute(0, 1, 4, 2, 3)
