"""The RNN of the cascade: a scan's slice features in order, to logits per slice and per subject.

In: features and the CNN's own logits of every slice from inferior to superior, with a mask where scans are padded. Out:
``SequenceLogits``. The recurrence is over slices (Ye et al. 2019, Fig. 2); a padded slice never changes what a scan
gets.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

RECURRENCES = ("gru", "lstm")
SUBJECT_HEADS = ("pooled", "log_sum_exp", "cnn_log_sum_exp", "cnn_neighbours")

_LOG_SUM_EXP_SHARPNESS = 6.0
"""Between a mean (towards 0) and a maximum (large) over the slices."""
NEIGHBOUR_WEIGHTS = (0.25, 0.5, 0.25)
"""Of the slice below, the slice itself and the slice above in their mean."""


class SequenceLogits(NamedTuple):
    """What one stage says of a batch of scans.

    Attributes
    ----------
    slices : (scans, slices, outputs)
        0 where a slice is padding.
    subjects : (scans, outputs)
    """

    slices: Tensor
    subjects: Tensor


def _smooth_maximum(logits: Tensor, mask: Tensor) -> Tensor:
    """Smooth maximum over valid slices : (scans, slices, outputs) -> (scans, outputs)."""
    scaled = (logits * _LOG_SUM_EXP_SHARPNESS).masked_fill(~mask[..., None], -torch.inf)
    return torch.logsumexp(scaled, dim=1) / _LOG_SUM_EXP_SHARPNESS


def _with_neighbours(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean of each slice with the slices below and above it, where there are any : (scans, slices, outputs)."""
    here = mask[..., None].to(logits.dtype)
    below, own, above = NEIGHBOUR_WEIGHTS

    def summed(values: Tensor) -> Tensor:
        total = own * values
        total[:, 1:] += below * values[:, :-1]
        total[:, :-1] += above * values[:, 1:]
        return total

    return summed(logits * here) / summed(here).clamp_min(min(NEIGHBOUR_WEIGHTS))


class SequenceModel(nn.Module):
    """A bidirectional RNN over slices with a slice head and a subject head.

    Parameters
    ----------
    feature_count
        Features a slice, from ``SliceEncoder``.
    outputs
        1 for stage one (any blood), 5 for stage two (``core.finding.SUBTYPES``).
    recurrence
        A name in ``RECURRENCES``.
    layers, units
        RNN layers, and units in each direction.
    dropout
        Share of features and states that are dropped in training.
    subject_head
        ``pooled``: linear on [maximum; attention mean] of the states. ``log_sum_exp``: smooth maximum of the slice
        logits. ``cnn_log_sum_exp``: smooth maximum of the CNN's own logits, for few patients, on whose features an RNN
        over-fits; the RNN then reads slices alone. ``cnn_neighbours``: the same after each slice was averaged with its
        neighbours, since blood is seldom on one slice and a deceptive shadow often is.
    """

    def __init__(
        self,
        feature_count: int,
        outputs: int,
        *,
        recurrence: str = "gru",
        layers: int = 1,
        units: int = 128,
        dropout: float = 0.3,
        subject_head: str = "pooled",
    ) -> None:
        super().__init__()
        if recurrence not in RECURRENCES or subject_head not in SUBJECT_HEADS:
            raise ValueError(
                f"recurrence must be one of {RECURRENCES} and subject head one of {SUBJECT_HEADS}, "
                f"not {recurrence!r} and {subject_head!r}"
            )
        self.subject_head_name = subject_head
        self.narrow = nn.Sequential(
            nn.LayerNorm(feature_count), nn.Dropout(dropout), nn.Linear(feature_count, units), nn.ReLU()
        )
        kind = nn.GRU if recurrence == "gru" else nn.LSTM
        self.recurrence: nn.GRU | nn.LSTM = kind(
            units, units, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.slice_head = nn.Linear(2 * units, outputs)
        self.attention = nn.Linear(2 * units, 1)
        self.subject_head = nn.Linear(4 * units if subject_head == "pooled" else 1, outputs)
        nn.init.zeros_(self.slice_head.weight)
        nn.init.zeros_(self.slice_head.bias)
        if subject_head != "pooled":
            nn.init.ones_(self.subject_head.weight)
            nn.init.zeros_(self.subject_head.bias)

    def forward(self, features: Tensor, cnn_logits: Tensor, mask: Tensor) -> SequenceLogits:
        """Read a batch of scans.

        Parameters
        ----------
        features : (scans, slices, feature_count)
        cnn_logits : (scans, slices, outputs)
            The slice head adds to these.
        mask : (scans, slices), bool
            True where a slice is real; a scan's real slices come first.
        """
        states = self.dropout(self._states(features, mask))
        slice_logits = (self.slice_head(states) + cnn_logits) * mask[..., None]
        subject_logits: Tensor
        if self.subject_head_name != "pooled":
            read = slice_logits if self.subject_head_name == "log_sum_exp" else cnn_logits
            if self.subject_head_name == "cnn_neighbours":
                read = _with_neighbours(read, mask)
            smooth = _smooth_maximum(read, mask)
            subject_logits = smooth * self.subject_head.weight.T + self.subject_head.bias
        else:
            subject_logits = self.subject_head(self._pooled(states, mask))
        return SequenceLogits(slice_logits, subject_logits)

    def _states(self, features: Tensor, mask: Tensor) -> Tensor:
        """RNN states (scans, slices, 2 x units); packing keeps padding out of both directions."""
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(self.narrow(features), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrence(packed)[0], batch_first=True, total_length=features.shape[1])
        return states

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        outside = ~mask[..., None]
        highest = states.masked_fill(outside, -torch.inf).amax(dim=1)
        attention = torch.softmax(self.attention(states).masked_fill(outside, -torch.inf), dim=1)
        return torch.cat([highest, (attention * states).sum(dim=1)], dim=1)
