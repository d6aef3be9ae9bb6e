"""Colours over the brain: even steps of lightness, and an untouched slice where the network did not look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.hounsfield import Window
from triage_node.core.overlay import MAX_OPACITY, STEPS, blended, color_map, quantised, shown


def lightness(rgb):
    """CIE L* of 8-bit sRGB colours."""
    encoded = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_lightness_rises_with_every_step():
    steps = np.diff(lightness(color_map()))
    assert steps.min() > 0
    assert steps.max() < 3 * steps.mean()


def test_color_map_is_shared_and_cannot_be_changed():
    assert color_map() is color_map()
    with pytest.raises(ValueError, match="read-only"):
        color_map()[0] = 0


def test_cold_heatmap_leaves_the_slice_as_it_is():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (blended(grey, np.zeros((16, 16))) == grey[..., np.newaxis]).all()


def test_hottest_pixel_has_the_top_colour_at_the_largest_share():
    rgb = blended(np.full((1, 1), 100, np.uint8), np.ones((1, 1)))[0, 0]
    expected = 100 * (1 - MAX_OPACITY) + color_map()[-1] * MAX_OPACITY
    assert np.abs(rgb - expected).max() <= 0.5


@given(st.integers(0, 255), st.floats(0, 1))
def test_blend_is_the_weighted_mean(grey, heat):
    step = quantised(np.array(heat))
    share = MAX_OPACITY * step / (STEPS - 1)
    rgb = blended(np.full((1, 1), grey, np.uint8), np.full((1, 1), heat))[0, 0]
    assert np.abs(rgb - (grey * (1 - share) + color_map()[step] * share)).max() <= 0.5 + 1e-9


def test_heatmap_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="heatmap"):
        blended(np.zeros((4, 4), np.uint8), np.zeros((2, 2)))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_has_a_step(value):
    assert 0 <= int(quantised(np.array([value]))[0]) < STEPS


def test_window_shows_black_and_white_at_its_ends():
    assert shown(np.array([[-1, 0, 20, 40, 41]]), Window(20, 40)).tolist() == [[0, 0, 128, 255, 255]]
