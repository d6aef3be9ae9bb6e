"""One training from first step to predictions: one fold and one member of the ensemble.

In: banks, a configuration and the patients kept aside. Out: a folder with the member's weights and its learning curve.
A job that was finished is not run again; one that was cut off goes on at its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from triage_node.cascade.network import CascadeNetwork
from triage_node.cascade.slice_encoder import pooled
from triage_node.cascade.weights import Release, load_networks
from triage_node.training.augmentation import at_size
from triage_node.training.batches import AllowedScans
from triage_node.training.checkpoints import Checkpoint
from triage_node.training.configuration import RunConfiguration
from triage_node.training.cross_validation import grouped_folds
from triage_node.training.encoder_training import EncoderTraining, Report, Validate, seeded_generator
from triage_node.training.joint_training import train_jointly
from triage_node.training.losses import label_loss
from triage_node.training.schedule import AveragedNetwork
from triage_node.training.sequence_training import cached_features, scan_volume, train_sequence
from triage_node.training.slice_bank import SliceBank

BANK_KINDS = ("real", "pasted", "phantom")
MEMBER_NAME = "member.safetensors"
_PRETRAINING_SETTINGS = ("seed", "architecture", "made_up", "pretraining", "optimization", "augmentation")
_RNN_ARCHITECTURE = ("recurrence", "layers", "units", "subject_head", "subtype_head")


@dataclass(frozen=True)
class TrainingJob:
    """A member of the ensemble, without the patients of one fold, or with all where ``fold`` is None.

    ``pretraining`` is the job that sees phantoms alone and that all others start from, unless they start from a release.
    """

    member: int
    fold: int | None
    pretraining: bool = False

    @property
    def name(self) -> str:
        """The job's name and folder."""
        if self.pretraining:
            return "pretraining"
        return f"{'all' if self.fold is None else f'fold{self.fold}'}-member{self.member}"


PRETRAINING = TrainingJob(0, None, pretraining=True)


@dataclass(frozen=True)
class JobSetting:
    """What all jobs of a run share; ``start`` is the release whose CNN they start from, where there is one."""

    configuration: RunConfiguration
    banks: Path
    jobs: Path
    fold_of_subject: Mapping[str, int]
    device: str
    threads: int
    start: Release | None = None

    def folder(self, job: TrainingJob) -> Path:
        """Where a job's files lie."""
        return self.jobs / job.name


def open_banks(folder: Path) -> dict[str, SliceBank]:
    """Open every bank of a run that exists."""
    return {kind: SliceBank(folder / kind) for kind in BANK_KINDS if SliceBank.exists(folder / kind)}


def allowed_scans(banks: Mapping[str, SliceBank], kept_aside: set[str]) -> dict[str, AllowedScans]:
    """The scans of each bank whose patient is not kept aside; banks without any are left out."""
    allowed = {}
    for kind, bank in banks.items():
        scans = np.array(
            [index for index, subject in enumerate(bank.subjects) if subject not in kept_aside], dtype=np.int64
        )
        if len(scans):
            allowed[kind] = AllowedScans(bank, scans)
    return allowed


