"""Blood pasted into a head that is not the generator's to know: compartments are found in HU."""

import numpy as np
import pytest

from triage_node.core.finding import SUBTYPES
from triage_node.phantom import NoCavityFound, find_compartments, make_body, make_head, paste_blood, slice_labels
from triage_node.phantom.lesion_plan import Compartments
from triage_node.phantom.scans import PhantomHead


@pytest.fixture(scope="module")
def background() -> PhantomHead:
    return make_head(15, kinds=(), size=256, slice_spacing_mm=5.0, tilt_deg=0.0)


@pytest.fixture(scope="module")
def compartments(background: PhantomHead) -> Compartments:
    return find_compartments(background.volume_hu, background.pixel_spacing_mm, background.slice_spacing_mm)


def paste(
    background: PhantomHead, compartments: Compartments, seed: int, kinds: tuple[str, ...] | None
) -> tuple[np.ndarray, np.ndarray, tuple]:
    return paste_blood(
        background.volume_hu,
        background.pixel_spacing_mm,
        background.slice_spacing_mm,
        seed,
        kinds,
        compartments=compartments,
    )


def test_cavity_of_an_adult_is_found(compartments: Compartments) -> None:
    cavity_ml = float((compartments.depth_mm > 0).sum()) * compartments.grid.voxel_ml
    assert 900 < cavity_ml < 2000
    assert (compartments.ventricle.sum() * compartments.grid.voxel_ml) > 1


def test_only_what_lies_behind_can_lie_below_the_tentorium(compartments: Compartments) -> None:
    """Epidural bleeds of the temporal lobe, the most frequent place, are pasted beside the skull base."""
    front = compartments.grid.y < -10
    low = compartments.grid.z < -20
    assert (compartments.above_tentorium_mm[front & low] > 4).all()
    assert (compartments.above_tentorium_mm[~front & (compartments.grid.y > 0) & (compartments.grid.z < -40)] < 0).all()


@pytest.mark.parametrize("kind", ["CPH", "SDH", "EDH", "SAH"])
def test_pasted_blood_is_brighter_than_what_it_covers(
    background: PhantomHead, compartments: Compartments, kind: str
) -> None:
    bit = SUBTYPES.index(kind)
    shown = 0
    for seed in range(3):
        volume, masks, lesions = paste(background, compartments, seed, (kind,))
        assert {lesion.kind for lesion in lesions} == {kind}
        assert not (masks & ~np.uint8(1 << bit)).any()
        inside = masks > 0
        shown += bool(inside.any())
        if lesions[0].hu > 48:  # older subdural blood is as dark as brain
            assert volume[inside].mean() > background.volume_hu[inside].mean() + 4
    assert shown == 3


def test_all_five_kinds_can_be_pasted_together(background: PhantomHead, compartments: Compartments) -> None:
    _, masks, lesions = paste(background, compartments, 4, SUBTYPES)
    assert {lesion.kind for lesion in lesions} == set(SUBTYPES)
    assert slice_labels(masks, background.pixel_spacing_mm).any(axis=0).sum() >= 4


def test_same_seed_pastes_the_same_blood(background: PhantomHead, compartments: Compartments) -> None:
    first, second = (paste(background, compartments, 9, None) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_bone_and_air_stay_as_they_are(background: PhantomHead, compartments: Compartments) -> None:
    volume, _, _ = paste(background, compartments, 2, ("EDH", "SDH"))
    hard = np.abs(background.volume_hu.astype(int)) > 400
    assert np.abs(volume.astype(int) - background.volume_hu)[hard].max() <= 5


def test_given_volume_is_not_changed(background: PhantomHead, compartments: Compartments) -> None:
    before = background.volume_hu.copy()
    paste(background, compartments, 1, ("CPH",))
    assert np.array_equal(before, background.volume_hu)


def test_pasted_blood_keeps_the_grain_of_the_scan(background: PhantomHead, compartments: Compartments) -> None:
    volumes = (paste(background, compartments, seed, ("CPH",)) for seed in range(30))
    volume, masks, _ = next(each for each in volumes if each[2][0].volume_ml > 8)
    inside = masks > 0
    rough = np.abs(np.diff(volume.astype(float), axis=2))[inside[:, :, 1:] & inside[:, :, :-1]].mean()
    around = (compartments.depth_mm > 15) & ~inside & (compartments.ventricle < 0.1)
    usual = np.abs(np.diff(background.volume_hu.astype(float), axis=2))[around[:, :, 1:] & around[:, :, :-1]].mean()
    assert 0.6 * usual < rough < 1.5 * usual


def test_body_takes_no_pasted_blood() -> None:
    body = make_body(2, size=128)
    with pytest.raises(NoCavityFound):
        paste_blood(body.volume_hu, body.pixel_spacing_mm, body.slice_spacing_mm, 1)
