"""What is no head is told from one."""

import numpy as np
import pytest

from triage_node.core.head_check import check_head
from triage_node.core.reason import Reason
from triage_node.phantom import PhantomScan, make_body, make_plastic_head


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [make_body, make_plastic_head])
def test_bodies_and_plastic_heads_are_refused(make: type[PhantomScan], seed: int) -> None:
    scan = make(seed, size=128)
    refusal = check_head(scan.volume_hu, scan.pixel_spacing_mm, scan.slice_spacing_mm)
    assert refusal is not None
    assert refusal.reason is Reason.NOT_HEAD


def test_body_has_lungs_and_spine() -> None:
    body = make_body(1, size=128)
    assert body.body_part == "CHEST"
    assert ((body.volume_hu < -700) & (body.volume_hu > -950)).mean() > 0.02
    assert (body.volume_hu > 200).mean() > 0.005


def test_plastic_head_is_homogeneous() -> None:
    plastic = make_plastic_head(1, size=128, filling_hu=0.0)
    middle = plastic.volume_hu[16, 70:90, 44:52]
    assert abs(float(np.median(middle))) < 3
    assert np.percentile(middle, 95) - np.percentile(middle, 5) < 20


def test_same_seed_gives_the_same_body() -> None:
    assert np.array_equal(make_body(4, size=64).volume_hu, make_body(4, size=64).volume_hu)
