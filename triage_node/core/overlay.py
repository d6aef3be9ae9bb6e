"""Pictures of where the network looked: a perceptual colour map, blended over the brain window.

In: a slice in HU and its heatmap. Out: RGB. Colours come from a straight path through OKLab (Ottosson 2020, "A perceptual
color space for image processing"), so that equal steps of the heatmap are equal steps of lightness, also when printed grey
and for most readers with a colour vision deficiency. Nothing here decides anything.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from triage_node.core.hounsfield import BRAIN_WINDOW, Window

STEPS = 256
"""Entries of the colour map; a heatmap is quantised to them."""

MAX_OPACITY = 0.6
"""Share of the colour where the heatmap is 1: the anatomy under it must stay readable."""

_LIGHTNESS = (0.28, 0.94)
_HUE_DEG = (-62.0, 105.0)
_CHROMA_KNOTS = ((0.0, 0.3, 0.6, 1.0), (0.13, 0.19, 0.17, 0.15))
"""From deep violet over red and orange to yellow; chroma at the knots stays just inside sRGB."""

_OKLAB_TO_LMS = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]],
)
_LMS_TO_LINEAR_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ],
)


def srgb_from_oklab(oklab: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn OKLab colours (n, 3) into sRGB (n, 3), 0 to 1, clipped to the gamut.

    Examples
    --------
    >>> srgb_from_oklab(np.array([[1.0, 0.0, 0.0]])).round(3).tolist()
    [[1.0, 1.0, 1.0]]
    """
    linear = np.clip(((oklab @ _OKLAB_TO_LMS.T) ** 3) @ _LMS_TO_LINEAR_RGB.T, 0.0, 1.0)
    encoded: npt.NDArray[np.float64] = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return encoded


@functools.cache
def color_map() -> npt.NDArray[np.uint8]:
    """Return the colours from 0 to 1, (STEPS, 3), 8-bit sRGB; the array is shared and read-only.

    Examples
    --------
    >>> color_map().shape
    (256, 3)
    """
    value = np.linspace(0.0, 1.0, STEPS)
    hue = np.deg2rad(np.interp(value, (0.0, 1.0), _HUE_DEG))
    chroma = np.interp(value, *_CHROMA_KNOTS)
    lightness = np.interp(value, (0.0, 1.0), _LIGHTNESS)
    oklab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    colors = np.round(srgb_from_oklab(oklab) * 255.0).astype(np.uint8)
    colors.setflags(write=False)
    return colors


def quantised(heatmap: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Turn a heatmap of any shape into indices of the colour map; NaN counts as 0, values outside 0 to 1 are clipped.

    Examples
    --------
    >>> quantised(np.array([-1.0, 0.5, float("nan"), 2.0])).tolist()
    [0, 128, 0, 255]
    """
    clipped = np.fmin(np.fmax(heatmap, 0.0), 1.0)  # unlike clip, these two take the number where the other is NaN
    steps: npt.NDArray[np.uint8] = (clipped * (STEPS - 1) + 0.5).astype(np.uint8)
    return steps


def shown(slice_hu: npt.NDArray[np.generic], window: Window = BRAIN_WINDOW) -> npt.NDArray[np.uint8]:
    """Show one slice (rows, columns) in HU through a window, 0 to 255.

    Examples
    --------
    >>> shown(np.array([[-100, 40, 500]])).tolist()
    [[0, 128, 255]]
    """
    scaled = (np.asarray(slice_hu, dtype=np.float32) - np.float32(window.lower_hu)) * np.float32(
        255.0 / window.width_hu
    )
    levels: npt.NDArray[np.uint8] = (np.clip(scaled, 0.0, 255.0) + np.float32(0.5)).astype(np.uint8)
    return levels


@functools.cache
def _mixtures() -> npt.NDArray[np.uint32]:
    """Every mixture of a grey level and a step of the heatmap, (256 * STEPS,), RGB in the bytes of one word.

    A quarter of a million look-ups cost a third of the multiplications, and a reading has tens of pictures.
    """
    share = np.linspace(0.0, MAX_OPACITY, STEPS)
    grey = np.arange(256, dtype=np.float64)[:, np.newaxis, np.newaxis]
    mixed = grey * (1.0 - share)[:, np.newaxis] + color_map() * share[:, np.newaxis]
    words = np.zeros((256 * STEPS, 4), dtype=np.uint8)
    words[:, :3] = np.round(mixed).reshape(-1, 3)
    return words.view(np.uint32).ravel()


def blended(grey: npt.NDArray[np.uint8], heatmap: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Lay a heatmap over a grey picture; the colour's share grows from none at 0 to ``MAX_OPACITY`` at 1.

    Parameters
    ----------
    grey : (rows, columns), 0 to 255
    heatmap : (rows, columns), 0 to 1

    Returns
    -------
    (rows, columns, 3), 8-bit RGB; where the heatmap is 0 the grey picture is unchanged.

    Examples
    --------
    >>> blended(np.full((1, 1), 80, np.uint8), np.zeros((1, 1))).tolist()
    [[[80, 80, 80]]]
    """
    if grey.shape != heatmap.shape:
        raise ValueError(f"the heatmap is {heatmap.shape}, the slice {grey.shape}")
    word = grey.astype(np.uint16) * np.uint16(STEPS) + quantised(heatmap)
    words = _mixtures()[word]
    return np.ascontiguousarray(words.view(np.uint8).reshape(*grey.shape, 4)[..., :3])
