from itertools import pairwise

import pytest
import torch

from triage_node.training.losses import label_loss, location_loss, positive_weights
from triage_node.training.schedule import AveragedNetwork, cosine_factor


def test_unknown_labels_weigh_nothing():
    logits = torch.zeros(2, 6, requires_grad=True)
    labels = torch.zeros(2, 6)
    labels[0] = torch.nan
    label_loss(logits, labels, torch.ones(6)).backward()
    assert not logits.grad[0].any()
    assert logits.grad[1].all()
    assert label_loss(logits, torch.full((2, 6), torch.nan), torch.ones(6)) == 0


def test_positive_weights_are_capped():
    labels = torch.zeros(1000, 2)
    labels[0, 0] = 1
    labels[:600, 1] = 1
    assert positive_weights(labels).tolist() == [10.0, 1.0]


def test_a_bleeding_slice_without_a_mask_teaches_no_location():
    logits = torch.zeros(2, 6, 4, 4, requires_grad=True)
    labels = torch.zeros(2, 6)
    labels[0, :2] = 1
    location_loss(logits, torch.zeros(2, 6, 4, 4), torch.tensor([False, False]), labels).backward()
    assert not logits.grad[0, :2].any()
    assert logits.grad[0, 2:].all()
    assert logits.grad[1].all()


def test_the_average_follows_the_network():
    network = torch.nn.Linear(2, 2)
    average = AveragedNetwork(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(5.0)
    for _ in range(300):
        average.update(network)
    torch.testing.assert_close(average.network.weight, network.weight, atol=1e-3, rtol=0)


def test_the_learning_rate_warms_up_and_falls():
    factors = [cosine_factor(step, 100, 10) for step in range(101)]
    assert factors[0] < factors[5] < factors[9]
    assert all(before >= after for before, after in pairwise(factors[10:]))
    assert factors[-1] == pytest.approx(0.02)
