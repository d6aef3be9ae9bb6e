"""Where evidence goes: destinations by name, what each of them takes, and the rule by which it gets it.

In: the tables of the settings file, or the short form AET@HOST:PORT. Out: frozen destinations, and one pure rule that says
whether an object is owed to one. Nothing here opens a connection.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.identifiers import PeerAddress, checked_ae_title


class DestinationKind(StrEnum):
    """How a destination is spoken to; there is one ``core.ports.Sender`` for each kind."""

    DICOM = "dicom"
    STOW = "stow"
    HL7 = "hl7"
    WEBHOOK = "webhook"
    FHIR = "fhir"
    EMAIL = "email"
    """Only for the steps of an escalation: a mailbox gets no evidence."""


class SendRule(StrEnum):
    """Of which studies a destination hears."""

    ALL = "all"
    FLAGGED = "flagged"


_DICOM_OBJECTS = ("SR", "SC", "KO", "PR", "PDF")
OBJECT_KINDS: Mapping[DestinationKind, tuple[str, ...]] = {
    DestinationKind.DICOM: _DICOM_OBJECTS,
    DestinationKind.STOW: _DICOM_OBJECTS,
    DestinationKind.HL7: ("HL7",),
    DestinationKind.WEBHOOK: ("WEBHOOK",),
    DestinationKind.FHIR: ("FHIR",),
    DestinationKind.EMAIL: (),
}
"""The kinds of ``EvidenceObject`` that a destination of each kind can take: report, heatmaps, key objects, presentation
state and encapsulated PDF as DICOM; a message that is already written, in its file, for the others."""

MESSAGE_KINDS = ("HL7", "WEBHOOK", "FHIR")
"""Kinds that are no DICOM objects, but say on their own what was found or why nothing was."""

IN_ORDER = frozenset({"HL7", "WEBHOOK"})
"""Kinds of which the last one to arrive is what stands at the receiver: an older answer is not sent after a newer one. What
is kept as a document of its own, naming what it replaces (SR, FHIR), may come in any order."""

ADDRESS_FORMS: Mapping[DestinationKind, str] = {
    DestinationKind.DICOM: "AET@HOST:PORT",
    DestinationKind.STOW: "https://HOST/PATH",
    DestinationKind.HL7: "HOST:PORT",
    DestinationKind.WEBHOOK: "https://HOST/PATH",
    DestinationKind.FHIR: "https://HOST/PATH",
    DestinationKind.EMAIL: "NAME@HOST",
}
LONGEST_NAME = 64
_FILES = ("secret_file", "tls_ca_file")
_HL7_NAMES = ("sending_application", "sending_facility", "receiving_application", "receiving_facility")


@dataclass(frozen=True)
class Destination:
    """One place that evidence goes to.

    Attributes
    ----------
    name
        Names it in the outbox, in logs and at the terminal; changing it makes it another destination.
    address
        ``ADDRESS_FORMS`` has the form for each kind.
    objects
        The kinds of evidence it gets; empty: all that a destination of its kind can take.
    send
        All studies, or those that are flagged (and the corrections of what it was sent once).
    called_ae_titles
        Only studies that came to one of these AE titles of ours; empty: all.
    storage_commitment
        Ask for storage commitment (PS3.4 Annex J) after sending; DICOM only.
    secret_file
        File whose content authenticates us: a bearer token for stow and fhir (or ``user:password``), the HMAC key for
        webhook. Not used for dicom and hl7.
    tls_ca_file
        PEM certificates that the destination's must descend from. With it dicom and hl7 speak TLS; the others use it in
        place of the authorities that the system trusts, for addresses with https. To a destination that asks for it this
        node shows its own certificate (``tls_certificate``).
    sending_application, sending_facility, receiving_application, receiving_facility
        MSH-3 to MSH-6 for a receiver that routes by them; hl7 only. Empty: our AE title in MSH-3, nothing in the others.
        Components as in HL7: ``RIS^1.2.3^ISO``.

    Raises
    ------
    ConfigurationRejected
        On construction; names the destination, the key and what to write instead.
    """

    name: str
    kind: DestinationKind
    address: str
    objects: tuple[str, ...] = ()
    send: SendRule = SendRule.ALL
    called_ae_titles: tuple[str, ...] = ()
    storage_commitment: bool = False
    secret_file: Path | None = None
    tls_ca_file: Path | None = None
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= LONGEST_NAME or not self.name.isprintable():
            raise ConfigurationRejected(
                f"a destination's name is 1 to {LONGEST_NAME} printable characters, not {self.name!r}"
            )
        self._check_address()
        takes = OBJECT_KINDS[self.kind]
        for each in self.objects:
            if each not in takes:
                raise self._rejected(f"objects: {each!r} is none of {', '.join(takes)}")
        if self.storage_commitment and self.kind is not DestinationKind.DICOM:
            raise self._rejected(f"storage_commitment is for kind dicom, not {self.kind}")
        if self.tls_ca_file is not None and self.address.startswith("http://"):
            raise self._rejected("tls_ca_file: the address is http, not https")
        for title in self.called_ae_titles:
            checked_ae_title(title)
        for name in _HL7_NAMES:
            self._check_hl7_name(name, getattr(self, name))

    def _check_address(self) -> None:
        try:
            if self.kind is DestinationKind.DICOM:
                PeerAddress.parse(self.address)
            elif self.kind is DestinationKind.HL7:
                PeerAddress.parse(f"ANY@{self.address}")
            elif self.kind is DestinationKind.EMAIL:
                _check_mailbox(self.address)
            elif not self.address.startswith(("https://", "http://")) or len(self.address) < len("http://a"):
                raise ConfigurationRejected("")
        except ConfigurationRejected:
            form = ADDRESS_FORMS[self.kind]
            raise self._rejected(f"address: written {form} for kind {self.kind}, not {self.address!r}") from None

    def _check_hl7_name(self, name: str, value: str) -> None:
        if value and self.kind is not DestinationKind.HL7:
            raise self._rejected(f"{name} is for kind hl7, not {self.kind}")
        if len(value) > LONGEST_NAME or not value.isprintable() or set(value) & set("|~\\&") or value.count("^") > 2:
            raise self._rejected(f"{name} is NAMESPACE or NAMESPACE^UID^TYPE, without | ~ \\ &, not {value!r}")

    def _rejected(self, why: str) -> ConfigurationRejected:
        return ConfigurationRejected(f"destination {self.name!r}: {why}")

    @classmethod
    def of_peer(cls, peer: PeerAddress) -> Self:
        """Return the short form: a DICOM peer that gets everything, named by its address."""
        return cls(str(peer), DestinationKind.DICOM, str(peer))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read one ``[[destinations]]`` table.

        Raises
        ------
        ConfigurationRejected
            Names the destination, the key, and the nearest known one.

        Examples
        --------
        >>> Destination.from_table({"name": "pacs", "kind": "dicom", "address": "PACS@10.0.0.5:104"}).send
        <SendRule.ALL: 'all'>
        """
        shown = f"destination {table.get('name', '(without a name)')!r}"
        known = [each.name for each in fields(cls)]
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ConfigurationRejected(f"{shown}: unknown key {key!r}{hint}")
        for key in ("name", "kind", "address"):
            if key not in table:
                raise ConfigurationRejected(f"{shown}: without {key}")
        return cls(**{key: _value(shown, key, value) for key, value in table.items()})

    def as_table(self) -> dict[str, Any]:
        """Return what ``from_table`` reads, JSON-ready."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        for name in _FILES:
            values[name] = str(values[name]) if values[name] else None
        return {name: list(each) if isinstance(each, tuple) else each for name, each in values.items() if each}

    @property
    def peer(self) -> PeerAddress:
        """The DICOM peer; of kind dicom only."""
        return PeerAddress.parse(self.address)

    def __str__(self) -> str:
        return self.name


def _check_mailbox(address: str) -> None:
    """Refuse what is not one mailbox: header lines are made of it."""
    name, at, host = address.rpartition("@")
    if not (at and name and host) or not address.isascii() or any(each in address for each in " \r\n,;<>"):
        raise ConfigurationRejected("")


def _value(shown: str, key: str, value: Any) -> Any:
    """Return a table's value as the attribute has it."""
    choices: Mapping[str, type[StrEnum]] = {"kind": DestinationKind, "send": SendRule}
    if key in choices:
        if value not in list(choices[key]):
            raise ConfigurationRejected(f"{shown}: {key} is one of {', '.join(choices[key])}, not {value!r}")
        return choices[key](value)
    if key in ("objects", "called_ae_titles"):
        if isinstance(value, str) or not all(isinstance(each, str) for each in value):
            raise ConfigurationRejected(f'{shown}: {key} is a list, for example ["..."], not {value!r}')
        return tuple(value)
    if key == "storage_commitment":
        if not isinstance(value, bool):
            raise ConfigurationRejected(f"{shown}: {key} is true or false, not {value!r}")
        return value
    if not isinstance(value, str):
        raise ConfigurationRejected(f"{shown}: {key} is text, not {value!r}")
    return Path(value) if key in _FILES else value


