"""A whole run on heads of simple shapes: small, but every step is the real one."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scanned.small_patients import BLEEDING, CONFIGURATION, SCANS, SOURCES, quiet, setting_in

from triage_node.cascade.runner import Cascade
from triage_node.cascade.self_test import run_self_test
from triage_node.cascade.weights import read_release
from triage_node.core.errors import ConfigurationRejected
from triage_node.phantom import GENERATION
from triage_node.training.bank_building import build_banks
from triage_node.training.configuration import EncoderPhase, JointPhase, MadeUp, SequencePhase
from triage_node.training.datasets import DatasetRejected
from triage_node.training.held_out import scan_logits
from triage_node.training.job import (
    MEMBER_NAME,
    PRETRAINING,
    JobSetting,
    TrainingJob,
    allowed_scans,
    finished,
    open_banks,
    run_job,
    trained_member,
)
from triage_node.training.made_up import made_in_parallel
from triage_node.training.predictions import read_predictions
from triage_node.training.sequence_training import scan_volume as banked_volume
from triage_node.training.train import Machine, folds_of, run

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return run(SCANS, CONFIGURATION, out, Machine(), quiet, sources=SOURCES), out


@pytest.mark.slow
def test_a_run_ends_in_a_release_that_the_node_accepts(release):
    folder, _ = release
    cascade = Cascade.load(folder, device="cpu", operating_point="balanced")
    assert run_self_test(cascade) <= 1e-4
    finding = cascade.read_volume(BLEEDING, 5.0, list("abcdef")).finding
    assert finding.model_name == "small"
    assert read_release(folder).manifest["training"]["subjects"] == 8


@pytest.mark.slow
def test_the_node_reads_a_patient_as_the_run_did(release):
    folder, out = release
    bank = open_banks(out / "banks")["real"]
    setting = JobSetting(CONFIGURATION, out / "banks", out / "jobs", folds_of(SCANS, CONFIGURATION), "cpu", 1)
    network = trained_member(TrainingJob(0, None), setting)
    read = Cascade.load(folder, device="cpu").logits(BLEEDING, 5.0, (0.8, 0.8))
    of_run = scan_logits(network, banked_volume(bank, 0, network.architecture))
    assert bank.scans[0] == "series-0"
    np.testing.assert_allclose(of_run.subject, [read.subject, *read.subtypes], atol=0.01)
    np.testing.assert_allclose(of_run.slices[:, 0], read.slices, atol=0.01)


@pytest.mark.slow
def test_predictions_are_out_of_fold_for_every_patient(release):
    _, out = release
    predicted = read_predictions(out / "out_of_fold.csv")
    assert sorted(predicted.subjects) == sorted(scan.subject for scan in SCANS)
    assert set(predicted.folds) == {"0", "1"}
    assert predicted.slices is not None
    assert len(predicted.slices.slice_ids) == 48


@pytest.mark.slow
def test_a_run_leaves_curves_card_and_measured_points(release):
    folder, out = release
    assert (out / "learning_curves.png").stat().st_size > 1000
    card = (folder / "model_card.md").read_text()
    assert "Research use only, not for diagnostic use" in card
    assert "8 patients" in card
    points = json.loads((folder / "operating_points.json").read_text())["points"]
    assert set(points) == {"balanced", "high_sensitivity", "paper"}
    assert points["balanced"]["measured"]["sensitivity"]["n"] == 4
    assert (folder / "configuration.toml").read_text() == (out / "configuration.toml").read_text() == CONFIGURATION.text


def test_a_job_never_sees_the_patients_kept_aside(tmp_path):
    setting = setting_in(tmp_path)
    banks = open_banks(setting.banks)
    for fold in range(2):
        aside = {subject for subject, each in setting.fold_of_subject.items() if each == fold}
        allowed = allowed_scans(banks, aside)
        assert not {allowed["real"].bank.subjects[scan] for scan in allowed["real"].scans} & aside


def test_a_job_alone_has_the_threads_of_all_workers_and_no_more_than_cores():
    cores = len(os.sched_getaffinity(0))
    assert Machine(workers=1, threads=1).threads_alone == 1
    assert Machine(workers=cores, threads=2).threads_alone == cores


def test_a_pretraining_is_used_again_when_only_what_follows_it_changes(tmp_path):
    alone = (EncoderPhase(steps=1, batch=4, size=64, pasted=0.0, phantom=1.0),)
    setting = setting_in(tmp_path, replace(CONFIGURATION, pretraining=alone))
    shutil.copytree(setting.banks / "real", setting.banks / "phantom")  # heads that hold no patient, for this test
    run_job(PRETRAINING, setting, quiet)
    assert finished(PRETRAINING, setting)
    other = replace(setting, configuration=replace(setting.configuration, labels="sub", folds=3, encoder=alone))
    assert finished(PRETRAINING, other)
    deeper = replace(CONFIGURATION.architecture, layers=2)
    other = replace(setting, configuration=replace(setting.configuration, architecture=deeper))
    assert finished(PRETRAINING, other)
    run_job(TrainingJob(0, 0), other, quiet)  # it begins with what networks of another depth left
    longer = replace(alone[0], steps=2)
    assert not finished(PRETRAINING, replace(setting, configuration=replace(CONFIGURATION, pretraining=(longer,))))


def test_a_trained_cnn_is_used_again_when_only_the_rnns_change(tmp_path):
    job, setting = TrainingJob(0, 0), setting_in(tmp_path)

    def parts_of(configuration):
        told = []
        run_job(job, replace(setting, configuration=configuration), lambda progress: told.append(progress.part))
        return {part.split()[0] for part in told}

    first = replace(CONFIGURATION, joint=JointPhase())
    assert parts_of(first) == {"encoder", "features", "sequence"}
    trained = load_file(setting.folder(job) / MEMBER_NAME)
    deeper = replace(first.architecture, recurrence="lstm", layers=2, subject_head="log_sum_exp")
    others = replace(first, architecture=deeper, sequence=SequencePhase(steps=3, views=1))
    assert parts_of(others) == {"features", "sequence"}
    again = load_file(setting.folder(job) / MEMBER_NAME)
    of_cnn = [name for name in trained if not name.startswith(("detection.", "typing."))]
    assert of_cnn
    assert all(torch.equal(again[name], trained[name]) for name in of_cnn)
    assert again.keys() != trained.keys()
    smaller = replace(first.architecture, input_size=32)
    assert "encoder" in parts_of(replace(first, architecture=smaller))


def run_until_killed(folder):
    torch.set_num_threads(1)
    run_job(TrainingJob(0, 0), setting_in(Path(folder)), lambda _: time.sleep(0.02))


@pytest.mark.slow
def test_a_killed_job_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    job = TrainingJob(0, 0)
    undisturbed = setting_in(tmp_path / "undisturbed")
    run_job(job, undisturbed, quiet)
    killed = setting_in(tmp_path / "killed")
    process = multiprocessing.get_context("spawn").Process(target=run_until_killed, args=(str(tmp_path / "killed"),))
    process.start()
    checkpoint = killed.folder(job) / "checkpoint.pt"
    deadline = time.monotonic() + 90
    while not checkpoint.is_file() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert checkpoint.is_file()
    run_job(job, killed, quiet)
    expected, found = (trained_member(job, each).state_dict() for each in (undisturbed, killed))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-4)


def start_workers_and_wait(pids):
    started = made_in_parallel(os.getpgid, [0, 0], 2)
    next(started)
    pids.put([each.pid for each in multiprocessing.active_children()])
    time.sleep(600)


def runs(pid):
    """Whether a process does anything: one that ended but that nobody has asked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="asks Linux which processes run")
