"""What a job needs to go on after it was cut off.

In: networks, optimizer and position. Out: one file a job, replaced whole, so that a kill at any moment leaves the one
before. Checkpoints are this machine's own working files; they are read with torch's restricted loader, which runs no
code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triage_node.training.schedule import AveragedNetwork


@dataclass
class Position:
    """How far a job has come: phases that are done, and steps of the next one."""

    phase: int = 0
    step: int = 0


@dataclass
class Checkpoint:
    """The file of one job.

    Attributes
    ----------
    path
        Where it lies.
    fingerprint
        Of the settings that the job trains under; a checkpoint made under others is not used.
    """

    path: Path
    fingerprint: str

    def save(
        self,
        position: Position,
        network: nn.Module,
        average: AveragedNetwork[Any],
        optimizer: torch.optim.Optimizer | None,
        curve: list[dict[str, float]],
    ) -> None:
        """Replace the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        torch.save(
            {
                "fingerprint": self.fingerprint,
                "phase": position.phase,
                "step": position.step,
                "network": network.state_dict(),
                "average": average.network.state_dict(),
                "average_steps": average.steps,
                "optimizer": None if optimizer is None else optimizer.state_dict(),
                "curve": curve,
            },
            draft,
        )
        os.replace(draft, self.path)

    def load(
        self, network: nn.Module, average: AveragedNetwork[Any]
    ) -> tuple[Position, dict[str, Any] | None, list[Any]]:
        """Restore networks; return the position, the optimizer's state and the learning curve so far.

        A job without a checkpoint, or with one of other settings, starts at the beginning.
        """
        if not self.path.is_file():
            return Position(), None, []
        stored = torch.load(self.path, map_location="cpu", weights_only=True)
        if stored["fingerprint"] != self.fingerprint:
            return Position(), None, []
        network.load_state_dict(stored["network"])
        average.network.load_state_dict(stored["average"])
        average.steps = stored["average_steps"]
        return Position(stored["phase"], stored["step"]), stored["optimizer"], list(stored["curve"])
