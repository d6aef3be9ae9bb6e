"""What training makes small: cross-entropy on slices, on scans and on the cells of the last map.

In: logits and labels, NaN where unknown. Out: one number each. Unknown labels and padded slices weigh nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_POSITIVE_WEIGHT = 10.0
_LABEL_SMOOTHING = 0.02
_FOCUS = 1.5
_ANY_BLOOD_WEIGHT = 2.0
_WITHOUT_BLOOD_WEIGHT = 0.5
"""A real slice without blood weighs less than a masked one: its cells are many."""
_BLEEDING_CELL = 0.3
_FEWEST_CELLS = 8


def positive_weights(labels: Tensor) -> Tensor:
    """Negatives per positive of each output, between 1 and 10 : (cases, outputs) -> (outputs,)."""
    positives, negatives = (labels == 1).sum(dim=0), (labels == 0).sum(dim=0)
    return (negatives / positives.clamp_min(1)).clamp(1.0, LARGEST_POSITIVE_WEIGHT)


def label_loss(logits: Tensor, labels: Tensor, output_weights: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over known labels.

    Parameters
    ----------
    logits, labels : (cases, outputs)
        Labels 0, 1, or NaN where unknown.
    output_weights : (outputs,)
    positive_weight : (outputs,) or None
    """
    known = ~torch.isnan(labels)
    smoothed = torch.where(known, labels, torch.zeros_like(labels)) * (1 - 2 * _LABEL_SMOOTHING) + _LABEL_SMOOTHING
    losses = functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none", pos_weight=positive_weight)
    weights = known * output_weights
    return (losses * weights).sum() / weights.sum().clamp_min(1e-6)


def location_loss(location_logits: Tensor, cells: Tensor, has_mask: Tensor, labels: Tensor) -> Tensor:
    """Focal loss per cell of the last map: against masks where there are any, against 0 where a slice has no blood.

    Blood covers one cell in a hundred, so that a plain mean would be all background: easy cells weigh little (Lin et
    al. 2017, equation 4, with soft targets) and the sum is divided by the cells with blood.

    Parameters
    ----------
    location_logits, cells : (slices, 6, height, width)
    has_mask : (slices,)
    labels : (slices, 6)
    """
    outputs = torch.ones(cells.shape[1], device=cells.device)
    outputs[0] = _ANY_BLOOD_WEIGHT
    target = cells * has_mask[:, None, None, None]
    known = (has_mask[:, None] | (labels == 0)).float()
    known = torch.where(has_mask[:, None], known, _WITHOUT_BLOOD_WEIGHT * known)
    away = (target - torch.sigmoid(location_logits)).abs() ** _FOCUS
    losses = functional.binary_cross_entropy_with_logits(location_logits, target, reduction="none") * away
    bleeding = (target > _BLEEDING_CELL).sum(dim=(0, 2, 3)) + _FEWEST_CELLS
    return ((losses * known[:, :, None, None]).sum(dim=(0, 2, 3)) / bleeding * outputs).sum()
