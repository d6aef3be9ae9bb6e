"""Each kind of blood obeys its anatomical rule."""

from dataclasses import replace

import numpy as np
import pytest

from triage_node.phantom.brain import paint_brain
from triage_node.phantom.geometry import HeadGrid, Pose, Scan
from triage_node.phantom.lesion_plan import (
    CISTERNS_UP_TO_MM,
    LOWEST_MM,
    PARENCHYMAL_SHARE,
    SPOTS,
    Compartments,
    LesionPlan,
    planned,
    planned_bleeds,
)
from triage_node.phantom.lesion_shapes import CORONAL_Y_MM, LAMBDOID_Y_MM, SWELLING, THICKEST_MM, Drawn, drawn
from triage_node.phantom.lesion_statistics import SPOT_ML
from triage_node.phantom.shapes import Space
from triage_node.phantom.skull import cavity
from triage_node.phantom.texture import Texture
from triage_node.phantom.traits import drawn_brain


@pytest.fixture(scope="module")
def head() -> Compartments:
    rng = np.random.Generator(np.random.PCG64(8))
    texture = Texture(rng)
    grid = HeadGrid(Scan(32, 160, 1.45, 5.0, 5.0, 0.0, -70.0, (0.0, 0.0)), Pose())
    hollow = cavity(grid, texture.read(grid, 32.0))
    _, compartments = paint_brain(Space.straight(grid), hollow, drawn_brain(rng, 65, False), texture)
    return compartments


def plans(head: Compartments, kind: str, count: int) -> list[LesionPlan]:
    made = [planned(np.random.Generator(np.random.PCG64(seed)), kind, head) for seed in range(count)]
    return [plan for plan in made if plan is not None]


def bleeds(head: Compartments, kind: str, count: int = 12) -> list[tuple[LesionPlan, Drawn]]:
    made = []
    for seed in range(count):
        rng = np.random.Generator(np.random.PCG64(seed))
        plan = planned(rng, kind, head)
        assert plan is not None
        made.append((plan, drawn(rng, plan, head, Texture(rng))))
    return made


@pytest.mark.parametrize("kind", ["CPH", "IVH", "SDH", "EDH", "SAH"])
def test_bleed_holds_the_planned_volume(head: Compartments, kind: str) -> None:
    room_ml = {"IVH": float(head.ventricle.sum()) * head.grid.voxel_ml}.get(kind, 1e9)
    for plan, bleed in bleeds(head, kind):
        planned_ml = min(plan.volume_ml, room_ml)
        held_ml = float(bleed.amount.sum()) * head.grid.voxel_ml
        assert held_ml == pytest.approx(planned_ml, rel=0.35, abs=0.3)


def test_epidural_bleed_lies_on_the_skull_and_bulges_inward(head: Compartments) -> None:
    for plan, bleed in bleeds(head, "EDH"):
        depth = head.depth_mm[bleed.box][bleed.amount > 0.5]
        assert depth.min() < 2.5
        assert depth.max() < 2.6 * plan.radius_mm


def test_epidural_bleed_stops_at_sutures(head: Compartments) -> None:
    for plan, bleed in bleeds(head, "EDH"):
        y = head.grid.y[bleed.box][bleed.amount > 0.5]
        for suture_y in (CORONAL_Y_MM, LAMBDOID_Y_MM):
            if plan.center_mm[1] < suture_y - 6:
                assert y.max() < suture_y + 9
            if plan.center_mm[1] > suture_y + 6:
                assert y.min() > suture_y - 9


def test_subdural_bleed_is_a_shell_that_does_not_cross_the_midline(head: Compartments) -> None:
    for plan, bleed in bleeds(head, "SDH", 20):
        shown = bleed.amount > 0.5
        if not shown.any():
            continue
        side = head.midline_mm[bleed.box][shown] * np.sign(plan.center_mm[0])
        assert side.min() > -1.5
        walls = np.minimum(np.minimum(np.abs(head.depth_mm), np.abs(head.falx_mm)), np.abs(head.tentorium_mm))[
            bleed.box
        ][shown]
        assert np.median(walls) < THICKEST_MM
        assert walls.min() < 2.5


