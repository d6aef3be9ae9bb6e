import math
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.hounsfield import THIRD_WINDOWS, network_windows
from triage_node.training.augmentation import (
    Augmentation,
    at_size,
    augmented,
    changed_intensity,
    drawn_transforms,
    transformed,
)
from triage_node.training.bank_writing import write_bank
from triage_node.training.batches import AllowedScans, MixedSlices, padded, trained_labels, valid_mask
from triage_node.training.configuration import EncoderPhase, RunConfiguration, SequencePhase, read_configuration
from triage_node.training.losses import label_loss, location_loss, positive_weights
from triage_node.training.made_up import (
    faint_slices,
    mask_labels,
    pasted_scans,
    phantom_scans,
    seen_labels,
    subject_labels,
)
from triage_node.training.model_card import model_card
from triage_node.training.out_of_fold import (
    balanced_threshold,
    bleeding_patients,
    fitted_calibration,
    measured,
    nested,
    operating_points,
    sensitive_threshold,
)
from triage_node.training.predictions import Predictions, SlicePredictions
from triage_node.training.schedule import AveragedNetwork, cosine_factor
from triage_node.training.sequence_training import cached_features
from triage_node.training.slice_bank import BankedScan, SliceBank

torch.set_num_threads(1)


def banked_scan(name, subject, kind, bleeding, slices=4):
    labels = np.zeros((slices, 6), dtype=np.float32)
    masks = None
    if bleeding:
        labels[1, [0, 1]] = 1
        masks = np.zeros((slices, 5, 64, 64), dtype=np.uint8)
        masks[1, 0, 10:20, 30:40] = 255
    volume = np.full((slices, 256, 256), 30, dtype=np.int16)
    volume[:, 0, 0] = sum(map(ord, name))
    ids = tuple(f"{index}" for index in range(slices))
    masks = masks if kind != "real" else None
    return BankedScan(name, subject, kind, volume, labels, labels.max(axis=0), masks, ids)


@pytest.fixture
def banks(tmp_path):
    real = [banked_scan(f"r{n}", f"p{n}", "real", n % 2 == 0) for n in range(6)]
    pasted = [banked_scan(f"m{n}", f"p{n}", "pasted", True) for n in (1, 3, 5)]
    for kind, scans in (("real", real), ("pasted", pasted)):
        write_bank(tmp_path / kind, ["all"], lambda _first, scans=scans: [scans])
    return {kind: SliceBank(tmp_path / kind) for kind in ("real", "pasted")}


def allowed(banks):
    return {kind: AllowedScans(bank, np.arange(len(bank.scans))) for kind, bank in banks.items()}


def test_a_bank_gives_back_what_was_written(banks):
    bank = SliceBank(banks["pasted"].folder)
    assert bank.subjects == ["p1", "p3", "p5"]
    assert bank.volume_hu.shape == (12, 256, 256)
    masks = bank.masks(np.array([0, 5]))
    assert not masks[0].any()
    assert masks[1, 1, 15, 35] == 1
    assert masks[1, 0, 15, 35] == 1
    assert bank.has_mask(np.array([0, 5])).all()
    assert not banks["real"].has_mask(np.arange(24)).any()


def test_a_batch_depends_on_seed_and_step_alone(banks):
    phase = EncoderPhase(steps=3, batch=8, pasted=0.5)
    first, again = (MixedSlices(allowed(banks), phase, "sli", 7) for _ in range(2))
    first.at(0)
    torch.testing.assert_close(first.at(2).volume_hu, again.at(2).volume_hu)
    assert not torch.equal(first.at(1).volume_hu, first.at(2).volume_hu)
    assert first.at(0).has_mask.sum() == 4


def test_the_only_slice_with_blood_of_a_scan_is_drawn_more_often_than_each_of_many(tmp_path):
    single, many = banked_scan("s", "s", "pasted", True, slices=6), banked_scan("m", "m", "pasted", True, slices=6)
    many.labels[1:5, [0, 1]] = 1
    write_bank(tmp_path / "pasted", ["all"], lambda _first: [[single, many]])
    bank = SliceBank(tmp_path / "pasted")
    mixed = MixedSlices({"pasted": AllowedScans(bank, np.arange(2))}, EncoderPhase(1, batch=400, pasted=1.0), "sli", 7)
    drawn = mixed.at(0)
    bleeding = drawn.volume_hu[drawn.labels[:, 0] == 1][:, 0, 0, 0]
    once = (bleeding == ord("s")).float().mean()
    assert once == pytest.approx(1 / 3, abs=0.07)  # twice as often as each of four, where alike would be 1 in 5


