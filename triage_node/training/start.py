"""The release that a training starts from: its CNN takes the place of the pretraining.

In: a release folder, the network wanted, and the data to train on. Out: the release, once nothing speaks against it. A hospital
with few patients of its own gets on with what the shipped weights have learned in hours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triage_node.cascade.network import Architecture
from triage_node.cascade.weights import MANIFEST_NAME, Release, load_networks, read_release
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.datasets import DatasetRejected, LabelledDataset
from triage_node.training.release_reading import trained_on

_OF_CNN = ("backbone", "third_window", "neighbours")
"""What two networks have in common where one can take over the other's CNN; its input may have another size."""


def starting_release(folder: Path, wanted: Architecture, datasets: Sequence[LabelledDataset]) -> Release:
    """Check that a training may start from a release.

    Raises
    ------
    WeightsRejected
        The release is broken.
    ConfigurationRejected
        Its CNN has other layers or another input than the configuration asks for.
    DatasetRejected
        It was trained on some of these patients, or does not say on whom: no fold would be of unseen patients.
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
    for dataset in datasets:
        subjects = list(dict.fromkeys(scan.subject for scan in dataset.scans))
        found = trained_on(release.manifest.get("training", {}), dataset.source, subjects)
        if found.subjects or found.source_named_without_subjects:
            whom = f"{len(found.subjects)} of these {len(subjects)} patients" if found.subjects else dataset.source
            raise DatasetRejected(
                folder / MANIFEST_NAME,
                f"{release.name} was trained on {whom}, which no fold could keep aside",
                "Train without --start and without 'start' in the configuration, or on other patients",
            )
    return release


def described_start(release: Release) -> dict[str, Any]:
    """Say in a manifest where the training started, and whose data had been trained on there."""
    training = release.manifest.get("training", {})
    return {
        "name": release.name,
        "version": release.version,
        "weights_sha256": release.weights_sha256,
        "training": {name: training[name] for name in ("sources", "started_from") if name in training},
    }
