"""Accounts at the terminal: passwords come from a prompt or from standard input, never from the command line."""

from __future__ import annotations

import getpass
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from triage_node import wiring
from triage_node.__main__ import main
from triage_node.core.access import Role
from triage_node.core.audit import AuditFilter
from triage_node.settings import Settings

PASSWORD = "a long enough sentence"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path)
    wiring.migrate(found)
    return found


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: one of its own takes seconds to load what it runs, and these are many."""

    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = ["triage-node", *arguments, "--data-dir", str(settings.data_dir)]
        monkeypatch.setattr("sys.argv", command)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(command, int(ended.value.code or 0), said.out, said.err)

    return run


def test_users_are_added_changed_and_listed(run: Run, settings: Settings) -> None:
    assert run("user", "add", "Ann", "--role", "administrator", typed=PASSWORD + "\n").returncode == 0
    made = json.loads(run("user", "add", "bob", "--generate", "--json").stdout)
    assert (made["name"], made["role"], len(made["password"])) == ("bob", "VIEWER", 23)
    assert run("user", "role", "bob", "RADIOLOGIST").returncode == 0
    assert run("user", "disable", "bob").returncode == 0
    users = json.loads(run("user", "list", "--json").stdout)
    assert [(each["name"], each["role"], each["disabled"]) for each in users] == [
        ("ann", "ADMINISTRATOR", False),
        ("bob", "RADIOLOGIST", True),
    ]
    assert all(each["must_change_password"] for each in users)
    assert run("user", "enable", "bob").returncode == 0
    assert "may sign in" not in run("user", "list").stdout, "both must change their passwords"
    accounts, now = wiring.accounts(settings), wiring.SystemClock().now()
    assert accounts.sign_in("ann", PASSWORD, "", now).role is Role.ADMINISTRATOR
    reset = json.loads(run("user", "password", "bob", "--generate", "--json").stdout)["password"]
    assert accounts.sign_in("bob", reset, "", now)
    lines = wiring.audit_trail(settings).page(AuditFilter(), 100)
    assert {line.action for line in lines} == {
        "USER_ADDED",
        "ROLE_SET",
        "USER_DISABLED",
        "USER_ENABLED",
        "PASSWORD_SET",
    }
    assert all(line.actor.startswith("cli:") for line in lines)
    assert PASSWORD not in str(lines)
    assert reset not in str(lines)


def test_token_is_printed_once_and_revoked(run: Run, settings: Settings) -> None:
    run("user", "add", "ris", "--generate")
    token = run("token", "add", "ris", "worklist reader", "--days", "30").stdout.strip()
    visitors, now = wiring.accounts(settings), wiring.SystemClock().now()
    assert visitors.of_api_token(token, now)
    listed = run("token", "list", "--json").stdout
    assert [each["name"] for each in json.loads(listed)] == ["worklist reader"]
    assert token not in listed
    assert run("token", "revoke", "ris", "worklist reader").returncode == 0
    assert visitors.of_api_token(token, now) is None


def test_what_cannot_be_done_is_told_in_one_line(run: Run) -> None:
    run("user", "add", "ann", "--role", "ADMINISTRATOR", typed=PASSWORD + "\n")
    for arguments, typed, said in (
        (("user", "add", "bob"), "short\n", "too short"),
        (("user", "add", "ann"), PASSWORD, "already"),
        (("user", "disable", "ann"), "", "only administrator"),
        (("user", "role", "nobody", "VIEWER"), "", "no such user"),
        (("token", "revoke", "ann", "ris"), "", "no such token"),
    ):
        ended = run(*arguments, typed=typed)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
        assert said in ended.stderr


def test_user_without_a_name_in_the_operating_system_is_noted_by_number(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers are run with numbers that no passwd file knows."""

    def nameless() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert run("user", "add", "ann", "--generate").returncode == 0
    (line,) = wiring.audit_trail(settings).page(AuditFilter(), 100)
    assert (line.actor, line.action) == ("cli:4711", "USER_ADDED")


def test_first_administrator_is_made_where_there_is_nobody_and_only_then(settings: Settings) -> None:
    password = wiring.first_password(settings)
    assert password
    assert wiring.first_password(settings) is None
    signed_in = wiring.accounts(settings).sign_in("admin", password, "", wiring.SystemClock().now())
    assert signed_in.role is Role.ADMINISTRATOR
    kept = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert password.encode() not in kept
