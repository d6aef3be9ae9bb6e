import numpy as np
import pytest
import torch

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.training.bank_writing import write_bank
from triage_node.training.batches import AllowedScans, MixedSlices, padded, trained_labels, valid_mask
from triage_node.training.configuration import EncoderPhase, RunConfiguration, SequencePhase
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


def test_neighbours_are_slices_of_the_same_scan(tmp_path):
    scans = [banked_scan(name, name, "real", False, slices=3) for name in "ab"]
    for first, scan in enumerate(scans):
        scan.volume_hu[:, 0, 0] = np.arange(3) + 10 * first
    write_bank(tmp_path / "real", ["all"], lambda _first: [scans])
    bank = SliceBank(tmp_path / "real")
    seen = bank.planes_hu(np.array([1, 2, 3]), neighbours=True)[:, :, 0, 0]
    assert seen.tolist() == [[1, 0, 2], [2, 1, 2], [10, 10, 11]]
    assert bank.planes_hu(np.array([1, 2, 3]), neighbours=False)[:, :, 0, 0].tolist() == [[1], [2], [10]]


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


def test_padding_and_mask_agree():
    rows = [torch.ones(3, 2), torch.ones(5, 2)]
    mask = valid_mask([3, 5])
    assert padded(rows, 5).sum(dim=2).bool().equal(mask)
