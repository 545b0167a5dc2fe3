"""The moving average of the weights, which is often better than the last ones and jumps less from epoch to epoch."""

from __future__ import annotations

import copy
from typing import Any

import torch

_COUNT = "steps of the average"


class Average:
    """An exponential moving average of all weights and statistics of a network.

    Source: Tarvainen and Valpola 2017, Mean teachers, section 3; the decay rises as ``n / (9 + n)`` up to its
    value, as TensorFlow's ExponentialMovingAverage has it, so that the first random weights are forgotten.

    Parameters
    ----------
    network : nn.Module
        What is averaged.
    decay : float
        0 to 1.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self._decay, self._n = decay, 0
        self.network = copy.deepcopy(network).requires_grad_(False)

    def update(self, network: torch.nn.Module) -> None:
        """Take in the weights after a step."""
        self._n += 1
        own, new = self.network.state_dict(), network.state_dict()
        smooth = [name for name, tensor in own.items() if tensor.is_floating_point()]
        share = 1 - min(self._decay, self._n / (9 + self._n))
        with torch.no_grad():
            # All at once: a loop over some two hundred small tensors costs more than the sums.
            torch._foreach_lerp_([own[n] for n in smooth], [new[n] for n in smooth], share)
            for name in own.keys() - set(smooth):
                own[name].copy_(new[name])

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {**self.network.state_dict(), _COUNT: torch.tensor(self._n)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        self._n = int(state[_COUNT])
        self.network.load_state_dict({name: tensor for name, tensor in state.items() if name != _COUNT})
