"""The Papanicolaou stain as optical densities, which add where cells overlap.

Source
------
Beer-Lambert: light that passes two dyes is dimmed by the product of what each lets through, so densities add. The
colours are those of Papanicolaou's haematoxylin, Orange G, Eosin Y and Light Green as scanned smears show them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Coefficients = NDArray[np.uint16]

# One unit of the accumulated sum is this much optical density (log10).
OD_PER_UNIT = 0.001
# A stamp adds (plane * coefficient) >> SHIFT units: with planes and coefficients up to 255 that stays in 16 bits.
SHIFT = 5
_COEFFICIENT_PER_OD = (1 << SHIFT) / (255 * OD_PER_UNIT)
# The glass itself starts here, so that noise may go below it.
BASE_UNITS = 64
WHITE_RGB = (243.0, 246.0, 248.0)

# Optical density of red, green and blue at full dye: outer and inner tone of the cytoplasm.
_TONES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "pink": ((0.05, 0.29, 0.28), (0.07, 0.36, 0.35)),
    "salmon": ((0.06, 0.30, 0.38), (0.09, 0.36, 0.46)),
    "orange": ((0.06, 0.32, 0.70), (0.12, 0.44, 0.92)),
    "cyan": ((0.42, 0.23, 0.20), (0.44, 0.27, 0.23)),
    "teal": ((0.74, 0.42, 0.35), (0.70, 0.46, 0.38)),
    "lilac": ((0.26, 0.23, 0.16), (0.25, 0.27, 0.19)),
    "two-tone": ((0.55, 0.28, 0.20), (0.10, 0.44, 0.44)),
    "pale": ((0.24, 0.20, 0.17), (0.24, 0.22, 0.18)),
    "glycogen": ((0.40, 0.32, 0.44), (0.26, 0.40, 0.66)),
    "red cell": ((0.10, 0.42, 1.05), (0.10, 0.42, 1.05)),
    "brown": ((0.62, 0.80, 1.00), (0.62, 0.80, 1.00)),
    "mucus": ((0.34, 0.22, 0.16), (0.34, 0.22, 0.16)),
}
_HAEMATOXYLIN = (0.90, 1.10, 0.68)
_BACTERIA = (0.62, 0.66, 0.34)


class Palette:
    """The stain of one smear: every laboratory's, and every day's, differs a little.

    Parameters
    ----------
    rng : Generator
        Decides hue and strength for the whole smear.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._strength = rng.uniform(0.94, 1.1)
        self._hue = 1 + rng.normal(0, 0.04, 3)
        self._nuclear_hue = 1 + rng.normal(0, 0.05, 3)

    def cytoplasm(self, rng: np.random.Generator, tone: str) -> Coefficients:
        """Return ``(2, 3)`` coefficients (outer and inner dye by RGB) of one cell's cytoplasm."""
        if tone in ("pink", "cyan", "salmon") and rng.random() < 0.1:
            tone = "two-tone"
        elif tone in ("lilac", "orange") and rng.random() < 0.25:
            tone = "glycogen"
        density = np.array(_TONES[tone]) * self._hue * (1 + rng.normal(0, 0.06, 3))
        return _coefficients(density * self._strength * rng.uniform(0.75, 1.25))

    def nucleus(self, rng: np.random.Generator, spread: float = 0.06) -> Coefficients:
        """Return ``(1, 3)`` coefficients of one nucleus."""
        density = np.array([_HAEMATOXYLIN]) * self._nuclear_hue * (1 + rng.normal(0, 0.03, 3))
        return _coefficients(density * (1 + rng.normal(0, spread)))

    def bacteria(self) -> Coefficients:
        """Return ``(1, 3)`` coefficients of rods."""
        return _coefficients(np.array([_BACTERIA]) * self._nuclear_hue)


def transmitted() -> NDArray[np.uint8]:
    """Return ``(3, 4096)`` uint8: the intensity of each colour for every sum of units, clear glass at the base."""
    units = np.arange(4096) - BASE_UNITS
    white = np.array(WHITE_RGB)[:, None]
    return np.asarray(np.clip(np.rint(white * 10 ** (-OD_PER_UNIT * units)), 0, 255), dtype=np.uint8)


def _coefficients(density: NDArray[np.float64]) -> Coefficients:
    return np.clip(np.rint(density * _COEFFICIENT_PER_OD), 0, 255).astype(np.uint16)
