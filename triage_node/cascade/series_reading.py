"""What a reading is: the finding, and the heatmaps that can still be had from what the forward pass kept.

In: what every member of the ensemble keeps of one series. Out: heatmaps on the source pixels. The CNN never runs here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.preprocessing import Grid, heatmaps_on_source
from triage_node.cascade.saliency import slice_activation, subject_activation
from triage_node.core.finding import Finding

HeatmapKinds = Literal["flagged", "all", "subject"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the RNN on one thread: its steps are too small to share, and threads that wait for each other cost more than they
    bring, on a busy machine a hundredfold."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class MemberState:
    """What one member keeps of a forward pass: its last map, features (1, slices, n) and CNN logits (1, slices, 6).

    Where ``mirrored``, all of it is of the left-right mirror image.
    """

    network: CascadeNetwork
    mirrored: bool
    last_map: Tensor
    features: Tensor
    cnn_logits: Tensor
    mask: Tensor


class CascadeReading:
    """A finding, and the heatmaps that can be had for it.

    Parameters
    ----------
    finding
        What the cascade says.
    grid, states
        Where network slices lie on the source, and what the forward pass kept.
    """

    def __init__(self, finding: Finding, grid: Grid, states: Sequence[MemberState]) -> None:
        self.finding = finding
        self._grid = grid
        self._states = states

    def heatmaps(self, kinds: HeatmapKinds = "flagged") -> dict[int, npt.NDArray[np.float32]]:
        """Explain slices by Grad-CAM, averaged over the ensemble.

        Parameters
        ----------
        kinds
            ``flagged``: stage one's slice logit, for flagged slices; ``all``: the same for every slice; ``subject``:
            stage one's subject logit, for every slice on one common scale.

        Returns
        -------
        Index of the source slice to (rows, columns), 0 to 1.
        """
        group_of = self._grid.group_of_slice()
        wanted = [index for index, each in enumerate(self.finding.slices) if kinds != "flagged" or each.flagged]
        groups = sorted({int(group_of[index]) for index in wanted})
        if not groups:
            return {}
        with one_thread():
            maps = self._activations(kinds, groups)
        mean = torch.stack(maps).mean(dim=0)
        if kinds != "subject":
            mean = mean / mean.amax(dim=(1, 2), keepdim=True).clamp_min(1e-6)
        on_source = heatmaps_on_source(mean.float().cpu().numpy(), self._grid)
        row_of = {group: row for row, group in enumerate(groups)}
        return {index: on_source[row_of[int(group_of[index])]] for index in wanted}

    def _activations(self, kinds: HeatmapKinds, groups: list[int]) -> list[Tensor]:
        """Every member's activation of some network slices : (groups, height, width) each, unmirrored."""
        maps = []
        for state in self._states:
            if kinds == "subject":
                activation = subject_activation(state.network, state.last_map)[groups]
            else:
                activation = slice_activation(state.network, state.last_map, groups)
            maps.append(activation.flip(2) if state.mirrored else activation)
        return maps
