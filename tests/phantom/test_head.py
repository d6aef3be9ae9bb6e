"""Made-up heads: the same for a seed, blood where it was asked for, nothing where it was not."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from triage_node.core.finding import SUBTYPES
from triage_node.core.head_check import check_head
from triage_node.phantom import PhantomHead, make_head
from triage_node.phantom.head import SEEN_SIGNAL_TO_NOISE
from triage_node.phantom.lesion_statistics import STATISTICS

SIZE = 160


@pytest.fixture(scope="module")
def bleeding() -> dict[str, PhantomHead]:
    return {kind: make_head(20 + bit, kinds=(kind,), size=SIZE) for bit, kind in enumerate(SUBTYPES)}


@pytest.fixture(scope="module")
def normal() -> PhantomHead:
    return make_head(15, kinds=(), size=SIZE)


def digest(head: PhantomHead) -> str:
    return hashlib.sha256(head.volume_hu.tobytes() + head.masks.tobytes()).hexdigest()


def test_same_seed_gives_the_same_head_in_another_process() -> None:
    code = (
        "import hashlib; from triage_node.phantom import make_head; h = make_head(11, size=64);"
        "print(hashlib.sha256(h.volume_hu.tobytes() + h.masks.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(make_head(11, size=64))


def test_same_seed_gives_the_same_head_on_another_processor(tmp_path: Path) -> None:
    """Without the vector instructions that this one has beyond numpy's baseline, sums round otherwise."""
    code = (
        "import sys, numpy as np; from triage_node.phantom import make_head; h = make_head(402, size=128);"
        "np.savez(sys.argv[1], volume_hu=h.volume_hu, masks=h.masks)"
    )
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "head.npz")], env=environment, check=True)
    there, here = np.load(tmp_path / "head.npz"), make_head(402, size=128)
    differs = np.abs(there["volume_hu"].astype(int) - here.volume_hu)
    assert differs.max() <= 1
    assert np.count_nonzero(differs) < 20
    assert np.array_equal(there["masks"], here.masks)


def test_another_seed_gives_another_head() -> None:
    assert digest(make_head(1, size=64)) != digest(make_head(2, size=64))


def test_head_without_blood_has_empty_masks(normal: PhantomHead) -> None:
    assert not normal.masks.any()
    assert not normal.labels.any()
    assert normal.lesions == ()


@pytest.mark.parametrize("kind", SUBTYPES)
def test_forced_kind_is_shown_and_alone(bleeding: dict[str, PhantomHead], kind: str) -> None:
    head = bleeding[kind]
    assert [name for name, shown in zip(SUBTYPES, head.labels, strict=True) if shown] == [kind]
    assert {lesion.kind for lesion in head.lesions} == {kind}
    assert head.slice_labels.shape == (len(head.volume_hu), len(SUBTYPES))


@pytest.mark.parametrize("kind", SUBTYPES)
def test_blood_lies_inside_the_skull(bleeding: dict[str, PhantomHead], kind: str) -> None:
    head = bleeding[kind]
    for plane, mask in zip(head.volume_hu, head.masks > 0, strict=True):
        if mask.any():
            skull = ndimage.binary_closing(np.pad(plane > 250, 4), iterations=4)[4:-4, 4:-4]
            assert (mask & ndimage.binary_fill_holes(skull)).sum() >= 0.98 * mask.sum()


@pytest.mark.parametrize("kind", ["CPH", "EDH"])
def test_blood_has_published_hounsfield_values(kind: str) -> None:
    head = next(
        each
        for each in (make_head(seed, kinds=(kind,), size=SIZE) for seed in range(40, 60))
        if each.lesions[0].volume_ml > 6
    )
    core = ndimage.binary_erosion(head.masks > 0, np.ones((1, 3, 3)), iterations=2)
    law = STATISTICS[kind]
    assert law.low_hu - 6 < np.median(head.volume_hu[core]) < law.high_hu + 6


