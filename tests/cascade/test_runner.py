from dataclasses import replace

import numpy as np
import pytest
import torch

from triage_node import settings, wiring
from triage_node.cascade.calibration import Calibration, prior_shift
from triage_node.cascade.runner import Cascade
from triage_node.cascade.weights import WeightsRejected, load_networks, read_release
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES


def uids(volume_hu):
    return tuple(f"1.2.{index}" for index in range(len(volume_hu)))


def load(folder, operating_point, **options):
    return Cascade.load(folder, device="cpu", operating_point=operating_point, **options)


def test_every_source_slice_has_a_finding_in_order(make_release, head_hu):
    finding = load(make_release(), "balanced").read_volume(head_hu, 5.0, uids(head_hu)).finding
    assert tuple(each.sop_instance_uid for each in finding.slices) == uids(head_hu)
    assert finding.elapsed_ms > 0
    assert finding.operating_point == "balanced"
    assert len(finding.weights_sha256) == 64


def test_an_unflagged_study_shows_no_subtype_no_flagged_slice_and_no_heatmap(make_release, head_hu):
    reading = load(make_release(), "never").read_volume(head_hu, 5.0, uids(head_hu))
    assert not reading.finding.flagged
    assert reading.finding.subtypes is None
    assert all(each.subtypes is None and not each.flagged for each in reading.finding.slices)
    assert reading.heatmaps() == {}


def test_a_flagged_study_has_subtypes_and_at_least_one_flagged_slice_with_a_heatmap(make_release, head_hu):
    reading = load(make_release(), "always").read_volume(head_hu, 5.0, uids(head_hu))
    finding = reading.finding
    assert finding.flagged
    assert tuple(finding.subtypes) == SUBTYPES
    assert finding.flagged_slices
    heatmaps = reading.heatmaps()
    assert set(heatmaps) == {index for index, each in enumerate(finding.slices) if each.flagged}
    for heatmap in heatmaps.values():
        assert heatmap.shape == head_hu.shape[1:]
        assert heatmap.dtype == np.float32
        assert 0 <= heatmap.min() <= heatmap.max() <= 1


@pytest.mark.parametrize("kinds", ["all", "subject"])
def test_heatmaps_of_all_slices_can_be_had(make_release, head_hu, kinds):
    reading = load(make_release(), "never").read_volume(head_hu, 5.0, uids(head_hu))
    assert sorted(reading.heatmaps(kinds)) == list(range(len(head_hu)))


def test_the_cnn_runs_once_a_member(make_release, head_hu):
    cascade = load(make_release(members=2), "always")
    runs = []
    for network in cascade._networks:
        network.encoder.register_forward_hook(lambda *_: runs.append(1))
    cascade.read_volume(head_hu, 5.0, uids(head_hu)).heatmaps("all")
    assert len(runs) == 2


def test_reading_twice_gives_the_same(make_release, head_hu):
    cascade = load(make_release(), "always")
    first, second = (cascade.read_volume(head_hu, 5.0, uids(head_hu)).finding for _ in range(2))
    assert first.ich_probability == pytest.approx(second.ich_probability, abs=1e-7)


def test_an_ensemble_is_the_mean_of_its_members(make_release, head_hu):
    both = load(make_release("both", members=2, seed=1), "always").logits(head_hu, 5.0)
    one, two = (load(make_release(f"only-{seed}", seed=seed), "always").logits(head_hu, 5.0) for seed in (1, 2))
    np.testing.assert_allclose(both.slices, (one.slices + two.slices) / 2, atol=1e-5)
    assert both.subject == pytest.approx((one.subject + two.subject) / 2, abs=1e-5)


