"""One CNN out of several trainings that began alike: the mean of their weights.

In: networks that were fine-tuned from the same pretraining under different seeds. Out: one network that errs less than each
and costs no more (Wortsman et al. 2022, "Model soups", section 2, the uniform soup), which a mean of their outputs would.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from triage_node.cascade.network import CascadeNetwork
from triage_node.training.augmentation import augmented
from triage_node.training.batches import AllowedScans, MixedSlices
from triage_node.training.configuration import EncoderPhase, RunConfiguration
from triage_node.training.encoder_training import mixed_precision, seeded_generator

_BATCHES_FOR_NORMS = 100


@torch.no_grad()
def mean_network(networks: Sequence[CascadeNetwork]) -> CascadeNetwork:
    """Average the weights of one or more networks of the same architecture; whole numbers are the first one's."""
    mean = copy.deepcopy(networks[0])
    for others in zip(*(each.state_dict().values() for each in (mean, *networks)), strict=True):
        if others[0].dtype.is_floating_point:
            others[0].copy_(torch.stack(others[1:]).mean(dim=0))
    return mean


@torch.no_grad()
def measure_norms(
    network: CascadeNetwork,
    allowed: Mapping[str, AllowedScans],
    phase: EncoderPhase,
    configuration: RunConfiguration,
    seed: int,
    device: torch.device,
) -> None:
    """Measure batch norm's statistics anew, on slices as ``phase`` draws them: those of averaged weights are no average.

    Parameters
    ----------
    network
        Changed in place, and left in evaluation mode.
    allowed
        The scans that it was trained on, by kind.
    """
    network.eval()
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
        norm.train()
    batches = MixedSlices(allowed, phase, configuration.labels, seed)
    windows = network.architecture.windows
    for step in range(_BATCHES_FOR_NORMS):
        volume_hu, chance = batches.at(step).volume_hu.to(device), seeded_generator(device, seed, step)
        shown, _ = augmented(volume_hu, None, None, phase.size, windows, configuration.augmentation, chance)
        with mixed_precision(device, configuration.optimization.mixed_precision):
            network.encoder(shown)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.eval()