def stands_out_mm2(head: PhantomHead, kind: str) -> float:
    """The most blood of a kind on one slice that is brighter than brain once the grain is smoothed away, mm2."""
    pixel_mm = head.pixel_spacing_mm[0]
    smooth = ndimage.gaussian_filter(np.clip(head.volume_hu, -20.0, 90.0), (0, 1.5 / pixel_mm, 1.5 / pixel_mm))
    middle = smooth[len(smooth) // 2]
    brighter = smooth > np.median(middle[(middle > 15) & (middle < 60)]) + 6
    of_kind = (head.masks >> SUBTYPES.index(kind)) & 1
    return float((of_kind.astype(bool) & brighter).sum(axis=(1, 2)).max()) * pixel_mm**2


@pytest.mark.parametrize("seed", [400006, 400007, 400026])  # where the first plan hides a kind in bone or among brain
def test_each_kind_of_blood_can_be_seen(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = make_head(seed, size=SIZE)
    stands_out = min(stands_out_mm2(seen, lesion.kind) for lesion in seen.lesions)
    assert stands_out > 25
    monkeypatch.setattr("triage_node.phantom.head.TRIES", 1)
    hidden = make_head(seed, size=SIZE)
    assert min(stands_out_mm2(hidden, lesion.kind) for lesion in hidden.lesions) < 0.6 * stands_out
    kinds = {SUBTYPES.index(lesion.kind) for lesion in seen.lesions}
    assert {SUBTYPES.index(lesion.kind) for lesion in hidden.lesions} <= kinds
    assert min(seen.signal_to_noise[:, kind].max() for kind in kinds) >= SEEN_SIGNAL_TO_NOISE
    assert min(hidden.signal_to_noise[:, kind].max() for kind in kinds) < SEEN_SIGNAL_TO_NOISE


def test_of_plans_that_all_hide_a_kind_the_least_hidden_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_seen(tries: int) -> float:
        monkeypatch.setattr("triage_node.phantom.head.TRIES", tries)
        head = make_head(400004, size=SIZE)
        return min(float(head.signal_to_noise[:, SUBTYPES.index(lesion.kind)].max()) for lesion in head.lesions)

    seen = [least_seen(tries) for tries in (1, 4, 8)]
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] < SEEN_SIGNAL_TO_NOISE


def test_blood_as_bright_as_brain_is_not_seen_however_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def stands_out(more_hu: float) -> float:
        monkeypatch.setattr("triage_node.phantom.lesion_plan.drawn_hu", lambda *_: 36.0 + more_hu)
        monkeypatch.setattr("triage_node.phantom.lesion_plan.drawn_volume_ml", lambda *_, **__: 40.0)
        monkeypatch.setattr("triage_node.phantom.head.TRIES", 1)
        return float(make_head(9, kinds=("CPH",), size=SIZE).signal_to_noise.max())

    assert stands_out(25.0) > SEEN_SIGNAL_TO_NOISE > 3 * stands_out(0.0)


def test_brain_beside_the_skull_is_brightened_by_the_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    def scanned(rim_hu: float) -> PhantomHead:
        monkeypatch.setattr("triage_node.phantom.artefacts.drawn_rim_hu", lambda _: rim_hu)
        return make_head(16, kinds=(), size=SIZE, slice_spacing_mm=5.0, tilt_deg=0.0)

    even, cupped = scanned(0.0), scanned(15.0)
    middle = slice(int(0.5 * len(even.volume_hu)), int(0.7 * len(even.volume_hu)))
    bone = even.volume_hu[middle] >= 250
    inside = np.stack([ndimage.binary_fill_holes(each) & ~each for each in bone])
    brain = inside & (even.volume_hu[middle] > 15) & (even.volume_hu[middle] < 60)
    below_mm = np.stack([ndimage.distance_transform_edt(~each) * even.pixel_spacing_mm[0] for each in bone])
    rise = (cupped.volume_hu[middle] - even.volume_hu[middle]).astype(float)
    rises = [float(rise[brain & (np.abs(below_mm - depth) < 1.5)].mean()) for depth in (4, 10, 16, 30)]
    assert rises == sorted(rises, reverse=True)
    assert 12 < rises[0] < 15
    assert 5 < rises[2] < 10
    assert rises[3] < 4


def test_volume_of_the_mask_is_the_volume_of_the_lesions(bleeding: dict[str, PhantomHead]) -> None:
    head = bleeding["CPH"]
    voxel_ml = head.pixel_spacing_mm[0] * head.pixel_spacing_mm[1] * head.slice_spacing_mm / 1000
    drawn_ml = sum(lesion.volume_ml for lesion in head.lesions)
    assert (head.masks > 0).sum() * voxel_ml == pytest.approx(drawn_ml, rel=0.5, abs=0.3)


def test_negatives_and_patient_are_the_same_with_and_without_blood() -> None:
    for seed in range(5):
        without, within = make_head(seed, kinds=(), size=64), make_head(seed, kinds=("SDH",), size=64)
        assert without.mimics == within.mimics
        assert (without.age, without.tilt_deg, without.kernel) == (within.age, within.tilt_deg, within.kernel)


def test_heads_pass_for_heads(bleeding: dict[str, PhantomHead], normal: PhantomHead) -> None:
    for head in (*bleeding.values(), normal):
        assert check_head(head.volume_hu, head.pixel_spacing_mm, head.slice_spacing_mm) is None


def test_scan_reaches_from_the_skull_base_to_the_vertex() -> None:
    head = make_head(5, kinds=(), size=96, slice_spacing_mm=5.0)
    assert 26 <= len(head.volume_hu) <= 38
    bone = (head.volume_hu > 250).sum(axis=(1, 2))
    assert bone[-1] < 0.2 * bone.max()


def test_thin_slices_and_tilt_are_made_on_request() -> None:
    head = make_head(5, kinds=(), size=64, slice_spacing_mm=1.25, tilt_deg=18.0)
    assert len(head.volume_hu) > 100
    assert (head.slice_spacing_mm, head.thickness_mm, head.tilt_deg) == (1.25, 1.25, 18.0)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="XYZ"):
        make_head(1, kinds=("XYZ",))


def test_tissue_has_published_hounsfield_values(normal: PhantomHead) -> None:
    middle = normal.volume_hu[int(0.55 * len(normal.volume_hu))].astype(float)
    smooth = ndimage.gaussian_filter(middle, 1.5)
    brain = smooth[(smooth > 15) & (smooth < 60)]
    assert 23 < np.percentile(brain, 10) < 34
    assert 33 < np.percentile(brain, 90) < 46