def test_slices_of_a_thin_series_share_their_groups_probability(make_release, head_hu):
    thin = np.repeat(head_hu, 5, axis=0)
    cascade = load(make_release(), "always")
    from_thin = cascade.read_volume(thin, 1.0, uids(thin)).finding
    from_thick = cascade.read_volume(head_hu, 5.0, uids(head_hu)).finding
    assert len(from_thin.slices) == len(thin)
    assert from_thin.ich_probability == pytest.approx(from_thick.ich_probability, abs=1e-4)
    for index, each in enumerate(from_thin.slices):
        assert each.ich_probability == pytest.approx(from_thick.slices[index // 5].ich_probability, abs=1e-4)


def test_a_site_prevalence_moves_probability_and_threshold_alike(make_release, head_hu):
    folder = make_release()
    plain = load(folder, "balanced").read_volume(head_hu, 5.0, uids(head_hu)).finding
    moved = load(folder, "balanced", site_prevalence=0.05).read_volume(head_hu, 5.0, uids(head_hu)).finding
    assert moved.ich_probability == pytest.approx(prior_shift(plain.ich_probability, 0.4, 0.05))
    assert moved.operating_threshold == pytest.approx(prior_shift(0.5, 0.4, 0.05))
    assert moved.flagged == plain.flagged


@pytest.mark.parametrize("prevalence", [0.01, 0.9])
def test_a_site_prevalence_moves_slices_with_their_study_and_leaves_flags_and_kinds(make_release, head_hu, prevalence):
    folder = make_release()
    plain = load(folder, "always").read_volume(head_hu, 5.0, uids(head_hu)).finding
    moved = load(folder, "always", site_prevalence=prevalence).read_volume(head_hu, 5.0, uids(head_hu)).finding
    ratio = moved.ich_probability / plain.ich_probability
    assert (ratio < 1) == (prevalence < 0.4)
    for before, after in zip(plain.slices, moved.slices, strict=True):
        assert after.ich_probability == pytest.approx(min(before.ich_probability * ratio, 1.0))
        assert after.flagged == before.flagged
        assert after.subtypes == pytest.approx(before.subtypes)
    assert moved.subtypes == pytest.approx(plain.subtypes)


@pytest.mark.parametrize("stated", [0.0, 1.0])
def test_a_release_without_a_prevalence_between_0_and_1_is_refused_where_the_site_has_one(make_release, stated):
    release = replace(read_release(make_release()), trained_prevalence=stated)
    networks, point = load_networks(release), release.operating_point("balanced")
    with pytest.raises(WeightsRejected, match=r"manifest\.json states the prevalence .* leave site_prevalence empty"):
        Cascade(release, networks, point, torch.device("cpu"), 0.1)
    Cascade(release, networks, point, torch.device("cpu"))


def test_the_node_moves_probabilities_to_the_site_prevalence_of_its_settings(make_release, head_hu):
    folder = make_release()
    node = settings.load(weights_dir=folder.parent, release=folder.name, site_prevalence=0.05, device="cpu")
    moved = wiring.cascade(node).read_volume(head_hu, 5.0, uids(head_hu)).finding
    plain = load(folder, "balanced").read_volume(head_hu, 5.0, uids(head_hu)).finding
    assert moved.ich_probability == pytest.approx(prior_shift(plain.ich_probability, 0.4, 0.05))


def test_raw_logits_are_of_the_same_image_as_the_reading_where_pixels_are_not_square(make_release, head_hu):
    cascade = load(make_release(), "never")
    squeezed, spacing = head_hu[:, ::2], (2.0, 1.0)
    read = cascade.read_volume(squeezed, 5.0, uids(head_hu), pixel_spacing_mm=spacing).finding
    logit = cascade.logits(squeezed, 5.0, spacing).subject
    assert read.ich_probability == pytest.approx(1 / (1 + np.exp(-logit)))


def test_a_missing_uid_is_refused(make_release, head_hu):
    with pytest.raises(ValueError, match="12 slices need as many UIDs"):
        load(make_release(), "balanced").read_volume(head_hu, 5.0, ["1.2"])


def test_temperature_moves_probabilities_towards_one_half():
    assert Calibration(4.0).probabilities(np.array([4.0]))[0] == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature)


def test_prior_shift_is_undone_by_shifting_back():
    assert prior_shift(prior_shift(0.7, 0.4, 0.1), 0.1, 0.4) == pytest.approx(0.7)


def test_a_gpu_is_chosen_only_where_there_is_one(make_release):
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert Cascade.load(make_release(), device="auto").device.type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_in_words(make_release):
    with pytest.raises(
        ConfigurationRejected, match="device is cuda, and torch finds no GPU here; set it to auto or cpu"
    ):
        Cascade.load(make_release(), device="cuda")
