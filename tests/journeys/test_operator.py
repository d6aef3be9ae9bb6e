"""The commands of an operator against a running node."""

from __future__ import annotations

import json
from pathlib import Path

from hospital.node import Node, command
from hospital.studies import coarse_head, head_study, plain_study, study_uid, written

from triage_node.core.study_state import Priority, State

WORKLIST_KEYS = {
    "study_instance_uid", "patient_id", "accession_number", "state", "reason", "priority", "ich_probability", "flagged",
    "subtypes", "received_at", "released_at", "classified_at", "forwarded_at",
}  # fmt: skip


def test_study_from_send_to_show(node: Node, tmp_path: Path) -> None:
    """The commands of an operator against a running node."""
    at = ("--config", node.settings_file)
    echoed = command("echo", *at)
    assert (echoed.returncode, "answered in" in echoed.stdout) == (0, True), echoed.stderr

    series = head_study(coarse_head(), AccessionNumber="ACC-SHOW-1", PatientID="PID-SHOW-1", PatientName="Show^Me")
    written(series, tmp_path)
    sent = command("send", tmp_path, *at)
    assert (sent.returncode, sent.stdout) == (0, f"{len(series)} of {len(series)} files taken by {node.address}\n")
    node.results.ended(study_uid(series))

    rows = json.loads(command("worklist", "--json", *at).stdout)
    (row,) = [row for row in rows if row["study_instance_uid"] == study_uid(series)]
    assert set(row) >= WORKLIST_KEYS
    assert row["state"] == "FORWARDED"
    assert [row["priority"] for row in rows] == sorted(
        (row["priority"] for row in rows), key=lambda p: Priority(p).rank
    )
    assert {row["state"] for row in rows} <= set(State)
    table = command("worklist", *at)
    assert (table.returncode, "ACC-SHOW-1" in table.stdout) == (0, True)

    for name in (study_uid(series), "ACC-SHOW-1", "PID-SHOW-1"):
        found = json.loads(command("show", name, "--json", *at).stdout)
        assert found["study_instance_uid"] == study_uid(series)
    (revision,) = found["series"][0]["revisions"]
    assert [each["sop_instance_uid"] for each in revision["slices"]] == [each.SOPInstanceUID for each in series]
    assert {each["deliveries"][0]["state"] for each in revision["evidence"]} == {"SENT"}
    page = command("show", "ACC-SHOW-1", *at)
    assert (page.returncode, "Show^Me" in page.stdout) == (0, True)


def test_study_that_was_not_read_is_shown_with_its_reason(node: Node, tmp_path: Path) -> None:
    series = plain_study(3, AccessionNumber="ACC-UNREAD-1")
    written(series, tmp_path)
    assert command("send", tmp_path, "--config", node.settings_file).returncode == 0
    node.results.ended(study_uid(series))
    page = command("show", "ACC-UNREAD-1", "--config", node.settings_file)
    assert page.returncode == 0, page.stderr
    assert "TOO_FEW_SLICES" in page.stdout
    assert "revision 1: not read" in page.stdout
