"""Which images show the same place: photographs of fields that overlap put one cell on both sides of a split.

Details of an image are described by the pixels around them, as one camera at one magnification sees them: shifted, not
turned or scaled. Two images whose details are each other's nearest are laid on each other there, and where they overlap
their fine structure must agree. On the single cells of SIPaKMeD agreement is below 0.6 or
above 0.85, with little between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.jobs.events import Advanced, Event, Token
from napari_cyto.jobs.outcome import stop_if_cancelled

AGREEMENT = 0.85
"""Least correlation of the fine structure of two images where they overlap."""

DETAILS = 20
"""Described in each image at most, the strongest first."""

_FINE, _COARSE = 1.5, 6.0
"""Fine structure is what lies between these standard deviations of a Gaussian, px."""
_STEP_PX, _HALF = 3, 5
_WEAKEST, _FLATTEST = 4.0, 20.0
_LEAST_LIKE = 0.8
_LEAST_OVERLAP_PX = 24
_AT_ONCE = 1000
_MOST_PX = 4_000_000

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Details:
    """Details of images: place (n, 2) px, description (n, d) of length 1, and the image of each."""

    place_yx: Numbers
    described: Floats
    image: Numbers


def overlapping_owners(
    paths: Sequence[str], owners: Sequence[str], token: Token | None = None
) -> Generator[Event, None, tuple[tuple[str, str], ...]]:
    """Return the pairs of owners that have images of the same place; remembered by the files in the user's cache.

    Parameters
    ----------
    paths : sequence of str
        Image files.
    owners : sequence of str
        What each was cut from; images of one owner are not compared.
    token : Token, optional
        Asks for a stop.

    Raises
    ------
    CytoError
        When an image cannot be read.
    """
    place = _place(paths, owners)
    known = _remembered(place, set(owners))
    if known is not None:
        return known
    images: list[Floats] = []
    for number, path in enumerate(paths):
        if number % 16 == 0:
            stop_if_cancelled(token)
            yield Advanced(number, len(paths), "Looking for images that show the same place")
        images.append(_read(path))
    found = yield from overlapping_images(images, owners, token)
    pairs = tuple(sorted({tuple(sorted((owners[i], owners[j]))) for i, j, _ in found}))
    write_text(place, json.dumps(pairs))
    return pairs  # type: ignore[return-value]


def overlapping_images(
    images: Sequence[npt.NDArray[np.float32]], owners: Sequence[str], token: Token | None = None
) -> Generator[Event, None, list[tuple[int, int, float]]]:
    """Return which images of different owners show the same place: first, second, agreement.

    Parameters
    ----------
    images : sequence of ndarray, (h, w), float32
        Grey levels 0 to 255.
    owners : sequence of str
        What each was cut from.
    token : Token, optional
        Asks for a stop.
    """
    fine = [fine_structure(image) for image in images]
    details = _details(fine)
    _, owner = np.unique(np.asarray(owners), return_inverse=True)
    nearest, likeness = yield from _nearest(details, owner[details.image], token)
    everyone = np.arange(len(nearest))
    mutual = np.flatnonzero((nearest[nearest] == everyone) & (likeness >= _LEAST_LIKE) & (everyone < nearest))
    best: dict[tuple[int, int], float] = {}
    for count, a in enumerate(mutual.tolist()):
        if count % 64 == 0:
            stop_if_cancelled(token)
        b = int(nearest[a])
        i, j = int(details.image[a]), int(details.image[b])
        found = agreement(fine[i], fine[j], details.place_yx[a] - details.place_yx[b])
        if found >= AGREEMENT:
            pair = (min(i, j), max(i, j))
            best[pair] = max(best.get(pair, 0.0), found)
    return [(i, j, found) for (i, j), found in sorted(best.items())]


def fine_structure(image: npt.NDArray[np.float32]) -> Floats:
    """Return what is neither noise nor shading in grey levels (h, w), float32."""
    fine = ndimage.gaussian_filter(image, _FINE) - ndimage.gaussian_filter(image, _COARSE)
    return np.asarray(fine, dtype=np.float32)


def agreement(first: Floats, second: Floats, shift_yx: npt.NDArray[np.intp]) -> float:
    """Return the correlation of two images where the second, moved by ``shift_yx`` px, lies on the first.

    It is -1 where they hardly overlap. The shift may be wrong by a px.
    """
    best = -1.0
    for dy in (int(shift_yx[0]) + k for k in (-1, 0, 1)):
        for dx in (int(shift_yx[1]) + k for k in (-1, 0, 1)):
            y0, y1 = max(0, dy), min(first.shape[0], second.shape[0] + dy)
            x0, x1 = max(0, dx), min(first.shape[1], second.shape[1] + dx)
            if min(y1 - y0, x1 - x0) < _LEAST_OVERLAP_PX:
                continue
            a = first[y0:y1, x0:x1] - first[y0:y1, x0:x1].mean()
            b = second[y0 - dy : y1 - dy, x0 - dx : x1 - dx]
            b = b - b.mean()
            size = float(np.sqrt((a * a).sum() * (b * b).sum()))
            if size > 1:
                best = max(best, float((a * b).sum()) / size)
    return best


def _details(fine: Sequence[Floats]) -> _Details:
    reach = _STEP_PX * _HALF
    offsets = np.arange(-_HALF, _HALF + 1) * _STEP_PX
    places, described, image = [], [], []
    for number, each in enumerate(fine):
        strength = np.abs(each)
        peaks = (ndimage.maximum_filter(strength, 9) == strength) & (strength > _WEAKEST)
        peaks[:reach], peaks[:, :reach] = False, False
        peaks[max(each.shape[0] - reach, 0) :], peaks[:, max(each.shape[1] - reach, 0) :] = False, False
        y, x = np.nonzero(peaks)
        strongest = np.argsort(-strength[y, x], kind="stable")[:DETAILS]
        y, x = y[strongest], x[strongest]
        around = each[y[:, None, None] + offsets[:, None], x[:, None, None] + offsets].reshape(
            len(y), len(offsets) ** 2
        )
        around = around - around.mean(axis=1, keepdims=True)
        length = np.linalg.norm(around, axis=1)
        telling = length > _FLATTEST
        places.append(np.stack([y, x], axis=1)[telling])
        described.append((around[telling] / length[telling, None]).astype(np.float32))
        image.append(np.full(int(telling.sum()), number, dtype=np.intp))
    width = (2 * _HALF + 1) ** 2
    return _Details(
        np.concatenate([np.empty((0, 2), np.intp), *places]),
        np.concatenate([np.empty((0, width), np.float32), *described]),
        np.concatenate([np.empty(0, np.intp), *image]),
    )


def _nearest(
    details: _Details, owner: Numbers, token: Token | None
) -> Generator[Event, None, tuple[Numbers, npt.NDArray[np.float32]]]:
    """Return the most alike detail of another owner, and how alike, for each."""
    count = len(owner)
    nearest, likeness = np.zeros(count, dtype=np.intp), np.full(count, -1, dtype=np.float32)
    for start in range(0, count, _AT_ONCE):
        stop_if_cancelled(token)
        yield Advanced(start, count, "Comparing details of images")
        part = slice(start, start + _AT_ONCE)
        alike = details.described[part] @ details.described.T
        alike[owner[part][:, None] == owner] = -1
        nearest[part], likeness[part] = alike.argmax(axis=1), alike.max(axis=1)
    return nearest, likeness


def _read(path: str) -> Floats:
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _MOST_PX:
                raise CytoError(
                    f"{path}: expected the image of a cell, got one of {opened.width} x {opened.height} px."
                )
            return np.asarray(opened.convert("L"), dtype=np.float32)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise CytoError(f"{path}: expected an image, got something that cannot be read ({error}).") from error


def _place(paths: Sequence[str], owners: Sequence[str]) -> Path:
    digest = hashlib.sha256(f"{AGREEMENT} {DETAILS}".encode())
    for path, owner in sorted(zip(paths, owners, strict=True)):
        about = Path(path).stat()
        digest.update(f"\n{Path(path).name} {owner} {about.st_size} {about.st_mtime_ns}".encode())
    return user_cache_dir() / "encoder-vectors" / f"overlaps-{digest.hexdigest()[:24]}.json"


def _remembered(place: Path, owners: set[str]) -> tuple[tuple[str, str], ...] | None:
    try:
        pairs = tuple((str(a), str(b)) for a, b in json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return pairs if all(each in owners for pair in pairs for each in pair) else None