def wants(destination: Destination, object_kind: str, *, flagged: bool, called_ae_titles: Collection[str]) -> bool:
    """Return whether an object of a study is owed to a destination.

    Parameters
    ----------
    object_kind
        ``EvidenceObject.kind``.
    flagged
        Whether the study is flagged, or the destination already has evidence of it: whoever was told of a hemorrhage has
        to hear that the next revision takes it back.
    called_ae_titles
        The AE titles of ours that the study came to.

    Examples
    --------
    >>> phone = Destination("phone", DestinationKind.WEBHOOK, "https://on.call/", send=SendRule.FLAGGED)
    >>> wants(phone, "WEBHOOK", flagged=True, called_ae_titles=())
    True
    >>> wants(phone, "SR", flagged=True, called_ae_titles=())
    False
    """
    if object_kind not in (destination.objects or OBJECT_KINDS[destination.kind]):
        return False
    if destination.send is SendRule.FLAGGED and not flagged:
        return False
    return not destination.called_ae_titles or not set(destination.called_ae_titles).isdisjoint(called_ae_titles)


def checked_names(destinations: Sequence[Destination]) -> tuple[Destination, ...]:
    """Return the destinations, the same one once.

    Raises
    ------
    ConfigurationRejected
        Two different ones have the same name.
    """
    by_name: dict[str, Destination] = {}
    for each in destinations:
        if by_name.setdefault(each.name, each) != each:
            raise ConfigurationRejected(f"destination {each.name!r} is there twice")
    return tuple(by_name.values())
