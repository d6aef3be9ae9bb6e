"""From a head volume in HU to what the network sees, and back from the network's grid to the source pixels.

In: one series as ``volume_hu`` (slices, rows, columns), index 0 the most inferior, with its slice spacing. Out:
windowed channels of the cranium per slice at 256 x 256, and the ``Grid`` that maps slices and pixels back.
Thin series are averaged to about 5 mm; slices are brought to 512 x 512 (Ye et al. 2019, "Data preprocessing"), cropped
to one square around the cranium for the whole scan, and resampled to 256 x 256. Training goes through the same
functions: a difference between the two would be a silent loss of accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_fill_holes, binary_opening, label
from torch.nn import functional

from triage_node.core.hounsfield import AIR_HU, Window, windowed

CANVAS_SIZE = 512
"""Rows and columns every slice is first brought to, as in the paper."""
INPUT_SIZE = 256
"""Rows and columns of the network's input."""
NOMINAL_SPACING_MM = 5.0
"""Slice spacing that thin series are averaged to: what the training series have."""
THIN_SPACING_MM = 3.0
MANY_SLICES = 80
"""More slices than this in a head are a thin series, whatever its spacing says."""

BONE_HU = 250.0
TISSUE_HU = -300.0
_BOX_GRID = 128
_MARGIN_FRACTION = 0.09
"""Of the brain's extent, on each side: skull and scalp."""
_SMALLEST_BRAIN_FRACTION = 0.04
_SMALLEST_BOX_FRACTION = 0.25


@dataclass(frozen=True)
class SquareBox:
    """A square on the 512 x 512 canvas, in canvas pixels; it may reach over the edge, where air is seen."""

    top: int
    left: int
    size: int


@dataclass(frozen=True)
class Grid:
    """How network slices and pixels lie on the source series.

    Attributes
    ----------
    source_shape : (slices, rows, columns) of the series
    padded_shape : (rows, columns) after padding to a square in mm
    slices_of_group
        For each network slice the half-open range of source slices that were averaged into it.
    box
        The square that was cropped from the canvas.
    """

    source_shape: tuple[int, int, int]
    padded_shape: tuple[int, int]
    slices_of_group: tuple[tuple[int, int], ...]
    box: SquareBox

    def group_of_slice(self) -> npt.NDArray[np.int64]:
        """The network slice for every source slice : (source slices,)."""
        groups = np.empty(self.source_shape[0], dtype=np.int64)
        for group, (start, stop) in enumerate(self.slices_of_group):
            groups[start:stop] = group
        return groups