def test_workers_end_with_a_run_that_was_killed():
    context = multiprocessing.get_context("spawn")
    pids = context.Queue()
    killed = context.Process(target=start_workers_and_wait, args=(pids,))
    killed.start()
    workers = pids.get(timeout=120)
    assert all(map(runs, workers))
    killed.kill()
    killed.join()
    deadline = time.monotonic() + 60
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers
    assert not any(map(runs, workers))


def cut_short():
    raise DatasetRejected("images/03.dcm", "it is cut short", "Fetch it again")


def test_an_image_that_no_worker_can_read_is_named_and_nothing_is_left(tmp_path):
    scans = [*SCANS[:-1], replace(SCANS[-1], reader=cut_short)]
    with pytest.raises(DatasetRejected, match=r"images/03\.dcm: it is cut short\. Fetch it again"):
        run(scans, CONFIGURATION, tmp_path / "out", Machine(threads=2), quiet, sources={})
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_runs_folder_is_told(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigurationRejected, match="out cannot be made a folder"):
        run(SCANS, CONFIGURATION, tmp_path / "out", Machine(), quiet, sources={})


def test_folds_that_leave_one_class_alone_are_refused(tmp_path):
    scans = [SCANS[0], *(scan for scan in SCANS if scan.labels[0] == 0)]
    with pytest.raises(ConfigurationRejected, match="no scan with blood is left to train on"):
        run(scans, CONFIGURATION, tmp_path / "out", Machine(), quiet, sources={})
    assert not (tmp_path / "out").exists()


