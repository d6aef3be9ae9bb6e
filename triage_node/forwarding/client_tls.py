"""TLS as a client: whom this node believes, and what it shows of itself.

In: PEM files. Out: a context for one connection. The files are read for every connection, so that certificates can be
renewed while the node runs. Answers to RFC 8446 4.4.2 (certificates); PS3.15 B.9 and later, whose versions and cipher suites
are those of the system's OpenSSL.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from triage_node.core.destination import Destination
from triage_node.core.errors import Transient


class TlsFileUnreadable(Transient):
    """A PEM file is not there or holds something else; somebody will put it there."""


@dataclass(frozen=True)
class OwnCertificate:
    """What proves to a destination who we are: PEM files, shown only to a peer that asks for a certificate.

    Attributes
    ----------
    key
        None: in the same file.
    """

    certificate: Path
    key: Path | None = None


def client_context(destination: Destination, own: OwnCertificate | None) -> ssl.SSLContext:
    """Return the context for a destination that names the authorities that its certificate descends from.

    Raises
    ------
    TlsFileUnreadable
        Names the setting and the file.
    """
    try:
        context = ssl.create_default_context(cafile=destination.tls_ca_file)
    except OSError as error:  # SSLError among them
        raise TlsFileUnreadable(f"tls_ca_file {destination.tls_ca_file} cannot be read as PEM certificates") from error
    return context if own is None else _showing(context, own)


def context_for_ourselves(own: OwnCertificate) -> ssl.SSLContext:
    """Return the context for this node's own port: the very certificate that it shows is believed, whatever name it bears.

    Raises
    ------
    TlsFileUnreadable
        Names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it names the host, and the node is called by its loopback address
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority
    _showing(context, own)
    context.load_verify_locations(own.certificate)
    return context


def _showing(context: ssl.SSLContext, own: OwnCertificate) -> ssl.SSLContext:
    try:
        context.load_cert_chain(own.certificate, own.key)
    except OSError as error:
        raise TlsFileUnreadable(f"our certificate {own.certificate}, or its key, cannot be read as PEM") from error
    return context
