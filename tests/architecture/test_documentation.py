"""What an operator can meet is written down: commands, settings, states, reasons, statuses; and what is written exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from triage_node.cli import app
from triage_node.core import dimse_status
from triage_node.core.audit import AuditAction
from triage_node.core.reason import REASON_TEXTS, Reason
from triage_node.core.study_state import DeliveryState, State
from triage_node.settings import Settings
from triage_node.worklist.views import VIEWS

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
STATUSES_ANSWERED = (
    dimse_status.SUCCESS,
    dimse_status.OUT_OF_RESOURCES,
    dimse_status.DOES_NOT_MATCH_SOP_CLASS,
    dimse_status.CANNOT_UNDERSTAND,
    dimse_status.PROCESSING_FAILURE,
)


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    subcommands = getattr(group, "commands", {})
    for name, each in subcommands.items():
        yield from _commands(each, (*path, name))
    if path and not subcommands:
        yield " ".join(path)


COMMANDS = sorted(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("reason", Reason)
def test_runbook_says_what_a_reason_means_and_what_to_do(reason: Reason) -> None:
    (row,) = re.findall(rf"^\| `{reason}` \| (.+?) \| (.+?) \|$", RUNBOOK, flags=re.MULTILINE)
    assert row[0] == REASON_TEXTS[reason]
    assert row[1]


@pytest.mark.parametrize("state", State)
def test_runbook_says_what_a_state_means(state: State) -> None:
    assert re.search(rf"^\| `{state}` \| .+ \| .+ \|$", RUNBOOK, flags=re.MULTILINE)


@pytest.mark.parametrize("state", DeliveryState)
def test_runbook_says_what_a_delivery_state_means(state: DeliveryState) -> None:
    assert f"`{state}`" in RUNBOOK


@pytest.mark.parametrize("action", AuditAction)
def test_runbook_says_what_a_line_of_the_audit_trail_means(action: AuditAction) -> None:
    assert re.search(rf"^\| `{action}` \| .+ \|$", RUNBOOK, flags=re.MULTILINE)


@pytest.mark.parametrize("status", STATUSES_ANSWERED, ids=lambda status: f"0x{status.code:04X}")
def test_runbook_says_what_a_status_that_we_answer_means(status: dimse_status.Status) -> None:
    assert re.search(rf"^\| `0x{status.code:04X}` \| .+ \| .+ \|$", RUNBOOK, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_on_a_page(command: str) -> None:
    mentioned = re.compile(rf"triage-node {command}\b")
    assert any(mentioned.search(page) for page in PAGES.values())


@pytest.mark.parametrize("name", PAGES)
def test_page_names_only_commands_that_exist(name: str) -> None:
    groups = {command.split()[0] for command in COMMANDS}
    for first, second in re.findall(r"`?triage-node ([a-z]+)(?: ([a-z-]+))?", PAGES[name]):
        assert first in groups, f"triage-node {first}"
        subcommands = {command.split()[1] for command in COMMANDS if command.startswith(f"{first} ")}
        if subcommands and second:
            assert second in subcommands, f"triage-node {first} {second}"


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#\s]+)", PAGES[name]):
        if "://" not in target:
            assert (folder / target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_settings_that_a_page_names_exist(name: str) -> None:
    known = set(Settings.model_fields)
    columns = {column for view in VIEWS.values() for column in view.columns}
    for word in re.findall(r"TRIAGE_([A-Z_]+)\b", PAGES[name]):
        assert word.lower() in known | {"settings_file", "node"} or word.endswith("_"), f"TRIAGE_{word}"
    for word in re.findall(r"`([a-z]+(?:_[a-z]+)+_(?:s|bytes|dir|url))`", PAGES[name]):
        assert word in known | columns, word
