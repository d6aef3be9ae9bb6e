from dataclasses import replace

import numpy as np
import torch

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.training.augmentation import Augmentation, at_size
from triage_node.training.averaging import mean_network, measure_norms
from triage_node.training.bank_writing import write_bank
from triage_node.training.batches import AllowedScans
from triage_node.training.configuration import EncoderPhase, RunConfiguration
from triage_node.training.slice_bank import BankedScan, SliceBank

torch.set_num_threads(1)
STILL = replace(
    Augmentation(),
    rotation_deg=0,
    smallest_scale=1,
    largest_scale=1,
    aspect_fraction=0,
    shift_fraction=0,
    hu_gain=0,
    hu_shift=0,
    rim_hu=0,
    noise_hu=0,
    blur_share=0,
    sharpen_share=0,
)


def network_of(seed):
    torch.manual_seed(seed)
    return CascadeNetwork(Architecture(input_size=64)).eval()


def test_the_mean_network_lies_in_the_middle_and_leaves_the_others():
    first, second = network_of(1), network_of(2)
    before = {name: value.clone() for name, value in first.state_dict().items()}
    found = mean_network([first, second]).state_dict()
    for name, value in second.state_dict().items():
        middle = (before[name] + value) / 2 if value.dtype.is_floating_point else before[name]
        torch.testing.assert_close(found[name], middle)
        assert torch.equal(first.state_dict()[name], before[name])


def test_the_mean_of_one_network_is_the_network():
    network = network_of(1)
    for name, value in mean_network([network]).state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_norms_are_measured_on_what_the_network_was_trained_on(tmp_path):
    columns = np.arange(256, dtype=np.int16) - 100
    volume_hu = np.broadcast_to((columns + columns[::-1]) // 2 + np.abs(columns), (2, 256, 256)).copy()
    zeros = np.zeros((2, 6), dtype=np.float32)
    scan = BankedScan("scan", "patient", "real", volume_hu, zeros, zeros[0], None, ("1", "2"))
    write_bank(tmp_path / "real", ["all"], lambda _first: [[scan]])
    network = network_of(3)
    phase = EncoderPhase(steps=1, batch=4, size=64, pasted=0.0)
    settings = RunConfiguration("some", architecture=network.architecture, augmentation=STILL)
    settings = replace(settings, optimization=replace(settings.optimization, mixed_precision=False))
    bank = SliceBank(tmp_path / "real")
    allowed = {"real": AllowedScans(bank, np.arange(1))}
    measure_norms(network, allowed, phase, settings, 5, torch.device("cpu"))
    convolution, norm = network.encoder.backbone[0][0], network.encoder.backbone[0][1]
    shown = at_size(torch.from_numpy(volume_hu.astype(np.float32))[:, None], 64, network.architecture.windows)
    with torch.no_grad():
        expected = convolution(shown).mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected, atol=0.02, rtol=0.05)
    assert not network.training
    assert not norm.training
    assert norm.momentum == torch.nn.BatchNorm2d(1).momentum
