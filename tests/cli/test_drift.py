"""``drift`` at the terminal: counts, alarms in words, acceptance, the shadow's comparison and its tables for ``evaluate``."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import insert
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from triage_node.cli import drift_commands, evaluate_commands
from triage_node.core.drift import score_bin
from triage_node.core.errors import ConfigurationRejected, Refused
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, StoredInstance
from triage_node.worklist import migrate
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.shadow import SqlShadowLog
from triage_node.worklist.tables import ObservationRow

NOW = datetime.now(UTC)
app = typer.Typer()
drift_commands.register(app)
evaluate_commands.register(app)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def data_dir(tmp_path: Path, migrations_folder: Path) -> Path:
    migrate.upgrade(f"sqlite:///{tmp_path / 'triage_node.sqlite3'}", migrations_folder)
    return tmp_path


def _observe(data_dir: Path, count: int, prevalence: float, *, days_ago: float) -> None:
    """Observations of one scanner, spread over a day."""
    rng = random.Random(count)
    rows = []
    for number in range(count):
        at = NOW - timedelta(days=days_ago) + number * timedelta(days=1) / count
        score = rng.uniform(0.6, 1.0) if rng.random() < prevalence else rng.uniform(0.0, 0.3)
        rows.append(
            {"series_id": None, "revision": 1, "outcome": "READ", "counted": True, "observed_at": at}
            | {"observed_on": at.date(), "calling_ae_title": "CT1", "station_name": "SOMATOM7", "model_name": "first"}
            | {"operating_point": "balanced", "ich_probability": score, "score_bin": score_bin(score)}
            | {"flagged": score >= 0.5}
        )
    engine = make_engine(f"sqlite:///{data_dir / 'triage_node.sqlite3'}")
    with Session(engine) as session, session.begin():
        session.execute(insert(ObservationRow), rows)
    engine.dispose()


def test_a_node_that_has_read_nothing_says_so(data_dir: Path) -> None:
    result = run("drift", "--data-dir", data_dir)
    assert result.exit_code == 0
    assert "Nothing has been read yet." in result.stdout
    assert json.loads(run("drift", "--data-dir", data_dir, "--json").stdout) == {
        "alarms": [],
        "scanners": [],
        "days": [],
    }


def test_an_alarm_is_shown_in_words_until_it_is_accepted(data_dir: Path) -> None:
    _observe(data_dir, 700, 0.2, days_ago=5)
    _observe(data_dir, 200, 0.0, days_ago=2)
    result = run("drift", "--data-dir", data_dir)
    assert "ALARM positive rate of CT1/SOMATOM7 fell from" in " ".join(result.stdout.split())
    found = json.loads(run("drift", "--data-dir", data_dir, "--json").stdout)
    assert ("CT1/SOMATOM7", "positive_rate", "down") in {
        (each["scanner"], each["measure"], each["direction"]) for each in found["alarms"]
    }
    assert sum(each["read"] for each in found["days"]) == 900
    assert all(len(each["histogram"]) == 20 for each in found["days"])
    for scanner in ("CT1/SOMATOM7", "all scanners"):
        assert run("drift", "--data-dir", data_dir, "--accept", scanner).exit_code == 0
    assert "No drift alarm." in run("drift", "--data-dir", data_dir).stdout


def test_days_limit_what_is_shown(data_dir: Path) -> None:
    _observe(data_dir, 10, 0.2, days_ago=40)
    assert json.loads(run("drift", "--data-dir", data_dir, "--json").stdout)["days"] == []
    assert json.loads(run("drift", "--data-dir", data_dir, "--days", "60", "--json").stdout)["days"]


def test_an_unknown_scanner_is_answered_with_the_known_ones(data_dir: Path) -> None:
    _observe(data_dir, 10, 0.2, days_ago=1)
    result = run("drift", "--data-dir", data_dir, "--accept", "CT9")
    assert isinstance(result.exception, Refused)
    assert "CT1/SOMATOM7, all scanners" in str(result.exception)


@pytest.mark.parametrize("arguments", [("--out", "x"), ("--shadow", "--labels", "x")])
def test_options_that_belong_together_are_asked_for_together(data_dir: Path, arguments: tuple[str, ...]) -> None:
    assert isinstance(run("drift", "--data-dir", data_dir, *arguments).exception, ConfigurationRejected)


# the shadow ----------------------------------------------------------------------------------------------------------


def _finding(probability: float, release: str) -> Finding:
    flagged = probability >= 0.5
    subtypes = dict.fromkeys(SUBTYPES, round(probability / 2, 3)) if flagged else None
    slices = tuple(SliceFinding(f"1.9.{number}", probability, subtypes, flagged) for number in range(3))
    return Finding(probability, flagged, subtypes, (), slices, release, "1", "0" * 64, "balanced", 0.5)


@pytest.fixture
def twice_read(data_dir: Path) -> Path:
    """A node on which two releases read twenty studies; every second one bleeds, and they differ on two."""
    engine = make_engine(f"sqlite:///{data_dir / 'triage_node.sqlite3'}")
    repository, shadow_log = SqlStudyRepository(engine), SqlShadowLog(engine)
    for number in range(20):
        series_id = _closed(repository, number)
        before = 0.9 - number / 100 if number % 2 else 0.1 + number / 100
        after = {3: 0.2, 4: 0.7}.get(number, before)
        repository.save_finding(series_id, 1, _finding(before, "first"), NOW)
        shadow_log.save(series_id, 1, replace(_finding(after, "candidate")), NOW)
    engine.dispose()
    return data_dir


def _closed(repository: SqlStudyRepository, number: int) -> int:
    study = f"1.2.{number}"
    header = InstanceHeader(
        f"{study}.1.1", "1.2.840.10008.5.1.4.1.1.2", f"{study}.1", study, "1.2.840.10008.1.2.1", "CT"
    )
    peer = AssociationPeer(f"a{number}", "CT1", "TRIAGE", "10.0.0.7")
    repository.add_instances([StoredInstance(header, Path(f"/s/{number}.dcm"), NOW, peer)])
    found: Any = repository.study(study)
    series_id = int(found["series"][0]["series_id"])
    assert repository.close_series(series_id, 1, NOW)
    return series_id


def test_without_a_shadow_there_is_nothing_to_compare(data_dir: Path) -> None:
    result = run("drift", "--shadow", "--data-dir", data_dir)
    assert isinstance(result.exception, Refused)
    assert "shadow_release" in str(result.exception)


def test_the_comparison_names_studies_whose_flag_would_change(twice_read: Path) -> None:
    shown = run("drift", "--shadow", "--data-dir", twice_read).stdout
    assert "candidate in the shadow of first" in shown
    assert "same flag 90.0%" in shown
    assert shown.index("newly flagged: 1\n  1.2.4\n") < shown.index("no longer flagged: 1\n  1.2.3\n")
    found = json.loads(run("drift", "--shadow", "--data-dir", twice_read, "--json").stdout)
    assert (found["read_by_both"], found["left_out"], found["now_flagged"]) == (20, 0, ["1.2.4"])


@pytest.mark.parametrize("labelled", [False, True])
def test_exported_predictions_are_what_evaluate_compares(twice_read: Path, tmp_path: Path, labelled: bool) -> None:
    out, arguments = tmp_path / "comparison", []
    if labelled:
        labels = tmp_path / "labels.csv"
        rows = [f"1.2.{number},{number % 2},{number % 2},0,0,0,0" for number in range(20)]
        labels.write_text("\n".join(["subject,any,CPH,IVH,SDH,EDH,SAH", *rows]) + "\n")
        arguments = ["--labels", labels]
    exported = run("drift", "--shadow", "--data-dir", twice_read, "--out", out, *arguments)
    assert exported.exit_code == 0, exported.exception
    assert len((out / "active.csv").read_text().splitlines()) == 1 + 20 * (1 + 3)
    header, first = (line.split(",") for line in (out / "active.csv").read_text().splitlines()[:2])
    assert float(dict(zip(header, first, strict=True))["threshold"]) == 0.5
    judged = run("evaluate", out / "active.csv", "--shadow", out / "shadow.csv", "--out", tmp_path / "report", "--json")
    assert judged.exit_code == 0, judged.exception
    text = judged.stdout
    assert "1.2.3" in text
    assert "1.2.4" in text
