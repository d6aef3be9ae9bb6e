"""The production shape: each process by itself, PostgreSQL and a Redis server by URL, two SCPs on one port."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hospital.node import PROCESSES, Processes, Results, command
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, coarse_head, head_study, study_uid
from hospital.waiting import wait_until

from triage_node.core.identifiers import PeerAddress
from triage_node.supervisor import free_port, redis_executable


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-server of the site, on TCP."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen([redis_executable(), *options, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, new_postgresql_database: Callable[[], str], redis_url: str, pacs: Pacs
) -> dict[str, object]:
    """What an operator would put into the environment of every process."""
    return {
        "data_dir": tmp_path_factory.mktemp("shared"),
        "database_url": new_postgresql_database(),
        "redis_url": redis_url,
        "dicom_host": "127.0.0.1",
        "dicom_port": free_port(),
        "scp_processes": 2,
        "http_port": free_port(),
        "pacs": pacs.address,
        "quiet_period_s": 2,
        "torch_threads": 1,
        "spool_floor_bytes": 0,
    }


@pytest.fixture(scope="module")
def results(settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """The database of a site whose processes are all alive."""
    for _ in range(2):
        migrated = command("migrate", **settings)
        assert (migrated.returncode, migrated.stdout) == (0, "the database is up to date\n"), migrated.stderr
    processes = Processes(tmp_path_factory.mktemp("logs"))
    results = Results(str(settings["database_url"]))
    try:
        for name in ("scp", "worker", "courier", "beat", "web"):
            processes.start(name, name, **settings)
        processes.start("second scp", "scp", **settings)

        def whole() -> bool:
            for name in (*PROCESSES, "second scp"):
                assert processes[name].poll() is None, processes.log(name)
            names = [each.name for each in results.repository.processes()]
            return set(names) == PROCESSES and names.count("scp") == 2

        wait_until(whole, "all processes alive", within_s=90)
        yield results
    finally:
        processes.stop()


@pytest.fixture
def scanner(settings: dict[str, object], tmp_path: Path) -> Scanner:
    return Scanner(PeerAddress("TRIAGE", "127.0.0.1", int(str(settings["dicom_port"]))), tmp_path)


def test_bleeding_head_comes_back_as_report_and_heatmaps(results: Results, scanner: Scanner, pacs: Pacs) -> None:
    series = head_study(bleeding_head())
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended(study_uid(series))
    assert (row["state"], row["flagged"]) == ("FORWARDED", True)
    assert {each.Modality for each in pacs.objects(study_uid(series))} == {"SR", "OT", "KO"}
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_series_whose_slices_two_scps_take_is_one_series(results: Results, scanner: Scanner) -> None:
    series = head_study(coarse_head())
    for dataset in series:
        assert scanner.send([dataset]) == [0x0000]  # the kernel gives each connection to one of the two
    row = results.ended_whole(study_uid(series), len(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)


def test_name_that_postgresql_cannot_hold_does_not_hold_up_the_others(results: Results, scanner: Scanner) -> None:
    odd = head_study(coarse_head(), PatientName="Null\0Byte^In\0Name")
    series = head_study(coarse_head())
    scanner.send(odd)
    scanner.send(series)
    assert results.ended(study_uid(series))["state"] == "FORWARDED"
    assert results.ended(study_uid(odd))["state"] == "FORWARDED"


def test_web_process_finds_the_others_by_the_database(results: Results, settings: dict[str, object]) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings['http_port']}/health/ready", timeout=10) as answer:
        assert answer.status == 200


def test_check_finds_the_site_sound(results: Results, settings: dict[str, object]) -> None:
    checked = command("check", **settings, within_s=110)
    assert checked.returncode == 0, checked.stdout
    for line in ("ok       database", "ok       redis", "ok       weights", "ok       destinations"):
        assert line in checked.stdout
