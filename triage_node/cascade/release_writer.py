"""Write a release folder: the last step of training, and the one way a manifest comes into being.

In: trained networks, calibrations and measured operating points. Out: ``model_weights/<release>/`` as
``weights.read_release`` accepts it, with the reference output of the self-test. The folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from triage_node.cascade.calibration import Calibration
from triage_node.cascade.network import CLASS_ORDER, CascadeNetwork
from triage_node.cascade.runner import Cascade
from triage_node.cascade.self_test import write_reference_output
from triage_node.cascade.weights import (
    FORMAT_VERSION,
    HEADS,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    OPERATING_POINTS_NAME,
    combined_sha256,
    expected_input,
    file_sha256,
)
from triage_node.core.finding import SUBTYPES


@dataclass(frozen=True)
class ReleaseDescription:
    """What a manifest says beside the tensors.

    Attributes
    ----------
    name, version
        ``name`` is also the folder's.
    calibrations
        One for each of ``weights.HEADS``.
    trained_prevalence
        Share of subjects with blood in the calibration data.
    operating_points
        By name: ``threshold``, ``slice_threshold``, ``subtype_thresholds`` and ``measured``.
    training
        Data sources with licence and citation, seeds, settings; written as it is.
    model_card
        Markdown.
    """

    name: str
    version: str
    calibrations: Mapping[str, Calibration]
    trained_prevalence: float
    operating_points: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, Any]
    model_card: str


def uncalibrated() -> dict[str, Calibration]:
    """Leave every head as it is."""
    return {head: Calibration() for head in HEADS}


def paper_operating_point() -> dict[str, Any]:
    """The paper's threshold for every output: 0.5, without measurements."""
    return {
        "threshold": 0.5,
        "slice_threshold": 0.5,
        "subtype_thresholds": dict.fromkeys(SUBTYPES, 0.5),
        "measured": {},
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_release(
    model_weights: Path, networks: Sequence[CascadeNetwork], description: ReleaseDescription, *, half: bool = False
) -> Path:
    """Write a release and check it by loading it.

    Parameters
    ----------
    model_weights
        The folder of releases.
    networks
        The ensemble's members, of one architecture.
    description
        The rest of the manifest.
    half
        Store floats in 16 bits; they are computed in 32.

    Returns
    -------
    The release folder; one of the same name is replaced.
    """
    folder = model_weights / description.name
    draft = model_weights / f".{description.name}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _fill(draft, networks, description, half)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fill(draft: Path, networks: Sequence[CascadeNetwork], description: ReleaseDescription, half: bool) -> None:
    """Write every file of a release, the reference output last, since the release is loaded to compute it."""
    members = []
    for number, network in enumerate(networks, start=1):
        path = draft / f"member_{number}.safetensors"
        save_file(_tensors(network, half), path)
        members.append((path.name, file_sha256(path)))
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": description.name,
        "version": description.version,
        "use": "research use only, not for diagnostic use",
        "architecture": networks[0].architecture.as_mapping(),
        "class_order": list(CLASS_ORDER),
        "input": expected_input(networks[0].architecture),
        "files": dict(members),
        "calibration": {head: asdict(description.calibrations[head]) for head in HEADS},
        "trained_prevalence": description.trained_prevalence,
        "training": dict(description.training),
    }
    points = {"weights_sha256": combined_sha256(tuple(members)), "points": dict(description.operating_points)}
    _write_json(draft / MANIFEST_NAME, manifest)
    _write_json(draft / OPERATING_POINTS_NAME, points)
    (draft / MODEL_CARD_NAME).write_text(description.model_card, encoding="utf-8")
    write_reference_output(Cascade.load(draft, device="cpu", operating_point=next(iter(description.operating_points))))


def _tensors(network: CascadeNetwork, half: bool) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {
        name: (value.half() if half and value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in state.items()
    }
