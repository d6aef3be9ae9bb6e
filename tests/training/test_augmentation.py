from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from triage_node.cascade.preprocessing import beside, network_input
from triage_node.core.hounsfield import THIRD_WINDOWS, network_windows
from triage_node.training.augmentation import (
    Augmentation,
    at_size,
    augmented,
    changed_intensity,
    drawn_transforms,
    transformed,
)

torch.set_num_threads(1)


def test_a_mask_moves_with_its_slice():
    volume = torch.full((1, 1, 256, 256), -1000.0)
    volume[..., 100:140, 60:110] = 100.0
    mask = torch.zeros(1, 6, 64, 64)
    mask[..., 25:35, 15:27] = 1.0
    how = Augmentation()
    for seed in range(6):
        transforms = drawn_transforms(1, how, torch.Generator().manual_seed(seed))
        moved = transformed(volume, transforms, 256, -1000.0)[0, 0] > -450
        moved_mask = transformed(mask, transforms, 64, 0.0)[0, 0] > 0.5
        seen = torch.nn.functional.avg_pool2d(moved[None].float(), 4)[0] > 0.5
        assert (seen != moved_mask).float().mean() < 0.02


def test_slices_of_one_scan_share_one_geometric_transform():
    still = replace(Augmentation(), hu_shift=0, hu_gain=0, noise_hu=0, blur_share=0, sharpen_share=0)
    volume = torch.randn(1, 1, 256, 256).repeat(3, 1, 1, 1) * 30 + 30
    together, _ = augmented(
        volume, None, torch.zeros(3, dtype=torch.long), 64, network_windows(), still, torch.Generator().manual_seed(1)
    )
    apart, _ = augmented(volume, None, None, 64, network_windows(), still, torch.Generator().manual_seed(1))
    torch.testing.assert_close(together[0], together[2])
    assert not torch.allclose(apart[0], apart[2])


@pytest.mark.parametrize("size", [32, 144, 256])
def test_a_scanner_brightens_or_darkens_what_lies_beside_bone_alone(size):
    rim = replace(Augmentation(), hu_shift=0, hu_gain=0, noise_hu=0, blur_share=0, sharpen_share=0, rim_hu=10)
    volume = torch.full((64, 1, size, size), 30.0)
    volume[..., : size // 8] = 1000.0
    changed = changed_intensity(volume, rim, torch.Generator().manual_seed(1)) - 30.0
    beside, far = changed[:, 0, size // 2, size // 8], changed[:, 0, size // 2, -1]
    assert beside.max() > 5
    assert beside.min() < -5
    assert beside.abs().max() <= 10
    assert not far.any()


def test_the_windows_of_training_are_those_of_the_node():
    volume = (np.random.default_rng(1).random((2, 256, 256)) * 400 - 100).astype(np.float32)
    planes = {False: volume[:, None], True: volume[beside(np.arange(2), 0, 1)]}
    for size, third, neighbours in product((256, 192), THIRD_WINDOWS, planes):
        windows = network_windows(third)
        of_training = at_size(torch.from_numpy(planes[neighbours]), size, windows).numpy()
        np.testing.assert_allclose(of_training, network_input(volume, size, windows, neighbours), atol=1e-5)


def test_neighbours_move_and_brighten_as_their_slice_does():
    smooth = replace(Augmentation(), noise_hu=0)
    volume = (torch.randn(4, 1, 256, 256, generator=torch.Generator().manual_seed(1)) * 20 + 30).repeat(1, 3, 1, 1)
    shown, _ = augmented(volume, None, None, 64, network_windows(), smooth, torch.Generator().manual_seed(2))
    assert shown.shape == (4, 5, 64, 64)
    for channel in (3, 4):
        torch.testing.assert_close(shown[:, channel], shown[:, 0])
