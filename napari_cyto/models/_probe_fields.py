"""Fields like those of a smear, made the same each time: on them a runtime is compared with PyTorch where it runs.

They are no real pixels, which may not be copied into each installation. A detector finds as many cells on them as on a
crowded field, and some of these lie near its threshold, as on real ones. The probe is the stricter of the two: in bf16
bethesda-light called 1,545 of 1,546 cells of CRIC as in fp32, and 99.0 % of those made here; nucleus-detector matched
98.8 % there and 98.6 % here. So a runtime may be turned down here that would do on real fields.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import Decision, ModelManifest

FIELDS = 8
FIELD_PX = 512
CROPS = 400
"""Of which two may be called otherwise: a single one shall not decide."""

_BLUR_UM = 0.6

CROP_MPP, CROP_FIELD_PX = 0.25, 2048
MATCH_UM = 2.0

_CELL_PX = 50

Pixels = npt.NDArray[np.uint8]


def probe_shapes(manifest: ModelManifest) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of two inputs, uint8 RGB, on which a network is tried: two, as it shall take any size."""
    rule = manifest.crop_rule
    if manifest.kind == "outline":
        return ((2, manifest.input_px, manifest.input_px, 3), (5, manifest.input_px, manifest.input_px, 3))
    if manifest.kind == "detector" or rule is None:
        return ((1, 256, 320, 3), (1, 640, 512, 3))
    return (
        (3, len(rule.windows), rule.size_px, rule.size_px, 3),
        (8, len(rule.windows), rule.size_px, rule.size_px, 3),
    )


