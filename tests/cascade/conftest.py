"""Releases with random weights, and a head of simple shapes: enough to hold the cascade to its rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.release_writer import (
    ReleaseDescription,
    paper_operating_point,
    uncalibrated,
    write_release,
)
from triage_node.cascade.self_test import reference_volume

torch.set_num_threads(1)  # tests run side by side; threads that wait for each other would stand in their way


def random_network(seed: int) -> CascadeNetwork:
    """A network whose batch norms and heads all say something."""
    torch.manual_seed(seed)
    network = CascadeNetwork(Architecture())
    for name, parameter in network.named_parameters():
        if name.endswith("slice_head.weight"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def point(threshold: float) -> dict[str, object]:
    """An operating point with this subject threshold."""
    return {**paper_operating_point(), "threshold": threshold}


@pytest.fixture
def make_release(tmp_path: Path) -> Callable[..., Path]:
    """Write a release of random members with three operating points."""

    def make(name: str = "random", members: int = 1, seed: int = 1) -> Path:
        description = ReleaseDescription(
            name=name,
            version="0",
            calibrations=uncalibrated(),
            trained_prevalence=0.4,
            operating_points={"balanced": point(0.5), "always": point(0.0), "never": point(1.0)},
            training={},
            model_card="made for a test",
        )
        return write_release(
            tmp_path / "model_weights", [random_network(seed + n) for n in range(members)], description
        )

    return make


@pytest.fixture
def head_hu() -> np.ndarray:
    """Twelve slices of a head of simple shapes : (12, 224, 192), HU."""
    return np.concatenate([reference_volume(), reference_volume()[::-1]])