def test_subarachnoid_bleed_stays_in_fluid(head: Compartments) -> None:
    for _, bleed in bleeds(head, "SAH"):
        assert (head.csf[bleed.box][bleed.amount > 0.4] > 0.4 / SWELLING - 0.01).all()


def test_subdural_blood_without_room_stays_a_crescent(head: Compartments) -> None:
    thin = replace(head, above_tentorium_mm=np.where(np.abs(head.grid.z - 20.0) < 6.0, 40.0, -40.0).astype(np.float32))
    plan = LesionPlan("SDH", 90.0, 55.0, (60.0, 0.0, 20.0), "convexity")
    rng = np.random.default_rng(5)
    bleed = drawn(rng, plan, thin, Texture(rng))
    assert 5.0 < bleed.amount.sum() * head.grid.voxel_ml < 0.7 * plan.volume_ml
    assert np.percentile(head.depth_mm[bleed.box][bleed.amount > 0.5], 99) < 1.6 * THICKEST_MM


@pytest.mark.parametrize("kind", ["CPH", "SAH"])
def test_no_bleed_starts_around_the_cord(head: Compartments, kind: str) -> None:
    canal = (head.grid.z < LOWEST_MM) & (head.csf > 0.3)
    assert canal.any()
    for plan in plans(head, kind, 300):
        assert plan.center_mm[2] > LOWEST_MM


def test_spots_start_where_shearing_tears_vessels(head: Compartments) -> None:
    made = plans(head, "CPH", 200)
    spots = {variant: [plan for plan in made if plan.variant == variant] for variant in SPOTS}
    for variant, share in PARENCHYMAL_SHARE.items():
        assert np.mean([plan.variant == variant for plan in made]) == pytest.approx(share, abs=0.09)
    for plan in spots["brainstem"]:
        x, y, z = plan.center_mm
        assert plan.volume_ml <= SPOT_ML[1]
        assert abs(x) < 16
        assert 0 < y < 25
        assert -40 < z < 0
    for plan in spots["spot"]:
        x, y, z = plan.center_mm
        here = (head.grid.x == x) & (head.grid.y == y) & (head.grid.z == z)
        assert plan.volume_ml <= SPOT_ML[1]
        assert 6 < head.depth_mm[here].item() < 25
        assert head.above_tentorium_mm[here].item() > 4
    assert np.mean([plan.volume_ml < 1 for plan in made]) == pytest.approx(0.47, abs=0.1)  # as published


def test_blood_in_cisterns_does_not_start_in_the_upper_fissure(head: Compartments) -> None:
    heights = [plan.center_mm[2] for plan in plans(head, "SAH", 60) if plan.variant == "cisterns"]
    assert len(heights) > 5
    assert max(heights) < CISTERNS_UP_TO_MM


def test_ventricular_bleed_stays_in_ventricles(head: Compartments) -> None:
    for _, bleed in bleeds(head, "IVH"):
        assert (bleed.amount <= head.ventricle[bleed.box] + 1e-6).all()


def test_ventricular_bleed_sinks_to_the_back(head: Compartments) -> None:
    layers = [(plan, bleed) for plan, bleed in bleeds(head, "IVH", 20) if plan.variant == "layer"]
    assert layers
    middle = float((head.ventricle * head.grid.y).sum() / head.ventricle.sum())
    room_ml = float(head.ventricle.sum()) * head.grid.voxel_ml
    for plan, bleed in layers:
        if plan.volume_ml < 0.2 * room_ml:
            assert float(head.grid.y[bleed.box][bleed.amount > 0.4].mean()) > middle + 8


def test_parenchymal_bleed_lies_in_the_brain_on_one_side(head: Compartments) -> None:
    for plan, bleed in bleeds(head, "CPH"):
        shown = bleed.amount > 0.5
        assert head.depth_mm[bleed.box][shown].min() > 0
        if abs(plan.center_mm[0]) > 8 and shown.any():
            side = head.midline_mm[bleed.box][shown] * np.sign(plan.center_mm[0])
            assert (side > -2.5).all()


def test_satellites_are_smaller_than_the_main_bleed(head: Compartments) -> None:
    for seed in range(20):
        volumes = [plan.volume_ml for plan in planned_bleeds(np.random.default_rng(seed), ["SAH"], head)]
        assert all(volume <= 0.5 * volumes[0] for volume in volumes[1:])
