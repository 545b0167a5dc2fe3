"""The classifier's loss: cross-entropy, the expected cost of mistakes, and what coarser views of the classes say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.views import Graded, four_class_view, normal_abnormal_view
from napari_cyto.training._sampler import class_weights
from napari_cyto.training.config import ClassifierConfig


@dataclass(frozen=True)
class ClassifierLoss:
    """What a batch of answers costs.

    Parameters
    ----------
    weights : Tensor, float32 (C,)
        Of each class.
    smoothing : float
        Share of each target that is spread over all classes. Source: Szegedy et al. 2016, section 7.
    costs : Tensor, float32 (C, C)
        Of an answer (column) for a truth (row), at most 1.
    ordinal_weight : float
        Of the expected cost ``sum_j p_j * costs[truth, j]``. Source: Galdran et al. 2020, Cost-Sensitive
        Regularization for Diabetic Retinopathy Grading, equation 2.
    views : tuple of Tensor, float32 (C, V)
        Each class's place in a coarser view; those without one have a row of zeros.
    auxiliary_weight : float
        Of the cross-entropy of each view, whose probabilities are sums.
    """

    weights: torch.Tensor
    smoothing: float
    costs: torch.Tensor
    ordinal_weight: float
    views: tuple[torch.Tensor, ...]
    auxiliary_weight: float

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of ``logits`` (b, C) against ``targets`` (b, C), the share of each class."""
        device = logits.device
        soft = targets * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        logs = torch.log_softmax(logits.float(), 1)
        weights = self.weights.to(device)
        loss = -(weights * soft * logs).sum(1).mean()
        if self.ordinal_weight:
            loss = loss + self.ordinal_weight * (targets @ self.costs.to(device) * logs.exp()).sum(1).mean()
        if self.auxiliary_weight:
            for view in self.views:
                loss = loss + self.auxiliary_weight * _coarse(logs, targets, view.to(device))
        return loss


def classifier_loss(
    config: ClassifierConfig, classes: Sequence[Graded], counts: npt.NDArray[np.intp]
) -> ClassifierLoss:
    """Return the loss that a recipe describes.

    Parameters
    ----------
    config : ClassifierConfig
        The recipe.
    classes : sequence of Graded
        In the order of the outputs.
    counts : intp array (C,)
        Training cells of each class.

    Raises
    ------
    CytoError
        When the cost matrix does not fit the classes, or a class without severity needs one.
    """
    makers = {"coarse": four_class_view, "normal-abnormal": normal_abnormal_view}
    views = [makers[name](classes) for name in config.auxiliary_views] if config.auxiliary_weight else []
    tables = [torch.from_numpy(v.scores(np.eye(len(classes)))).float() for v in views if v is not None]
    return ClassifierLoss(
        torch.from_numpy(class_weights(counts, config.class_weights)).float(),
        config.label_smoothing,
        torch.from_numpy(cost_table(config, classes)).float(),
        config.ordinal_weight,
        tuple(tables),
        config.auxiliary_weight,
    )


def cost_table(config: ClassifierConfig, classes: Sequence[Graded]) -> npt.NDArray[np.float64]:
    """Return the cost of each answer (column) for each truth (row), float64 (C, C), at most 1.

    Raises
    ------
    CytoError
        When the user's matrix has another size, or is negative; or severities are missing.
    """
    if not config.ordinal_weight:
        return np.zeros((len(classes), len(classes)))
    if config.cost_matrix:
        table = _checked(config.cost_matrix, classes)
    else:
        grades = [c.severity for c in classes]
        if None in grades:
            missing = ", ".join(c.id for c in classes if c.severity is None)
            raise CytoError(f"The classes {missing} have no severity, so the ordinal cost needs a cost_matrix.")
        table = np.abs(np.subtract.outer(np.asarray(grades, float), np.asarray(grades, float)))
    largest = float(table.max())
    scaled: npt.NDArray[np.float64] = table / largest if largest else table
    return scaled


def _checked(rows: tuple[tuple[float, ...], ...], classes: Sequence[Graded]) -> npt.NDArray[np.float64]:
    n = len(classes)
    if len(rows) != n or any(len(row) != n for row in rows):
        raise CytoError(
            f"The cost matrix needs {n} rows of {n} numbers, truth by answer, for {', '.join(c.id for c in classes)}."
        )
    table = np.asarray(rows, dtype=np.float64)
    if not np.isfinite(table).all() or (table < 0).any():
        raise CytoError("The costs of answers must be finite and not negative.")
    return table


def _coarse(logs: torch.Tensor, targets: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of a view; what has no place in it neither counts nor gives."""
    sums = logs.exp() @ view
    total = sums.sum(1, keepdim=True).clamp_min(1e-6)
    gains = targets @ view
    loss: torch.Tensor = -(gains * torch.log((sums / total).clamp_min(1e-6))).sum(1).mean()
    return loss