def test_made_up_scans_of_another_plan_are_not_trained_on(tmp_path):
    planned = replace(CONFIGURATION, made_up=MadeUp(pasted_per_head=0, phantoms=1, phantom_size=64))
    build_banks(SCANS, planned, tmp_path, 1, quiet)
    build_banks(SCANS, planned, tmp_path, 1, quiet)
    for other in (MadeUp(0, 2, 64), MadeUp(0, 0, 64), MadeUp(0, 1, 64, seed=2)):
        with pytest.raises(ConfigurationRejected, match="phantom was made with"):
            build_banks(SCANS, replace(planned, made_up=other), tmp_path, 1, quiet)


def test_made_up_scans_of_an_earlier_generation_are_not_trained_on(tmp_path, monkeypatch):
    planned = replace(CONFIGURATION, made_up=MadeUp(pasted_per_head=0, phantoms=1, phantom_size=64))
    build_banks(SCANS, planned, tmp_path, 1, quiet)
    monkeypatch.setattr("triage_node.training.bank_building.GENERATION", GENERATION + 1)
    with pytest.raises(
        ConfigurationRejected, match=f"made with generation = {GENERATION} and {GENERATION + 1} is wanted"
    ):
        build_banks(SCANS, planned, tmp_path, 1, quiet)


def test_a_training_that_diverged_ends_in_no_release_and_says_what_to_do(tmp_path):
    wild = replace(CONFIGURATION.encoder[0], steps=4, learning_rate=1e30)
    steps = replace(CONFIGURATION.optimization, average_decay=0.0, clip_norm=1e30, warm_up_steps=1)
    configuration = replace(CONFIGURATION, encoder=(wild,), optimization=steps)
    with pytest.raises(ConfigurationRejected, match="the training diverged; lower the learning rates"):
        run(SCANS, configuration, tmp_path, Machine(), quiet, sources={})
    assert not (tmp_path / "release").exists()
    assert not (tmp_path / "out_of_fold.csv").exists()


def test_a_job_stops_early_and_keeps_its_best_weights(tmp_path):
    harmful = EncoderPhase(steps=40, batch=8, size=64, learning_rate=5.0)
    settings = replace(CONFIGURATION.optimization, validation_share=0.25, patience=2)
    setting = setting_in(tmp_path, replace(CONFIGURATION, encoder=(harmful,), optimization=settings))
    parts = []
    run_job(TrainingJob(0, 1), setting, lambda progress: parts.append(progress.part))
    curve = json.loads((setting.folder(TrainingJob(0, 1)) / "curve.json").read_text())["encoder"]
    losses = [entry["validation_loss"] for entry in curve]
    assert "encoder 1, stopped early" in parts
    assert len(curve) < 20
    assert losses.index(min(losses)) == len(losses) - 3


def test_scans_without_blood_alone_cannot_be_trained_on(tmp_path):
    bloodless = [scan for scan in SCANS if scan.labels[0] == 0]
    with pytest.raises(ConfigurationRejected, match="scans with blood"):
        run(bloodless, CONFIGURATION, tmp_path / "out", Machine(), quiet, sources={})
    assert not (tmp_path / "out").exists()
