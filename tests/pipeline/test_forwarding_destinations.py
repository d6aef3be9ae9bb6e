"""Several destinations: kinds and their senders, lanes, breakers, storage commitment, and what a dead one costs the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from fakes.site import PACS, Site
from fakes.slices import head

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.commitment import CommitmentResult
from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.ports import CommitmentAnswer, CommitmentOrder, EvidenceObject, SendOutcome
from triage_node.pipeline.commitments import CommitmentPath
from triage_node.pipeline.lanes import Lanes, lane_width
from triage_node.pipeline.outbox import ForwardingPath

WEB = Destination("web", DestinationKind.STOW, "https://archive/")
DEAD = Destination("dead", DestinationKind.DICOM, "DEAD@10.0.0.9:104")
ARCHIVE = replace(PACS, name="archive", storage_commitment=True)


@dataclass
class Network:
    """Every destination answers at once, except the silent ones, which take their time to say nothing."""

    silent: set[str] = field(default_factory=set)
    silence_s: float = 0.0
    sent: list[str] = field(default_factory=list)
    inside: dict[str, int] = field(default_factory=dict)
    most_inside: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> list[SendOutcome]:
        name = destination.name
        with self.lock:
            self.inside[name] = self.inside.get(name, 0) + 1
            self.most_inside[name] = max(self.most_inside.get(name, 0), self.inside[name])
        answered = name not in self.silent
        time.sleep(0.0 if answered else self.silence_s)
        with self.lock:
            self.inside[name] -= 1
            self.sent.append(name)
        action = Action.DONE if answered else Action.TRY_AGAIN
        return [SendOutcome(each.sop_instance_uid, action, None, "silence", answered) for each in objects]

    def verify(self, destination: Destination) -> str:
        return "answers"


def courier(site: Site, network: Network, **values: object) -> ForwardingPath:
    senders = {DestinationKind.DICOM: network, DestinationKind.STOW: network}
    return ForwardingPath(site.path, senders, jitter=lambda: 1.0, **values)  # type: ignore[arg-type]


def states(site: Site) -> dict[str, str]:
    return {str(each["destination"]): str(each["state"]) for each in site.repository.deliveries()}


def many(site: Site, count: int) -> list[int]:
    """Several studies whose evidence is due; their ids."""
    ids = []
    for number in range(count):
        site.reading.read(*site.closed(head(site.clock.now(), study=f"1.2.{number + 10}")))
        ids.append(site.bell.forwards[-1][0])
    return ids


def test_each_kind_goes_with_its_own_sender(site: Site) -> None:
    site.rules = {"destinations": (PACS, WEB)}
    study_id = site.evidenced()
    dicom, stow = Network(), Network()
    path = ForwardingPath(site.path, {DestinationKind.DICOM: dicom, DestinationKind.STOW: stow})
    for each in (PACS, WEB):
        path.forward(study_id, each.name)
    assert (dicom.sent, stow.sent) == ([PACS.name], [WEB.name])


@pytest.mark.parametrize("gone", [(), (WEB,)])
def test_what_nobody_can_send_is_put_off_and_says_why(site: Site, gone: tuple[Destination, ...]) -> None:
    site.rules = {"destinations": (WEB,)}
    study_id = site.evidenced()
    site.rules = {"destinations": gone}
    ForwardingPath(site.path, {}).forward(study_id, WEB.name)
    (first, *_) = site.repository.deliveries()
    assert first["state"] == "DUE"
    assert ("settings" in first["detail"]) is not bool(gone)
    assert site.repository.breakers(site.clock.now()) == []


def test_a_sender_that_fails_is_a_put_off_delivery_not_a_lost_one(site: Site) -> None:
    class Broken(Network):
        def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> list[SendOutcome]:
            raise ZeroDivisionError("a defect")

    study_id = site.evidenced()
    courier(site, Broken()).forward(study_id, PACS.name)
    (first, *_) = site.repository.deliveries()
    assert (first["state"], first["detail"]) == ("DUE", "ZeroDivisionError: a defect")


def test_a_silent_destination_is_left_alone_then_probed_and_taken_up_again(site: Site) -> None:
    site.rules = {"breaker": BreakerRules(3, 5.0, 60.0)}
    ids = many(site, 6)
    network = Network(silent={PACS.name})
    path = courier(site, network)
    for study_id in ids:
        path.forward(study_id, PACS.name)
    assert len(network.sent) == 3, "after three failures nobody is sent there"
    site.clock.advance(5)
    site.bell.forwards.clear()
    site.path.ring_due()
    assert len(site.bell.forwards) == 1, "one probe"
    network.silent.clear()
    path.forward(*site.bell.forwards[0])
    site.path.ring_due()
    for each in site.bell.forwards:
        path.forward(*each)
    assert {each["state"] for each in site.repository.deliveries()} == {"SENT"}


def test_deliveries_behind_an_open_breaker_are_given_up_in_time(site: Site) -> None:
    site.rules = {"breaker": BreakerRules(1, 5.0, 60.0)}
    ids = many(site, 3)
    network = Network(silent={PACS.name})
    courier(site, network).forward(ids[0], PACS.name)
    site.clock.advance(700)
    courier(site, network).forward(ids[1], PACS.name)
    assert len(network.sent) == 2
    assert {each["state"] for each in site.repository.deliveries()} == {"GIVEN_UP"}
    assert {row["reason"] for row in site.repository.worklist()} == {"DELIVERY_GIVEN_UP"}


def test_an_operators_retry_probes_at_once(site: Site) -> None:
    site.rules = {"breaker": BreakerRules(1, 50.0, 600.0)}
    study_id = site.evidenced()
    network = Network(silent={PACS.name})
    site.clock.advance(700)
    courier(site, network).forward(study_id, PACS.name)
    site.repository.retry_deliveries(site.clock.now())
    network.silent.clear()
    courier(site, network).forward(study_id, PACS.name)
    assert site.state() == "FORWARDED"


def test_a_destination_that_never_answers_delays_the_other_by_nothing(site: Site) -> None:
    """Four threads, two destinations, one of which takes a second to say nothing: as with one destination alone."""
    site.rules = {"destinations": (DEAD, PACS), "breaker": BreakerRules(3, 5.0, 60.0)}
    ids = many(site, 8)
    network = Network(silent={DEAD.name}, silence_s=1.0)
    path = courier(site, network, lanes=Lanes(lane_width(4, 2)))
    tasks = iter([(study_id, each.name) for study_id in ids for each in (DEAD, PACS)])
    taken = threading.Lock()

    def work() -> None:
        while True:
            with taken:
                task = next(tasks, None)
            if task is None:
                return
            path.forward(*task)

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while network.sent.count(PACS.name) < len(ids) and time.monotonic() - began < 20:
        time.sleep(0.005)
    elapsed_s = time.monotonic() - began
    assert DEAD.name not in network.sent, "everything is at the living one before the dead one's first silence is over"
    assert elapsed_s < 1.0
    for thread in threads:
        thread.join()
    assert network.most_inside[DEAD.name] == 1
    assert network.sent.count(DEAD.name) == 3


def test_a_full_lane_keeps_what_is_left_in_it(site: Site) -> None:
    lanes = Lanes(1)
    assert lanes.enter("a", 1) == 1
    assert lanes.enter("a", 2) is None
    assert lanes.enter("a", 3) is None
    assert lanes.enter("a", 2) is None
    assert lanes.enter("b", 9) == 9
    assert [lanes.leave("a"), lanes.leave("a"), lanes.leave("a")] == [2, 3, None]
    assert lanes.enter("a", 4) == 4


# storage commitment --------------------------------------------------------------------------------------------------


@dataclass
class Archive:
    """Answers requests with these answers in turn; the last one for ever."""

    answers: list[CommitmentAnswer]
    orders: list[CommitmentOrder] = field(default_factory=list)

    def request(self, destination: Destination, order: CommitmentOrder) -> CommitmentAnswer:
        self.orders.append(order)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.result is None:
            return answer
        uids = tuple(each.sop_instance_uid for each in order.references)
        failed = dict.fromkeys(uids, 0x0112) if answer.result.failed else {}
        return replace(answer, result=CommitmentResult(order.transaction_uid, () if failed else uids, failed))


TAKEN = CommitmentAnswer(Action.DONE, "")
KEPT = CommitmentAnswer(Action.DONE, "", CommitmentResult("", ("all",), {}))
MISSING = CommitmentAnswer(Action.DONE, "", CommitmentResult("", (), {"all": 0x0112}))


def commitments(site: Site) -> set[tuple[str, str]]:
    return {(each["state"], each["commitment"]) for each in site.repository.deliveries()}


def committing(site: Site, archive: Archive) -> tuple[ForwardingPath, int]:
    site.rules |= {"destinations": (ARCHIVE,)}
    study_id = site.evidenced()
    return courier(site, Network(), commitments=CommitmentPath(site.path, archive)), study_id


def test_an_archive_is_asked_as_soon_as_it_has_everything(site: Site) -> None:
    archive = Archive([KEPT])
    path, study_id = committing(site, archive)
    path.forward(study_id, "archive")
    path.forward(study_id, "archive")
    assert [len(order.references) for order in archive.orders] == [2]
    assert commitments(site) == {("SENT", "COMMITTED")}


def test_an_archive_may_report_later(site: Site) -> None:
    archive = Archive([TAKEN])
    path, study_id = committing(site, archive)
    path.forward(study_id, "archive")
    assert commitments(site) == {("SENT", "ASKED")}
    (order,) = archive.orders
    result = CommitmentResult(order.transaction_uid, tuple(e.sop_instance_uid for e in order.references), {})
    assert CommitmentPath(site.path).received(result) is True
    assert CommitmentPath(site.path).received(result) is False
    assert commitments(site) == {("SENT", "COMMITTED")}


def test_what_the_archive_does_not_have_is_sent_again(site: Site) -> None:
    archive = Archive([MISSING, KEPT])
    path, study_id = committing(site, archive)
    path.forward(study_id, "archive")
    assert commitments(site) == {("DUE", "WANTED")}
    assert site.state() == "EVIDENCED"
    site.clock.advance(2)
    site.bell.forwards.clear()
    site.path.ring_due()
    path.forward(*site.bell.forwards[0])
    assert commitments(site) == {("SENT", "COMMITTED")}
    assert site.state() == "FORWARDED"


@pytest.mark.parametrize(("action", "state"), [(Action.GIVE_UP, "NOT_OFFERED"), (Action.TRY_AGAIN, "ASKED")])
def test_an_archive_that_does_not_take_the_request_has_the_study_all_the_same(
    site: Site, action: Action, state: str
) -> None:
    archive = Archive([CommitmentAnswer(action, "no")])
    path, study_id = committing(site, archive)
    path.forward(study_id, "archive")
    assert commitments(site) == {("SENT", state)}
    assert site.state() == "FORWARDED"
    site.clock.advance(30)
    path.forward(study_id, "archive")
    assert len(archive.orders) == (2 if action is Action.TRY_AGAIN else 1)


def test_an_archive_that_never_reports_is_asked_for_the_set_time_only(site: Site) -> None:
    site.rules = {"commitment_wait_s": 100.0}
    archive = Archive([TAKEN])
    path, study_id = committing(site, archive)
    for _ in range(20):
        path.forward(study_id, "archive")
        site.clock.advance(150)
    assert commitments(site) == {("SENT", "REFUSED")}
    assert len(archive.orders) == 5
