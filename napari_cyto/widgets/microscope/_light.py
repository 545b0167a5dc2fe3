"""The light in which a slide is shown, as a value: brightness, contrast, gamma and the white of the glass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError

BRIGHTNESS, CONTRAST, GAMMA = (-0.5, 0.5), (0.5, 3.0), (0.4, 2.5)
STEP_BRIGHTNESS, STEP_FACTOR = 0.02, 1.05
_MOST_GAIN = 3.0
# Darker than this, 0 to 255, nothing that light falls through is glass.
_DARKEST_GLASS = 80.0
_SAME = 5e-3
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Light:
    """How the colours of a slide are changed on their way to the screen, and nowhere else.

    In this order, on values of 0 to 1: times ``gains_rgb``; spread round the middle grey by ``contrast`` and raised by
    ``brightness``; to the power of ``gamma``.

    Parameters
    ----------
    brightness : float
        -0.5 to 0.5.
    contrast : float
        0.5 to 3.
    gamma : float
        0.4 to 2.5; under 1 the dark parts become lighter.
    gains_rgb : tuple of float
        What white balance multiplies red, green and blue by, 1 to 3.
    """

    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    gains_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def is_neutral(self) -> bool:
        """Whether the slide is shown as its file has it."""
        return self == Light()

    @property
    def is_balanced(self) -> bool:
        """Whether white balance changes a colour."""
        return self.gains_rgb != (1.0, 1.0, 1.0)

    @property
    def words(self) -> str:
        """Return what is changed, as people read it; empty for nothing."""
        said = []
        if self.brightness:
            said.append(f"brightness {self.brightness * _PERCENT:+.0f} %")
        if self.contrast != 1:
            said.append(f"contrast {self.contrast * _PERCENT:.0f} %")
        if self.gamma != 1:
            said.append(f"gamma {self.gamma:.2f}")
        if self.is_balanced:
            said.append("white balance")
        return ", ".join(said)

    def changed(self, *, brightness: float = 0.0, contrast: float = 1.0, gamma: float = 1.0) -> Light:
        """Return a light that is brighter by a sum, and of more contrast and gamma by factors, within the bounds."""
        return replace(
            self,
            brightness=_within(self.brightness + brightness, BRIGHTNESS, 0.0),
            contrast=_within(self.contrast * contrast, CONTRAST, 1.0),
            gamma=_within(self.gamma * gamma, GAMMA, 1.0),
        )

    def balanced_on(self, glass_rgb: Sequence[float] | npt.NDArray[np.float32]) -> Light:
        """Return a light in which bare glass of a colour, 0 to 255, has none, and is as bright as it was.

        Raises
        ------
        CytoError
            When that is no colour of glass.
        """
        glass = np.asarray(glass_rgb, np.float64)
        brightest = float(glass.max())
        if brightest < _DARKEST_GLASS or float(glass.min()) * _MOST_GAIN < brightest:
            red, green, blue = (round(v) for v in glass.tolist())
            raise CytoError(
                f"White balance needs bare glass, got a colour too dark or too strong for it (red {red}, green "
                f"{green}, blue {blue} of 255). Choose a place without cells."
            )
        red, green, blue = (brightest / glass).tolist()
        gains = (red, green, blue)
        return replace(self, gains_rgb=(1.0, 1.0, 1.0) if max(gains) - 1 < _SAME else gains)


def _within(value: float, bounds: tuple[float, float], neutral: float) -> float:
    # Steps there and back meet the neutral value again, whatever was rounded on the way.
    return neutral if abs(value - neutral) < _SAME else min(max(value, bounds[0]), bounds[1])
