"""Reading with a run's networks: every patient by those of its own fold, and only by those."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.release_writer import (
    ReleaseDescription,
    paper_operating_point,
    uncalibrated,
    write_release,
)
from triage_node.cascade.runner import Cascade
from triage_node.cascade.self_test import reference_volume
from triage_node.cascade.weights import WeightsRejected
from triage_node.training.datasets import DatasetRejected, LabelledDataset, LabelledScan, ScanVolume
from triage_node.training.fold_reading import FoldReader
from triage_node.training.predictions import Predictions, write_predictions
from triage_node.training.release_reading import read_dataset

ARCHITECTURE = Architecture(input_size=64, units=16)


def volume(shift: int) -> ScanVolume:
    return ScanVolume(np.roll(reference_volume(), shift, axis=2).astype(np.int16), (0.8, 0.8), 5.0)


def scan(number: int, patient: str) -> LabelledScan:
    labels = np.full(6, number % 2, dtype=np.float32)
    return LabelledScan(patient, f"series-{number}", "test", labels, None, tuple("123456"), partial(volume, number))


DATASET = LabelledDataset("test", (scan(0, "A"), scan(1, "B"), scan(2, "B")))
FOLDS = {"A": "0", "B/series-1": "1", "B/series-2": "1"}


def release_of(home: Path, network: CascadeNetwork) -> Path:
    training: dict[str, object] = {"sources": {"test": {}}}
    points = {"balanced": paper_operating_point()}
    return write_release(
        home, [network], ReleaseDescription("made", "1", uncalibrated(), 0.5, points, training, "for a test")
    )


@pytest.fixture(scope="module")
def networks() -> list[CascadeNetwork]:
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        made.append(CascadeNetwork(ARCHITECTURE).eval())
    return made


@pytest.fixture
def run(tmp_path: Path, networks: list[CascadeNetwork]) -> Path:
    for fold, network in enumerate(networks[:2]):
        folder = tmp_path / f"jobs/fold{fold}-member0"
        folder.mkdir(parents=True)
        save_file(network.state_dict(), folder / "member.safetensors")
    release_of(tmp_path / "release", networks[2])
    scores = np.full((3, 6), 0.5)
    write_predictions(
        tmp_path / "out_of_fold.csv", Predictions("made", tuple(FOLDS), tuple(FOLDS.values()), scores, np.zeros((3, 6)))
    )
    return tmp_path


def test_every_patient_is_read_by_the_networks_of_its_fold(
    run: Path, networks: list[CascadeNetwork], tmp_path: Path
) -> None:
    found = read_dataset(FoldReader.open(run, DATASET, "balanced"), DATASET.scans)
    assert dict(zip(found.subjects, found.folds, strict=True)) == FOLDS
    for index, fold in enumerate((0, 1, 1)):
        cascade = Cascade.load(release_of(tmp_path / f"alone{index}", networks[fold]), device="cpu")
        loaded = DATASET.scans[index].load()
        logit = cascade.logits(loaded.volume_hu, loaded.slice_spacing_mm).subject
        assert found.scores[index, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_a_patient_of_no_fold_is_refused(run: Path) -> None:
    dataset = replace(DATASET, scans=(*DATASET.scans, scan(3, "C")))
    with pytest.raises(DatasetRejected, match="patient C was kept aside in no fold"):
        FoldReader.open(run, dataset, "balanced")


def test_a_run_on_other_data_is_refused(run: Path) -> None:
    with pytest.raises(DatasetRejected, match="trained on test, not on elsewhere"):
        FoldReader.open(run, replace(DATASET, source="elsewhere"), "balanced")


def test_a_run_that_was_not_finished_is_refused(run: Path) -> None:
    (run / "out_of_fold.csv").unlink()
    with pytest.raises(DatasetRejected, match="no finished run"):
        FoldReader.open(run, DATASET, "balanced")


def test_a_broken_member_is_named(run: Path) -> None:
    path = run / "jobs/fold0-member0/member.safetensors"
    path.write_bytes(b"nothing")
    reader = FoldReader.open(run, DATASET, "balanced")
    with pytest.raises(WeightsRejected, match=r"fold0-member0/member\.safetensors"):
        reader.cascade_for(DATASET.scans[0])
