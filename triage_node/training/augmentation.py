"""What a training slice may look like instead: other pose, size, scanner and noise, but the same labels.

In: slices on the network's grid in HU, and masks. Out: slices at the training size, windowed. Everything is drawn from
one generator, so that a run can be repeated; slices of one scan can share one geometric transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from triage_node.cascade.preprocessing import BONE_HU
from triage_node.core.hounsfield import AIR_HU, Window

_BONE_CELLS = 32
"""Rows and columns of cells on which nearness of bone is told, each about 6 mm of a head."""
_INNER_TABLE_GAIN = 3.0
"""The share of bone in the cells around the inner table is about a third."""


@dataclass(frozen=True)
class Augmentation:
    """How far slices are changed; every value is the largest change.

    Attributes
    ----------
    rotation_deg, shift_fraction, smallest_scale, largest_scale, aspect_fraction
        Geometry; ``shift_fraction`` of the half field of view.
    hu_shift, hu_gain
        Intensity: HU added, and share of the HU multiplied.
    rim_hu
        HU added or taken away beside bone, where scanners differ in how they correct beam hardening.
    noise_hu
        Standard deviation of added grain.
    blur_share, sharpen_share
        Share of slices that are blurred or sharpened.
    """

    rotation_deg: float = 20.0
    shift_fraction: float = 0.07
    smallest_scale: float = 0.88
    largest_scale: float = 1.15
    aspect_fraction: float = 0.06
    hu_shift: float = 4.0
    hu_gain: float = 0.06
    rim_hu: float = 5.0
    noise_hu: float = 4.0
    blur_share: float = 0.25
    sharpen_share: float = 0.15


def _drawn(shape: tuple[int, ...], chance: torch.Generator) -> Tensor:
    """Uniform numbers, 0 to 1, on the generator's device."""
    return torch.rand(shape, generator=chance, device=chance.device)


def _centred(shape: tuple[int, ...], chance: torch.Generator) -> Tensor:
    return _drawn(shape, chance) * 2.0 - 1.0


def drawn_transforms(count: int, how: Augmentation, chance: torch.Generator) -> Tensor:
    """Draw geometric transforms (count, 2, 3) as ``affine_grid`` takes them, left-right flips in half of them."""
    angle = _centred((count,), chance) * math.radians(how.rotation_deg)
    scale = how.smallest_scale + (how.largest_scale - how.smallest_scale) * _drawn((count,), chance)
    aspect = 1.0 + _centred((count,), chance) * how.aspect_fraction
    flip = torch.where(_drawn((count,), chance) < 0.5, -1.0, 1.0)
    shift = _centred((count, 2), chance) * how.shift_fraction
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [cosine * flip * aspect, -sine * aspect, shift[:, 0], sine * flip / aspect, cosine / aspect, shift[:, 1]]
    return torch.stack(rows, dim=1).reshape(count, 2, 3)


def _sampling_points(transforms: Tensor, size: int) -> Tensor:
    """Where each pixel of the result lies in the source : (count, size, size, 2), as ``affine_grid`` gives it, but faster."""
    middle = (torch.arange(size, device=transforms.device, dtype=transforms.dtype) * 2 + 1) / size - 1
    x, y = middle[None, None, :], middle[None, :, None]
    points = torch.empty((len(transforms), size, size, 2), device=transforms.device, dtype=transforms.dtype)
    for axis in (0, 1):
        along_x, along_y, offset = (transforms[:, axis, term, None, None] for term in range(3))
        torch.add(x * along_x, y * along_y + offset, out=points[..., axis])
    return points


def transformed(planes: Tensor, transforms: Tensor, size: int, fill: float) -> Tensor:
    """Apply transforms to (slices, channels, rows, columns) and sample at ``size`` x ``size``."""
    points = _sampling_points(transforms, size)
    return functional.grid_sample(planes - fill, points, mode="bilinear", align_corners=False).add_(fill)


def _blurred(planes: Tensor) -> Tensor:
    """The mean over 3 x 3 pixels, one axis after the other."""
    padded = functional.pad(planes, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., :-2] + padded[..., 1:-1]).add_(padded[..., 2:])
    return (across[..., :-2, :] + across[..., 1:-1, :]).add_(across[..., 2:, :]).mul_(1.0 / 9.0)


