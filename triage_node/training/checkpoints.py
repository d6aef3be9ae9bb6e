"""What a job needs to go on after it was cut off.

In: networks, optimizer and position. Out: one file a job, replaced whole, so that a kill at any moment leaves the one
before. Checkpoints are this machine's own working files; they are read with torch's restricted loader, which runs no
code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from triage_node.cascade.network import CascadeNetwork
from triage_node.training.early_stopping import EarlyStopping
from triage_node.training.schedule import AveragedNetwork


@dataclass
class Position:
    """How far a job has come: phases that are done, and steps of the next one."""

    phase: int = 0
    step: int = 0


@dataclass(frozen=True)
class Resumption:
    """Where a job goes on, the states of its optimizer and of early stopping in that phase, and its learning curve so far."""

    position: Position = field(default_factory=Position)
    optimizer: dict[str, Any] | None = None
    stopping: dict[str, Any] | None = None
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Checkpoint:
    """The file of one job, which holds the CNN: the RNNs are trained within minutes, from the beginning.

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
        network: CascadeNetwork,
        average: AveragedNetwork[CascadeNetwork],
        curve: list[dict[str, float]],
        optimizer: torch.optim.Optimizer | None = None,
        stopping: EarlyStopping | None = None,
    ) -> None:
        """Replace the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        torch.save(
            {
                "fingerprint": self.fingerprint,
                "phase": position.phase,
                "step": position.step,
                "network": network.cnn.state_dict(),
                "average": average.network.cnn.state_dict(),
                "average_steps": average.steps,
                "optimizer": None if optimizer is None else optimizer.state_dict(),
                "stopping": None if stopping is None else stopping.state_dict(),
                "curve": curve,
            },
            draft,
        )
        os.replace(draft, self.path)

    def load(self, network: CascadeNetwork, average: AveragedNetwork[CascadeNetwork]) -> Resumption:
        """Restore the CNN of both networks, and return what else a job needs.

        A job without a checkpoint, or with one of other settings, starts at the beginning.
        """
        if not self.path.is_file():
            return Resumption()
        stored = torch.load(self.path, map_location="cpu", weights_only=True)
        if stored["fingerprint"] != self.fingerprint:
            return Resumption()
        network.cnn.load_state_dict(stored["network"])
        average.network.cnn.load_state_dict(stored["average"])
        average.steps = stored["average_steps"]
        position = Position(stored["phase"], stored["step"])
        return Resumption(position, stored["optimizer"], stored["stopping"], list(stored["curve"]))
