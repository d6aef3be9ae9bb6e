"""Steps of kind email: ``core.ports.Sender`` over SMTP, with Python's own client.

In: files that hold one message each, without a recipient. Out: one outcome a message. Never: a password over a connection
that is not encrypted; what a server answered in a log, because servers repeat addresses. Answers to RFC 5321 4.2 (replies:
4yz may pass, 5yz will not) and RFC 8314 3 (TLS from the first byte, or STARTTLS).
"""

from __future__ import annotations

import email.policy
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Literal

import structlog

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.ports import EvidenceObject, SendOutcome

_log = structlog.get_logger()

Security = Literal["tls", "starttls", "none"]


class MailServerUnavailable(Transient):
    """No connection, no sign-in, or one of the replies that say: later."""


@dataclass(frozen=True)
class MailSender:
    """Hands messages to one mail server.

    Attributes
    ----------
    host, port
        Of the server.
    security
        ``tls`` from the first byte, ``starttls``, or ``none`` (a relay on the same machine).
    user, password_file
        Who signs in; without a user nobody does.
    mail_from
        The sender that bounces go to.
    timeout_s
        Longest wait for a reply.
    """

    host: str
    port: int
    security: Security
    mail_from: str
    user: str | None = None
    password_file: Path | None = None
    timeout_s: float = 30.0

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send each message over one connection."""
        outcomes: list[SendOutcome] = []
        try:
            with self._connection(destination) as server:
                for each in objects:
                    outcomes.append(self._sent(server, destination, each))
        except Transient as error:
            left = objects[len(outcomes) :]
            outcomes += [SendOutcome(one.sop_instance_uid, Action.TRY_AGAIN, None, str(error), False) for one in left]
            _log.warning("peer_unreachable", peer=destination.name, detail=str(error))
        return outcomes

    def verify(self, destination: Destination) -> str:
        """Connect and sign in.

        Raises
        ------
        MailServerUnavailable
            One of them failed.
        """
        with self._connection(destination):
            return "accepts connections"

    @contextmanager
    def _connection(self, destination: Destination) -> Iterator[smtplib.SMTP]:
        try:
            with self._opened(destination) as server:
                if self.user is not None:
                    server.login(self.user, self._password())
                yield server
        except smtplib.SMTPResponseException as error:
            raise MailServerUnavailable(f"the mail server answers {error.smtp_code}") from error
        except ssl.SSLError as error:
            raise MailServerUnavailable("TLS failed: the certificate or the protocol was not accepted") from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailServerUnavailable(f"the mail server cannot be used: {type(error).__name__}") from error

    @contextmanager
    def _opened(self, destination: Destination) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context(cafile=destination.tls_ca_file)
        if self.security == "tls":
            with smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context) as server:
                yield server
            return
        with smtplib.SMTP(self.host, self.port, timeout=self.timeout_s) as server:
            if self.security == "starttls":
                server.starttls(context=context)
            yield server

    def _password(self) -> str:
        """Return the password; read every time, so that it can be renewed while the node runs."""
        try:
            return self.password_file.read_text(encoding="utf-8").strip() if self.password_file else ""
        except OSError as error:
            raise MailServerUnavailable(f"smtp_password_file {self.password_file} cannot be read") from error

    def _sent(self, server: smtplib.SMTP, destination: Destination, each: EvidenceObject) -> SendOutcome:
        message = message_from_bytes(each.path.read_bytes(), policy=email.policy.default)
        message["To"] = destination.address
        try:
            server.send_message(message, self.mail_from, [destination.address])
        except smtplib.SMTPRecipientsRefused as error:
            ((code, _),) = error.recipients.values()
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
        else:
            return SendOutcome(each.sop_instance_uid, Action.DONE, 250, "taken by the mail server")
        action = Action.TRY_AGAIN if 400 <= code < 500 else Action.GIVE_UP
        return SendOutcome(each.sop_instance_uid, action, code, f"the mail server answers {code}")
