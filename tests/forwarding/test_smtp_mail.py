"""The mail sender against a real SMTP server, which takes mail, asks for a password, or says no."""

from __future__ import annotations

import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.smtp_mail import MailSender, MailServerUnavailable
from triage_node.supervisor import free_port

ON_CALL = "on.call@hospital.example"
MAIL = "From: triage@hospital.example\nSubject: Flagged\nMessage-ID: <1@x>\n\nPlease look.\n"


class Mailbox:
    """Takes mail, or answers what it is told to."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.taken: list[tuple[list[str], Message]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.answer.startswith("250"):
            self.taken.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=email.policy.default)))
        return self.answer


@contextmanager
def mail_server(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()


def _step(tls_ca_file: Path | None = None) -> Destination:
    return Destination("escalation 1", DestinationKind.EMAIL, ON_CALL, tls_ca_file=tls_ca_file)


def _sender(port: int, security: Any = "none", **more: Any) -> MailSender:
    return MailSender("localhost", port, security, "triage@hospital.example", timeout_s=5.0, **more)


@pytest.fixture
def mail(tmp_path: Path) -> EvidenceObject:
    path = tmp_path / "call.eml"
    path.write_text(MAIL)
    return EvidenceObject("EMAIL", 1, "", "2.25.1", "", "1.2", path)


def test_mail_reaches_the_mailbox_of_the_step(mail: EvidenceObject) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        (outcome,) = _sender(port).send(_step(), [mail])
    assert (outcome.action, outcome.status_code) == (Action.DONE, 250)
    ((recipients, message),) = mailbox.taken
    assert recipients == [ON_CALL]
    assert (message["To"], message["Subject"]) == (ON_CALL, "Flagged")


@pytest.mark.parametrize(
    ("answer", "action"), [("451 try later", Action.TRY_AGAIN), ("550 no such user here", Action.GIVE_UP)]
)
def test_reply_of_the_server_decides_whether_to_try_again(mail: EvidenceObject, answer: str, action: Action) -> None:
    with mail_server(Mailbox(answer)) as port:
        (outcome,) = _sender(port).send(_step(), [mail])
    assert (outcome.action, outcome.status_code) == (action, int(answer[:3]))
    assert "user" not in outcome.detail


def test_server_that_is_away_is_tried_again(mail: EvidenceObject) -> None:
    with mail_server(Mailbox()) as port:
        pass
    (outcome,) = _sender(port).send(_step(), [mail])
    assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
    with pytest.raises(MailServerUnavailable):
        _sender(port).verify(_step())


def _server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "certificate.key")
    return context


def test_password_goes_over_starttls_to_a_server_whose_certificate_holds(
    mail: EvidenceObject, localhost_certificates: Path, tmp_path: Path
) -> None:
    signed_in = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        signed_in.append((data.login, data.password))
        return AuthResult(success=data.password == b"a long secret", handled=False)

    options = {
        "tls_context": _server_tls(localhost_certificates),
        "require_starttls": True,
        "auth_required": True,
        "authenticator": authenticate,
    }
    password = tmp_path / "password"
    password.write_text("a long secret\n")
    mailbox = Mailbox()
    with mail_server(mailbox, **options) as port:
        sender = _sender(port, "starttls", user="triage", password_file=password)
        (outcome,) = sender.send(_step(localhost_certificates / "certificate.pem"), [mail])
        assert outcome.action is Action.DONE
        (distrusted,) = sender.send(_step(), [mail])
        assert distrusted.action is Action.TRY_AGAIN
        assert "TLS failed" in distrusted.detail
        password.write_text("wrong")
        (refused,) = sender.send(_step(localhost_certificates / "certificate.pem"), [mail])
        assert (refused.action, refused.detail) == (Action.TRY_AGAIN, "the mail server answers 535")
    assert signed_in[0] == (b"triage", b"a long secret")
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize("address", ["nobody", "a@b, c@d", "a@b\r\nBcc: x@y", "@host", "name@"])
def test_step_without_one_mailbox_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationRejected, match="address: written NAME@HOST"):
        Destination("escalation 1", DestinationKind.EMAIL, address)
