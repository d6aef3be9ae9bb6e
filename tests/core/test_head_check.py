"""Pixels decide: heads pass, however injured; bodies, empty or filled shells and heads with contrast do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from triage_node.core.head_check import check_head
from triage_node.core.reason import Reason

SPACING_MM = 0.9
SLICE_MM = 5.0
SIDE = 256
Volume = npt.NDArray[np.int16]
Point = tuple[float, float, float]


def places(slices: int = 28) -> tuple[npt.NDArray[np.float64], ...]:
    """Return x (to the left), y (to the back) and z (to the head) of every voxel, mm from the middle."""
    across = (np.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    up = np.arange(slices) * SLICE_MM - 40.0
    z, y, x = np.meshgrid(up, across, across, indexing="ij")
    return x, y, z


def ellipsoid(
    half_mm: tuple[float, float, float], center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.bool_]:
    x, y, z = places()
    (a, b, c), (x0, y0, z0) = half_mm, center_mm
    inside: npt.NDArray[np.bool_] = ((x - x0) / a) ** 2 + ((y - y0) / b) ** 2 + ((z - z0) / c) ** 2 < 1
    return inside


def made_head(scale: float = 1.0) -> npt.NDArray[np.float64]:
    """Return a head of scalp, skull, grey and white matter and ventricles: (slices, rows, columns), HU, without noise."""
    hu = np.full((28, SIDE, SIDE), -1000.0)

    def shell(minus_mm: float, value_hu: float) -> None:
        hu[ellipsoid((75 * scale - minus_mm, 92 * scale - minus_mm, 95 * scale - minus_mm))] = value_hu

    for minus_mm, value_hu in ((0.0, 20.0), (5.0, 1000.0), (11.0, 10.0), (14.0, 38.0), (24.0, 28.0)):
        shell(minus_mm, value_hu)
    for side in (-1, 1):
        hu[ellipsoid((7 * scale, 30 * scale, 14 * scale), (side * 12 * scale, 0.0, 10.0))] = 6.0
    return hu


def noisy(hu: npt.NDArray[np.float64], noise_hu: float = 5.0) -> Volume:
    return np.clip(np.rint(hu + np.random.default_rng(7).normal(0, noise_hu, hu.shape)), -1024, 3071).astype(np.int16)


def reason(volume: Volume) -> Reason | None:
    refusal = check_head(volume, (SPACING_MM, SPACING_MM), SLICE_MM)
    return refusal.reason if refusal else None


def test_a_head_passes() -> None:
    assert check_head(noisy(made_head()), (SPACING_MM, SPACING_MM), SLICE_MM) is None


def test_a_small_childs_head_passes() -> None:
    assert reason(noisy(made_head(scale=0.72))) is None


def test_a_head_in_a_holder_passes() -> None:
    x, y, _ = places()
    holder = np.abs(np.hypot(x, y) - 108) < 2
    hu = made_head()
    hu[holder & (y > 0)] = 400.0
    assert reason(noisy(hu)) is None


def test_a_large_bleeding_passes() -> None:
    hu = made_head()
    hu[ellipsoid((24.0, 40.0, 36.0), (32.0, 10.0, 10.0))] = 72.0
    assert reason(noisy(hu)) is None


def test_a_head_without_a_bone_flap_passes() -> None:
    x, y, z = places()
    hu = made_head()
    flap = (hu > 300) & (x > 20) & (np.abs(y) < 70) & (z > 0)
    hu[flap] = 30.0
    assert reason(noisy(hu)) is None


def test_calcifications_and_a_clip_pass() -> None:
    hu = made_head()
    hu[ellipsoid((6.0, 6.0, 6.0), (0.0, 20.0, 10.0))] = 250.0
    hu[ellipsoid((3.0, 3.0, 3.0), (10.0, -20.0, 0.0))] = 3000.0
    assert reason(noisy(hu)) is None


def test_thin_noisy_slices_pass() -> None:
    thin = np.repeat(made_head(), 4, axis=0)
    assert check_head(noisy(thin, noise_hu=20.0), (SPACING_MM, SPACING_MM), 1.25) is None


@pytest.mark.parametrize("hu", [-1000.0, 0.0, 40.0])
def test_a_uniform_field_is_not_a_head(hu: float) -> None:
    assert reason(noisy(np.full((28, SIDE, SIDE), hu))) is Reason.NOT_HEAD


@pytest.mark.parametrize("filling_hu", [-1000.0, 0.0, 35.0, 95.0])
def test_a_skull_with_a_uniform_filling_is_not_a_head(filling_hu: float) -> None:
    hu = made_head()
    hu[ellipsoid((64.0, 81.0, 84.0))] = filling_hu
    refusal = check_head(noisy(hu), (SPACING_MM, SPACING_MM), SLICE_MM)
    assert refusal is not None
    assert refusal.reason is Reason.NOT_HEAD


def test_an_abdomen_is_not_a_head() -> None:
    x, y, _ = places()
    hu = np.full((28, SIDE, SIDE), -1000.0)
    hu[(x / 112) ** 2 + (y / 90) ** 2 < 1] = -100.0
    hu[(x / 98) ** 2 + (y / 74) ** 2 < 1] = 50.0
    hu[((x - 30) / 40) ** 2 + ((y + 10) / 40) ** 2 < 1] = -100.0
    hu[np.hypot(x, y - 55) < 18] = 450.0
    ribs = (np.abs(np.hypot(x / 98, y / 74) - 1) < 0.04) & (np.sin(np.arctan2(y, x) * 9) > 0.55)
    hu[ribs] = 500.0
    assert reason(noisy(hu)) is Reason.NOT_HEAD


def test_a_chest_is_not_a_head() -> None:
    x, y, _ = places()
    hu = np.full((28, SIDE, SIDE), -1000.0)
    hu[(x / 112) ** 2 + (y / 90) ** 2 < 1] = 40.0
    for side in (-1, 1):
        hu[((x - side * 50) / 38) ** 2 + (y / 62) ** 2 < 1] = -850.0
    hu[np.abs(np.hypot(x / 100, y / 78) - 1) < 0.04] = 500.0
    hu[np.hypot(x, y - 55) < 18] = 450.0
    assert reason(noisy(hu)) is Reason.NOT_HEAD


def test_a_neck_is_not_a_head() -> None:
    x, y, _ = places()
    hu = np.full((28, SIDE, SIDE), -1000.0)
    hu[(x / 60) ** 2 + (y / 65) ** 2 < 1] = -90.0
    hu[(x / 52) ** 2 + (y / 56) ** 2 < 1] = 55.0
    hu[np.hypot(x, y + 20) < 10] = -1000.0
    hu[np.hypot(x, y - 10) < 16] = 600.0
    hu[np.hypot(x, y - 14) < 8] = 30.0
    assert reason(noisy(hu)) is Reason.NOT_HEAD


def test_a_brain_outside_its_skull_is_too_little_evidence() -> None:
    hu = made_head()
    hu[hu > 300] = 30.0
    assert reason(noisy(hu)) is Reason.NOT_HEAD


def test_vessels_full_of_contrast_are_contrast_without_a_tag() -> None:
    x, y, _ = places()
    hu = made_head()
    angles = np.arctan2(y, x)
    vessels = (np.abs(np.hypot(x, y) - 35) < 2.5) & (np.sin(angles * 8) > 0.3)
    hu[vessels & (hu > 0) & (hu < 60)] = 260.0
    refusal = check_head(noisy(hu), (SPACING_MM, SPACING_MM), SLICE_MM)
    assert refusal is not None
    assert refusal.reason is Reason.CONTRAST
    assert "mm2" in refusal.detail
