"""How fast training learns, and the averaged network that is kept.

In: step numbers and networks. Out: learning-rate factors, and an exponential moving average of the weights.
"""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

_FINAL_FACTOR = 0.02
Network = TypeVar("Network", bound=nn.Module)


def cosine_factor(step: int, steps: int, warm_up_steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then half a cosine to 2 %.

    Examples
    --------
    >>> cosine_factor(0, 100, 10), round(cosine_factor(100, 100, 10), 2)
    (0.1, 0.02)
    """
    warm = min(1.0, (step + 1) / max(warm_up_steps, 1))
    return warm * (_FINAL_FACTOR + (1.0 - _FINAL_FACTOR) * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0))))


class AveragedNetwork(Generic[Network]):
    """An exponential moving average of a network's weights and batch-norm statistics.

    Parameters
    ----------
    network
        The one that is trained.
    decay
        Share of the average that is kept at each step, once the first steps are over.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network: Network = copy.deepcopy(network)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move the average towards the network; the first steps weigh more."""
        self.steps += 1
        kept = min(self.decay, self.steps / (self.steps + 20.0))
        for average, current in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                average.lerp_(current, 1.0 - kept)
            else:
                average.copy_(current)


def grouped_parameters(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters for AdamW: matrices decay, biases and norms do not."""
    trained = [each for each in network.parameters() if each.requires_grad]
    return [
        {"params": [each for each in trained if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in trained if each.ndim <= 1], "weight_decay": 0.0},
    ]
