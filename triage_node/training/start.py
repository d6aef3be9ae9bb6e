"""The release that a training starts from: its CNN takes the place of the pretraining.

In: a release folder, the network wanted, and the data to train on. Out: the release, once nothing speaks against it, as a copy in
the run's folder. A hospital with few patients of its own gets on with what the shipped weights have learned.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triage_node.cascade.network import Architecture
from triage_node.cascade.weights import MANIFEST_NAME, Release, load_networks, read_release
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.datasets import DatasetRejected, LabelledDataset
from triage_node.training.release_reading import trained_on

START_FOLDER = "start"
"""Of a run: the release that it started from."""
_OF_CNN = ("backbone", "third_window", "neighbours")
"""What two networks have in common where one can take over the other's CNN; its input may have another size."""


def starting_release(folder: Path, wanted: Architecture) -> Release:
    """Check that a network may start from a release.

    Raises
    ------
    WeightsRejected
        The release is broken.
    ConfigurationRejected
        Its CNN has other layers or another input than the configuration asks for.
    """
    release = read_release(folder)
    load_networks(release)
    for name in _OF_CNN:
        own, asked = (json.dumps(getattr(each, name)) for each in (release.architecture, wanted))
        if own != asked:
            raise ConfigurationRejected(
                f"{folder} has {name} = {own} and the configuration asks for {asked}; write {name} = {own} under "
                "[architecture], or start from another release"
            )
    return release


def refuse_its_patients(release: Release, datasets: Sequence[LabelledDataset]) -> None:
    """Refuse to train on patients that the release was trained on: no fold would be of unseen ones.

    Raises
    ------
    DatasetRejected
        It was trained on some of these patients, or does not say on whom.
    """
    training = release.manifest.get("training", {})
    remedy = "Start from another release, or train by a configuration with a pretraining of its own, such as ct_ich"
    if not training.get("sources"):
        raise DatasetRejected(release.folder / MANIFEST_NAME, "it does not say whose patients were trained on", remedy)
    for dataset in datasets:
        subjects = list(dict.fromkeys(scan.subject for scan in dataset.scans))
        found = trained_on(training, dataset.source, subjects)
        if found.subjects or found.source_named_without_subjects:
            some = (
                f"{len(found.subjects)} of these {len(subjects)} patients (for example {', '.join(found.subjects[:3])})"
            )
            problem = f"{release.name} was trained on {some if found.subjects else dataset.source}, whom no fold could keep aside"
            raise DatasetRejected(release.folder / MANIFEST_NAME, problem, remedy)


def kept_in_run(release: Release | None, out: Path) -> Release | None:
    """Copy the release into the run's folder, where every job and every resumed run finds the same.

    Raises
    ------
    ConfigurationRejected
        The run was started from another release than this.
    """
    folder = out / START_FOLDER
    if folder.is_dir():
        kept = read_release(folder)
        if release is None or release.weights_sha256 != kept.weights_sha256:
            raise ConfigurationRejected(
                f"{out} was started from {kept.name} {kept.version} with the SHA-256 {kept.weights_sha256}; go on with "
                f"--start {folder}, or give another --out"
            )
        return kept
    if release is None:
        return None
    draft = folder.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(release.folder, draft)
    os.replace(draft, folder)
    return read_release(folder)


def described_start(release: Release) -> dict[str, Any]:
    """Say in a manifest where the training started, and what it had learned there from whom."""
    training = release.manifest.get("training", {})
    learned = {name: training[name] for name in ("sources", "started_from") if name in training}
    configuration = training.get("configuration", {})
    learned["configuration"] = {name: configuration[name] for name in ("labels", "made_up") if name in configuration}
    return {
        "name": release.name,
        "version": release.version,
        "weights_sha256": release.weights_sha256,
        "training": learned,
    }
