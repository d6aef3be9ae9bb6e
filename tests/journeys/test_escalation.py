"""A flagged head CT that nobody acknowledges calls the pager, then the mailbox; one that somebody takes calls nobody."""

from __future__ import annotations

import email.policy
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from hospital.node import Node, command
from hospital.receivers import Pager
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, head_study, study_uid
from hospital.waiting import wait_until
from pydicom.dataset import Dataset

from triage_node.core.reader_task import EscalationState
from triage_node.forwarding.http_post import signature
from triage_node.supervisor import free_port
from triage_node.worklist.engine import make_engine
from triage_node.worklist.reader_tasks import SqlReaderTasks

KEY = b"between the two of us"


class Mailbox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.taken: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        self.taken.append(message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class Ward:
    """A node whose chain is a pager that is overloaded at first, then a mailbox."""

    def __init__(self, folder: Path) -> None:
        self.pager, self.mailbox = Pager(refusals=1), Mailbox()
        self.mail = Controller(self.mailbox, hostname="127.0.0.1", port=free_port())
        mail_settings = {"smtp_host": "127.0.0.1", "smtp_port": self.mail.port, "smtp_security": "none"}
        self.node = Node(folder, web_address="https://node.hospital.example", **mail_settings)
        secret = folder / "pager.key"
        secret.write_bytes(KEY)
        steps = [
            {"after_s": 1, "kind": "webhook", "address": self.pager.address, "secret_file": str(secret)},
            {"after_s": 2, "kind": "email", "address": "on.call@hospital.example"},
        ]
        with self.node.settings_file.open("a") as file:
            for step in steps:
                lines = (f"{key} = {json.dumps(value)}\n" for key, value in step.items())
                file.write("\n[[escalation]]\n" + "".join(lines))

    def start(self) -> None:
        self.mail.start()
        self.node.start()

    def stop(self) -> None:
        self.node.stop()
        self.mail.stop()
        self.pager.stop()


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    ward = Ward(tmp_path_factory.mktemp("ward"))
    try:
        ward.start()
        yield ward
    finally:
        ward.stop()


def test_pager_and_mailbox_are_called_once_each_for_a_study_that_nobody_acknowledges_and_for_no_other(
    ward: Ward, tmp_path: Path
) -> None:
    taken, series = head_study(bleeding_head()), head_study(bleeding_head(), AccessionNumber="ACC-1")
    scanner = Scanner(ward.node.address, tmp_path)
    scanner.send(taken[:1])
    wait_until(lambda: ward.node.results.row(study_uid(taken)) is not None, "the study is known")
    _tasks(ward).take(study_uid(taken), "dr.weber", datetime.now(UTC))
    scanner.send(taken[1:])
    assert ward.node.results.ended_whole(study_uid(taken), len(taken), within_s=100)["flagged"] is True
    scanner.send(series)
    assert ward.node.results.ended(study_uid(series), within_s=100)["flagged"] is True
    wait_until(lambda: ward.mailbox.taken and ward.pager.taken, "both were called", within_s=60)
    ((headers, body),) = ward.pager.taken
    assert headers["X-Triage-Signature"] == signature(KEY, headers["X-Triage-Timestamp"], body)
    told = json.loads(body)
    assert (told["event"], told["step"], told["accession_number"]) == ("study.unacknowledged", 1, "ACC-1")
    assert told["link"] == f"https://node.hospital.example/studies/{study_uid(series)}"
    (mail,) = ward.mailbox.taken
    assert (mail["To"], mail["From"]) == ("on.call@hospital.example", "triage-node@localhost")
    assert "ACC-1" in mail["Subject"]
    wait_until(lambda: len(_called(ward, series)) == 2, "both calls are on the study's page")
    assert _called(ward, taken) == []


def _tasks(ward: Ward) -> SqlReaderTasks:
    return SqlReaderTasks(make_engine(f"sqlite:///{ward.node.data_dir / 'triage_node.sqlite3'}"))


def _called(ward: Ward, series: Sequence[Dataset]) -> list[int]:
    task = _tasks(ward).state_of(study_uid(series))
    assert task is not None
    return [each.step for each in task.escalations if each.state is EscalationState.DONE]


def test_chain_with_mail_and_no_mail_server_is_refused_at_start(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('[[escalation]]\nafter_s = 60\nkind = "email"\naddress = "a@b"\n')
    ended = command("up", "--config", file, "--data-dir", tmp_path / "data")
    assert ended.returncode == 2
    assert "set smtp_host" in ended.stderr
