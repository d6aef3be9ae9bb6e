"""One file that says how a run trains; it is stored beside the weights that came out of it.

In: a TOML file. Out: ``RunConfiguration``, checked. A key that nobody reads is refused, since a misspelt setting that
is silently ignored is found only after the training.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from triage_node.cascade.network import Architecture
from triage_node.cascade.preprocessing import INPUT_SIZE
from triage_node.core.errors import ConfigurationRejected
from triage_node.training.augmentation import Augmentation

LABEL_SETTINGS = ("sub", "sli")
"""Sub-Lab trains on subject labels alone, Sli-Lab on subject and slice labels (Ye et al. 2019, "Model training")."""
Section = TypeVar("Section")
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Size = Annotated[int, Field(ge=32, le=INPUT_SIZE, multiple_of=16)]
"""Rows and columns; the last map has a cell for 16 of them."""


@dataclass(frozen=True)
class MadeUp:
    """Made-up scans: how many heads get blood pasted how often, and how many phantoms there are.

    ``pasted_least_rise_hu`` is by how much pasted blood must stand out from what was there before for its slice to be labelled
    as showing it (``made_up.faint_slices``), HU; 0 labels every slice.
    """

    pasted_per_head: Whole = 16
    pasted_least_rise_hu: NotNegative = 6.0
    phantoms: Whole = 240
    phantom_size: Annotated[int, Field(ge=64, le=1024)] = 384
    seed: Whole = 1


@dataclass(frozen=True)
class EncoderPhase:
    """One phase of training the CNN on slices mixed from many scans.

    Attributes
    ----------
    steps, batch, size, learning_rate
        ``size`` is the rows and columns that slices are trained at.
    pasted, phantom
        Shares of a batch; the rest are real slices.
    positive_draws
        How much more often a real slice with blood is drawn than one without.
    """

    steps: Count
    batch: Count = 48
    size: Size = 192
    learning_rate: NotNegative = 2e-3
    pasted: Share = 0.5
    phantom: Share = 0.0
    positive_draws: Positive = 3.0

    def __post_init__(self) -> None:
        if self.pasted + self.phantom > 1:
            raise ValueError(
                f"pasted and phantom are shares of one batch and must not exceed 1, not {self.pasted + self.phantom:g}"
            )


@dataclass(frozen=True)
class SequencePhase:
    """Training both RNNs on cached features: augmented views of every scan, then optimizer steps.

    Attributes
    ----------
    steps, scans, learning_rate
        How long, and scans in a batch.
    views
        Of every real scan.
    made_up_scans
        How many scans of each made-up kind are seen at most, one view each.
    made_up_share
        Of a batch.
    """

    steps: Whole = 600
    scans: Count = 24
    views: Count = 4
    made_up_scans: Whole = 500
    learning_rate: NotNegative = 1e-3
    made_up_share: Share = 0.5


@dataclass(frozen=True)
class JointPhase:
    """End-to-end training of encoder and RNNs on whole scans, batch norm frozen; the only phase that needs no slice label."""

    steps: Whole = 0
    scans: Count = 3
    size: Size = 192
    learning_rate: NotNegative = 1e-4


@dataclass(frozen=True)
class Optimization:
    """What all phases share."""

    weight_decay: NotNegative = 0.05
    clip_norm: Positive = 2.0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    warm_up_steps: Whole = 60
    location_weight: NotNegative = 1.0
    checkpoint_every_steps: Count = 200
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the training patients kept aside for early stopping, of the network on all patients too; 0 trains every phase
    to its end."""
    patience: Count = 3
    mixed_precision: bool = True


@dataclass(frozen=True)
class RunConfiguration:
    """All of a run's settings but the data's place on this machine."""

    name: str
    version: str = "1"
    labels: str = "sli"
    seed: Whole = 1
    folds: Annotated[int, Field(ge=2)] = 5
    members: Count = 3
    pasted_of_member: tuple[Share, ...] = ()
    """Share of pasted slices for each member in turn, over the phases' own: members that differ err differently."""
    start: str = ""
    """A release, a name in the weights folder or a folder, whose CNN every job starts from in place of the pretraining."""
    architecture: Architecture = field(default_factory=Architecture)
    made_up: MadeUp = field(default_factory=MadeUp)
    pretraining: tuple[EncoderPhase, ...] = ()
    """Phases on phantoms alone; they see no patient, so every job starts from the same result. Left out with a start."""
    encoder: tuple[EncoderPhase, ...] = ()
    sequence: SequencePhase = field(default_factory=SequencePhase)
    joint: JointPhase = field(default_factory=JointPhase)
    optimization: Optimization = field(default_factory=Optimization)
    augmentation: Augmentation = field(default_factory=Augmentation)
    text: str = ""
    """The file as it was written, to be stored with the weights."""

    def encoder_of_member(self, member: int) -> tuple[EncoderPhase, ...]:
        """The encoder phases with a member's own share of pasted slices."""
        if not self.pasted_of_member:
            return self.encoder
        share = self.pasted_of_member[member % len(self.pasted_of_member)]
        return tuple(replace(phase, pasted=share) for phase in self.encoder)

    def __post_init__(self) -> None:
        if self.labels not in LABEL_SETTINGS:
            raise ConfigurationRejected(f"labels must be one of {LABEL_SETTINGS}, not {self.labels!r}")


def _section(kind: type[Section], described: Any, where: str) -> Section:
    if not isinstance(described, dict):
        raise ConfigurationRejected(f"{where} must be a table")
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(described) - known)
    if unknown:
        raise ConfigurationRejected(
            f"{where} has the unknown key {unknown[0]!r}; it may have {', '.join(sorted(known))}"
        )
    try:
        return TypeAdapter(kind).validate_python(described)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        given = f" (given: {first['input']!r})" if first["type"] != "missing" and key else ""
        raise ConfigurationRejected(
            f"{where}: {f'{key}: ' if key else ''}{first['msg'].removeprefix('Value error, ')}{given}"
        ) from error


def read_configuration(path: Path) -> RunConfiguration:
    """Read and check a run's TOML file.

    Raises
    ------
    ConfigurationRejected
        The file cannot be read, a key is unknown, or a value is out of range; the message names the table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        described = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationRejected(f"{path} cannot be read as TOML: {error}") from error
    sections: dict[str, Any] = {
        "architecture": Architecture,
        "made_up": MadeUp,
        "sequence": SequencePhase,
        "joint": JointPhase,
        "optimization": Optimization,
        "augmentation": Augmentation,
    }
    for name, kind in sections.items():
        if name in described:
            described[name] = _section(kind, described[name], f"{path}: [{name}]")
    for name in ("pretraining", "encoder"):
        phases = described.get(name, [])
        if not isinstance(phases, list):
            raise ConfigurationRejected(f"{path}: {name} must be a list of tables, each under its own [[{name}]]")
        described[name] = tuple(_section(EncoderPhase, each, f"{path}: [[{name}]]") for each in phases)
    if "text" in described:
        raise ConfigurationRejected(f"{path} has the unknown key 'text'")
    return _section(RunConfiguration, {**described, "text": text}, str(path))
