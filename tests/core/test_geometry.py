"""Order, spacing and tilt come from positions and orientation alone, whatever order slices come in and wherever they lie."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.geometry import (
    SlicePlane,
    is_orthonormal,
    measured_stack,
    parallel_groups,
    position_along,
    slice_normal,
    tilt_deg,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PRONE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
GE_TILTED = (1.0, 0.0, 0.0, 0.0, 0.9483237, -0.3173047)


def rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    """Return a (3, 3) rotation matrix from angles about the patient's axes."""
    (cx, sx), (cy, sy), (cz, sz) = (
        (math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (x_deg, y_deg, z_deg)
    )
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def planes_at(positions_mm: list[float], orientation: tuple[float, ...] = AXIAL) -> list[SlicePlane]:
    normal = np.array(slice_normal(orientation))
    return [
        SlicePlane(index, 1, tuple(map(float, normal * position)), orientation)  # type: ignore[arg-type]
        for index, position in enumerate(positions_mm)
    ]


def test_index_zero_is_the_most_inferior_slice() -> None:
    stack = measured_stack(planes_at([40.0, -20.0, 10.0]))
    assert [plane.instance for plane in stack.slices] == [1, 2, 0]
    assert stack.positions_mm == (-20.0, 10.0, 40.0)


@given(
    spacings=st.lists(st.floats(0.3, 10.0), min_size=1, max_size=40),
    angles=st.tuples(st.floats(-34, 34), st.floats(-34, 34), st.floats(-180, 180)),
    shift=st.tuples(*[st.floats(-500, 500)] * 3),
    seed=st.integers(0, 2**16),
)
def test_order_and_spacing_survive_shuffling_moving_and_turning(
    spacings: list[float], angles: tuple[float, float, float], shift: tuple[float, float, float], seed: int
) -> None:
    heights = np.concatenate([[0.0], np.cumsum(spacings)])
    turn = rotation(*angles)
    orientation = (*(turn @ [1, 0, 0]), *(turn @ [0, 1, 0]))
    centers = [turn @ [0, 0, height] + shift for height in heights]
    planes = [SlicePlane(index, 1, tuple(center), orientation) for index, center in enumerate(centers)]  # type: ignore[arg-type]
    random.Random(seed).shuffle(planes)

    stack = measured_stack(planes)

    assert [plane.instance for plane in stack.slices] == list(range(len(heights)))
    assert stack.gaps_mm == pytest.approx(spacings, abs=1e-6)
    assert stack.slice_spacing_mm == pytest.approx(float(np.median(spacings)), abs=1e-6)
    assert stack.coverage_mm == pytest.approx(sum(spacings) + stack.slice_spacing_mm, abs=1e-6)
    assert stack.tilt_deg == pytest.approx(math.degrees(math.acos(min(1.0, abs(turn[2, 2])))), abs=1e-4)


def test_gantry_tilt_shears_the_stack_but_not_the_order() -> None:
    """A tilted gantry moves the table straight on: y stays, and the distance along the normal is shorter than along z."""
    planes = [SlicePlane(index, 1, (-125.0, -123.5, 5.8 + 4.22 * index), GE_TILTED) for index in range(10)]
    stack = measured_stack(planes[::-1])
    assert [plane.instance for plane in stack.slices] == list(range(10))
    assert stack.slice_spacing_mm == pytest.approx(4.0, abs=0.01)
    assert stack.tilt_deg == pytest.approx(18.5, abs=0.01)


def test_prone_and_mirrored_slices_count_from_the_feet_too() -> None:
    for orientation in (PRONE, (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)):
        assert slice_normal(orientation) == (0.0, 0.0, 1.0)


def test_slices_at_one_position_are_told_and_counted_once() -> None:
    stack = measured_stack(planes_at([0.0, 5.0, 5.02, 10.0]))
    assert stack.positions_mm == (0.0, 5.0, 10.0)
    assert [[plane.instance for plane in each] for each in stack.repeated] == [[1, 2]]


def test_a_single_slice_is_a_stack_without_gaps() -> None:
    stack = measured_stack([SlicePlane(0, 1, (0.0, 0.0, 7.0), AXIAL, thickness_mm=5.0)])
    assert (stack.gaps_mm, stack.slice_spacing_mm, stack.coverage_mm) == ((), 5.0, 5.0)


def test_a_scout_among_axial_slices_is_another_group() -> None:
    scout = SlicePlane(9, 1, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    groups = parallel_groups([scout, *planes_at([0.0, 5.0])])
    assert [len(group) for group in groups] == [2, 1]


def test_rounded_cosines_stay_in_one_group() -> None:
    rounded = (1.0, 0.0, 0.0, 0.0, 0.948, -0.317)
    assert len(parallel_groups([*planes_at([0.0], GE_TILTED), *planes_at([4.0], rounded)])) == 1


def test_upright_slices_are_tilted_by_a_right_angle() -> None:
    assert tilt_deg((1.0, 0.0, 0.0, 0.0, 0.0, -1.0)) == pytest.approx(90.0)
    assert slice_normal((0.0, 1.0, 0.0, 0.0, 0.0, -1.0)) == (1.0, 0.0, 0.0)


def test_skewed_or_empty_orientations_are_not_orthonormal() -> None:
    assert is_orthonormal(GE_TILTED)
    assert not is_orthonormal((1.0, 0.0, 0.0, 1.0, 0.0, 0.0))
    assert not is_orthonormal((0.5, 0.0, 0.0, 0.0, 0.5, 0.0))


def test_position_along_is_the_projection() -> None:
    assert position_along((0.0, 0.6, 0.8), (9.0, 5.0, 10.0)) == pytest.approx(11.0)
