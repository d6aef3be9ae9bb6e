"""Volumes, HU and kinds are drawn as published."""

import numpy as np
import pytest

from triage_node.core.finding import SUBTYPES
from triage_node.phantom.lesion_statistics import (
    FAINT_BELOW_ML,
    SPOT_HU,
    SPOT_ML,
    STATISTICS,
    VISIBLE_ML,
    drawn_hu,
    drawn_kinds,
    drawn_spot,
    drawn_volume_ml,
)
from triage_node.phantom.mimics import CHANCE, drawn_mimics


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(1))


@pytest.mark.parametrize("kind", SUBTYPES)
def test_volumes_follow_the_published_distribution(kind: str) -> None:
    rng, law = generator(), STATISTICS[kind]
    volumes = [drawn_volume_ml(rng, kind) for _ in range(6000)]
    assert np.median(volumes) == pytest.approx(law.median_ml, rel=0.12)
    assert np.percentile(volumes, 95) == pytest.approx(law.high_ml, rel=0.2)


@pytest.mark.parametrize("kind", SUBTYPES)
def test_main_bleed_can_be_seen(kind: str) -> None:
    rng = generator()
    assert min(drawn_volume_ml(rng, kind, main=True) for _ in range(500)) >= VISIBLE_ML[kind]


@pytest.mark.parametrize("kind", SUBTYPES)
def test_hounsfield_values_lie_in_the_published_range(kind: str) -> None:
    rng, law = generator(), STATISTICS[kind]
    values = [drawn_hu(rng, kind) for _ in range(3000)]
    assert np.median(values) == pytest.approx(law.median_hu, abs=1.0)
    assert np.percentile(values, 5) >= law.low_hu - 1
    assert np.percentile(values, 95) == pytest.approx(law.high_hu, abs=1.5)


@pytest.mark.parametrize("kind", SUBTYPES)
def test_small_bleeds_are_not_faint(kind: str) -> None:
    rng = generator()
    values = [drawn_hu(rng, kind, FAINT_BELOW_ML[kind] * 0.9) for _ in range(500)]
    assert min(values) >= STATISTICS[kind].median_hu


def test_spots_are_small_and_bright() -> None:
    rng = generator()
    volumes, values = np.array([drawn_spot(rng) for _ in range(1000)]).T
    assert SPOT_ML[0] <= volumes.min() < np.median(volumes) < 0.3 < volumes.max() <= SPOT_ML[1]
    assert SPOT_HU[0] <= values.min() < STATISTICS["CPH"].high_hu < values.max() <= SPOT_HU[1]


def test_half_of_the_patients_bleed_and_often_in_several_ways() -> None:
    rng = generator()
    patients = [drawn_kinds(rng) for _ in range(4000)]
    bleeding = [kinds for kinds in patients if kinds]
    assert len(bleeding) / len(patients) == pytest.approx(0.5, abs=0.04)
    assert 0.25 < np.mean([len(kinds) > 1 for kinds in bleeding]) < 0.5
    for kind in SUBTYPES:
        assert np.mean([kind in kinds for kinds in bleeding]) > 0.15
    ventricular = [kinds for kinds in bleeding if "IVH" in kinds]
    assert np.mean(["CPH" in kinds for kinds in ventricular]) > 0.4


@pytest.mark.parametrize("name", CHANCE)
def test_each_negative_is_drawn_with_its_chance(name: str) -> None:
    rng = generator()
    share = np.mean([name in drawn_mimics(rng, 60) for _ in range(4000)])
    assert share == pytest.approx(CHANCE[name], abs=0.03)


def test_calcium_comes_with_age() -> None:
    rng = generator()
    young = np.mean(["choroid_calcium" in drawn_mimics(rng, 20) for _ in range(1000)])
    old = np.mean(["choroid_calcium" in drawn_mimics(rng, 75) for _ in range(1000)])
    assert old > 3 * young
