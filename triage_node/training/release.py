"""The release that a run ends in: manifest, operating points and a model card with the measured figures.

In: finished jobs, calibrations and out-of-fold figures. Out: a folder for ``model_weights/``, the run's configuration file
with it. The card states what was measured, on how many, and with which interval; it contains nothing that the run did not
compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triage_node.cascade.calibration import Calibration
from triage_node.cascade.release_writer import ReleaseDescription, write_release
from triage_node.cascade.weights import CONFIGURATION_NAME
from triage_node.training.baselines import BaselineRow
from triage_node.training.configuration import RunConfiguration
from triage_node.training.job import JobSetting, TrainingJob, trained_member
from triage_node.training.model_card import model_card
from triage_node.training.predictions import Predictions


def release_description(
    configuration: RunConfiguration,
    predicted: Predictions,
    rows: Sequence[BaselineRow],
    fitted: Mapping[str, Calibration],
    points: Mapping[str, Mapping[str, Any]],
    training: Mapping[str, Any],
) -> ReleaseDescription:
    """Describe a release from what was measured out of fold."""
    prevalence = float(np.nanmean(predicted.labels[:, 0]))
    return ReleaseDescription(
        name=configuration.name,
        version=configuration.version,
        calibrations=fitted,
        trained_prevalence=prevalence,
        operating_points=points,
        training=training,
        model_card=model_card(configuration, predicted, rows, points, training),
    )


def write_trained_release(
    model_weights: Path, jobs: Sequence[TrainingJob], setting: JobSetting, description: ReleaseDescription
) -> Path:
    """Write the release of the members that were trained on all patients, in 16-bit floats, beside what they were trained by."""
    networks = [trained_member(job, setting) for job in jobs]
    release = write_release(model_weights, networks, description, half=True)
    if setting.configuration.text:
        (release / CONFIGURATION_NAME).write_text(setting.configuration.text, encoding="utf-8")
    return release
