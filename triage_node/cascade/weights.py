"""Releases of weights: what lies in ``model_weights/<release>/`` and the checks before any of it is used.

In: a release folder. Out: networks ready to read, or ``WeightsRejected`` that says which file is wrong and what to do.
Only safetensors are read and nothing is ever unpickled. ``model_weights/active`` is a text file that names the release
in use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from triage_node.cascade.active_release import ACTIVE_NAME, active_names
from triage_node.cascade.calibration import Calibration
from triage_node.cascade.network import CLASS_ORDER, Architecture, CascadeNetwork
from triage_node.cascade.preprocessing import CANVAS_SIZE, INPUT_SIZE, NOMINAL_SPACING_MM
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
OPERATING_POINTS_NAME = "operating_points.json"
REFERENCE_OUTPUT_NAME = "reference_output.json"
MODEL_CARD_NAME = "model_card.md"
CONFIGURATION_NAME = "configuration.toml"
"""The run that a release came out of, as `triage-node train` takes it; the node never reads it."""
_LONGEST_COMPLAINT = 200
HEADS = ("subject", "slice", *SUBTYPES)
"""Heads that carry a calibration: stage one's two, then stage two's five at subject level."""
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a JSON of another shape raises."""


class WeightsRejected(ConfigurationRejected):
    """A release must not be used; the message names the file, what is wrong with it and what to do."""


def expected_input(architecture: Architecture) -> dict[str, Any]:
    """Describe the input that this version of the node makes for a network, as a manifest states it."""
    windows = [[window.center_hu, window.width_hu] for window in architecture.windows]
    return {
        "windows_center_width_hu": windows,
        **({"neighbours_center_width_hu": windows[:1] * 2} if architecture.neighbours else {}),
        "canvas_size": CANVAS_SIZE,
        "size": INPUT_SIZE,
        "crop": "square around the cranium",
        "nominal_spacing_mm": NOMINAL_SPACING_MM,
    }


@dataclass(frozen=True)
class OperatingPoint:
    """A named threshold on calibrated probabilities, frozen with the weights.

    Attributes
    ----------
    name
        ``paper``, ``balanced``, ``high_sensitivity``.
    threshold, slice_threshold
        Stage one, subject and slice, 0 to 1.
    subtype_thresholds
        Stage two, 0 to 1, in the order of ``SUBTYPES``.
    measured
        Sensitivity and specificity with their 95 % intervals and counts, as they were measured out of fold.
    """

    name: str
    threshold: float
    slice_threshold: float
    subtype_thresholds: Mapping[str, float]
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class Release:
    """A checked release.

    Attributes
    ----------
    folder, name, version
        Where it lies and what it calls itself.
    architecture
        Of every member of the ensemble.
    members
        Weights files, each with its SHA-256.
    weights_sha256
        One hash over all members; operating points are tied to it.
    calibrations
        One for each of ``HEADS``.
    trained_prevalence
        Share of subjects with blood that probabilities are calibrated at.
    operating_points
        By name.
    manifest
        All of it, for showing.
    """

    folder: Path
    name: str
    version: str
    architecture: Architecture
    members: tuple[tuple[str, str], ...]
    weights_sha256: str
    calibrations: Mapping[str, Calibration]
    trained_prevalence: float
    operating_points: Mapping[str, OperatingPoint]
    manifest: Mapping[str, Any]

    def operating_point(self, name: str) -> OperatingPoint:
        """Return a named operating point."""
        if name not in self.operating_points:
            raise WeightsRejected(
                f"{self.folder / OPERATING_POINTS_NAME} has no operating point {name!r}; "
                f"choose one of {', '.join(self.operating_points)}"
            )
        return self.operating_points[name]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_sha256(members: tuple[tuple[str, str], ...]) -> str:
    """One hash over the members' names and hashes, in the ensemble's order."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in members).encode()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsRejected(f"{path} is missing; add the release again with `triage-node weights add`") from None
    except (OSError, ValueError) as error:
        raise WeightsRejected(f"{path} cannot be read as JSON ({error}); restore it from the release") from error
    if not isinstance(loaded, dict):
        raise WeightsRejected(f"{path} holds no JSON object; restore it from the release")
    return loaded


def _checked_members(folder: Path, manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    members = []
    for name, expected in manifest["files"].items():
        path = folder / name
        if Path(name).name != name or path.suffix != ".safetensors":
            raise WeightsRejected(
                f"{folder / MANIFEST_NAME} names {name!r}; weights are .safetensors in the release folder"
            )
        if not path.is_file():
            raise WeightsRejected(f"{path} is missing; expected SHA-256 {expected}; add the release again")
        found = file_sha256(path)
        if found != expected:
            raise WeightsRejected(
                f"{path} is not what the manifest describes: expected SHA-256 {expected}, found {found}; "
                "restore the file from its release, or activate another release"
            )
        members.append((name, found))
    if not members:
        raise WeightsRejected(f"{folder / MANIFEST_NAME} names no weights file")
    return tuple(members)


def _operating_points(folder: Path, weights_sha256: str) -> dict[str, OperatingPoint]:
    path = folder / OPERATING_POINTS_NAME
    described = _json(path)
    if described.get("weights_sha256") != weights_sha256:
        raise WeightsRejected(
            f"{path} was measured for other weights: expected SHA-256 {weights_sha256}, found "
            f"{described.get('weights_sha256')}; evaluate these weights and write their operating points"
        )
    try:
        return {name: _operating_point(path, name, point) for name, point in described["points"].items()}
    except _MALFORMED as error:
        raise WeightsRejected(f"{path} is incomplete or malformed ({error!r}); restore it from the release") from error


def _operating_point(path: Path, name: str, point: Mapping[str, Any]) -> OperatingPoint:
    thresholds = {kind: float(point["subtype_thresholds"][kind]) for kind in SUBTYPES}
    values = (float(point["threshold"]), float(point["slice_threshold"]), *thresholds.values())
    if not all(0.0 <= value <= 1.0 for value in values):
        raise WeightsRejected(f"{path}: operating point {name!r} has a threshold outside 0 to 1; measure it again")
    return OperatingPoint(name, values[0], values[1], thresholds, dict(point.get("measured", {})))


def read_release(folder: Path) -> Release:
    """Check a release folder without loading its tensors.

    Raises
    ------
    WeightsRejected
        A file is missing, changed, of another format, class order or input, or was measured for other weights.
    """
    path = folder / MANIFEST_NAME
    manifest = _json(path)
    try:
        if manifest["format_version"] != FORMAT_VERSION:
            raise WeightsRejected(
                f"{path} has format {manifest['format_version']}; this version reads {FORMAT_VERSION}"
            )
        if tuple(manifest["class_order"]) != CLASS_ORDER:
            raise WeightsRejected(
                f"{path} has the class order {manifest['class_order']}, this version needs {list(CLASS_ORDER)}; "
                "use a release made for this version"
            )
        architecture = Architecture.from_mapping(manifest["architecture"])
        if manifest["input"] != expected_input(architecture):
            raise WeightsRejected(
                f"{path} was trained on the input {manifest['input']}, this version makes {expected_input(architecture)}; "
                "use a release made for this version"
            )
        members = _checked_members(folder, manifest)
        weights_sha256 = combined_sha256(members)
        return Release(
            folder=folder,
            name=str(manifest["name"]),
            version=str(manifest["version"]),
            architecture=architecture,
            members=members,
            weights_sha256=weights_sha256,
            calibrations={head: Calibration(**manifest["calibration"][head]) for head in HEADS},
            trained_prevalence=float(manifest["trained_prevalence"]),
            operating_points=_operating_points(folder, weights_sha256),
            manifest=manifest,
        )
    except _MALFORMED as error:
        raise WeightsRejected(f"{path} is incomplete or malformed ({error!r}); restore it from the release") from error


def _first_misfit(error: Exception) -> str:
    """Tell the first of torch's complaints, which fill a screen where most tensors differ."""
    complaints = [line.strip() for line in str(error).splitlines()]
    shown = complaints[min(1, len(complaints) - 1)].rstrip(".")  # the first line only names the class
    shown = shown if len(shown) <= _LONGEST_COMPLAINT else f"{shown[:_LONGEST_COMPLAINT]} ..."
    return shown if len(complaints) <= 2 else f"{shown}; and {len(complaints) - 2} more complaints"


