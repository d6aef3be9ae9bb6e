"""Help, usage errors and exit statuses: 0, 1 (the thing failed), 2 (usage), always with one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from hospital.node import command

from triage_node.cli import app
from triage_node.supervisor import free_port

HEAVY = ("torch", "pynetdicom", "pydicom", "highdicom", "sqlalchemy", "celery", "fastapi", "scipy", "numpy")


def _commands() -> list[tuple[str, ...]]:
    """Return every command and subcommand."""
    found: list[tuple[str, ...]] = []

    def walk(group: click.Command, path: tuple[str, ...]) -> None:
        found.append(path)
        for name, each in getattr(group, "commands", {}).items():
            walk(each, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def _loaded(code: str) -> set[str]:
    """Return which heavy libraries a fresh interpreter has loaded after this code."""
    script = f"import sys\n{code}\nprint(*(each for each in {HEAVY!r} if each in sys.modules), file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stderr.split())


def test_help_loads_none_of_the_heavy_libraries() -> None:
    code = "from triage_node.cli import app\ntry: app(['--help'])\nexcept SystemExit as end: assert end.code == 0"
    assert _loaded(code) == set()


def test_scp_and_its_stations_never_load_torch() -> None:
    code = (
        "import triage_node.wiring, triage_node.arrival.storage_scp, triage_node.arrival.spool\n"
        "import triage_node.assembly.header_reader, triage_node.pipeline.intake, triage_node.pipeline.tasks\n"
        "import triage_node.worklist.repository, triage_node.pipeline.heart"
    )
    assert not _loaded(code) & {"torch", "highdicom", "scipy"}


@pytest.mark.parametrize("path", _commands(), ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    group: click.Command = typer.main.get_command(app)
    for name in path:
        group = group.commands[name]  # type: ignore[attr-defined]
    assert group.help
    for parameter in group.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, parameter.name


def test_help_of_a_command_in_full() -> None:
    shown = command("up", "--help")
    assert shown.returncode == 0
    for option in ("--config", "--data-dir", "--dicom-port", "--http-port", "--pacs"):
        assert option in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("frobnicate",), "frobnicate"),
        (("worklist", "--limit", "0"), "--limit"),
        (("up", "--dicom-port", "eleven"), "--dicom-port"),
        (("up", "--dicom-port", "70000"), "dicom_port"),
        (("up", "--pacs", "nonsense"), "AET@HOST:PORT"),
        (("echo", "--to", "nonsense"), "AET@HOST:PORT"),
        (("send", "nowhere"), "nowhere does not exist"),
        (("classify", "nowhere"), "nowhere does not exist"),
        (("worklist", "--data-dir", "nowhere"), "no results database"),
        (("show", "1.2.3", "--data-dir", "nowhere"), "no results database"),
        (("worker",), "set redis_url"),
        (("courier",), "set redis_url"),
        (("migrate", "--database-url", "nonsense"), "nonsense"),
        (("migrate", "--data-dir", "/dev/null/data"), "setting data_dir: /dev/null/data cannot be made"),
        (("up", "--data-dir", "/dev/null/data"), "setting data_dir: /dev/null/data cannot be made"),
        (("worklist", "--database-url", "sqlite:///empty.sqlite3"), "the database has no schema"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = command(*arguments)
    assert tried.returncode == 2, tried.stderr
    assert said in tried.stderr
    assert "Traceback" not in tried.stderr


def test_settings_file_with_a_wrong_key_names_file_key_and_nearest(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("dicom_prot = 104\n")
    for name in ("up", "scp", "worker", "check", "worklist"):
        tried = command(name, "--config", file)
        assert tried.returncode == 2
        assert f"{file}: unknown setting 'dicom_prot'; did you mean dicom_port?" in tried.stderr
        assert "Traceback" not in tried.stderr


def test_unknown_variable_in_the_environment_ends_with_2() -> None:
    tried = command("check", dicom_prot=104)
    assert tried.returncode == 2
    assert "TRIAGE_DICOM_PROT" in tried.stderr


def test_echo_to_nobody_ends_with_1() -> None:
    tried = command("echo", "--to", f"PACS@127.0.0.1:{free_port()}")
    assert tried.returncode == 1
    assert "no connection" in tried.stderr


def test_send_to_nobody_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not DICOM")
    tried = command("send", tmp_path, "--to", f"PACS@127.0.0.1:{free_port()}")
    assert tried.returncode == 1
    assert "0 of 1 files taken" in tried.stdout
    assert "not in the DICOM File Format" in tried.stderr


def test_classify_without_any_dicom_file_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not DICOM")
    tried = command("classify", tmp_path)
    assert tried.returncode == 1
    assert "no DICOM file that can be read" in tried.stderr


def test_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        database = f"sqlite:///{tmp_path / 'triage.sqlite3'}"
        assert command("migrate", database_url=database, data_dir=tmp_path).returncode == 0
        tried = command(
            "scp", "--dicom-port", port, database_url=database, data_dir=tmp_path, dicom_host="127.0.0.1",
            redis_url="redis://127.0.0.1:1/0",
        )  # fmt: skip
    assert tried.returncode == 2, tried.stderr
    assert f"port {port}" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_tls_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    assert command("migrate", data_dir=tmp_path).returncode == 0
    values = {"data_dir": tmp_path, "dicom_port": free_port(), "redis_url": "redis://127.0.0.1:1/0"}
    tried = command("scp", **values, tls_certificate="/nowhere/node.pem")
    assert tried.returncode == 2
    assert "setting tls_certificate: /nowhere/node.pem" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_process_refuses_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    values = {"database_url": f"sqlite:///{tmp_path / 'x.sqlite3'}", "redis_url": "redis://127.0.0.1:1/0"}
    for name in ("scp", "courier", "beat", "web"):
        tried = command(name, data_dir=tmp_path, dicom_port=free_port(), http_port=free_port(), **values)
        assert tried.returncode == 2
        assert "run `triage-node migrate`" in tried.stderr
        assert "Traceback" not in tried.stderr
