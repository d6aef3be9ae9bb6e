"""``classify`` on a folder, ``worklist`` and ``show`` on an empty node, ``check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hospital.node import command
from hospital.studies import bleeding_head, head_study, plain_study, written

from triage_node.core.finding import SUBTYPES
from triage_node.supervisor import free_port
from triage_node.worklist import migrate


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated data folder."""
    folder = tmp_path_factory.mktemp("data")
    for _ in range(2):
        migrated = command("migrate", "--data-dir", folder)
        assert (migrated.returncode, migrated.stdout) == (0, "the database is up to date\n"), migrated.stderr
    return folder


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What ``classify --json`` says of a folder with a bleeding head, a short series and a text file."""
    folder = tmp_path_factory.mktemp("folder")
    written(reversed(head_study(bleeding_head(), PatientName="One^Bleeding")), folder / "head")
    written(plain_study(3), folder / "short")
    (folder / "readme.txt").write_text("not DICOM")
    ended = command("classify", folder, "--json", within_s=110)
    assert ended.returncode == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found


def test_classify_gives_one_object_a_series(classified: list[dict[str, Any]]) -> None:
    assert [(each["state"], each["reason"]) for each in classified] == [
        ("CLASSIFIED", None),
        ("NOT_ANALYSED", "TOO_FEW_SLICES"),
    ]


def test_classify_flags_the_bleeding_head_and_names_subtypes(classified: list[dict[str, Any]]) -> None:
    read = classified[0]
    assert read["flagged"] is True
    assert 0.0 <= read["ich_probability"] <= 1.0
    assert tuple(read["subtypes"]) == SUBTYPES


def test_classify_gives_the_slices_from_inferior_to_superior(classified: list[dict[str, Any]]) -> None:
    read = classified[0]
    assert len(read["slices"]) == len(bleeding_head().volume_hu) == read["instances"]
    assert set(read["slices"][0]) >= {"sop_instance_uid", "ich_probability", "subtypes"}
    assert len({each["sop_instance_uid"] for each in read["slices"]}) == read["instances"]


def test_classify_says_which_weights_read(classified: list[dict[str, Any]]) -> None:
    assert len(classified[0]["weights_sha256"]) == 64
    assert classified[1]["weights_sha256"] is None


def test_classify_tells_people_in_lines(tmp_path: Path) -> None:
    written(plain_study(3), tmp_path / "short")
    ended = command("classify", tmp_path)
    assert ended.returncode == 0
    assert "TOO_FEW_SLICES" in ended.stdout
    assert "Not for diagnostic use" in ended.stdout


def test_worklist_of_an_empty_node_is_an_empty_array(data_dir: Path) -> None:
    shown = command("worklist", "--json", "--data-dir", data_dir)
    assert (shown.returncode, json.loads(shown.stdout)) == (0, [])


def test_study_that_is_not_there_ends_with_1(data_dir: Path) -> None:
    tried = command("show", "1.2.3", "--data-dir", data_dir)
    assert tried.returncode == 1
    assert "no study has" in tried.stderr


def test_check_tells_what_is_sound_and_what_is_not(data_dir: Path) -> None:
    checked = command("check", "--json", "--data-dir", data_dir, pacs=f"PACS@127.0.0.1:{free_port()}", within_s=110)
    outcomes = {each["name"]: each["outcome"] for each in json.loads(checked.stdout)}
    assert outcomes["weights"] == outcomes["database"] == outcomes["redis"] == "ok", checked.stdout
    assert outcomes["destinations"] == "failed"
    assert checked.returncode == 1


def test_check_fails_where_the_schema_is_an_older_one(tmp_path: Path, migrations_folder: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path / 'triage_node.sqlite3'}", migrations_folder, to="0001")
    checked = command("check", "--json", "--data-dir", tmp_path, within_s=110)
    (database,) = (each for each in json.loads(checked.stdout) if each["name"] == "database")
    assert (checked.returncode, database["outcome"]) == (1, "failed")
    assert "triage-node migrate" in database["detail"]


def test_check_without_failures_ends_with_0(data_dir: Path) -> None:
    checked = command("check", "--data-dir", data_dir, within_s=110)
    assert checked.returncode == 0, checked.stdout
    assert "gives its reference output" in checked.stdout
