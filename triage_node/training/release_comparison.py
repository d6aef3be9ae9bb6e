"""Two releases on the same studies: would the flags change, and for the better?

In: predictions of the active release and of one in the shadow. Out: which flags change, how far the scores move, and, where
labels are known, paired tests. Works without labels, as on a hospital's own studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.training.agreement import PairedTest, mcnemar
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected
from triage_node.training.delong import AucDifference, paired_difference
from triage_node.training.predictions import Predictions

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ChangedFlag:
    """One subject whose flag for any hemorrhage differs."""

    subject: str
    active_score: float
    shadow_score: float
    now_flagged: bool
    label: float


@dataclass(frozen=True)
class TargetComparison:
    """One target: paired tests on labelled subjects, subtypes on those that truly bleed."""

    target: str
    count: int
    auc: AucDifference
    decisions: PairedTest
    newly_called: int
    no_longer_called: int


@dataclass(frozen=True)
class ReleaseComparison:
    """The shadow against the active release.

    Attributes
    ----------
    subjects
        Read by both.
    only_active, only_shadow
        Subjects that one of the two did not read.
    mean_absolute_change, rank_correlation
        Of the score for any hemorrhage (Spearman's).
    """

    active: str
    shadow: str
    subjects: int
    only_active: int
    only_shadow: int
    mean_absolute_change: float
    rank_correlation: float
    targets: tuple[TargetComparison, ...]
    changed_flags: tuple[ChangedFlag, ...]


def compare_predictions(
    active: Predictions, shadow: Predictions, active_called: BoolArray, shadow_called: BoolArray
) -> ReleaseComparison:
    """Compare two releases on the subjects that both read.

    Parameters
    ----------
    active_called, shadow_called : (subjects, 6)
        Decisions, each in the order of its own predictions.

    Raises
    ------
    DatasetRejected
        They have no subject in common, or label one differently.
    """
    place = {subject: index for index, subject in enumerate(shadow.subjects)}
    mine = np.array([index for index, each in enumerate(active.subjects) if each in place], dtype=np.intp)
    if len(mine) == 0:
        raise DatasetRejected(
            shadow.name, f"it shares no subject with {active.name}", "Read the same studies with both"
        )
    theirs = np.array([place[active.subjects[index]] for index in mine], dtype=np.intp)
    labels = _one_truth(active, shadow, mine, theirs)
    before, after = active.scores[mine], shadow.scores[theirs]
    return ReleaseComparison(
        active=active.name,
        shadow=shadow.name,
        subjects=len(mine),
        only_active=len(active.subjects) - len(mine),
        only_shadow=len(shadow.subjects) - len(mine),
        mean_absolute_change=float(np.abs(before[:, 0] - after[:, 0]).mean()),
        rank_correlation=_rank_correlation(before[:, 0], after[:, 0]),
        targets=tuple(
            _target(index, labels, before, after, active_called[mine], shadow_called[theirs])
            for index in range(len(TARGETS))
            if not (np.isnan(before[:, index]).all() or np.isnan(after[:, index]).all())
        ),
        changed_flags=tuple(
            ChangedFlag(
                active.subjects[mine[row]],
                float(before[row, 0]),
                float(after[row, 0]),
                bool(shadow_called[theirs[row], 0]),
                float(labels[row, 0]),
            )
            for row in np.flatnonzero(active_called[mine, 0] != shadow_called[theirs, 0])
        ),
    )


def _one_truth(
    active: Predictions, shadow: Predictions, mine: npt.NDArray[np.intp], theirs: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Labels of the common subjects, taken from whichever side knows them."""
    ours, others = active.labels[mine], shadow.labels[theirs]
    clash = (ours != others) & ~np.isnan(ours) & ~np.isnan(others)
    if clash.any():
        subject = active.subjects[mine[int(np.flatnonzero(clash.any(axis=1))[0])]]
        problem = f"subject {subject} is labelled otherwise than in {active.name}"
        raise DatasetRejected(shadow.name, problem, "Use one truth for both")
    return np.where(np.isnan(ours), others, ours)


def _rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    if len(first) < 2 or len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _target(
    index: int,
    labels: npt.NDArray[np.float64],
    before: npt.NDArray[np.float64],
    after: npt.NDArray[np.float64],
    before_called: BoolArray,
    after_called: BoolArray,
) -> TargetComparison:
    among = ~np.isnan(labels[:, index]) & ((labels[:, 0] == 1) | (index == 0))
    truth = labels[among, index]
    old, new = (np.nan_to_num(scores[among, index], nan=0.0) for scores in (before, after))
    was, now = before_called[:, index], after_called[:, index]
    return TargetComparison(
        target=TARGETS[index],
        count=int(among.sum()),
        auc=paired_difference(truth, old, new),
        decisions=mcnemar(truth, was[among].astype(np.float64), now[among].astype(np.float64)),
        newly_called=int((~was & now).sum()),
        no_longer_called=int((was & ~now).sum()),
    )
