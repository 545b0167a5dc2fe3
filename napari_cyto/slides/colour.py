"""Bring a slide's colours to sRGB by its ICC profile."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from napari_cyto.errors import SlideError

MOST_PROFILE_BYTES = 4 * 2**20
"""Scanners' profiles have some kilobytes, a few of them one megabyte."""

_MOST_TAGS = 100
# Scanner, screen, printer, and a space of colours.
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")


def usable_profile(icc: bytes | None) -> tuple[bytes | None, str]:
    """Return a colour profile, or None and why it cannot be used, as a remark on the slide.

    A slide with a damaged profile is as good as one without.
    """
    if not icc:
        return None, ""
    reason = _what_is_wrong(icc)
    if not reason:
        try:
            SrgbTransform(icc)
        except SlideError:
            reason = "it cannot be turned into sRGB"
    return (None, unusable_remark(reason)) if reason else (icc, "")


def unusable_remark(reason: str) -> str:
    """Return what to say of a colour profile that is left out."""
    return f"Its colour profile is damaged ({reason.rstrip('.')[:100]}), so its colours are shown as they are stored."


def _what_is_wrong(icc: bytes) -> str:
    """Return why bytes are no profile of RGB colours, from their header and table; empty when they are one.

    Source
    ------
    ICC.1:2022, 7.2 (header) and 7.3 (tag table).
    """
    size = int.from_bytes(icc[:4], "big")
    tags = int.from_bytes(icc[128:132], "big")
    if len(icc) > MOST_PROFILE_BYTES:
        return f"it has {len(icc):,} bytes, expected up to {MOST_PROFILE_BYTES:,}"
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return "its bytes are those of no profile"
    if not 132 <= size <= len(icc):
        return f"it says that it has {size:,} bytes, and {len(icc):,} are there"
    if icc[16:20] != b"RGB " or icc[12:16] not in _CLASSES:
        return "it is not for the RGB colours of a device"
    if tags > _MOST_TAGS or 132 + 12 * tags > size:
        return f"its table of {tags:,} entries does not fit"
    for entry in range(132, 132 + 12 * tags, 12):
        offset, length = (int.from_bytes(icc[at : at + 4], "big") for at in (entry + 4, entry + 8))
        if offset + length > size:
            return "an entry lies beyond its end"
    return ""


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
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
            raise SlideError(
                f"The slide's ICC profile cannot be used, so its colours stay as they are: {error}"
            ) from error

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return ``rgb``, uint8 ``(h, w, 3)``, in sRGB."""
        image = Image.fromarray(np.ascontiguousarray(rgb))
        mapped = ImageCms.applyTransform(image, self._transform)
        return np.array(mapped, dtype=np.uint8)
