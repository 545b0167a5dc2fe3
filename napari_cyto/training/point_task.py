"""Training Patherea-P2P."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.jobs.events import Event, Token
from napari_cyto.models.point_detector import Proposals, grid_anchors_yx
from napari_cyto.training._point_loss import PointLossWeights, TileCells, hybrid_loss
from napari_cyto.training._task import Batch, Network, Tensor
from napari_cyto.training.detector.detector_task import DetectorTask


class PointTask(DetectorTask):
    """Point proposals with hybrid Hungarian matching; see ``DetectorTask``."""

    def settings(self) -> dict[str, Any]:
        """Return what the point detector is built from; sizes are learned where any cell has a box."""
        return super().settings() | {"sizes": self._has_boxes() or self._parent_has_sizes()}

    def own_settings(self) -> dict[str, Any]:
        """Return the size that sizes are told relative to."""
        return {"size_px": self.usual_px()}

    def prepare(self, token: Token | None) -> Iterator[Event]:
        """Prepare as all detectors do; a parent without sizes learns them where there are boxes now."""
        yield from super().prepare(token)
        self.network.sizes = self.settings()["sizes"]

    def anchors_yx(self) -> npt.NDArray[np.float64]:
        """Return where the proposals of a tile start, px of the tile."""
        cells = -(-self.model.tile_px // self.model.stride)
        anchors: npt.NDArray[np.float64] = grid_anchors_yx((cells, cells), self.model.stride).double().numpy()
        return anchors

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the hybrid loss of a batch."""
        outputs = network(batch["images"], True)
        rows = zip(batch["points"], batch["sizes"], batch["classes"], batch["counted"], strict=True)
        cells = [TileCells(p, s, c, k if len(k) else None) for p, s, c, k in rows]
        return hybrid_loss(Proposals(*outputs[:3]), Proposals(*outputs[3:]), cells, self._weights())["loss"]

    def _weights(self) -> PointLossWeights:
        model = self.model
        return PointLossWeights(
            background=model.background_weight,
            cell=model.cell_weight,
            regression=model.regression_weight,
            size=model.size_weight,
            many=model.many_weight,
            beta=model.beta,
            tau=model.tau,
            ignore_above=model.ignore_above,
            unsure_below=model.unsure_below if model.unmarked == "background-unless-sure" else None,
            hidden=1 / model.annotated_share - 1 if model.unmarked == "positive-unlabelled" else None,
        )

    def _has_boxes(self) -> bool:
        return any(bool(np.isfinite(s.boxes_yxyx).any()) for s in self.split.of("train"))

    def _parent_has_sizes(self) -> bool:
        return self.parent is not None and bool(self.parent.manifest.settings.get("sizes"))
