"""The vectors of a project's cells, brought to the few directions in which they differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError

Floats = npt.NDArray[np.float32]
AnyVectors = npt.NDArray[np.float16] | npt.NDArray[np.float32]

MOST_DIRECTIONS = 128
"""More gave no better heads on CRIC and SIPaKMeD, and take longer (see the benchmark of teaching)."""

FITTED_ON = 5_000
_AT_ONCE = 65_536
_FAINTEST = 1e-6


@dataclass(frozen=True, slots=True)
class Basis:
    """Where the mean lies and which directions are kept: ``(normalised - mean) @ directions``.

    Parameters
    ----------
    mean : ndarray, float32, (length,)
        Of the L2-normalised vectors.
    directions : ndarray, float32, (length, d)
        Orthogonal, the widest first, scaled so that the cells' mean square distance from the mean is 1.
    """

    mean: Floats
    directions: Floats

    def project(self, vectors: AnyVectors) -> Floats:
        """Return the cells' places ``(n, d)``, float32, of vectors ``(n, length)`` as an encoder gives them."""
        places = np.empty((len(vectors), self.directions.shape[1]), np.float32)
        for start in range(0, len(vectors), _AT_ONCE):
            part = normalised(vectors[start : start + _AT_ONCE])
            places[start : start + len(part)] = (part - self.mean) @ self.directions
        return places

    def on_vectors(self, weights: npt.ArrayLike, offsets: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return weights and offsets on L2-normalised vectors for those ``(classes, d)``, ``(classes,)`` on places."""
        of_places = np.asarray(weights, np.float64)
        full = of_places @ self.directions.T.astype(np.float64)
        shifted = np.asarray(offsets, np.float64) - full @ self.mean.astype(np.float64)
        return full.astype(np.float32), shifted.astype(np.float32)


def normalised(vectors: AnyVectors) -> Floats:
    """Return vectors ``(n, length)`` of length 1, float32; one of zeros stays so."""
    full = np.asarray(vectors, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", full, full))[:, None]
    made: Floats = full / np.maximum(lengths, _FAINTEST)
    return made


def fit_basis(vectors: AnyVectors, seed: int = 0) -> Basis:
    """Return the basis of cells ``(n, length)``, from at most ``FITTED_ON`` of them, drawn by ``seed``.

    Raises
    ------
    CytoError
        When there is no cell.

    Source
    ------
    Principal component analysis, Pearson 1901, by the eigenvectors of the covariance.
    """
    if not len(vectors):
        raise CytoError("Expected cells with vectors, got none; run `napari-cyto embed PROJECT --encoder E` first.")
    rows = np.arange(len(vectors))
    if len(rows) > FITTED_ON:
        rows = np.sort(np.random.default_rng(seed).choice(rows, FITTED_ON, replace=False))
    sample = normalised(vectors[rows]).astype(np.float64)
    mean = sample.mean(axis=0)
    centred = sample - mean
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    order = np.argsort(-variances)[:MOST_DIRECTIONS]
    kept = order[variances[order] > _FAINTEST * max(float(variances[order[0]]), _FAINTEST)]
    if not len(kept):
        # All cells alike, as a single one is: any direction shows as much.
        kept = order[:1]
    spread = float(np.sqrt(max(float(variances[kept].sum()), _FAINTEST)))
    return Basis(mean.astype(np.float32), (directions[:, kept] / spread).astype(np.float32))
