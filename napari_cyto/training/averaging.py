"""The moving average of the weights, which is often better than the last ones and jumps less from epoch to epoch."""

from __future__ import annotations

from typing import Any

import torch


class Average:
    """An exponential moving average of all weights and statistics of a network.

    Source: Tarvainen and Valpola 2017, Mean teachers, section 3; the decay rises as ``(1 + n) / (10 + n)`` up to its
    value, as TensorFlow's ExponentialMovingAverage has it, so that the first random weights are forgotten.

    Parameters
    ----------
    network : nn.Module
        What is averaged.
    decay : float
        0 to 1.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self.model = torch.optim.swa_utils.AveragedModel(network, avg_fn=self._mean, use_buffers=True)

    def update(self, network: torch.nn.Module) -> None:
        """Take in the weights after a step."""
        self.model.update_parameters(network)

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return dict(self.model.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        self.model.load_state_dict(state)

    def _mean(self, averaged: torch.Tensor, current: torch.Tensor, n: torch.Tensor | int) -> torch.Tensor:
        if not averaged.is_floating_point():
            return current.clone()
        decay = min(self._decay, (1 + int(n)) / (10 + int(n)))
        return averaged.lerp(current, 1 - decay)
