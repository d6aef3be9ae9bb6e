"""What the RNN adds: the same CNN without it, and slice position without any image, on the same folds.

In: out-of-fold logits. Out: one row a reader, with AUCs for any blood at subject and slice level, as the paper's
supplement compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.cascade.sequence_model import NEIGHBOUR_WEIGHTS
from triage_node.training.delong import auc_estimate
from triage_node.training.estimates import Estimate
from triage_node.training.metrics import clustered_metrics
from triage_node.training.out_of_fold import OutOfFold
from triage_node.training.positional_baseline import positional_scores

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BaselineRow:
    """One way to read, and its AUC for any blood at both levels."""

    name: str
    subject: Estimate
    slice: Estimate


def moving_average(scores: FloatArray) -> FloatArray:
    """Average each slice with its two neighbours, half the weight on itself : (slices,)."""
    return np.convolve(np.pad(scores, 1, mode="edge"), NEIGHBOUR_WEIGHTS, "valid")


def baseline_rows(found: OutOfFold) -> list[BaselineRow]:
    """Judge the whole network, the CNN with two ways to come from slices to the subject, and position alone."""
    subject_logits, subject_labels = found.subjects()
    _, slice_labels = found.slices()
    labels, any_slice = subject_labels[:, 0], slice_labels[:, 0]
    lengths = [len(each.slices) for each in found.logits]
    scans = np.repeat(np.arange(len(lengths)), lengths).astype(np.intp)
    patients = np.unique([found.bank.subjects[scan] for scan in found.scans], return_inverse=True)[1][scans]
    ends = np.cumsum(lengths)[:-1]

    def judged(name: str, slices: FloatArray, subjects: FloatArray) -> BaselineRow:
        figures = clustered_metrics("any", any_slice, slices, slices >= 0, patients).figures
        return BaselineRow(name, auc_estimate(labels, subjects), figures["auc"])

    def highest(slices: FloatArray) -> FloatArray:
        return np.array([part.max() for part in np.split(slices, ends)])

    def by_scan(change: Callable[[FloatArray], FloatArray], slices: FloatArray) -> FloatArray:
        return np.concatenate([change(part) for part in np.split(slices, ends)])

    of_rnn = np.concatenate([each.slices[:, 0] for each in found.logits]).astype(np.float64)
    of_cnn = np.concatenate([each.cnn_slices[:, 0] for each in found.logits]).astype(np.float64)
    averaged = by_scan(moving_average, of_cnn)
    position = positional_scores(any_slice, scans, patients)
    return [
        judged("CNN and RNN, subject head", of_rnn, subject_logits[:, 0]),
        judged("CNN and RNN, highest slice", of_rnn, highest(of_rnn)),
        judged("CNN alone, highest slice", of_cnn, highest(of_cnn)),
        judged("CNN alone, highest moving average", averaged, highest(averaged)),
        judged("position of the slice alone", position, highest(position)),
    ]