def slice_groups(slices: int, slice_spacing_mm: float) -> tuple[tuple[int, int], ...]:
    """Group a thin series' consecutive slices so that a group spans about 5 mm.

    Parameters
    ----------
    slices
        How many the series has.
    slice_spacing_mm
        Between neighbours, mm.

    Returns
    -------
    Half-open ranges of source slices from inferior to superior; one slice each where the series is not thin.

    Examples
    --------
    >>> slice_groups(3, 5.0)
    ((0, 1), (1, 2), (2, 3))
    >>> slice_groups(5, 2.5)
    ((0, 2), (2, 4), (4, 5))
    """
    per_group = 1
    if slice_spacing_mm < THIN_SPACING_MM or slices > MANY_SLICES:
        per_group = max(1, round(NOMINAL_SPACING_MM / max(slice_spacing_mm, 0.1)))
        if slices > MANY_SLICES:
            per_group = max(per_group, -(-slices // MANY_SLICES))
    return tuple((start, min(start + per_group, slices)) for start in range(0, slices, per_group))


def _averaged(volume: npt.NDArray[np.generic], groups: tuple[tuple[int, int], ...]) -> npt.NDArray[np.float32]:
    if len(groups) == volume.shape[0]:
        return volume.astype(np.float32, copy=False)
    return np.stack([volume[start:stop].mean(axis=0, dtype=np.float32) for start, stop in groups])


def _resized(volume: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Resample the planes of a volume, smoothed first where they shrink."""
    if volume.shape[1:] == (rows, columns):
        return volume
    shrinks = rows < volume.shape[1] or columns < volume.shape[2]
    tensor = torch.from_numpy(np.ascontiguousarray(volume))[:, None]
    resized = functional.interpolate(
        tensor, size=(rows, columns), mode="bilinear", align_corners=False, antialias=shrinks
    )
    return resized[:, 0].numpy()


def _padded_shape(rows: int, columns: int, row_by_column_spacing: float) -> tuple[int, int]:
    """Rows and columns after padding to what is a square in mm."""
    return max(rows, round(columns / row_by_column_spacing)), max(columns, round(rows * row_by_column_spacing))


def _on_canvas(volume: npt.NDArray[np.float32], padded_shape: tuple[int, int], fill: float) -> npt.NDArray[np.float32]:
    """Pad slices to a square around their centre, then bring them to 512 x 512."""
    extra_rows, extra_columns = padded_shape[0] - volume.shape[1], padded_shape[1] - volume.shape[2]
    if extra_rows or extra_columns:
        top, left = extra_rows // 2, extra_columns // 2
        padding = ((0, 0), (top, extra_rows - top), (left, extra_columns - left))
        volume = np.pad(volume, padding, constant_values=fill)
    return _resized(volume, CANVAS_SIZE, CANVAS_SIZE)


def _largest_part(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest connected part of a (rows, columns) mask."""
    parts, count = label(mask)
    if count <= 1:
        return mask
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def cranium_box(canvas_hu: npt.NDArray[np.float32]) -> SquareBox:
    """Find the square around the cranium that all slices of a scan are cropped to.

    Slices in which bone closes a ring around a brain give the box; where none does (a thin cover, a large
    craniectomy), all tissue does, and where that is too small for a head, the whole canvas.

    Parameters
    ----------
    canvas_hu : (slices, 512, 512), HU
    """
    step = CANVAS_SIZE // _BOX_GRID
    coarse = canvas_hu.reshape(-1, _BOX_GRID, step, _BOX_GRID, step).max(axis=(2, 4))
    bone = coarse > BONE_HU
    inside = np.stack([_largest_part(binary_fill_holes(each) & ~each) for each in bone])
    enclosed = inside.sum(axis=(1, 2))
    if enclosed.max() >= _SMALLEST_BRAIN_FRACTION * _BOX_GRID**2:
        seen = inside[enclosed >= 0.4 * enclosed.max()]
    else:
        seen = np.stack([_largest_part(binary_opening(each > TISSUE_HU, iterations=2)) for each in coarse])
    rows, columns = (np.flatnonzero(seen.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if rows.size == 0:
        return SquareBox(0, 0, CANVAS_SIZE)
    height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    size = round(max(height, width) * step * (1 + 2 * _MARGIN_FRACTION))
    if size < _SMALLEST_BOX_FRACTION * CANVAS_SIZE or size >= CANVAS_SIZE:
        return SquareBox(0, 0, CANVAS_SIZE)
    middle_row, middle_column = (rows[0] + rows[-1] + 1) / 2 * step, (columns[0] + columns[-1] + 1) / 2 * step
    return SquareBox(top=round(middle_row - size / 2), left=round(middle_column - size / 2), size=size)


def _cropped(canvas: npt.NDArray[np.float32], box: SquareBox, fill: float) -> npt.NDArray[np.float32]:
    if box == SquareBox(0, 0, CANVAS_SIZE):
        return canvas
    before_rows, before_columns = max(0, -box.top), max(0, -box.left)
    after_rows = max(0, box.top + box.size - CANVAS_SIZE)
    after_columns = max(0, box.left + box.size - CANVAS_SIZE)
    seen = canvas[
        :, max(0, box.top) : box.top + box.size - after_rows, max(0, box.left) : box.left + box.size - after_columns
    ]
    if not any((before_rows, before_columns, after_rows, after_columns)):
        return seen
    return np.pad(seen, ((0, 0), (before_rows, after_rows), (before_columns, after_columns)), constant_values=fill)


def on_network_grid(
    volume_hu: npt.NDArray[np.generic],
    slice_spacing_mm: float,
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> tuple[npt.NDArray[np.float32], Grid]:
    """Bring a series to the network's grid.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    slice_spacing_mm
        Between neighbours, mm.
    pixel_spacing_mm : between rows, between columns
        Only their ratio matters: the cranium's own size sets the scale.

    Returns
    -------
    volume_hu : (network slices, 256, 256), HU
    grid
        The way back to the source.
    """
    if volume_hu.ndim != 3 or 0 in volume_hu.shape:
        raise ValueError(f"a volume has slices, rows and columns, not the shape {volume_hu.shape}")
    slices, rows, columns = volume_hu.shape
    groups = slice_groups(slices, slice_spacing_mm)
    padded_shape = _padded_shape(rows, columns, pixel_spacing_mm[0] / pixel_spacing_mm[1])
    canvas = _on_canvas(np.maximum(_averaged(volume_hu, groups), AIR_HU), padded_shape, AIR_HU)
    box = cranium_box(canvas)
    grid = Grid((slices, rows, columns), padded_shape, groups, box)
    return _resized(_cropped(canvas, box, AIR_HU), INPUT_SIZE, INPUT_SIZE), grid


def fractions_on_network_grid(fractions: npt.NDArray[np.generic], grid: Grid) -> npt.NDArray[np.float32]:
    """Bring a mask of the source series to the network's grid, as the share of each pixel that is covered.

    Parameters
    ----------
    fractions : (slices, rows, columns), 0 to 1
    grid
        As ``on_network_grid`` gave it for the series.

    Returns
    -------
    (network slices, 256, 256), 0 to 1
    """
    canvas = _on_canvas(_averaged(fractions, grid.slices_of_group), grid.padded_shape, 0.0)
    return _resized(_cropped(canvas, grid.box, 0.0), INPUT_SIZE, INPUT_SIZE)


def beside(slices: npt.NDArray[np.int64], first: int, last: int) -> npt.NDArray[np.int64]:
    """Name each slice with the ones below and above it, itself at the scan's ends : (slices,) -> (slices, 3)."""
    return np.stack([slices, np.maximum(slices - 1, first), np.minimum(slices + 1, last)], axis=1)


def network_input(
    volume_hu: npt.NDArray[np.generic], size: int, windows: Sequence[Window], neighbours: bool = False
) -> npt.NDArray[np.float32]:
    """Show a volume on the network's grid through a network's windows.

    Parameters
    ----------
    volume_hu : (slices, 256, 256), HU
    size
        Rows and columns to bring it to first, for networks that were trained on smaller slices.
    windows
        One channel each of the slice itself.
    neighbours
        Whether the slices below and above follow, each through the first window.

    Returns
    -------
    (slices, channels, size, size), 0 to 1
    """
    shown = windowed(_resized(np.asarray(volume_hu, dtype=np.float32), size, size), windows)
    if not neighbours:
        return shown
    _, below, above = beside(np.arange(len(shown)), 0, len(shown) - 1).T
    return np.concatenate([shown, shown[below, :1], shown[above, :1]], axis=1)


def heatmaps_on_source(maps: npt.NDArray[np.float32], grid: Grid) -> npt.NDArray[np.float32]:
    """Bring maps on the network's field of view back to source pixels.

    Parameters
    ----------
    maps : (slices, height, width), 0 to 1
        On the cropped square, at any resolution.
    grid
        As ``on_network_grid`` gave it.

    Returns
    -------
    (slices, source rows, source columns), 0 to 1; 0 outside the cropped square
    """
    box = grid.box
    inside = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps))[:, None], size=(box.size, box.size), mode="bilinear"
    )[:, 0].numpy()
    canvas = np.zeros((maps.shape[0], CANVAS_SIZE, CANVAS_SIZE), dtype=np.float32)
    top, left = max(0, box.top), max(0, box.left)
    bottom, right = min(CANVAS_SIZE, box.top + box.size), min(CANVAS_SIZE, box.left + box.size)
    canvas[:, top:bottom, left:right] = inside[:, top - box.top : bottom - box.top, left - box.left : right - box.left]
    _, rows, columns = grid.source_shape
    padded = np.clip(_resized(canvas, *grid.padded_shape), 0.0, 1.0)
    first_row, first_column = (grid.padded_shape[0] - rows) // 2, (grid.padded_shape[1] - columns) // 2
    return np.ascontiguousarray(
        padded[:, first_row : first_row + rows, first_column : first_column + columns], dtype=np.float32
    )
