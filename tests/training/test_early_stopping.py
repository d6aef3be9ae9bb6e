import copy

import torch
from torch import nn

from triage_node.training.early_stopping import EarlyStopping


def weighed(value):
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, value)
    return network


def test_the_best_check_is_kept_and_patience_ends_the_phase():
    stopping = EarlyStopping(patience=2)
    for loss, weight in ((0.9, 1.0), (0.5, 2.0), (0.6, 3.0)):
        stopping.see(loss, weighed(weight))
        assert not stopping.is_over
    stopping.see(0.7, weighed(4.0))
    assert stopping.is_over
    last = weighed(4.0)
    stopping.restore_best(last)
    assert last.weight.item() == 2.0


def test_without_patients_kept_aside_nothing_stops():
    stopping = EarlyStopping(patience=1)
    for _ in range(5):
        stopping.see(None, weighed(1.0))
    assert not stopping.is_over
    last = weighed(3.0)
    stopping.restore_best(last)
    assert last.weight.item() == 3.0


def test_a_checkpoint_remembers_the_best_and_the_patience():
    before = EarlyStopping(patience=2)
    before.see(0.5, weighed(2.0))
    before.see(0.6, weighed(3.0))
    after = EarlyStopping(patience=2)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    after.see(0.7, weighed(4.0))
    assert after.is_over
    last = weighed(4.0)
    after.restore_best(last)
    torch.testing.assert_close(last.weight, weighed(2.0).weight)
