"""Bring a slide's colours to sRGB by its ICC profile."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from napari_cyto.errors import SlideError


class SrgbTransform:
    """Maps uint8 RGB pixels from the space of an ICC profile to sRGB, perceptual intent.

    Parameters
    ----------
    icc : bytes
        The profile, as the slide holds it.

    Raises
    ------
    SlideError
        When the bytes are no profile of an RGB device.
    """

    def __init__(self, icc: bytes) -> None:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            self._transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        except (OSError, ImageCms.PyCMSError) as error:
            raise SlideError(
                f"The slide's ICC profile cannot be used, so its colours stay as they are: {error}"
            ) from error

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return ``rgb``, uint8 ``(h, w, 3)``, in sRGB."""
        image = Image.fromarray(np.ascontiguousarray(rgb))
        mapped = ImageCms.applyTransform(image, self._transform)
        return np.array(mapped, dtype=np.uint8)