def test_the_rnns_see_as_many_made_up_scans_as_wished(banks):
    torch.manual_seed(3)
    network = CascadeNetwork(Architecture(input_size=64)).eval()
    for wished, seen in ((2, 2), (9, 3)):
        configuration = RunConfiguration("some", sequence=SequencePhase(views=1, made_up_scans=wished))
        views = cached_features(network, allowed(banks), configuration, torch.device("cpu"), 5, "job", lambda _: None)
        assert [view.real for view in views] == [True] * 6 + [False] * seen


def test_a_kind_that_was_not_made_up_is_absent_for_the_rnns_however_little_can_be_seen(tmp_path):
    made = banked_scan("m", "m", "pasted", True)
    made.labels[2] = np.nan
    unsure = np.array([1, 1, np.nan, np.nan, np.nan, np.nan], dtype=np.float32)
    made = replace(made, subject_labels=unsure)
    made.masks[2, 2, 5:7, 5:7] = 255
    real = replace(banked_scan("r", "r", "real", True), subject_labels=unsure)
    for kind, scan in (("pasted", made), ("real", real)):
        write_bank(tmp_path / kind, ["all"], lambda _first, scan=scan: [[scan]])
    both = {kind: AllowedScans(SliceBank(tmp_path / kind), np.arange(1)) for kind in ("real", "pasted")}
    network = CascadeNetwork(Architecture(input_size=64)).eval()
    configuration = RunConfiguration("some", sequence=SequencePhase(views=1))
    of_real, of_made = cached_features(network, both, configuration, torch.device("cpu"), 5, "job", lambda _: None)
    np.testing.assert_array_equal(of_real.subject_labels, unsure)
    np.testing.assert_array_equal(of_made.subject_labels, [1, 1, 0, np.nan, 0, 0])


def test_sub_lab_hides_slice_labels_of_bleeding_patients_only(banks):
    bank = banks["real"]
    slices = np.arange(len(bank))
    labels = trained_labels(bank, slices, "sub")
    bleeds = bank.subject_labels[bank.scan_of_slice, 0] == 1
    assert np.isnan(labels[bleeds, 0]).all()
    assert (labels[~bleeds] == 0).all()
    assert (trained_labels(bank, slices, "sli") == bank.labels).all()
    pasted = banks["pasted"]
    assert (trained_labels(pasted, np.arange(12), "sub") == pasted.labels).all()


def test_a_mask_moves_with_its_slice():
    volume = torch.full((1, 1, 256, 256), -1000.0)
    volume[..., 100:140, 60:110] = 100.0
    mask = torch.zeros(1, 6, 64, 64)
    mask[..., 25:35, 15:27] = 1.0
    how = Augmentation()
    for seed in range(6):
        transforms = drawn_transforms(1, how, torch.Generator().manual_seed(seed))
        moved = transformed(volume, transforms, 256, -1000.0)[0, 0] > -450
        moved_mask = transformed(mask, transforms, 64, 0.0)[0, 0] > 0.5
        seen = torch.nn.functional.avg_pool2d(moved[None].float(), 4)[0] > 0.5
        assert (seen != moved_mask).float().mean() < 0.02


def test_slices_of_one_scan_share_one_geometric_transform():
    still = replace(Augmentation(), hu_shift=0, hu_gain=0, noise_hu=0, blur_share=0, sharpen_share=0)
    volume = torch.randn(1, 1, 256, 256).repeat(3, 1, 1, 1) * 30 + 30
    together, _ = augmented(
        volume, None, torch.zeros(3, dtype=torch.long), 64, network_windows(), still, torch.Generator().manual_seed(1)
    )
    apart, _ = augmented(volume, None, None, 64, network_windows(), still, torch.Generator().manual_seed(1))
    torch.testing.assert_close(together[0], together[2])
    assert not torch.allclose(apart[0], apart[2])


