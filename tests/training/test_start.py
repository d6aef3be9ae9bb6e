"""A training that starts from a release: what it takes over, whose patients it refuses, and what its own release says of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scanned.small_patients import CONFIGURATION, SCANS, quiet, setting_in

from triage_node import training
from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.release_writer import ReleaseDescription, paper_operating_point, uncalibrated, write_release
from triage_node.cascade.weights import WeightsRejected, load_networks, read_release, release_folder
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.configuration import EncoderPhase, read_configuration
from triage_node.training.datasets import DatasetRejected, LabelledDataset
from triage_node.training.job import PRETRAINING, TrainingJob, finished, run_job, trained_member
from triage_node.training.release_reading import trained_on
from triage_node.training.sources import described_sources
from triage_node.training.start import kept_in_run, refuse_its_patients, starting_release
from triage_node.training.train import Machine, run
from triage_node.wiring import shipped_weights_folder

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
    start = starting_release(release_of(tmp_path, {}, members=2, units=8), CONFIGURATION.architecture)
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
    earlier["configuration"] = {"labels": "sub", "made_up": {"phantoms": 30}}
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
    assert "names none of these patients (Sub-Lab, 30 phantoms):\n  - made-for-a-test: 8 scans" in card
    assert "learns from them alone" not in card
    assert "Before that the CNN was that of first 1" in card


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        (
            {"sources": described_sources([OURS])},
            r"earlier was trained on 8 of these 8 patients \(for example patient-0, ",
        ),
        ({"sources": {"made-for-a-test": {}}}, "earlier was trained on made-for-a-test, whom no fold could keep aside"),
        ({}, "it does not say whose patients were trained on"),
    ],
)
def test_patients_that_the_release_was_trained_on_are_refused(tmp_path: Path, earlier: Any, said: str) -> None:
    release = read_release(release_of(tmp_path, earlier))
    with pytest.raises(DatasetRejected, match=f"{said}.*with a pretraining of its own, such as ct_ich") as refused:
        refuse_its_patients(release, [THEIRS, OURS])
    assert refused.value.file == release.folder / "manifest.json"


def test_patients_that_the_release_does_not_know_may_be_trained_on(tmp_path: Path) -> None:
    refuse_its_patients(read_release(release_of(tmp_path, {"sources": described_sources([OURS])})), [THEIRS])


def test_a_run_keeps_its_start_whatever_becomes_of_the_release(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    first = read_release(release_of(tmp_path / "first", {}))
    other = read_release(release_of(tmp_path / "other", {}, units=8))
    kept = kept_in_run(first, out)
    assert kept is not None
    assert kept.folder == out / "start"
    shutil.rmtree(first.folder)
    assert kept_in_run(kept, out) == kept
    for start in (None, other):
        with pytest.raises(ConfigurationRejected, match=f"started from earlier 7 .*go on with --start {out / 'start'}"):
            kept_in_run(start, out)


def test_a_run_does_not_name_one_start_and_take_another(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the configuration's start"):
        run(SCANS, replace(CONFIGURATION, start="earlier"), tmp_path / "run", Machine(), quiet, sources={})
    assert not (tmp_path / "run").exists()


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
        starting_release(folder, replace(CONFIGURATION.architecture, **wanted))


def test_the_shipped_configuration_for_own_data_starts_from_the_shipped_weights() -> None:
    chosen = read_configuration(Path(training.__file__).parent / "configs/own_data.toml")
    folder = release_folder(chosen.start, shipped_weights_folder())
    assert starting_release(folder, chosen.architecture).name == chosen.start


def test_a_release_is_found_by_name_or_as_a_folder_and_a_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for home in (one, other):
        release_of(home, {})
    monkeypatch.chdir(one)
    assert release_folder("earlier", tmp_path / "none", other) == other / "earlier"
    assert release_folder(str(one / "earlier"), other) == one / "earlier"
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsRejected, match=r"no release '.*empty': .* the releases here are earlier"):
        release_folder(str(tmp_path / "empty"), other)
