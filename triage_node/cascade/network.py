"""One member of the cascade: a slice encoder shared by both stages, and one sequence model for each stage.

In: windowed slices. Out: per slice an encoding, per scan the logits of stage one (any blood) and stage two (its kinds).
The CNN runs once; stage two is a second RNN over the same features and is run only where stage one is positive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from triage_node.cascade.preprocessing import INPUT_SIZE
from triage_node.cascade.sequence_model import RECURRENCES, SUBJECT_HEADS, SequenceLogits, SequenceModel
from triage_node.cascade.slice_encoder import BACKBONES, SliceEncoder
from triage_node.core.finding import SUBTYPES
from triage_node.core.hounsfield import THIRD_WINDOWS, Window, network_windows

CLASS_ORDER = ("any", *SUBTYPES)
"""The CNN's outputs in their order: stage one reads the first, stage two the other five."""


@dataclass(frozen=True)
class Architecture:
    """Which network a weights file belongs to; stored in the manifest.

    Attributes
    ----------
    backbone
        A name in ``slice_encoder.BACKBONES``.
    input_size
        Rows and columns that slices on the 256 x 256 grid are brought to before the CNN; 256 leaves them.
    mirrored
        Whether a scan is read a second time as its left-right mirror image, and the logits averaged: blood knows no
        side.
    third_window
        A name in ``core.hounsfield.THIRD_WINDOWS``; the first two show brain and blood.
    neighbours
        Whether the CNN is shown the slices below and above through the first window too: blood goes on there, and bone
        that fills a part of this slice.
    recurrence, layers, units, dropout, subject_head
        As ``sequence_model.SequenceModel`` has them.
    subtype_head
        The subject head of stage two; None is that of stage one.
    """

    backbone: str = "plain10"
    input_size: int = 256
    mirrored: bool = False
    recurrence: str = "gru"
    layers: int = 1
    units: int = 128
    dropout: float = 0.3
    subject_head: str = "pooled"
    subtype_head: str | None = None
    third_window: str = "bone"
    neighbours: bool = False

    def __post_init__(self) -> None:
        choices: Mapping[str, Iterable[str | None]] = {
            "backbone": BACKBONES,
            "recurrence": RECURRENCES,
            "subject_head": SUBJECT_HEADS,
            "subtype_head": (None, *SUBJECT_HEADS),
            "third_window": THIRD_WINDOWS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(filter(None, known))}, not {getattr(self, name)!r}")
        if not 32 <= self.input_size <= INPUT_SIZE:
            raise ValueError(f"input_size must be 32 to {INPUT_SIZE} rows, not {self.input_size}")
        if self.layers < 1 or self.units < 1 or not 0 <= self.dropout < 1:
            raise ValueError("layers and units must be at least 1, and dropout from 0 to below 1")

    @property
    def windows(self) -> tuple[Window, Window, Window]:
        """The windows that a slice is shown through."""
        return network_windows(self.third_window)

    @property
    def input_channels(self) -> int:
        """Of the CNN: one a window, then the first window of both neighbours."""
        return len(self.windows) + (2 if self.neighbours else 0)

    @classmethod
    def from_mapping(cls, described: Mapping[str, Any]) -> Architecture:
        """Build from a manifest's or a configuration's table.

        Raises
        ------
        TypeError
            A key is unknown.
        ValueError
            A name is unknown, or a number out of range.
        """
        return cls(**described)

    def as_mapping(self) -> dict[str, Any]:
        """Return a table for a manifest."""
        return asdict(self)


class CascadeNetwork(nn.Module):
    """Encoder, the CNN's own heads and both stages' sequence models."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = SliceEncoder(architecture.backbone, architecture.input_channels)
        outputs = len(CLASS_ORDER)
        self.feature_dropout = nn.Dropout(architecture.dropout)
        self.feature_head = nn.Linear(self.encoder.feature_count, outputs)
        self.location_head = nn.Conv2d(self.encoder.channels, outputs, 1)
        nn.init.constant_(cast(Tensor, self.location_head.bias), -3.0)
        self.detection = self._sequence_model(1, architecture.subject_head)
        self.typing = self._sequence_model(len(SUBTYPES), architecture.subtype_head or architecture.subject_head)

    @property
    def cnn(self) -> nn.ModuleDict:
        """The parts that come before the RNNs: the encoder and the CNN's own heads."""
        names = ("encoder", "feature_head", "location_head")
        return nn.ModuleDict({name: self.get_submodule(name) for name in names})

    def _sequence_model(self, outputs: int, subject_head: str) -> SequenceModel:
        chosen = self.architecture
        return SequenceModel(
            self.encoder.feature_count,
            outputs,
            recurrence=chosen.recurrence,
            layers=chosen.layers,
            units=chosen.units,
            dropout=chosen.dropout,
            subject_head=subject_head,
        )

    def location_logits(self, last_map: Tensor) -> Tensor:
        """Logits of blood per cell of the last map : (slices, 6, height, width); trained on masks where there are any."""
        logits: Tensor = self.location_head(last_map)
        return logits

    def cnn_logits(self, features: Tensor, location_logits: Tensor) -> Tensor:
        """The CNN's own logits per slice : (slices, 6), from pooled features and the smooth maximum of the locations."""
        cells = location_logits.shape[2] * location_logits.shape[3]
        smooth = torch.logsumexp(location_logits.flatten(2), dim=2) - 0.5 * math.log(cells)
        logits: Tensor = self.feature_head(self.feature_dropout(features)) + smooth
        return logits

    def stage_one(self, features: Tensor, cnn_logits: Tensor, mask: Tensor) -> SequenceLogits:
        """Any blood, for (scans, slices, ...) : one output."""
        scored: SequenceLogits = self.detection(features, cnn_logits[..., :1], mask)
        return scored

    def stage_two(self, features: Tensor, cnn_logits: Tensor, mask: Tensor) -> SequenceLogits:
        """The kinds of blood, for (scans, slices, ...) : five outputs in the order of ``SUBTYPES``."""
        scored: SequenceLogits = self.typing(features, cnn_logits[..., 1:], mask)
        return scored
