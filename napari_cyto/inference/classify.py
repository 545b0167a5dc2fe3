"""Classify cells with a model bundle: the crop rule, colours, views and calibration that the model was judged with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import match_for
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.network_input import view_of
from napari_cyto.inference.probabilities import Scores, probabilities
from napari_cyto.inference.request import Runtime
from napari_cyto.inference.runtimes.choice import RuntimeRequest, crop_runtime
from napari_cyto.jobs.events import Token
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.slides import Slide

if TYPE_CHECKING:
    from napari_cyto.datasets.crop_rule import CropRule

BATCH = 64


class CellClassifier:
    """A classifier at work.

    Parameters
    ----------
    bundle : Bundle
        The model.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
    precision : str
        ``auto``, ``fp32`` or ``bf16``.
    runtime : str
        ``torch``, in which models are judged; ``openvino``; or ``auto`` for the faster of them that keeps the
        bundle's tolerance.

    Raises
    ------
    CytoError
        When the bundle is no classifier, its weights do not fit, or the device or the runtime is not here.
    """

    def __init__(
        self, bundle: Bundle, device: str = "auto", precision: str = "auto", runtime: Runtime = "torch"
    ) -> None:
        manifest = bundle.manifest
        if manifest.kind != "classifier" or manifest.crop_rule is None:
            raise CytoError(f"{bundle.path}: expected a classifier with a crop rule, got {manifest.kind_words}.")
        self.bundle, self.manifest = bundle, manifest
        self.rule: CropRule = manifest.crop_rule
        self.runtime, self.remarks = crop_runtime(bundle, RuntimeRequest(device, precision, runtime))

    @property
    def device(self) -> str:
        """What it computes on: ``cpu``, ``cuda`` ..."""
        return self.runtime.device

    @property
    def class_ids(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        return self.manifest.class_ids

    def scores(self, crops: npt.NDArray[np.uint8], token: Token | None = None) -> Scores:
        """Return the probability of each class for cells that are cut already.

        Parameters
        ----------
        crops : ndarray, uint8, RGB
            (n, windows, s, s, 3), as the model's crop rule cuts them, colours matched where the model asks for it.
        token : Token, optional
            Asks for a stop.

        Returns
        -------
        ndarray, float64 (n, C)
            Rows sum to 1.

        Raises
        ------
        JobCancelled
            When the user asked for it.
        CytoError
            When the crops are not of the shape that the rule makes.
        """
        size = self.rule.size_px
        if crops.ndim != 5 or crops.shape[1:] != (len(self.rule.windows), size, size, 3):
            raise CytoError(
                f"{self.bundle.id}: expected crops of shape (n, {len(self.rule.windows)}, {size}, {size}, 3), got "
                f"{crops.shape}; cut them according to the model's crop rule."
            )
        answers = np.empty((len(crops), len(self.class_ids)))
        for start in range(0, len(crops), BATCH):
            if token is not None and token.cancelled():
                raise JobCancelled("Cancelled while classifying.")
            part = slice(start, start + BATCH)
            answers[part] = probabilities(self.logits(crops[part], token), self.manifest.decision)
        return answers

    def classify(
        self, slide: Slide, centres_yx: npt.ArrayLike, mpp: float | None, token: Token | None = None
    ) -> Scores:
        """Return the probability of each class for cells of a slide.

        Parameters
        ----------
        slide : Slide
            Where they lie.
        centres_yx : array-like, (n, 2), float64
            Level-0 px.
        mpp : float or None
            µm per level-0 px of the slide.
        token : Token, optional
            Asks for a stop.

        Returns
        -------
        ndarray, float64 (n, C)

        Raises
        ------
        JobCancelled
            When the user asked for it.
        CytoError
            When the rule is in µm and the slide's scale is unknown, or the slide cannot be read.
        """
        centres = np.asarray(centres_yx, dtype=np.float64).reshape(-1, 2)
        colour = match_for(slide, self.manifest.colour, self.rule.icc)
        answers = np.empty((len(centres), len(self.class_ids)))
        for start in range(0, len(centres), BATCH):
            part = slice(start, start + BATCH)
            answers[part] = self.scores(self.rule.cut(slide, centres[part], mpp, colour), token)
        return answers

    def logits(self, crops: npt.NDArray[np.uint8], token: Token | None = None) -> npt.NDArray[np.float64]:
        """Return raw outputs (n, views, C) for cells that are cut already, as ``scores`` takes them.

        Raises
        ------
        NotFiniteError
            When one is NaN or infinite.
        """
        views = range(self.manifest.decision.views)
        answers = np.stack([self.runtime.outputs(view_of(crops, view), token) for view in views], axis=1)
        refuse_not_finite(self.bundle.id, answers)
        return answers