@pytest.mark.parametrize("size", [32, 144, 256])
def test_a_scanner_brightens_or_darkens_what_lies_beside_bone_alone(size):
    rim = replace(Augmentation(), hu_shift=0, hu_gain=0, noise_hu=0, blur_share=0, sharpen_share=0, rim_hu=10)
    volume = torch.full((64, 1, size, size), 30.0)
    volume[..., : size // 8] = 1000.0
    changed = changed_intensity(volume, rim, torch.Generator().manual_seed(1)) - 30.0
    beside, far = changed[:, 0, size // 2, size // 8], changed[:, 0, size // 2, -1]
    assert beside.max() > 5
    assert beside.min() < -5
    assert beside.abs().max() <= 10
    assert not far.any()


def test_the_windows_of_training_are_those_of_the_node():
    from triage_node.cascade.preprocessing import network_input

    volume = (np.random.default_rng(1).random((2, 256, 256)) * 400 - 100).astype(np.float32)
    for size, third in product((256, 192), THIRD_WINDOWS):
        windows = network_windows(third)
        of_training = at_size(torch.from_numpy(volume)[:, None], size, windows).numpy()
        np.testing.assert_allclose(of_training, network_input(volume, size, windows), atol=1e-5)


def test_unknown_labels_weigh_nothing():
    logits = torch.zeros(2, 6, requires_grad=True)
    labels = torch.zeros(2, 6)
    labels[0] = torch.nan
    label_loss(logits, labels, torch.ones(6)).backward()
    assert not logits.grad[0].any()
    assert logits.grad[1].all()
    assert label_loss(logits, torch.full((2, 6), torch.nan), torch.ones(6)) == 0


def test_positive_weights_are_capped():
    labels = torch.zeros(1000, 2)
    labels[0, 0] = 1
    labels[:600, 1] = 1
    assert positive_weights(labels).tolist() == [10.0, 1.0]


def test_a_bleeding_slice_without_a_mask_teaches_no_location():
    logits = torch.zeros(2, 6, 4, 4, requires_grad=True)
    labels = torch.zeros(2, 6)
    labels[0, :2] = 1
    location_loss(logits, torch.zeros(2, 6, 4, 4), torch.tensor([False, False]), labels).backward()
    assert not logits.grad[0, :2].any()
    assert logits.grad[0, 2:].all()
    assert logits.grad[1].all()


def test_padding_and_mask_agree():
    rows = [torch.ones(3, 2), torch.ones(5, 2)]
    mask = valid_mask([3, 5])
    assert padded(rows, 5).sum(dim=2).bool().equal(mask)


def test_the_average_follows_the_network():
    network = torch.nn.Linear(2, 2)
    average = AveragedNetwork(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(5.0)
    for _ in range(300):
        average.update(network)
    torch.testing.assert_close(average.network.weight, network.weight, atol=1e-3, rtol=0)


def test_the_learning_rate_warms_up_and_falls():
    factors = [cosine_factor(step, 100, 10) for step in range(101)]
    assert factors[0] < factors[5] < factors[9]
    assert all(before >= after for before, after in pairwise(factors[10:]))
    assert factors[-1] == pytest.approx(0.02)


def test_small_blood_is_neither_shown_nor_absent():
    masks = np.zeros((3, 40, 40), dtype=np.uint8)
    masks[1, :2, :2] = 1
    masks[2, :10, :10] = 1 | 16
    labels = mask_labels(masks, 1.0)
    assert labels[0].tolist() == [0] * 6
    assert math.isnan(labels[1, 0])
    assert labels[2].tolist() == [1, 1, 0, 0, 0, 1]
    assert subject_labels(labels).tolist() == [1, 1, 0, 0, 0, 1]
    assert math.isnan(subject_labels(labels[:2])[0])


@pytest.mark.slow
def test_a_phantom_is_banked_with_masks_where_its_labels_are():
    (made,) = phantom_scans((11, 128))
    assert made.volume_hu.shape[1:] == (256, 256)
    assert made.masks.shape == (len(made.labels), 5, 64, 64)
    for row, masks in zip(made.labels, made.masks, strict=True):
        for kind in range(5):
            if row[1 + kind] == 1:
                assert masks[kind].any()
            elif row[1 + kind] == 0:
                assert masks[kind].max() < 64


def test_blood_that_a_slice_hides_is_not_labelled():
    labels = np.array([[1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], np.float32)
    clear = np.array([[20, 0, 0, 0, 6], [0, 0, 5, 0, 0], [0, 0, 8, 0, 0], [0, 0, 0, 0, 0]], np.float32)
    seen = seen_labels(labels, clear)
    assert seen[0, :5].tolist() == [1, 1, 0, 0, 0]
    assert math.isnan(seen[0, 5])
    assert np.isnan(seen[1]).all()  # nothing else shows: the slice teaches nothing
    assert (seen[2:] == labels[2:]).all()


def test_slices_whose_blood_hardly_stands_out_are_faint():
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[:3, 2:4, 2:6] = 4
    rise_hu = np.zeros((4, 8, 8), dtype=np.int32)
    rise_hu[0, 2:4, 2:6], rise_hu[1, 2:4, 2:6] = 5, 20
    rise_hu[2, 2:4, 2:3] = 90  # one bright corner does not make the rest visible
    assert faint_slices(rise_hu, masks, 6.0).tolist() == [True, False, True, False]
    assert not faint_slices(rise_hu, masks, 0.0).any()


@pytest.mark.slow
def test_pasted_copies_keep_their_patients_name():
    from triage_node.phantom import make_head
    from triage_node.training.datasets import LabelledScan, ScanVolume

    head = make_head(3, kinds=(), size=160)
    volume = ScanVolume(head.volume_hu, head.pixel_spacing_mm, head.slice_spacing_mm)
    zeros = np.zeros((len(head.volume_hu), 6), dtype=np.float32)
    ids = tuple(str(index) for index in range(len(zeros)))
    scan = LabelledScan("patient", "series", "test", zeros[0], zeros, ids, lambda: volume)
    copies = pasted_scans((scan, 4, 100), least_rise_hu=6.0)
    assert copies
    assert {each.subject for each in copies} == {"patient"}
    assert all(each.subject_labels[0] == 1 for each in copies)


def test_calibration_finds_a_known_temperature():
    chance = np.random.default_rng(0)
    truth = chance.normal(0, 1.5, 4000)
    labels = (chance.random(4000) < 1 / (1 + np.exp(-truth))).astype(float)
    fitted = fitted_calibration(truth * 3 + 3, labels)
    assert fitted.temperature == pytest.approx(3, rel=0.15)
    assert fitted.offset == pytest.approx(-1, abs=0.15)


def test_thresholds_do_what_their_names_say():
    labels = np.array([0] * 10 + [1] * 10, dtype=float)
    scores = np.concatenate([np.linspace(0, 0.5, 10), np.linspace(0.4, 1.0, 10)])
    balanced = measured(labels, scores, balanced_threshold(labels, scores))
    assert balanced["sensitivity"]["value"] >= 0.8
    assert balanced["specificity"]["value"] >= 0.8
    sensitive = measured(labels, scores, sensitive_threshold(labels, scores))
    assert sensitive["sensitivity"]["value"] == 1.0
    apart = nested(labels, scores, [index % 5 for index in range(20)])
    assert apart["sensitivity"]["n"] == 10


def test_a_threshold_needs_both_classes_and_no_more_than_the_labels_that_are_known():
    scores = np.array([0.1, 0.2, 0.7, 0.8])
    assert balanced_threshold(np.array([0, 0, np.nan, np.nan]), scores) == 0.5
    assert balanced_threshold(np.array([0, np.nan, np.nan, 1]), scores) == pytest.approx(0.15)
    assert balanced_threshold(np.array([0.0, 1.0]), np.array([0.3, 0.3])) == 0.5


def scored_subjects(of_kind):
    """Bleeding subjects with this label of CPH each and falling scores, and one without blood."""
    count = len(of_kind)
    labels = np.ones((count + 1, 6))
    labels[:count, 1], labels[count] = of_kind, 0.0
    scores = np.tile(np.linspace(0.9, 0.1, count + 1)[:, None], (1, 6))
    names = tuple(f"P{number}" for number in range(count + 1))
    slices = SlicePredictions(np.arange(count + 1), names, scores, labels)
    return Predictions("small", names, tuple("01" * count)[: count + 1], scores, labels, slices)


def test_a_kind_that_is_unknown_in_one_patient_keeps_its_threshold():
    found = scored_subjects([1.0] * 5 + [np.nan] + [0.0] * 5)
    level = (found.scores[4, 1] + found.scores[5, 1]) / 2
    lower = (found.scores[5, 1] + found.scores[6, 1]) / 2
    assert lower <= operating_points(found)["balanced"]["subtype_thresholds"]["CPH"] <= level


@pytest.mark.parametrize("of_kind", [[1.0] * 4 + [0.0] * 9, [1.0] * 9 + [0.0] * 4])
def test_a_kind_that_few_patients_show_is_named_from_the_papers_threshold(of_kind):
    points = operating_points(scored_subjects(of_kind))
    assert {point["subtype_thresholds"]["CPH"] for point in points.values()} == {0.5}


def test_patients_that_bleed_are_counted_not_their_scans():
    labels = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0] * 6], dtype=np.float64)
    predicted = Predictions("small", ("A/1", "A/2", "B"), ("0", "0", "1"), labels, labels)
    assert bleeding_patients(predicted) == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name = 'x'\nstepz = 3", "stepz"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nsice = 4", "sice"),
        ("name = 'x'\nlabels = 'slice'", "labels"),
        ("name = 'x'\nfolds = 1", "folds"),
        ("name = ", "TOML"),
        ("labels = 'sli'", "name"),
        ("name = 'x'\nfolds = 'five'", "folds: Input should be a valid integer.*.given: 'five'"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nbatch = -4", r"\[\[encoder\]\]: batch: .* 1 .given: -4"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nsize = 100", "size: .* multiple of 16"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\npasted = 0.7\nphantom = 0.5", "shares of one batch"),
        ("name = 'x'\n[encoder]\nsteps = 3", "encoder must be a list of tables"),
        ("name = 'x'\npasted_of_member = 0.5", "pasted_of_member"),
        ("name = 'x'\n[architecture]\nbackbone = 'vit'", "backbone must be one of plain10, .* not 'vit'"),
        ("name = 'x'\n[architecture]\ninput_size = 512", "input_size must be 32 to 256"),
    ],
)
def test_a_wrong_configuration_names_what_is_wrong(tmp_path, text, named):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationRejected, match=named):
        read_configuration(path)