def probe(shape: tuple[int, ...], apart_px: int = 50) -> npt.NDArray[np.uint8]:
    """Return the fixed picture on which runtimes are compared: pale uneven ground with dark discs.

    Parameters
    ----------
    shape : tuple of int
        The last three axes are height, width and RGB; each picture of a stack is another.
    apart_px : int
        Discs lie about so far from each other.

    Returns
    -------
    ndarray, uint8
        Of that shape.
    """
    rng = np.random.default_rng(20)
    *stack, height, width, _ = shape
    images = []
    for _ in range(int(np.prod(stack))):
        coarse = rng.uniform(165, 240, (-(-height // 32), -(-width // 32), 3))
        image = coarse.repeat(32, axis=0).repeat(32, axis=1)[:height, :width] + rng.normal(0, 6, (height, width, 3))
        for _ in range(max(1, height * width // apart_px**2)):
            _disc(image, rng)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return np.stack(images).reshape(shape)


def _disc(image: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
    radius = rng.uniform(0.06, 0.3) * _CELL_PX
    cy, cx = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
    y0, x0 = max(int(cy - radius) - 1, 0), max(int(cx - radius) - 1, 0)
    part = image[y0 : int(cy + radius) + 2, x0 : int(cx + radius) + 2]
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    inside = np.clip(radius - np.hypot(y + y0 + 0.5 - cy, x + x0 + 0.5 - cx), 0, 1)[..., None]
    part *= 1 - inside * rng.uniform(0.4, 0.8, 3)


def probe_field(seed: int, mpp: float, size_px: int = FIELD_PX) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """Return pale cells with dark nuclei on glass, and the centres of these.

    Parameters
    ----------
    seed : int
        Which field.
    mpp : float
        µm per px.
    size_px : int
        Its side.

    Returns
    -------
    pixels : ndarray, uint8 (size_px, size_px, 3)
        RGB.
    centres_yx : ndarray, float64 (n, 2)
        Px.
    """
    rng = np.random.default_rng([21, seed])
    image = np.full((size_px, size_px, 3), (238.0, 236.0, 240.0))
    centres = rng.uniform(0, size_px, (max(12, int((size_px * mpp) ** 2 / 1500)), 2))
    for n, (y, x) in enumerate(centres.tolist()):
        stain = np.array([(0.75, 0.88, 0.9), (0.93, 0.75, 0.8)][n % 2]) ** rng.uniform(0.4, 1.2)
        _discs(image, (y, x), rng.uniform(14, 30) / mpp, stain)
        nucleus = np.array((0.5, 0.42, 0.62)) ** rng.uniform(0.15, 1.3)
        _discs(image, (y, x), rng.uniform(1.5, 6) / mpp, nucleus)
    image = ndimage.gaussian_filter(image, (_BLUR_UM / mpp, _BLUR_UM / mpp, 0))
    grain = ndimage.gaussian_filter(rng.normal(0, 1, (size_px, size_px)), 0.7 / mpp)
    return np.asarray(np.clip(image + 5 * (grain / grain.std())[..., None], 0, 255), np.uint8), centres


def probe_cells(many: int, windows_px: Sequence[float], size_px: int) -> Pixels:
    """Return crops around nuclei of made fields, of `CROP_MPP` µm a px.

    Parameters
    ----------
    many : int
        How many.
    windows_px : sequence of float
        Sides of the squares that are cut around each, px of the field.
    size_px : int
        Side of a crop.

    Returns
    -------
    ndarray, uint8 (many, windows, size_px, size_px, 3)
    """
    largest = int(max(windows_px)) + 1
    side, seed = max(CROP_FIELD_PX, 2 * largest), 0
    crops: list[list[Pixels]] = []
    while len(crops) < many:
        field, centres = probe_field(seed, CROP_MPP, side)
        seed += 1
        image = Image.fromarray(field)
        inside = centres[((centres > largest / 2) & (centres < side - largest / 2)).all(axis=1)]
        for y, x in inside[: many - len(crops)].tolist():
            boxes = [(x - w / 2, y - w / 2, x + w / 2, y + w / 2) for w in windows_px]
            size = (size_px, size_px)
            crops.append([np.asarray(image.resize(size, Image.Resampling.BILINEAR, box)) for box in boxes])
    return np.asarray(crops, dtype=np.uint8)


def _discs(image: npt.NDArray[np.float64], centre_yx: tuple[float, float], radius: float, factor: object) -> None:
    """Darken a disc with a soft edge."""
    (cy, cx), reach = centre_yx, int(radius) + 2
    y0, x0 = max(int(cy) - reach, 0), max(int(cx) - reach, 0)
    part = image[y0 : int(cy) + reach, x0 : int(cx) + reach]
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    inside = np.clip(radius - np.hypot(y + y0 + 0.5 - cy, x + x0 + 0.5 - cx), 0, 1)[..., None]
    part *= 1 - inside * (1 - np.asarray(factor))


def separate_cells(cells: FoundCells, apart_px: float) -> FoundCells:
    """Return the cells of a picture of which none is nearer than ``apart_px`` to one that is surer."""
    order = np.lexsort((cells.points_yx[:, 1], cells.points_yx[:, 0], -cells.scores))
    points = cells.points_yx[order]
    keep = np.ones(len(points), dtype=np.bool_)
    if len(points) and apart_px > 0:
        for n, near in enumerate(cKDTree(points).query_ball_point(points, apart_px)):
            if keep[n]:
                keep[[m for m in near if m > n]] = False
    return cells.at(order[keep])


def called(logits: npt.NDArray[np.float32], decision: Decision) -> npt.NDArray[np.intp]:
    """Return the class that is called for each row of raw outputs ``(n, C)``, seen in one view."""
    weighed = logits / decision.temperature
    if decision.logit_offsets:
        weighed = weighed + np.asarray(decision.logit_offsets)
    called: npt.NDArray[np.intp] = (weighed + np.log(_costs(decision, logits.shape[-1]))).argmax(axis=-1)
    return called


def _costs(decision: Decision, classes: int) -> npt.NDArray[np.float64]:
    return np.asarray(decision.miss_costs) if decision.miss_costs else np.ones(classes)


def agreement(truth: FoundCells, found: FoundCells, near_px: float, decision: Decision) -> tuple[int, int, int]:
    """Return how many cells are each other's nearest within ``near_px``, how many of these are called alike, and all.

    All are the cells of both, so that F1 is twice the first over the last. Costs of the decision count when a class is
    called.
    """
    every = len(truth.scores) + len(found.scores)
    if not len(truth.scores) or not len(found.scores):
        return 0, 0, every
    far, there = cKDTree(found.points_yx).query(truth.points_yx)
    _, back = cKDTree(truth.points_yx).query(found.points_yx)
    pairs = np.flatnonzero((far <= near_px) & (back[there] == np.arange(len(there))))
    costs = _costs(decision, truth.class_scores.shape[1])
    calls = (truth.class_scores[pairs] * costs).argmax(1) == (found.class_scores[there[pairs]] * costs).argmax(1)
    return len(pairs), int(calls.sum()), every
