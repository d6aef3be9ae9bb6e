"""Who may open an association: calling AE titles and addresses that are allowed by name.

In: the configured peers and an association request. Out: None, or the A-ASSOCIATE-RJ that it gets (PS3.8 9.3.4). An AE
title is a name, not a proof; addresses narrow it down and TLS with client certificates proves it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.identifiers import checked_ae_title

ANY = "*"


@dataclass(frozen=True)
class Rejection:
    """One row of PS3.8 Table 9-21: result, source and reason of an A-ASSOCIATE-RJ."""

    result: int
    source: int
    reason: int
    detail: str


CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3, "calling AE title not recognized")
CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7, "called AE title not recognized")


@dataclass(frozen=True)
class AllowedPeer:
    """A calling AE title (``*`` for every one) and the network it may call from (None for everywhere)."""

    ae_title: str
    network: IPv4Network | IPv6Network | None

    @classmethod
    def parse(cls, text: str) -> AllowedPeer:
        """Read ``AET``, ``AET@ADDRESS`` or ``AET@NETWORK/BITS``; ``*`` stands for every AE title.

        Raises
        ------
        ConfigurationRejected
            Names the peer and what is wrong with it.

        Examples
        --------
        >>> AllowedPeer.parse("CT1@10.1.0.0/16").network
        IPv4Network('10.1.0.0/16')
        """
        title, at, place = text.strip().partition("@")
        try:
            network = ipaddress.ip_network(place) if at else None
        except ValueError as error:
            raise ConfigurationRejected(
                f"a peer is written AET, AET@ADDRESS or AET@NETWORK/BITS, for example CT1@10.1.0.0/16, not {text!r}: {error}"
            ) from error
        return cls(ANY if title == ANY else checked_ae_title(title), network)

    def allows(self, calling_ae_title: str, address: IPv4Address | IPv6Address) -> bool:
        """Return whether this title from this address is the peer meant."""
        return self.ae_title in (ANY, calling_ae_title) and (self.network is None or address in self.network)


LOOPBACK = (
    AllowedPeer(ANY, ipaddress.ip_network("127.0.0.0/8")),
    AllowedPeer(ANY, ipaddress.ip_network("::1/128")),
)
"""The peers of a node without configured ones: every title from this machine, and nobody else."""


@dataclass(frozen=True)
class PeerPolicy:
    """The peers that may call, and the AE title they have to call.

    ``called_ae_title`` None accepts every called title, for sites whose modalities cannot be told another one.
    """

    peers: tuple[AllowedPeer, ...] = LOOPBACK
    called_ae_title: str | None = None
    further_ae_titles: frozenset[str] = frozenset()

    @classmethod
    def parse(
        cls, peers: Sequence[str], called_ae_title: str | None, further_ae_titles: Sequence[str] = ()
    ) -> PeerPolicy:
        """Read the configured peers; none means loopback only. ``further_ae_titles`` may be called as well.

        Raises
        ------
        ConfigurationRejected
            A peer that cannot be read.

        Examples
        --------
        >>> PeerPolicy.parse([], "TRIAGE").rejection("CT1", "TRIAGE", "127.0.0.1") is None
        True
        >>> PeerPolicy.parse([], "TRIAGE").rejection("CT1", "TRIAGE", "10.0.0.7").detail
        'calling AE title not recognized'
        """
        allowed = tuple(AllowedPeer.parse(text) for text in peers) or LOOPBACK
        return cls(allowed, called_ae_title, frozenset(checked_ae_title(title) for title in further_ae_titles))

    def rejection(self, calling_ae_title: str, called_ae_title: str, address: str) -> Rejection | None:
        """Return why this association is refused, or None.

        A known title from a foreign address is refused with the reason of an unknown title: PS3.8 has no reason for
        addresses, and a stranger need not learn which titles we know.
        """
        where = _address(address)
        if not any(peer.allows(calling_ae_title, where) for peer in self.peers):
            return CALLING_AE_TITLE_NOT_RECOGNIZED
        if self.called_ae_title not in (None, called_ae_title) and called_ae_title not in self.further_ae_titles:
            return CALLED_AE_TITLE_NOT_RECOGNIZED
        return None

    def is_ourselves(self, calling_ae_title: str, called_ae_title: str, address: str) -> bool:
        """Return whether this node calls itself from its own machine, as ``triage-node echo`` and health checks do.

        Examples
        --------
        >>> policy = PeerPolicy.parse(["CT1"], "TRIAGE")
        >>> [policy.is_ourselves("TRIAGE", "TRIAGE", each) for each in ("127.0.0.1", "10.0.0.7")]
        [True, False]
        """
        return calling_ae_title == called_ae_title == self.called_ae_title and _address(address).is_loopback


def _address(text: str) -> IPv4Address | IPv6Address:
    """Read an address; an IPv4 peer on a socket that listens on both comes as an IPv6 one."""
    where = ipaddress.ip_address(text)
    return where.ipv4_mapped if isinstance(where, IPv6Address) and where.ipv4_mapped else where
