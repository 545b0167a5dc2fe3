"""Samples of more than 8 bits: how many of them a camera used, and what they look like on a screen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_DEPTHS = (8, 10, 12, 14, 16, 24, 32)


def used_bits(largest: int, stored: int) -> int:
    """Return the depth of a camera whose largest sample is ``largest``, in files of ``stored`` bits a sample.

    Cameras have 8, 10, 12, 14 or 16 bits; files store them in 16 and put zeros above.
    """
    return next((depth for depth in _DEPTHS if largest < 1 << depth and depth <= stored), stored)


def eight_bit(samples: npt.NDArray[np.unsignedinteger], bits: int) -> npt.NDArray[np.uint8]:
    """Return samples of which ``bits`` are used as 8 bits."""
    return (samples if bits <= 8 else np.right_shift(samples, bits - 8)).astype(np.uint8)
