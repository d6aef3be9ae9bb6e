"""From labelled scans to a release of weights: the whole of ``triage-node train``.

In: data sets and a run configuration. Out: a folder with the banks, one folder a job, learning curves, out-of-fold
predictions and a release. Every step that was finished is kept: a run that was cut off goes on where it stood.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file

from triage_node.cascade.weights import CONFIGURATION_NAME, Release
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.bank_building import build_banks
from triage_node.training.baselines import baseline_rows
from triage_node.training.configuration import RunConfiguration
from triage_node.training.cross_validation import grouped_folds
from triage_node.training.datasets import LabelledScan
from triage_node.training.encoder_training import Progress, Report
from triage_node.training.freed_memory import keep_freed_memory
from triage_node.training.job import (
    MEMBER_NAME,
    PRETRAINING,
    JobSetting,
    TrainingJob,
    finished,
    open_banks,
    run_job,
)
from triage_node.training.learning_curves import draw_learning_curves
from triage_node.training.orphans import end_with_parent
from triage_node.training.out_of_fold import (
    bleeding_patients,
    calibrations,
    collected,
    operating_points,
    out_of_fold_predictions,
)
from triage_node.training.output_folder import output_folder
from triage_node.training.predictions import write_predictions
from triage_node.training.release import release_description, write_trained_release
from triage_node.training.start import described_start, kept_in_run

OUT_OF_FOLD_NAME = "out_of_fold.csv"
CURVES_NAME = "learning_curves.png"


@dataclass(frozen=True)
class Machine:
    """What a run may use: ``device`` is ``cpu`` or ``cuda``; ``workers`` jobs run side by side, with ``threads`` threads each."""

    device: str = "cpu"
    workers: int = 1
    threads: int = 1

    @property
    def threads_alone(self) -> int:
        """Threads of a job that runs alone: those of all workers, but no more than there are cores, or they wait in turn."""
        return min(self.workers * self.threads, _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0))  # those that this process may use


class _ReportQueue(Protocol):
    def put(self, item: Progress) -> None: ...

    def get_nowait(self) -> Progress: ...


def detected_machine(workers: int | None) -> Machine:
    """Use a GPU alone where there is one; else one job on each of all but one core."""
    if torch.cuda.is_available():
        return Machine("cuda", 1, 4)
    cores = _cores()
    jobs = workers or max(1, cores - 1)
    return Machine("cpu", jobs, max(1, (cores - 1) // jobs) if workers else 1)


def folds_of(scans: Sequence[LabelledScan], configuration: RunConfiguration) -> dict[str, int]:
    """Deal the patients to folds by all of their scans' labels, unknown counting as absent; folds that the data give are kept.

    Raises
    ------
    ConfigurationRejected
        There are fewer patients than folds, or the data give another number of folds or give them to some scans only.
    """
    given = {scan.subject: scan.fold for scan in scans}
    names = sorted({fold for fold in given.values() if fold is not None})
    if names:
        if None in given.values() or len(names) != configuration.folds:
            raise ConfigurationRejected(
                f"the data give the folds {', '.join(names)}{' to some patients only' if None in given.values() else ''} and "
                f"the configuration asks for {configuration.folds}; give every patient one of as many folds, or none any"
            )
        return {subject: names.index(str(fold)) for subject, fold in given.items()}
    if len(given) < configuration.folds:
        raise ConfigurationRejected(
            f"{len(given)} patients cannot be dealt to {configuration.folds} folds; lower 'folds' or bring more patients"
        )
    labels: dict[str, list[int]] = {}
    for scan in scans:
        present = (np.nan_to_num(scan.labels) == 1).astype(int)
        labels[scan.subject] = np.maximum(labels.get(scan.subject, present), present).tolist()
    return grouped_folds(labels, configuration.folds, configuration.seed)


def _refuse_one_sided(scans: Sequence[LabelledScan], fold_of_subject: Mapping[str, int]) -> None:
    """Refuse folds without which only one class is left to learn from.

    Raises
    ------
    ConfigurationRejected
        There are; the message names the fold.
    """
    for fold in sorted(set(fold_of_subject.values())):
        left = [scan.labels[0] for scan in scans if fold_of_subject[scan.subject] != fold]
        for wanted, name in ((1, "with"), (0, "without")):
            if wanted not in left:
                raise ConfigurationRejected(
                    f"without the patients of fold {fold} no scan {name} blood is left to train on; "
                    f"bring patients {name} blood, at least two"
                )


def _report_to(reports: _ReportQueue, every: int, reported: Progress) -> None:
    if reported.step % every == 0 or reported.step == reported.steps:
        reports.put(reported)


def _run_elsewhere(job: TrainingJob, setting: JobSetting, reports: _ReportQueue) -> None:
    keep_freed_memory()
    run_job(job, setting, partial(_report_to, reports, 5))


def run_jobs(
    jobs: Sequence[TrainingJob],
    setting: JobSetting,
    workers: int,
    report: Report,
    after_each: Callable[[], None] = lambda: None,
) -> None:
    """Run what is not finished, side by side where there are several workers; one that fails keeps the rest from starting."""
    due = [job for job in jobs if not finished(job, setting)]
    if workers <= 1 or len(due) <= 1:
        for job in due:
            run_job(job, setting, report)
            after_each()
        return
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(end_with_parent)
    with manager, ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        reports: Any = manager.Queue()
        waiting = {pool.submit(_run_elsewhere, job, setting, reports) for job in due}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
            if any(each.exception() for each in done):
                pool.shutdown(wait=False, cancel_futures=True)
            for each in done:
                each.result()
            _drain(reports, report)
            if done:
                after_each()


def _drain(reports: _ReportQueue, report: Report) -> None:
    while True:
        try:
            report(reports.get_nowait())
        except queue.Empty:
            return


def run(
    scans: Sequence[LabelledScan],
    configuration: RunConfiguration,
    out: Path,
    machine: Machine,
    report: Report,
    *,
    sources: Mapping[str, Any],
    banks: Path | None = None,
    start: Release | None = None,
) -> Path:
    """Train, cross-validate, calibrate and write a release.

    Parameters
    ----------
    scans
        Labelled scans of every data set.
    configuration, machine
        How, and on what.
    out
        The run's folder.
    report
        Told of every step.
    sources
        Described in the manifest: data sets with licence and citation.
    banks
        Where scans on the grid are kept; ``out/banks`` where None.
    start
        The release that ``configuration.start`` names, as ``start.starting_release`` gives it; the phases of the pretraining are
        left out then.

    Returns
    -------
    The release folder.

    Raises
    ------
    ConfigurationRejected
        The scans cannot be trained on or dealt to folds, and nothing is written; or the training diverged, and there is no
        release.
    DatasetRejected
        A scan cannot be read.
    """
    if not any(scan.labels[0] == 1 for scan in scans) or not any(scan.labels[0] == 0 for scan in scans):
        raise ConfigurationRejected("training needs scans with blood and scans without; check the label files")
    fold_of_subject = folds_of(scans, configuration)
    _refuse_one_sided(scans, fold_of_subject)
    if bool(start) != bool(configuration.start):
        raise ValueError("start is the release that the configuration's start names")
    started = time.monotonic()
    bank_folder = banks or out / "banks"
    with output_folder(out), output_folder(bank_folder):
        build_banks(scans, configuration, bank_folder, machine.workers * machine.threads, report)
        kept = kept_in_run(start, out)
    (out / CONFIGURATION_NAME).write_text(configuration.text, encoding="utf-8")
    setting = JobSetting(
        configuration, bank_folder, out / "jobs", fold_of_subject, machine.device, machine.threads, kept
    )
    sides: list[int | None] = [*range(configuration.folds), None]
    jobs = [TrainingJob(member, fold) for member in range(configuration.members) for fold in sides]
    first = [PRETRAINING] if configuration.pretraining and not kept else []

    def tell() -> None:
        """Say how far the run is; refuse a job that ended in NaN before others spend hours on the same settings."""
        done = [job for job in (*first, *jobs) if finished(job, setting)]
        report(Progress("run", "jobs", len(done), len(first) + len(jobs), float("nan")))
        draw_learning_curves({job.name: setting.folder(job) / "curve.json" for job in done}, out / CURVES_NAME)
        for job in done:
            _refuse_diverged(job, setting)

    tell()
    run_jobs(first, replace(setting, threads=machine.threads_alone), 1, report, tell)
    run_jobs(jobs, setting, machine.workers, report, tell)
    return finish(jobs, setting, out, sources, time.monotonic() - started)


def _refuse_diverged(job: TrainingJob, setting: JobSetting) -> None:
    path = setting.folder(job) / MEMBER_NAME
    broken = [name for name, value in load_file(path).items() if not value.isfinite().all()]
    if broken:
        raise ConfigurationRejected(
            f"{path} holds NaN or infinity in {broken[0]}: the training diverged; "
            "lower the learning rates of the configuration, then go on with --resume"
        )


def finish(
    jobs: Sequence[TrainingJob], setting: JobSetting, out: Path, sources: Mapping[str, Any], elapsed_s: float
) -> Path:
    """Collect what finished jobs say out of fold, and write predictions and release."""
    real = open_banks(setting.banks)["real"]
    found = collected(real, jobs, setting)
    fitted = calibrations(found)
    predicted = out_of_fold_predictions(setting.configuration.name, found, fitted)
    write_predictions(out / OUT_OF_FOLD_NAME, predicted)
    points = operating_points(predicted)
    (out / "operating_points.json").write_text(json.dumps(points, indent=1), encoding="utf-8")
    training = {
        "configuration": {key: value for key, value in asdict(setting.configuration).items() if key != "text"},
        "sources": dict(sources),
        "subjects": len({real.subjects[scan] for scan in found.scans}),
        "subjects_with_blood": bleeding_patients(predicted),
        "elapsed_minutes": round(elapsed_s / 60, 1),
    }
    if setting.start:
        training["started_from"] = described_start(setting.start)
    description = release_description(setting.configuration, predicted, baseline_rows(found), fitted, points, training)
    return write_trained_release(out / "release", [job for job in jobs if job.fold is None], setting, description)
