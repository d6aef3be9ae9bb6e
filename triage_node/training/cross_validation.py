"""Folds for cross-validation: grouped by patient, stratified by kind of blood.

In: subject-level labels of every patient. Out: a fold number per patient. All scans of a patient, and all made-up
copies of a patient's head, share the patient's fold, or a figure would rest on patients that were trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def grouped_folds(labels_of_subject: Mapping[str, Sequence[int]], folds: int, seed: int) -> dict[str, int]:
    """Deal patients to folds so that each kind of blood is spread as evenly as it can be.

    The rarest label is dealt first (iterative stratification, Sechidis et al. 2011): each of its patients goes to the
    fold that has the fewest of that label, then the fewest patients, then to one drawn by lot.

    Parameters
    ----------
    labels_of_subject
        For each patient 0 or 1 per label; the first is any blood, the others the subtypes.
    folds
        How many folds, at least 2.
    seed
        Of the lots.

    Returns
    -------
    The fold, 0 to ``folds - 1``, of every patient.
    """
    if not 2 <= folds <= len(labels_of_subject):
        raise ValueError(f"{len(labels_of_subject)} patients cannot be dealt to {folds} folds")
    chance = np.random.default_rng(seed)
    subjects = sorted(labels_of_subject)
    chance.shuffle(subjects)
    labels = np.array([labels_of_subject[subject] for subject in subjects], dtype=np.int64)
    counts = np.zeros((folds, labels.shape[1]), dtype=np.int64)
    sizes = np.zeros(folds, dtype=np.int64)
    fold_of: dict[str, int] = {}

    def deal(index: int, label: int | None) -> None:
        keys = (chance.random(folds), sizes) if label is None else (chance.random(folds), sizes, counts[:, label])
        fold = int(np.lexsort(keys)[0])
        fold_of[subjects[index]] = fold
        counts[fold] += labels[index]
        sizes[fold] += 1

    while True:
        left = np.array([subject not in fold_of for subject in subjects])
        remaining = labels[left].sum(axis=0)
        if not remaining.any():
            break
        rarest = int(np.argmin(np.where(remaining > 0, remaining, np.iinfo(np.int64).max)))
        for index in np.flatnonzero(left & (labels[:, rarest] > 0)):
            deal(int(index), rarest)
    for position, subject in enumerate(subjects):
        if subject not in fold_of:
            deal(position, None)
    return fold_of
