"""A clock that is set, a bell that remembers, and a reader, cascade, writer and sender that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.identifiers import derived_uid
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import EvidenceObject, EvidenceOrder, NotAnalysedOrder, SendOutcome, SeriesVolume
from triage_node.core.reason import Refusal


@dataclass
class SteppedClock:
    """Stands still until it is moved."""

    at: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class RecordingBell:
    """Remembers who was to be woken."""

    reads: list[tuple[int, int]] = field(default_factory=list)
    reports: list[tuple[int, int]] = field(default_factory=list)
    forwards: list[tuple[int, str]] = field(default_factory=list)

    def read(self, series_id: int, revision: int) -> None:
        self.reads.append((series_id, revision))

    def report_not_analysed(self, series_id: int, revision: int) -> None:
        self.reports.append((series_id, revision))

    def forward(self, study_id: int, destination: str) -> None:
        self.forwards.append((study_id, destination))


@dataclass
class FlatReader:
    """Gives a volume of water, refuses the series in ``refusals``, or raises."""

    refusals: dict[str, Refusal] = field(default_factory=dict)
    error: Exception | None = None

    def read(self, slices: Sequence[tuple[InstanceHeader, Path]]) -> SeriesVolume | Refusal:
        if self.error is not None:
            raise self.error
        refusal = self.refusals.get(slices[0][0].series_instance_uid)
        if refusal is not None:
            return refusal
        return SeriesVolume(
            volume_hu=np.zeros((len(slices), 2, 2), dtype=np.int16),
            sop_instance_uids=tuple(header.sop_instance_uid for header, _ in slices),
            frame_numbers=(1,) * len(slices),
            paths=tuple(path for _, path in slices),
            positions_mm=tuple(5.0 * index for index in range(len(slices))),
            slice_spacing_mm=5.0,
            pixel_spacing_mm=(0.5, 0.5),
            tilt_deg=0.0,
        )


@dataclass(frozen=True)
class GivenReading:
    """A finding that is given."""

    finding: Finding

    def heatmaps(self, kinds: str = "flagged") -> Mapping[int, npt.NDArray[np.float32]]:
        wanted = (index for index, each in enumerate(self.finding.slices) if each.flagged or kinds == "all")
        return {index: np.ones((2, 2), dtype=np.float32) for index in wanted}


@dataclass
class GivenCascade:
    """Says the same of every volume, after ``meanwhile`` has happened."""

    ich_probability: float = 0.9
    error: Exception | None = None
    meanwhile: list[object] = field(default_factory=list)
    read_volumes: list[SeriesVolume] = field(default_factory=list)

    def read(self, volume: SeriesVolume) -> GivenReading:
        self.read_volumes.append(volume)
        for happening in self.meanwhile:
            assert callable(happening)
            happening()
        self.meanwhile.clear()
        if self.error is not None:
            raise self.error
        flagged = self.ich_probability >= 0.5
        subtypes = dict.fromkeys(SUBTYPES, 0.4) if flagged else None
        slices = (SliceFinding(uid, self.ich_probability, subtypes, flagged) for uid in volume.sop_instance_uids)
        return GivenReading(
            Finding(self.ich_probability, flagged, subtypes, (), tuple(slices), "given", "1", "0" * 64, "balanced", 0.5)
        )


@dataclass
class PlainWriter:
    """Names an SR, and an SC where the study is flagged; the same order gives the same UIDs."""

    orders: list[EvidenceOrder] = field(default_factory=list)
    refusals: list[NotAnalysedOrder] = field(default_factory=list)
    error: Exception | None = None

    def write(self, order: EvidenceOrder) -> list[EvidenceObject]:
        self.orders.append(order)
        first = order.volume.sop_instance_uids[0]
        kinds = ("SR", "SC") if order.finding.flagged else ("SR",)
        uids = {kind: derived_uid(first, str(order.revision), kind) for kind in kinds}
        return [
            EvidenceObject(kind, 1, "1.2.840.1", uid, derived_uid(first, kind), "1.2.3", Path(f"/evidence/{uid}.dcm"))
            for kind, uid in uids.items()
        ]

    def write_not_analysed(self, order: NotAnalysedOrder) -> list[EvidenceObject]:
        if self.error is not None:
            raise self.error
        self.refusals.append(order)
        uid = derived_uid(str(order.paths[0]), str(order.revision), "not analysed")
        return [EvidenceObject("SR", 1, "1.2.840.1", uid, f"{uid}.1", "1.2.3", Path(f"/evidence/{uid}.dcm"))]


@dataclass
class ScriptedSender:
    """Answers the attempts with these actions in turn, the last one for ever."""

    script: list[Action] = field(default_factory=lambda: [Action.DONE])
    sent: list[tuple[Destination, list[str]]] = field(default_factory=list)

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> list[SendOutcome]:
        action = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.sent.append((destination, [each.kind for each in objects]))
        code = 0x0000 if action is Action.DONE else None
        return [SendOutcome(each.sop_instance_uid, action, code, action.value) for each in objects]
