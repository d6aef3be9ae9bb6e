from itertools import pairwise

import numpy as np
import pytest

from triage_node.cascade.preprocessing import (
    CANVAS_SIZE,
    INPUT_SIZE,
    SquareBox,
    cranium_box,
    fractions_on_network_grid,
    heatmaps_on_source,
    network_input,
    on_network_grid,
    slice_groups,
)
from triage_node.core.hounsfield import network_windows


def head(slices=6, rows=512, columns=512, radius=120, center=(256, 256)):
    row, column = np.mgrid[:rows, :columns]
    away = np.hypot(row - center[0], column - center[1])
    plane = np.where(away < radius, 35.0, np.where(away < radius + 12, 900.0, -1000.0))
    return np.repeat(plane[None], slices, axis=0).astype(np.int16)


def test_the_grid_keeps_slice_count_and_gives_the_network_size():
    grid_hu, grid = on_network_grid(head(), 5.0)
    assert grid_hu.shape == (6, INPUT_SIZE, INPUT_SIZE)
    assert grid_hu.dtype == np.float32
    assert grid.group_of_slice().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_small_and_a_large_head_fill_the_same_share_of_the_input():
    small = on_network_grid(head(radius=80), 5.0)[0]
    large = on_network_grid(head(radius=200), 5.0)[0]
    shares = [((each > 0) & (each < 100)).mean() for each in (small, large)]
    assert abs(shares[0] - shares[1]) < 0.05


def test_a_head_off_centre_is_centred():
    grid_hu, _ = on_network_grid(head(radius=90, center=(180, 330)), 5.0)
    rows, columns = np.nonzero(grid_hu[0] > 0)
    assert abs(rows.mean() - 127.5) < 3
    assert abs(columns.mean() - 127.5) < 3


def test_a_headrest_does_not_move_the_box():
    volume = head()
    without = cranium_box(volume.astype(np.float32))
    volume[:, 480:484, 60:450] = 700
    assert cranium_box(volume.astype(np.float32)) == without


def test_air_alone_is_shown_whole():
    assert cranium_box(np.full((3, 512, 512), -1000.0, dtype=np.float32)) == SquareBox(0, 0, CANVAS_SIZE)


def test_head_with_open_skull_is_boxed_by_its_tissue():
    volume = head()
    volume[:, :256][volume[:, :256] == 900] = 30
    box = cranium_box(volume.astype(np.float32))
    assert 240 < box.size < 400


def test_slices_that_are_not_square_keep_their_proportions():
    grid_hu, grid = on_network_grid(head(rows=384, columns=512, radius=100, center=(192, 256)), 5.0)
    rows, columns = np.nonzero(grid_hu[0] > 0)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2
    assert grid.padded_shape == (512, 512)


def test_pixels_that_are_not_square_are_made_square():
    squeezed = head(radius=120)[:, ::2]
    grid_hu, _ = on_network_grid(squeezed, 5.0, (0.9, 0.45))
    rows, columns = np.nonzero(grid_hu[0] > 0)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 4


@pytest.mark.parametrize(
    ("slices", "spacing", "expected"), [(30, 5.0, 30), (60, 2.5, 30), (160, 1.0, 32), (200, 5.0, 67)]
)
def test_thin_series_are_averaged_to_about_five_millimetres(slices, spacing, expected):
    groups = slice_groups(slices, spacing)
    assert len(groups) == expected
    assert groups[0][0] == 0
    assert groups[-1][1] == slices
    assert all(before[1] == after[0] for before, after in pairwise(groups))


def test_a_thin_series_shows_the_network_what_the_thick_one_does():
    thick = head(slices=4)
    thick[2, 240:270, 240:270] = 70
    thin = np.repeat(thick, 5, axis=0)
    from_thick, _ = on_network_grid(thick, 5.0)
    from_thin, grid = on_network_grid(thin, 1.0)
    np.testing.assert_allclose(from_thin, from_thick, atol=1e-3)
    assert grid.group_of_slice().tolist() == np.repeat(np.arange(4), 5).tolist()


def test_a_heatmap_comes_back_to_where_the_mask_was():
    volume = head(rows=480, columns=512, radius=130, center=(220, 280))
    mask = np.zeros(volume.shape)
    mask[3, 200:240, 300:350] = 1
    _, grid = on_network_grid(volume, 5.0)
    back = heatmaps_on_source(fractions_on_network_grid(mask, grid), grid)
    assert back.shape == volume.shape
    assert back.min() >= 0
    assert back.max() <= 1
    rows, columns = np.nonzero(back[3] > 0.5)
    assert abs(rows.mean() - 219.5) < 1.5
    assert abs(columns.mean() - 324.5) < 1.5
    assert not back[0].any()


def test_windows_lie_between_zero_and_one():
    shown = network_input(on_network_grid(head(), 5.0)[0], INPUT_SIZE, network_windows())
    assert shown.shape == (6, 3, INPUT_SIZE, INPUT_SIZE)
    assert shown.min() == 0
    assert shown.max() <= 1


def test_neighbours_follow_through_the_first_window_and_the_ends_stand_for_themselves():
    volume = np.arange(4.0).reshape(4, 1, 1) * 10 * np.ones((1, INPUT_SIZE, INPUT_SIZE))
    shown = network_input(volume, 64, network_windows(), neighbours=True)
    assert shown.shape == (4, 5, 64, 64)
    np.testing.assert_array_equal(shown[:, :3], network_input(volume, 64, network_windows()))
    own, below, above = (shown[:, channel, 0, 0].tolist() for channel in (0, 3, 4))
    assert below == [own[0], *own[:3]]
    assert above == [*own[1:], own[3]]


@pytest.mark.parametrize("shape", [(0, 512, 512), (512, 512)])
def test_a_volume_without_slices_is_refused(shape):
    with pytest.raises(ValueError, match="slices, rows and columns"):
        on_network_grid(np.zeros(shape), 5.0)
