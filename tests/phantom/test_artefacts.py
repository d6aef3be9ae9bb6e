"""What the scanner adds to a made-up head."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from triage_node.cascade.preprocessing import on_network_grid
from triage_node.phantom.artefacts import KERNELS, reconstructed
from triage_node.phantom.geometry import Scan

_FIELD_MM = 232.0


def _scan(size: int) -> Scan:
    return Scan(6, size, _FIELD_MM / size, 5.0, 5.0, 0.0, 0.0, (0.0, 0.0))


def _on_the_grid(hu: NDArray[np.float32], scan: Scan, kernel: str) -> NDArray[np.float32]:
    volume = reconstructed(hu, np.random.Generator(np.random.PCG64(7)), kernel, scan)
    return on_network_grid(volume, 5.0, (scan.pixel_spacing_mm, scan.pixel_spacing_mm))[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_smaller_matrix_has_the_grain_of_a_scanners_on_the_network_grid(kernel: str) -> None:
    fine, coarse = [], []
    for size, bands in ((512, fine), (288, coarse)):
        grid = _on_the_grid(np.full((6, size, size), 30.0, dtype=np.float32), _scan(size), kernel)
        blurred = ndimage.gaussian_filter(grid, (0, 1, 1))
        bands += [float((grid - blurred).std()), float(blurred.std())]
    assert coarse == pytest.approx(fine, rel=0.1)


def test_a_smaller_matrix_has_the_sharpness_of_a_scanners_on_the_network_grid() -> None:
    steepest = {}
    for size in (288, 512):
        scan = _scan(size)
        mm = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(scan.pixel_spacing_mm)
        inside = np.clip((70.0 - np.hypot(mm[:, None], mm[None, :])) / scan.pixel_spacing_mm + 0.5, 0.0, 1.0)
        disc = np.repeat((1000.0 * inside - 1000.0)[None], 6, axis=0).astype(np.float32)
        slope = np.gradient(_on_the_grid(disc, scan, "standard"), axis=2)
        steepest[size] = float(np.percentile(np.abs(slope[:, 120:136]), 99.0))
    assert steepest[288] == pytest.approx(steepest[512], rel=0.07)
