"""Fingerprints of crops: what a near-duplicate of a cell still looks like.

Source: perceptual hash from the low frequencies of a DCT, Zauner 2010, "Implementation and Benchmarking of Perceptual
Image Hash Functions", section 3.2.1; each candidate that it names is confirmed here by the correlation of thumbnails.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

THUMB_PX = 32
HASH_BITS = 60
"""Bits of a hash: the lowest frequencies of an 8 x 8 block without its constant, so that six bands are alike."""

MIN_SIDE_PX = 12
MIN_CONTRAST = 6.0
"""A crop whose grey levels deviate less than this (0 to 255) is glass; all glass looks alike and proves nothing."""

PADDING_FROM = 248
"""Grey level from which a border counts as padding; white padding that went through JPEG is not quite white."""

_LOW = 8
RGB = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Thumbs = npt.NDArray[np.uint8]


def _dct_rows(size: int, rows: int) -> npt.NDArray[np.float32]:
    k, n = np.arange(rows)[:, None], np.arange(size)[None]
    return np.asarray(np.cos(np.pi * k * (2 * n + 1) / (2 * size)), dtype=np.float32)


_DCT = _dct_rows(THUMB_PX, _LOW)
_BITS = 1 << np.arange(HASH_BITS, dtype=np.uint64)


def thumbnail(crop: RGB) -> Thumbs:
    """Return ``crop`` ((h, w, 3), uint8, RGB) as 32 x 32 grey levels, averaged over areas, uint8."""
    grey = Image.fromarray(np.ascontiguousarray(crop)).convert("L")
    return np.asarray(grey.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX), dtype=np.uint8)


def hashes(thumbs: Thumbs) -> Hashes:
    """Return the perceptual hash of each thumbnail.

    Parameters
    ----------
    thumbs : ndarray, (n, 32, 32), uint8
        Grey levels, as ``thumbnail`` makes them.

    Returns
    -------
    ndarray, (n,), uint64
        One bit a frequency: whether it is above the median of them.
    """
    if not len(thumbs):
        return np.empty(0, dtype=np.uint64)
    low = _DCT @ thumbs.astype(np.float32) @ _DCT.T
    frequencies = low.reshape(len(thumbs), -1)[:, 1 : HASH_BITS + 1]
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.asarray((bits * _BITS).sum(axis=1), dtype=np.uint64)


def orientations(thumbs: Thumbs) -> tuple[Thumbs, ...]:
    """Return the thumbnails ((n, 32, 32)) turned by quarters and mirrored: all eight ways, as they are first."""
    turned = [np.rot90(thumbs, k, axes=(1, 2)) for k in range(4)]
    return tuple(turned + [t[:, :, ::-1] for t in turned])


@dataclass
class CropPrints:
    """The prints of many crops, 1.1 KB each, in the order they were added."""

    names: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    telling: list[bool] = field(default_factory=list)
    _thumbs: list[Thumbs] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def thumbs(self) -> Thumbs:
        """All thumbnails, (n, 32, 32), uint8."""
        return np.stack(self._thumbs) if self._thumbs else np.empty((0, THUMB_PX, THUMB_PX), dtype=np.uint8)

    def add(self, name: str, crop: RGB) -> None:
        """Remember ``crop`` ((h, w, 3), uint8, RGB) under ``name``."""
        self.add_print(name, make_print(crop))

    def add_print(self, name: str, made: CropPrint) -> None:
        """Remember a crop by the print that was made of it elsewhere."""
        self.names.append(name)
        self.digests.append(made.digest)
        self.telling.append(made.telling)
        self._thumbs.append(made.thumb)


@dataclass(frozen=True, slots=True)
class CropPrint:
    """What is kept of one crop: a digest of its pixels, its thumbnail, and whether there is something to see in it."""

    digest: bytes
    thumb: Thumbs
    telling: bool


def make_print(crop: RGB) -> CropPrint:
    """Return the print of ``crop`` ((h, w, 3), uint8, RGB), white padding taken off first."""
    inner = without_white_frame(crop)
    thumb = thumbnail(inner)
    telling = min(inner.shape[:2]) >= MIN_SIDE_PX and float(thumb.std()) >= MIN_CONTRAST
    digest = hashlib.blake2b(np.ascontiguousarray(inner).tobytes(), digest_size=16)
    digest.update(str(inner.shape).encode())
    return CropPrint(digest.digest(), thumb, telling)


def without_white_frame(crop: RGB) -> RGB:
    """Return ``crop`` less the rows and columns at its borders that are white, as padding is, JPEG's ripples aside."""
    # Channel by channel: a minimum along an axis of three takes six times as long.
    dark = (crop[..., 0] < PADDING_FROM) | (crop[..., 1] < PADDING_FROM) | (crop[..., 2] < PADDING_FROM)
    ys, xs = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not len(ys):
        return crop
    return crop[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
