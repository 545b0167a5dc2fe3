"""All cells of a slide or of a part of it at once: the engine's run without a project, for whoever evaluates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cyto.domain.geometry import YXYX
from napari_cyto.inference._detections import Detections
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.pipeline import Batch, Engine, joined
from napari_cyto.inference.engine.plan import make_plan
from napari_cyto.jobs.events import Token
from napari_cyto.slides import Slide

FLOOR = 0.02
"""Lower scores are left out of an evaluation: no threshold worth having lies there."""


@dataclass(frozen=True)
class CellSearch:
    """A detector that answers for a slide as a prediction does: the same tiles, pixels, network and merging.

    Parameters
    ----------
    detector : CellDetector
        What finds cells.
    score_from : float
        Lower scores are left out.
    """

    detector: CellDetector
    score_from: float = FLOOR

    def detect(
        self, slide: Slide, mpp: float | None, region_yxyx: YXYX | None = None, token: Token | None = None
    ) -> Detections:
        """Return the cells of a slide, or of a region of it, the surest first.

        Parameters
        ----------
        slide : Slide
            Where to look.
        mpp : float or None
            µm per level-0 px.
        region_yxyx : tuple of float, optional
            Half-open, level-0 px; a cell belongs to it when its centre does.
        token : Token, optional
            Asks to stop, which it does between tiles and between layers of the network.

        Raises
        ------
        CytoError
            When the model needs µm and ``mpp`` is unknown, or there is not memory enough for the smallest tile.
        SlideError
            When the slide cannot be read.
        JobCancelled
            When ``token`` says so.
        """
        plan = make_plan(slide, mpp, self.detector, region_yxyx, score_from=self.score_from)
        steps = Engine(slide, plan, self.detector, token=token).steps()
        none = Detections.none(len(self.detector.manifest.classes))
        found = joined([none, *(step.cells for step in steps if isinstance(step, Batch))])
        y, x = found.centres_yx.T
        return found.at(np.lexsort((x, y, -found.scores)))
