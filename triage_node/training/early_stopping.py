"""Ending a phase of training where it no longer helps patients that are kept aside.

In: the validation loss, check by check. Out: whether the phase is over, and the weights that did best.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn


class EarlyStopping:
    """Stop where the validation loss has not fallen for some checks, and keep the weights of the best one; never without a loss.

    Parameters
    ----------
    patience
        How many checks in a row may bring nothing better.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best_loss = float("inf")
        self._since_best = 0
        self._best: dict[str, Tensor] | None = None

    def see(self, validation_loss: float | None, network: nn.Module) -> None:
        """Take note of a check; None where no patients are kept aside."""
        if validation_loss is None:
            return
        self._since_best += 1
        if validation_loss < self._best_loss:
            self._best_loss, self._since_best = validation_loss, 0
            self._best = copy.deepcopy(network.state_dict())

    @property
    def is_over(self) -> bool:
        """Whether the last checks brought nothing better."""
        return self._since_best >= self._patience

    def restore_best(self, network: nn.Module) -> None:
        """Give a network the weights of the best check; without any, leave it."""
        if self._best is not None:
            network.load_state_dict(self._best)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best_loss": self._best_loss, "since_best": self._since_best, "best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint left off."""
        self._best_loss, self._since_best, self._best = state["best_loss"], state["since_best"], state["best"]