def _fingerprint(setting: JobSetting, job: TrainingJob, *, of_cnn: bool = False) -> str:
    """Tell the settings apart that a job depends on, or its CNN alone, which is kept when only the RNNs change."""
    described = asdict(setting.configuration)
    for unused in ("text", "members", "name", "version"):
        del described[unused]
    described["start"] = setting.start.weights_sha256 if setting.start else None
    del described["architecture"]["mirrored"]  # how a network is read, not how it is trained
    folds = sorted(setting.fold_of_subject.items())
    if of_cnn or job.pretraining:
        del described["sequence"], described["joint"]
        for name in _RNN_ARCHITECTURE:
            del described["architecture"][name]
    if job.pretraining:  # it sees phantoms alone, whatever follows
        described = {name: described[name] for name in _PRETRAINING_SETTINGS}
        folds = []
    content = json.dumps([described, job.name, folds], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _validation(
    banks: Mapping[str, SliceBank],
    kept_aside: set[str],
    configuration: RunConfiguration,
    seed: int,
    device: torch.device,
) -> tuple[set[str], Validate | None]:
    """Keep some training patients aside for early stopping, and tell their slices' loss."""
    share = configuration.optimization.validation_share
    if share <= 0 or "real" not in banks:
        return set(), None
    real = banks["real"]
    labels = {
        subject: np.nan_to_num(row).astype(int).tolist()
        for subject, row in zip(real.subjects, real.subject_labels, strict=True)
        if subject not in kept_aside
    }
    inner = grouped_folds(labels, min(len(labels), max(2, round(1 / share))), seed)
    chosen = {subject for subject, fold in inner.items() if fold == 0}
    scans = [index for index, subject in enumerate(real.subjects) if subject in chosen]

    def validate(network: CascadeNetwork) -> float:
        network.eval()
        losses = []
        for scan in scans:
            start, stop = real.ranges[scan]
            architecture = network.architecture
            shown = at_size(scan_volume(real, scan, architecture), architecture.input_size, architecture.windows)
            with torch.inference_mode():
                last_map = network.encoder(shown.to(device)).last_map
                logits = network.cnn_logits(pooled(last_map), network.location_logits(last_map)).cpu()
            labels_of_slices = torch.from_numpy(real.labels[start:stop])
            losses.append(float(label_loss(logits[:, :1], labels_of_slices[:, :1], torch.ones(1))))
        return float(np.mean(losses))

    return chosen, validate


def run_job(job: TrainingJob, setting: JobSetting, report: Report) -> None:
    """Train one member without the patients of its fold."""
    folder = setting.folder(job)
    configuration = setting.configuration
    if finished(job, setting):
        return
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(setting.device)
    torch.set_num_threads(setting.threads)
    banks = open_banks(setting.banks)
    if job.pretraining:
        banks = {"phantom": banks["phantom"]}
    kept_aside = {subject for subject, fold in setting.fold_of_subject.items() if fold == job.fold}
    seed = configuration.seed * 1000 + job.member * 10 + (9 if job.fold is None else job.fold)
    validation_subjects, validate = _validation(banks, kept_aside, configuration, seed, device)
    allowed = allowed_scans(banks, kept_aside | validation_subjects)
    phases = configuration.pretraining if job.pretraining else configuration.encoder_of_member(job.member)

    network = _starting_network(job, setting, seed).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedNetwork(network, configuration.optimization.average_decay)
    checkpoint = Checkpoint(folder / "checkpoint.pt", _fingerprint(setting, job, of_cnn=True))
    resumed = checkpoint.load(network, average)
    training = EncoderTraining(
        job.name, seed, network, average, phases, allowed, configuration, device, checkpoint, report, validate
    )
    curves = {"encoder": training.run(resumed)}
    trained = average.network
    if not job.pretraining:
        views = cached_features(trained, allowed, configuration, device, seed, job.name, report)
        curves["sequence"] = train_sequence(trained, views, configuration, seed, job.name, report)
        curves["joint"] = train_jointly(trained, allowed, configuration, device, seed, job.name, report)
    _write_member(folder, trained.cnn if job.pretraining else trained)
    (folder / "curve.json").write_text(json.dumps(curves), encoding="utf-8")
    (folder / "finished").write_text(_fingerprint(setting, job), encoding="utf-8")


def _starting_network(job: TrainingJob, setting: JobSetting, seed: int) -> CascadeNetwork:
    """A network of random weights, or the CNN of the release to start from or of the pretraining, with new sequence models."""
    configuration = setting.configuration
    seeded_generator(torch.device("cpu"), seed)
    network = CascadeNetwork(configuration.architecture)
    if setting.start:
        members = load_networks(setting.start)
        network.cnn.load_state_dict(members[job.member % len(members)].cnn.state_dict())
    elif configuration.pretraining and not job.pretraining:
        network.cnn.load_state_dict(load_file(setting.folder(PRETRAINING) / MEMBER_NAME))
    return network


def finished(job: TrainingJob, setting: JobSetting) -> bool:
    """Whether a job was finished under the same settings."""
    path = setting.folder(job) / "finished"
    return path.is_file() and path.read_text(encoding="utf-8") == _fingerprint(setting, job)


def _write_member(folder: Path, network: nn.Module) -> None:
    draft = folder / f"{MEMBER_NAME}.new"
    save_file({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}, draft)
    os.replace(draft, folder / MEMBER_NAME)


def trained_member(job: TrainingJob, setting: JobSetting) -> CascadeNetwork:
    """A finished job's network, in evaluation mode on the CPU."""
    network = CascadeNetwork(setting.configuration.architecture)
    network.load_state_dict(load_file(setting.folder(job) / MEMBER_NAME))
    return network.eval()
