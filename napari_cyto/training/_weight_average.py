"""The moving average of the weights, which is often better than the last ones and jumps less from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

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
        self._decay = decay
        self._averaged = AveragedModel(network, multi_avg_fn=self._take_in, use_buffers=True).requires_grad_(False)
        # At 0 torch would take the first step's weights as they are; steps are counted from 1 here.
        self._averaged.n_averaged.fill_(1)

    @property
    def network(self) -> torch.nn.Module:
        """The network with the averaged weights."""
        module: torch.nn.Module = self._averaged.module
        return module

    def update(self, network: torch.nn.Module) -> None:
        """Take in the weights after a step."""
        self._averaged.update_parameters(network)

    def _take_in(self, own: Sequence[torch.Tensor], new: Sequence[torch.Tensor], _step: object) -> None:
        if own[0].is_floating_point():
            # Asked of the count that lies beside the processor: to read ``_step`` would wait for the accelerator.
            step = int(self._averaged.n_averaged)
            torch._foreach_lerp_(list(own), list(new), 1 - min(self._decay, step / (9 + step)))
        else:
            torch._foreach_copy_(list(own), list(new))

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {**self.network.state_dict(), _COUNT: self._averaged.n_averaged - 1}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        self._averaged.n_averaged.fill_(int(state[_COUNT]) + 1)
        self.network.load_state_dict({name: tensor for name, tensor in state.items() if name != _COUNT})
