"""Grad-CAM for slices and for the subject (Selvaraju et al. 2017, equations 1 and 2).

In: the last convolution maps that the forward pass kept. Out: maps in 0 to 1 on the map's own grid. The gradient is
needed from a head to the last map only, so the RNN and the heads run again with gradient and the CNN never does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.slice_encoder import pooled

_SMALLEST_PEAK = 1e-6


def _normalised(maps: Tensor) -> Tensor:
    """Scale each (height, width) map so that its peak is 1; a map without any support stays 0."""
    peaks = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(peaks > _SMALLEST_PEAK, maps / peaks.clamp_min(_SMALLEST_PEAK), torch.zeros_like(maps))


def _class_activation(last_map: Tensor, gradient: Tensor) -> Tensor:
    """Weigh channels by their mean gradient and keep what speaks for the class : (slices, height, width)."""
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * last_map).sum(dim=1))


def _with_gradient(last_map: Tensor) -> Tensor:
    """A copy of a map that lies outside inference mode and collects a gradient."""
    return last_map.detach().clone().requires_grad_(True)


def slice_activation(network: CascadeNetwork, last_map: Tensor, chosen: Sequence[int]) -> Tensor:
    """Explain stage one's logit of some slices, each by its own map alone; neighbours that the CNN is shown act on it.

    Each chosen slice gets a copy of the scan in which only that slice carries a gradient; all copies pass the RNN as
    one batch.

    Parameters
    ----------
    network
        In evaluation mode.
    last_map : (slices, channels, height, width)
        Kept from the forward pass over one scan.
    chosen
        Which slices.

    Returns
    -------
    (chosen, height, width), 0 to 1
    """
    if not chosen:
        return last_map.new_zeros((0, *last_map.shape[2:]))
    index = torch.as_tensor(list(chosen), device=last_map.device)
    copies = torch.arange(len(chosen), device=last_map.device)
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        source = last_map.detach().clone()
        of_chosen = _with_gradient(source[index])
        with torch.no_grad():
            whole = pooled(source)
            whole_logits = network.cnn_logits(whole, network.location_logits(source))
        features, logits = (each.expand(len(chosen), -1, -1).clone() for each in (whole, whole_logits))
        own_features = pooled(of_chosen)
        features[copies, index] = own_features
        logits[copies, index] = network.cnn_logits(own_features, network.location_logits(of_chosen))
        mask = torch.ones(features.shape[:2], dtype=torch.bool, device=last_map.device)
        scored = network.stage_one(features, logits, mask)
        target = scored.slices[copies, index, 0].sum()
        (gradient,) = torch.autograd.grad(target, of_chosen)
        return _normalised(_class_activation(of_chosen.detach(), gradient))


def subject_activation(network: CascadeNetwork, last_map: Tensor) -> Tensor:
    """Explain stage one's logit of the subject, on every slice.

    Parameters
    ----------
    network
        In evaluation mode.
    last_map : (slices, channels, height, width)

    Returns
    -------
    (slices, height, width), 0 to 1; one scale for the whole scan, so that slices can be compared
    """
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        maps = _with_gradient(last_map)
        features = pooled(maps)
        logits = network.cnn_logits(features, network.location_logits(maps))
        mask = torch.ones((1, maps.shape[0]), dtype=torch.bool, device=maps.device)
        target = network.stage_one(features[None], logits[None], mask).subjects[0, 0]
        (gradient,) = torch.autograd.grad(target, maps)
        activation = _class_activation(maps.detach(), gradient)
        return activation / activation.max().clamp_min(_SMALLEST_PEAK)
