"""Who may call, and what a stranger reads."""

from __future__ import annotations

import pytest

from triage_node.arrival.peer_policy import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    PeerPolicy,
)
from triage_node.core.errors import ConfigurationRejected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_configured_peers_every_title_of_this_machine_may_call(address: str) -> None:
    assert PeerPolicy.parse([], "TRIAGE").rejection("ANYTHING", "TRIAGE", address) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.9", "fe80::1", "::ffff:10.0.0.1"])
def test_without_configured_peers_nobody_else_may_call(address: str) -> None:
    assert PeerPolicy.parse([], "TRIAGE").rejection("ANYTHING", "TRIAGE", address) is CALLING_AE_TITLE_NOT_RECOGNIZED


@pytest.mark.parametrize(
    ("title", "address", "may_call"),
    [
        ("CT1", "10.1.2.3", True),
        ("CT1", "10.2.2.3", False),
        ("CT2", "203.0.113.9", True),
        ("CT3", "10.0.0.7", True),
        ("CT3", "10.0.0.8", False),
        ("WHOEVER", "10.0.0.8", False),
        ("WHOEVER", "192.168.7.1", True),
        ("CT1", "127.0.0.1", False),
        ("CT1", "fd00::5", False),
    ],
)
def test_configured_peers_may_call_from_where_they_are_allowed(title: str, address: str, may_call: bool) -> None:
    policy = PeerPolicy.parse(["CT1@10.1.0.0/16", "CT2", "CT3@10.0.0.7", "*@192.168.0.0/16"], "TRIAGE")
    assert (policy.rejection(title, "TRIAGE", address) is None) is may_call


def test_a_peer_that_calls_another_node_is_told_so() -> None:
    policy = PeerPolicy.parse([], "TRIAGE")
    assert policy.rejection("CT1", "OTHER", "127.0.0.1") is CALLED_AE_TITLE_NOT_RECOGNIZED


def test_further_titles_may_be_called_and_no_others() -> None:
    policy = PeerPolicy.parse([], "TRIAGE", ["TRIAGE_ER"])
    assert policy.rejection("CT1", "TRIAGE", "127.0.0.1") is None
    assert policy.rejection("CT1", "TRIAGE_ER", "127.0.0.1") is None
    assert policy.rejection("CT1", "ANOTHER", "127.0.0.1") is CALLED_AE_TITLE_NOT_RECOGNIZED


@pytest.mark.parametrize("text", ["CT1@", "CT1@10.1.0.0/99", "CT1@scanner.local", "@10.0.0.1", "", "A" * 17])
def test_a_peer_that_cannot_be_read_is_a_wrong_setting(text: str) -> None:
    with pytest.raises(ConfigurationRejected):
        PeerPolicy.parse([text], "TRIAGE")
