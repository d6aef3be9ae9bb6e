import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage_node.training.cross_validation import grouped_folds


def patients(seed, count=52):
    chance = np.random.default_rng(seed)
    kinds = (chance.random((count, 5)) < 0.15).astype(int)
    return {f"p{index:02d}": [int(row.any()), *row.tolist()] for index, row in enumerate(kinds)}


@given(st.integers(0, 50), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_every_patient_is_in_one_fold_and_blood_is_spread(seed, folds):
    labels = patients(seed)
    fold_of = grouped_folds(labels, folds, seed)
    assert set(fold_of) == set(labels)
    assert set(fold_of.values()) == set(range(folds))
    bleeding = [sum(labels[name][0] for name, fold in fold_of.items() if fold == each) for each in range(folds)]
    assert max(bleeding) - min(bleeding) <= 3


def test_the_same_seed_deals_the_same_folds():
    labels = patients(1)
    shuffled = dict(reversed(labels.items()))
    assert grouped_folds(labels, 5, 3) == grouped_folds(shuffled, 5, 3)
    assert grouped_folds(labels, 5, 3) != grouped_folds(labels, 5, 4)


def test_a_rare_kind_is_not_left_to_one_fold():
    labels = {f"p{index}": [int(index < 10), int(index < 5)] for index in range(40)}
    fold_of = grouped_folds(labels, 5, 0)
    assert sorted(fold_of[f"p{index}"] for index in range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("folds", [1, 7])
def test_a_number_of_folds_that_cannot_be_is_refused(folds):
    with pytest.raises(ValueError, match="cannot be dealt"):
        grouped_folds({f"p{index}": [0] for index in range(6)}, folds, 0)