def _beside_bone(volume_hu: Tensor) -> Tensor:
    """How near bone is : (slices, planes, rows, columns), about 1 at the inner table and fading over some 15 mm."""
    rows, columns = volume_hu.shape[2:]
    cells = functional.avg_pool2d((volume_hu > BONE_HU).to(volume_hu.dtype), rows // _BONE_CELLS)
    near = (_blurred(_blurred(cells)) * _INNER_TABLE_GAIN).clamp_(max=1.0)
    return functional.interpolate(near, size=(rows, columns), mode="bilinear", align_corners=False)


def changed_intensity(volume_hu: Tensor, how: Augmentation, chance: torch.Generator) -> Tensor:
    """Change gain, offset, rim beside bone, sharpness and grain of (slices, 1 or 3, rows, columns), HU, slice by slice.

    A slice's neighbours change as it does, but for the grain.
    """
    each = (len(volume_hu), 1, 1, 1)
    changed = volume_hu * (1.0 + _centred(each, chance) * how.hu_gain) + _centred(each, chance) * how.hu_shift
    changed.addcmul_(_beside_bone(volume_hu), _centred(each, chance) * how.rim_hu)
    kind, strength = _drawn(each, chance), _drawn(each, chance)
    toward_blur = torch.where(kind < how.blur_share, 0.8 * strength, torch.zeros_like(kind))
    toward_blur = torch.where(kind > 1.0 - how.sharpen_share, -0.7 * strength, toward_blur)
    grain = torch.randn(changed.shape, generator=chance, device=chance.device)
    grain *= how.noise_hu * _drawn(each, chance) ** 2
    # blur is linear: the slice's share and the coarse part of the grain go through it together
    coarse = _blurred(toward_blur * changed + 1.5 * grain)
    return changed.mul_(1.0 - toward_blur).add_(grain, alpha=0.5).add_(coarse)


def windowed_batch(volume_hu: Tensor, windows: Sequence[Window]) -> Tensor:
    """Show (slices, 1 or 3, rows, columns), HU, through windows : (slices, channels, rows, columns), 0 to 1.

    The first plane through each window, then its neighbours, where they come with it, through the first.
    """
    seen_through = [(0, window) for window in windows] + [(plane, windows[0]) for plane in range(1, volume_hu.shape[1])]
    shape = (len(volume_hu), len(seen_through), *volume_hu.shape[2:])
    shown = torch.empty(shape, dtype=volume_hu.dtype, device=volume_hu.device, memory_format=torch.channels_last)
    for channel, (plane, window) in enumerate(seen_through):
        seen = (volume_hu[:, plane] - window.lower_hu).mul_(1.0 / window.width_hu).clamp_(0.0, 1.0)
        shown[:, channel] = seen
    return shown


def augmented(
    volume_hu: Tensor,
    masks: Tensor | None,
    scan_of_slice: Tensor | None,
    size: int,
    windows: Sequence[Window],
    how: Augmentation,
    chance: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """Augment a batch.

    Parameters
    ----------
    volume_hu : (slices, 1 or 3, 256, 256), HU
        Each slice, and the ones below and above where the network is shown them.
    masks : (slices, 6, 64, 64), 0 to 1, or None
    scan_of_slice : (slices,)
        Slices of the same number share one geometric transform; None gives every slice its own.
    size, windows
        Rows and columns of the result, and what it is shown through.
    how, chance
        How far, and the generator.

    Returns
    -------
    windowed : (slices, channels, size, size), 0 to 1
    masks : (slices, 6, size / 16, size / 16) or None
        The largest coverage in each cell of the network's last map.
    """
    if scan_of_slice is None:
        transforms = drawn_transforms(len(volume_hu), how, chance)
    else:
        transforms = drawn_transforms(int(scan_of_slice.max()) + 1, how, chance)[scan_of_slice]
    seen = changed_intensity(transformed(volume_hu, transforms, size, AIR_HU), how, chance)
    cells = None
    if masks is not None:
        cells = functional.max_pool2d(transformed(masks, transforms, size // 4, 0.0), 4)
    return windowed_batch(seen, windows), cells


def at_size(volume_hu: Tensor, size: int, windows: Sequence[Window]) -> Tensor:
    """Show (slices, 1 or 3, 256, 256), HU, unchanged but for the size : (slices, channels, size, size)."""
    if size != volume_hu.shape[-1]:
        volume_hu = functional.interpolate(volume_hu, size=(size, size), mode="bilinear", antialias=True)
    return windowed_batch(volume_hu, windows)
