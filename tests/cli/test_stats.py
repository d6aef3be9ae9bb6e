"""``stats``, ``query`` and ``simulate`` at the terminal: figures, tables and clear refusals."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from fakes.studies import Studies
from typer.testing import CliRunner, Result

from triage_node.cli import simulate_commands, statistics_commands
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.queueing import Order, Unstable
from triage_node.core.reader_agreement import FEEDBACK_CAVEAT
from triage_node.core.reason import Reason
from triage_node.worklist import migrate
from triage_node.worklist.engine import make_engine
from triage_node.worklist.read_only import QueryRefused
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.views import VIEWS

app = typer.Typer()
statistics_commands.register(app)
simulate_commands.register(app)


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(each) for each in arguments])


@pytest.fixture
def data_dir(tmp_path: Path, migrations_folder: Path) -> Path:
    url = f"sqlite:///{tmp_path / 'triage_node.sqlite3'}"
    migrate.upgrade(url, migrations_folder)
    studies = Studies(SqlStudyRepository(make_engine(url)))
    studies.forward(studies.arrive(minutes_ago=30, patient_name='=HYPERLINK("http://x")'))
    studies.classify(studies.arrive(minutes_ago=20), probability=0.1)
    studies.decline(studies.arrive(minutes_ago=10), Reason.CONTRAST)
    return tmp_path


def test_stats_are_printed_and_given_as_json(data_dir: Path) -> None:
    result = run("stats", "--data-dir", data_dir, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["volume"]["studies"] == 3
    assert found["volume"]["flagged_share"]["hits"] == 1
    assert found["time_to_flag"]["all"]["count"] == 2
    assert [each["reason"] for each in found["refusals"]["reasons"]] == ["CONTRAST"]
    assert found["scanners"][0]["silent"] is False
    page = run("stats", "--data-dir", data_dir)
    assert page.exit_code == 0
    assert "50 % (9 to 91 %, 1 of 2)" in page.stdout
    assert FEEDBACK_CAVEAT in " ".join(page.stdout.split())


def test_stats_of_another_time_are_empty_and_of_years_refused(data_dir: Path) -> None:
    result = run("stats", "--data-dir", data_dir, "--since", "2020-01-01", "--until", "2020-02-01", "--json")
    assert json.loads(result.stdout)["volume"]["studies"] == 0
    refused = run("stats", "--data-dir", data_dir, "--since", "2020-01-01")
    assert isinstance(refused.exception, ConfigurationRejected)


def test_query_prints_a_table_json_and_csv_without_formulas(data_dir: Path) -> None:
    sql = "SELECT patient_name, ich_probability, flagged FROM v_studies ORDER BY received_at"
    table = run("query", "--data-dir", data_dir, sql)
    assert table.exit_code == 0, table.output
    assert "patient_name" in table.stdout
    rows = json.loads(run("query", "--data-dir", data_dir, "--json", sql).stdout)
    assert rows[0] == {"patient_name": '=HYPERLINK("http://x")', "ich_probability": 0.93, "flagged": 1}
    lines = list(csv.reader(io.StringIO(run("query", "--data-dir", data_dir, "--csv", sql).stdout)))
    assert lines[:2] == [["patient_name", "ich_probability", "flagged"], ['\'=HYPERLINK("http://x")', "0.93", "1"]]


def test_query_says_when_there_is_more_and_refuses_what_writes(data_dir: Path) -> None:
    result = run("query", "--data-dir", data_dir, "--limit", "2", "SELECT * FROM v_studies")
    assert "only the first 2 rows" in result.stderr
    assert isinstance(run("query", "--data-dir", data_dir, "DELETE FROM studies").exception, QueryRefused)
    assert isinstance(run("query", "--data-dir", data_dir).exception, ConfigurationRejected)


def test_query_explains_every_view_without_a_database() -> None:
    listed = run("query", "--list").stdout
    assert all(f"{name}: {view.row}" in listed for name, view in VIEWS.items())
    assert json.loads(run("query", "--list", "--json").stdout)["v_slices"]["columns"]["slice_index"]


def test_simulate_takes_what_was_measured_of_the_release_and_says_so() -> None:
    result = run("simulate", "--hours", "100", "--replications", "3", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["measured"]["sensitivity"] == report["load"]["sensitivity"]
    assert [each["order"] for each in report["orders"]] == [Order.FIRST_COME, Order.FLAGGED_FIRST]
    assert report["orders"][0]["kinds"][0]["theory_mean_min"] == pytest.approx(20.0)
    page = run("simulate", "--hours", "100", "--replications", "3", "--waiting-cap", "60").stdout
    assert report["measured"]["release"] in page
    assert "Flagged first, with a waiting cap" in page


def test_simulate_names_no_release_where_both_rates_are_given() -> None:
    given = ("--sensitivity", "0.9", "--specificity", "0.8", "--hours", "50", "--replications", "2", "--json")
    report = json.loads(run("simulate", *given).stdout)
    assert report["measured"] is None
    assert (report["load"]["sensitivity"], report["load"]["specificity"]) == (0.9, 0.8)


def test_simulate_prints_json_and_no_infinity_where_a_kind_came_in_one_run_only() -> None:
    rare = ["--arrivals", "0.5", "--prevalence", "0.02", "--sensitivity", "0.9", "--specificity", "0.9"]
    rare += ["--hours", "24", "--replications", "20"]
    printed = run("simulate", *rare, "--json").stdout
    kinds = json.loads(printed)["orders"][0]["kinds"]
    assert [each["upper_95_min"] for each in kinds if each["studies"] == 1]
    assert all(each["upper_95_min"] is None for each in kinds if each["studies"] == 1)
    assert "Infinity" not in printed
    assert "inf)" not in run("simulate", *rare).stdout


def test_simulate_says_what_to_change_where_readers_cannot_keep_up() -> None:
    error = run("simulate", "--arrivals", "12").exception
    assert isinstance(error, Unstable)
    assert "at least 3 readers" in str(error)
    assert isinstance(run("simulate", "--hourly-weights", "1,2").exception, ConfigurationRejected)
