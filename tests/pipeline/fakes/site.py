"""The whole path on one desk: the real repository between the fakes, and a clock in the test's hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fakes.ports import FlatReader, GivenCascade, PlainWriter, RecordingBell, ScriptedSender, SteppedClock
from fakes.slices import head, peer
from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import StoredInstance
from triage_node.core.series import EligibilityLimits
from triage_node.pipeline.outbox import ForwardingPath
from triage_node.pipeline.steps import PathRules, ReadingPath, StudyPath
from triage_node.worklist.repository import SqlStudyRepository

PACS = Destination.of_peer(PeerAddress("PACS", "127.0.0.1", 11113))
STUDY = "1.2.3"
RULES = {
    "settle_s": 0.2,
    "quiet_period_s": 5.0,
    "lease_s": 60.0,
    "retry_first_s": 2.0,
    "retry_longest_s": 30.0,
    "give_up_after_s": 600.0,
    "read_all_series": False,
    "limits": EligibilityLimits(),
    "destinations": (PACS,),
}


@dataclass
class Site:
    """One repository with everything around it."""

    repository: SqlStudyRepository
    rules: dict[str, Any] = field(default_factory=dict)
    clock: SteppedClock = field(default_factory=SteppedClock)
    bell: RecordingBell = field(default_factory=RecordingBell)
    reader: FlatReader = field(default_factory=FlatReader)
    cascade: GivenCascade = field(default_factory=GivenCascade)
    writer: PlainWriter = field(default_factory=PlainWriter)
    sender: ScriptedSender = field(default_factory=ScriptedSender)

    @property
    def path(self) -> StudyPath:
        return StudyPath(self.repository, self.bell, self.clock, PathRules(**(RULES | self.rules)))

    @property
    def reading(self) -> ReadingPath:
        return ReadingPath(self.path, self.reader, self.cascade, self.writer)

    @property
    def forwarding(self) -> ForwardingPath:
        return ForwardingPath(self.path, {DestinationKind.DICOM: self.sender}, jitter=lambda: 1.0)

    def arrive(self, stored: list[StoredInstance], *, release: bool = True, aborted: bool = False) -> None:
        """Store slices over their associations, and end these."""
        associations = {each.peer.association_id for each in stored if each.peer}
        for association in associations:
            self.repository.open_association(peer(association), self.clock.now())
        self.repository.add_instances(stored)
        if release or aborted:
            for association in associations:
                self.repository.end_association(association, self.clock.now(), aborted=aborted)

    def closed(self, stored: list[StoredInstance] | None = None) -> tuple[int, int]:
        """A series that a worker was woken for: its id and revision."""
        self.arrive(stored or head(self.clock.now()))
        self.clock.advance(1)
        assert self.path.close_ready() == 1
        return self.bell.reads[-1]

    def evidenced(self) -> int:
        """A study whose evidence is due at the PACS: its id."""
        self.reading.read(*self.closed())
        assert self.state() == "EVIDENCED"
        return self.bell.forwards[-1][0]

    def study(self, study: str = STUDY) -> Any:
        found = self.repository.study(study)
        assert found is not None
        return found

    def state(self, study: str = STUDY) -> str:
        return str(self.study(study)["state"])

    def series(self, number: int = 1, study: str = STUDY) -> Any:
        return next(each for each in self.study(study)["series"] if each["series_instance_uid"] == f"{study}.{number}")

    def ended(self, number: int = 1) -> tuple[str, str | None]:
        """State and reason of a series."""
        return self.series(number)["state"], self.series(number)["reason"]