def test_the_shipped_configuration_can_be_read():
    from pathlib import Path

    import triage_node.training as package

    for path in (Path(package.__file__).parent / "configs").glob("*.toml"):
        assert read_configuration(path).text == path.read_text()


@pytest.mark.parametrize(
    ("sources", "said", "unsaid"),
    [
        ({"ct-ich": {"scans": 9, "excluded": 0}}, "CT-ICH comes from one hospital", "left out"),
        ({"folder": {"scans": 9, "excluded": 3}}, "9 scans, 3 left out", "CT-ICH"),
        ({"cq500": {"scans": 9, "may_be_shipped": False}}, "do not ship with triage_node", "0.46 mm"),
    ],
)
def test_the_card_speaks_of_the_data_that_were_trained_on(sources, said, unsaid):
    labels = np.array([[1, 1, 0, 0, 0, 0], [0] * 6], dtype=np.float64)
    slices = SlicePredictions(np.arange(2), ("1", "2"), labels, labels)
    predicted = Predictions("small", ("A", "B"), ("0", "1"), labels, labels, slices)
    training = {"sources": sources, "subjects": 2, "subjects_with_blood": 1}
    phases = tuple(EncoderPhase(steps=1, phantom=share) for share in (0.25, 0.3, 0.3))
    card = model_card(RunConfiguration("small", encoder=phases), predicted, [], {}, training)
    assert "later they are 25%, then 30% of the slices" in card
    assert said in card
    assert unsaid not in card
