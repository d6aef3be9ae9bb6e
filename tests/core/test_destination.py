"""Destinations: what is owed to whom, and what a wrong table is told."""

from __future__ import annotations

from typing import Any

import pytest

from triage_node.core.destination import (
    OBJECT_KINDS,
    Destination,
    DestinationKind,
    SendRule,
    checked_names,
    wants,
)
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.identifiers import PeerAddress

ADDRESSES = {
    "dicom": "PACS@10.0.0.5:104",
    "stow": "https://archive/dicom-web",
    "hl7": "10.0.0.6:2575",
    "webhook": "https://on.call/hook",
    "fhir": "http://fhir/R4",
    "email": "on.call@hospital.example",
}


def destination(kind: str = "dicom", **values: Any) -> Destination:
    return Destination.from_table({"name": "one", "kind": kind, "address": ADDRESSES.get(kind, "")} | values)


@pytest.mark.parametrize("kind", list(DestinationKind))
def test_each_kind_takes_its_objects_and_no_others(kind: DestinationKind) -> None:
    every = {each for kinds in OBJECT_KINDS.values() for each in kinds}
    taken = {each for each in every if wants(destination(kind), each, flagged=False, called_ae_titles=())}
    assert taken == set(OBJECT_KINDS[kind])


def test_the_short_form_gets_all_of_a_study() -> None:
    pacs = Destination.of_peer(PeerAddress.parse("PACS@10.0.0.5:104"))
    assert (pacs.name, str(pacs), pacs.kind) == ("PACS@10.0.0.5:104", "PACS@10.0.0.5:104", "dicom")
    assert all(wants(pacs, each, flagged=False, called_ae_titles=()) for each in ("SR", "SC", "KO"))


@pytest.mark.parametrize(
    ("values", "kind", "flagged", "called", "owed"),
    [
        ({"objects": ["SR"]}, "SR", False, (), True),
        ({"objects": ["SR"]}, "SC", True, (), False),
        ({"send": "flagged"}, "SR", False, (), False),
        ({"send": "flagged"}, "SR", True, (), True),
        ({"called_ae_titles": ["ER"]}, "SR", True, ("TRIAGE",), False),
        ({"called_ae_titles": ["ER"]}, "SR", False, ("TRIAGE", "ER"), True),
        ({"called_ae_titles": ["ER"]}, "SR", True, (), False),
    ],
)
def test_rules_are_all_to_be_met(
    values: dict[str, Any], kind: str, flagged: bool, called: tuple[str, ...], owed: bool
) -> None:
    assert wants(destination(**values), kind, flagged=flagged, called_ae_titles=called) is owed


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"adress": "x"}, r"destination 'one': unknown key 'adress'; did you mean address\?"),
        ({"kind": "DICOM"}, "kind is one of dicom, stow, hl7, webhook, fhir, email, not 'DICOM'"),
        ({"send": "urgent"}, "send is one of all, flagged"),
        ({"objects": ["SR", "HL7"]}, "objects: 'HL7' is none of SR, SC, KO"),
        ({"objects": "SR"}, "objects is a list"),
        ({"address": "10.0.0.5:104"}, "written AET@HOST:PORT for kind dicom"),
        ({"kind": "hl7", "address": "https://x"}, "written HOST:PORT for kind hl7"),
        ({"kind": "stow", "address": "archive"}, "written https://HOST/PATH for kind stow"),
        ({"kind": "stow", "address": "http://a/", "storage_commitment": True}, "storage_commitment is for kind dicom"),
        ({"storage_commitment": "yes"}, "storage_commitment is true or false"),
        ({"called_ae_titles": ["SEVENTEEN_LETTERS"]}, "an AE title is 1 to 16"),
        ({"receiving_facility": "ER"}, "receiving_facility is for kind hl7, not dicom"),
        ({"kind": "hl7", "address": "h:1", "receiving_facility": "E|R"}, "receiving_facility is NAMESPACE or"),
        ({"kind": "hl7", "address": "h:1", "sending_facility": "A^1^ISO^x"}, "sending_facility is NAMESPACE or"),
        ({"name": ""}, "a destination's name is 1 to 64"),
        ({"name": 7}, "name is text"),
    ],
)
def test_a_wrong_table_is_told_what_to_write(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationRejected, match=told):
        destination(**table)


@pytest.mark.parametrize("key", ["name", "kind", "address"])
def test_what_a_destination_must_have_is_named(key: str) -> None:
    table = {"name": "one", "kind": "dicom", "address": ADDRESSES["dicom"]}
    del table[key]
    with pytest.raises(ConfigurationRejected, match=f"without {key}"):
        Destination.from_table(table)


@pytest.mark.parametrize("kind", list(DestinationKind))
def test_a_table_comes_back_the_same(kind: DestinationKind) -> None:
    full = destination(kind, send=SendRule.FLAGGED, called_ae_titles=["ER"], secret_file="/etc/key")
    assert Destination.from_table(full.as_table()) == full


def test_tls_of_mllp_is_for_hl7_alone() -> None:
    secured = destination("hl7", tls_ca_file="/etc/ca.pem")
    assert Destination.from_table(secured.as_table()) == secured
    with pytest.raises(ConfigurationRejected, match="tls_ca_file: the address is http, not https"):
        destination("fhir", tls_ca_file="/etc/ca.pem")


def test_two_destinations_of_one_name_are_refused_and_the_same_counts_once() -> None:
    one, other = destination(), destination(send="flagged")
    assert checked_names([one, one]) == (one,)
    with pytest.raises(ConfigurationRejected, match="'one' is there twice"):
        checked_names([one, other])