def load_networks(release: Release) -> list[CascadeNetwork]:
    """Load every member of a checked release, in evaluation mode on the CPU.

    Raises
    ------
    WeightsRejected
        A file is no safetensors file, holds NaN or infinity, or belongs to another architecture.
    """
    networks = []
    for name, _ in release.members:
        path = release.folder / name
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsRejected(f"{path} is not a readable safetensors file ({error}); restore it") from error
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
        broken = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
        if broken:
            raise WeightsRejected(f"{path} holds NaN or infinity in {broken[0]}; train or fetch the weights again")
        try:
            network = CascadeNetwork(release.architecture)
            network.load_state_dict(tensors)
        except (RuntimeError, ValueError) as error:
            raise WeightsRejected(
                f"{path} does not fit the architecture {release.architecture.as_mapping()} that its manifest states "
                f"({_first_misfit(error)}); restore weights and manifest together from one release"
            ) from error
        networks.append(network.eval())
    return networks


def active_release_folder(model_weights: Path) -> Path:
    """Return the folder of the release that ``model_weights/active`` names."""
    path = model_weights / ACTIVE_NAME
    try:
        name = active_names(model_weights)[0]
    except (OSError, UnicodeDecodeError, IndexError):
        raise WeightsRejected(f"{path} names no release; run `triage-node weights activate NAME`") from None
    if Path(name).name != name or not (model_weights / name).is_dir():
        raise WeightsRejected(f"{path} names {name!r}, which is no release here; run `triage-node weights list`")
    return model_weights / name


def release_folder(named: str, *model_weights: Path) -> Path:
    """Return the folder of a release that a user names: the first of these folders that has it, or a folder of its own.

    Raises
    ------
    WeightsRejected
        There is none.
    """
    for folder in (*(home / named for home in model_weights), Path(named)):
        if (folder / MANIFEST_NAME).is_file():
            return folder
    known = sorted({name for home in model_weights for name in release_names(home)})
    raise WeightsRejected(
        f"no release {named!r}: it is no folder with a {MANIFEST_NAME}, and the releases here are {', '.join(known) or 'none'}"
    )


def release_names(model_weights: Path) -> list[str]:
    """Name every folder with a manifest, sorted; one that begins with a dot is the rest of a copy that was cut off."""
    found = (each.parent.name for each in model_weights.glob(f"*/{MANIFEST_NAME}"))
    return sorted(name for name in found if not name.startswith("."))
