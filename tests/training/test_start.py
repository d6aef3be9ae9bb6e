"""A training that starts from a release: what it takes over, whose patients it refuses, and what its own release says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scanned.small_patients import CONFIGURATION, SCANS, quiet, setting_in

import model_weights
from triage_node import training
from triage_node.cascade.network import Architecture, CascadeNetwork
from triage_node.cascade.release_writer import ReleaseDescription, paper_operating_point, uncalibrated, write_release
from triage_node.cascade.weights import WeightsRejected, load_networks, read_release
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.configuration import EncoderPhase, read_configuration
from triage_node.training.datasets import DatasetRejected, LabelledDataset
from triage_node.training.job import PRETRAINING, TrainingJob, finished, run_job, trained_member
from triage_node.training.release_reading import trained_on
from triage_node.training.sources import described_sources
from triage_node.training.start import starting_release
from triage_node.training.train import Machine, run

torch.set_num_threads(1)
OURS = LabelledDataset("made-for-a-test", tuple(SCANS))
THEIRS = LabelledDataset("made-for-a-test", tuple(replace(scan, subject=f"other-{scan.subject}") for scan in SCANS))


def release_of(folder: Path, earlier: dict[str, Any], members: int = 1, **architecture: Any) -> Path:
    """Write a release of random weights."""
    torch.manual_seed(5)
    chosen = replace(CONFIGURATION.architecture, **architecture)
    networks = [CascadeNetwork(chosen).eval() for _ in range(members)]
    points = {"balanced": paper_operating_point()}
    described = ReleaseDescription("earlier", "7", uncalibrated(), 0.4, points, earlier, "made for a test")
    return write_release(folder, networks, described)


def test_every_job_begins_with_the_cnn_of_the_release(tmp_path: Path) -> None:
    folder = release_of(tmp_path, {}, members=2, units=8)
    start = starting_release(folder, CONFIGURATION.architecture, [THEIRS])
    untouched = replace(CONFIGURATION, encoder=(), joint=replace(CONFIGURATION.joint, steps=0))
    setting = replace(setting_in(tmp_path / "run", untouched), start=start)
    for member in (0, 1):
        job = TrainingJob(member, 0)
        run_job(job, setting, quiet)
        expected = load_networks(start)[member].cnn.state_dict()
        found = trained_member(job, setting).cnn.state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not finished(TrainingJob(0, 0), replace(setting, start=None))


@pytest.mark.slow
def test_a_release_says_where_it_started_and_whose_patients_were_trained_on_before(tmp_path: Path) -> None:
    started_from = {"name": "first", "version": "1", "weights_sha256": "0" * 64}
    of_first = {"sources": described_sources([replace(OURS, scans=tuple(SCANS[:1]))])}
    earlier = {"sources": described_sources([THEIRS]), "started_from": {**started_from, "training": of_first}}
    start = read_release(release_of(tmp_path, earlier))
    alone = (EncoderPhase(steps=1, batch=4, size=64, pasted=0.0, phantom=1.0),)
    configuration = replace(CONFIGURATION, start="earlier", pretraining=alone)
    out = tmp_path / "run"
    fresh = [replace(scan, subject=f"fresh-{scan.subject}") for scan in SCANS]
    sources = described_sources([replace(OURS, scans=tuple(fresh))])
    folder = run(fresh, configuration, out, Machine(), quiet, sources=sources, start=start)
    assert not (out / "jobs" / PRETRAINING.name).exists()
    stated = read_release(folder).manifest["training"]
    assert stated["started_from"]["weights_sha256"] == start.weights_sha256
    asked = ["patient-0", "patient-1", "other-patient-1", "fresh-patient-2"]
    assert trained_on(stated, "made-for-a-test", asked).subjects == (asked[0], *asked[2:])
    card = (folder / "model_card.md").read_text()
    assert f"The CNN was that of earlier 7 (SHA-256 {start.weights_sha256})" in card
    assert "Before that the CNN was that of first 1" in card


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        ({"sources": described_sources([OURS])}, "earlier was trained on 8 of these 8 patients"),
        (
            {"sources": {"made-for-a-test": {}}},
            "earlier was trained on made-for-a-test, which no fold could keep aside",
        ),
    ],
)
def test_patients_that_the_release_was_trained_on_are_refused(tmp_path: Path, earlier: Any, said: str) -> None:
    folder = release_of(tmp_path, earlier)
    with pytest.raises(DatasetRejected, match=f"{said}.*Train without --start") as refused:
        starting_release(folder, CONFIGURATION.architecture, [THEIRS, OURS])
    assert refused.value.file == folder / "manifest.json"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"neighbours": False},
            "has neighbours = true and the configuration asks for false; write neighbours = true under",
        ),
        ({"backbone": "resnet18"}, 'has backbone = "plain10" and the configuration asks for "resnet18"'),
        ({"third_window": "soft_tissue"}, 'write third_window = "bone" under'),
    ],
)
def test_a_cnn_of_other_layers_or_another_input_is_refused(tmp_path: Path, wanted: dict[str, Any], said: str) -> None:
    folder = release_of(tmp_path, {})
    with pytest.raises(ConfigurationRejected, match=said):
        starting_release(folder, replace(CONFIGURATION.architecture, **wanted), [THEIRS])


def test_the_shipped_configuration_for_own_data_starts_from_the_shipped_weights() -> None:
    chosen = read_configuration(Path(training.__file__).parent / "configs/own_data.toml")
    folder = Path(model_weights.__file__).parent / chosen.start
    assert starting_release(folder, chosen.architecture, [THEIRS]).name == chosen.start


def test_a_release_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsRejected, match=r"nowhere/manifest\.json"):
        starting_release(tmp_path / "nowhere", Architecture(), [THEIRS])
