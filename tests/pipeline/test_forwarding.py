"""The courier's part: everything once, back-off while a peer is away, an end with an alarm when it stays away."""

from __future__ import annotations

from datetime import datetime

from fakes.site import PACS, STUDY, Site

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress

ARCHIVE = Destination.of_peer(PeerAddress("ARCHIVE", "127.0.0.1", 104))


def _deliveries(site: Site) -> list[dict[str, object]]:
    return [dict(each) for each in site.repository.deliveries()]


def test_evidence_goes_out_and_the_study_is_forwarded(site: Site) -> None:
    study_id = site.evidenced()
    site.forwarding.forward(study_id, str(PACS))
    assert site.sender.sent == [(PACS, ["SR", "SC"])]
    assert site.state() == "FORWARDED"
    assert site.study()["forwarded_at"] == site.clock.now().isoformat()


def test_task_that_comes_twice_sends_once(site: Site) -> None:
    study_id = site.evidenced()
    site.forwarding.forward(study_id, str(PACS))
    site.forwarding.forward(study_id, str(PACS))
    assert len(site.sender.sent) == 1


def test_study_is_forwarded_when_every_destination_has_it(site: Site) -> None:
    site.rules = {"destinations": (PACS, ARCHIVE)}
    study_id = site.evidenced()
    site.forwarding.forward(study_id, str(PACS))
    assert site.state() == "EVIDENCED"
    site.forwarding.forward(study_id, str(ARCHIVE))
    assert site.state() == "FORWARDED"


def test_peer_that_is_away_is_tried_again_with_doubling_waits(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.TRY_AGAIN]
    waits = []
    for _ in range(6):
        site.forwarding.forward(study_id, str(PACS))
        due = datetime.fromisoformat(str(_deliveries(site)[0]["next_attempt_at"]))
        waits.append((due - site.clock.now()).total_seconds())
        site.clock.at = due
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_nothing_is_sent_before_the_next_attempt_is_due(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.TRY_AGAIN, Action.DONE]
    site.forwarding.forward(study_id, str(PACS))
    site.clock.advance(1.9)
    site.path.ring_due()
    site.forwarding.forward(study_id, str(PACS))
    assert len(site.sender.sent) == 1
    site.clock.advance(0.1)
    site.bell.forwards.clear()
    site.path.ring_due()
    assert site.bell.forwards == [(study_id, str(PACS))]
    site.forwarding.forward(study_id, str(PACS))
    assert site.state() == "FORWARDED"


def test_peer_that_stays_away_is_given_up_with_an_alarm(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.TRY_AGAIN]
    site.clock.advance(600)
    site.forwarding.forward(study_id, str(PACS))
    row = site.study()
    assert (row["state"], row["reason"]) == ("FAILED", "DELIVERY_GIVEN_UP")
    assert {each["state"] for each in _deliveries(site)} == {"GIVEN_UP"}


def test_object_that_a_peer_will_never_take_is_given_up_at_once(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.GIVE_UP]
    site.forwarding.forward(study_id, str(PACS))
    assert site.ended() == ("FAILED", "DELIVERY_GIVEN_UP")


def test_given_up_deliveries_go_out_when_the_operator_retries(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.GIVE_UP, Action.DONE]
    site.forwarding.forward(study_id, str(PACS))
    assert site.repository.retry_deliveries(site.clock.now(), study_instance_uid=STUDY) == 2
    site.path.ring_due()
    site.forwarding.forward(*site.bell.forwards[-1])
    assert site.ended() == ("FORWARDED", None)


def test_warning_of_the_peer_counts_as_stored(site: Site) -> None:
    study_id = site.evidenced()
    site.sender.script = [Action.DONE_WITH_WARNING]
    site.forwarding.forward(study_id, str(PACS))
    assert site.state() == "FORWARDED"


def test_courier_that_died_is_replaced_when_its_lease_is_over(site: Site) -> None:
    study_id = site.evidenced()
    assert site.repository.claim_deliveries(study_id, str(PACS), now=site.clock.now(), lease_s=60)
    site.forwarding.forward(study_id, str(PACS))
    assert not site.sender.sent
    site.clock.advance(60)
    site.forwarding.forward(study_id, str(PACS))
    assert site.state() == "FORWARDED"


def test_other_studies_are_not_held_up_by_a_peer_that_is_away(site: Site) -> None:
    site.rules = {"destinations": (PACS, ARCHIVE)}
    study_id = site.evidenced()
    site.sender.script = [Action.TRY_AGAIN, Action.DONE]
    site.forwarding.forward(study_id, str(ARCHIVE))
    site.forwarding.forward(study_id, str(PACS))
    states = {str(each["destination"]): each["state"] for each in _deliveries(site)}
    assert states == {str(ARCHIVE): "DUE", str(PACS): "SENT"}
