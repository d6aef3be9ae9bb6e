"""The node as installed: ``triage-node`` in subprocesses, asked through its database and ended by process id."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from hospital.waiting import wait_until
from triage_node.core.identifiers import PeerAddress
from triage_node.core.study_state import FINAL_STATES
from triage_node.supervisor import free_port
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository

UNHURRIED_S = 10.0
"""A quiet period that no sender on a busy machine lets pass between two slices: one revision, whatever else runs."""

COMMAND = Path(sys.executable).with_name("triage-node")
PROCESSES = frozenset({"scp", "worker", "courier", "beat", "web"})
WEIGHTS_VARIABLE = "WEIGHTS_UNDER_TEST"
"""Names a folder of releases to take the journeys with, in place of the one that is shipped."""

Row = Mapping[str, Any]


def environment(**settings: object) -> dict[str, str]:
    """Return this environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGE_")}
    if WEIGHTS_VARIABLE in kept:
        kept["TRIAGE_WEIGHTS_DIR"] = kept[WEIGHTS_VARIABLE]
    return kept | {f"TRIAGE_{name.upper()}": str(value) for name, value in settings.items()}


def command(*arguments: object, within_s: float = 60.0, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run ``triage-node`` to its end."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=within_s,
        stdin=subprocess.DEVNULL,
    )


class Processes:
    """Processes of ours and their children, each ended by its id."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._family: dict[int, psutil.Process] = {}

    def start(self, name: str, *arguments: object, **settings: object) -> subprocess.Popen[bytes]:
        """Start ``triage-node`` with these arguments; its output goes to a log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [COMMAND, *map(str, arguments)],
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._started[name] = process
        return process

    def __getitem__(self, name: str) -> subprocess.Popen[bytes]:
        return self._started[name]

    def family(self, name: str) -> list[psutil.Process]:
        """Return the children of one process, and remember them: they must end with us even if it does not end them."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._started[name].pid).children(recursive=True)
            self._family.update({child.pid: child for child in children})
            return children
        return []

    def log(self, name: str) -> str:
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Terminate, wait, kill what is left."""
        for name in self._started:
            self.family(name)
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _, alive = psutil.wait_procs(list(self._family.values()), timeout=5)
        for left in alive:
            left.kill()


class Results:
    """What the results database says, waited for."""

    def __init__(self, database_url: str) -> None:
        self.repository = SqlStudyRepository(make_engine(database_url))

    def alive(self) -> dict[str, int]:
        """Return the process id of each living process by name."""
        return {each.name: each.pid for each in self.repository.processes() if psutil.pid_exists(each.pid)}

    def row(self, study_instance_uid: str) -> Row | None:
        rows = self.repository.worklist(limit=10_000)
        return next((row for row in rows if row["study_instance_uid"] == study_instance_uid), None)

    def ended(self, study_instance_uid: str, *, within_s: float = 60.0) -> Row:
        """Wait until a study has ended; return its worklist row."""

        def ended_row() -> Row | None:
            row = self.row(study_instance_uid)
            return row if row is not None and row["state"] in FINAL_STATES else None

        try:
            return wait_until(ended_row, f"study {study_instance_uid} ends", within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; row: {self.row(study_instance_uid)}") from None

    def ended_whole(self, study_instance_uid: str, instances: int, *, within_s: float = 60.0) -> Row:
        """Wait until a study has ended with so many instances, in whichever revision; return its worklist row."""

        def whole_row() -> Row | None:
            row = self.row(study_instance_uid)
            return row if row and row["state"] in FINAL_STATES and row["instance_count"] == instances else None

        row: Row = wait_until(whole_row, f"study {study_instance_uid} ends whole", within_s=within_s)
        return row

    def study(self, study_instance_uid: str) -> Any:
        found = self.repository.study(study_instance_uid)
        assert found is not None
        return found

    def only_series(self, study_instance_uid: str) -> Any:
        """Return the one series of a study."""
        (series,) = self.study(study_instance_uid)["series"]
        return series


class Node:
    """``triage-node up`` on loopback, with a folder of its own."""

    def __init__(self, folder: Path, destinations: Sequence[PeerAddress] = (), **settings: object) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.http_port = free_port()
        self.address = PeerAddress("TRIAGE", "127.0.0.1", free_port())
        self.processes = Processes(folder / "logs")
        self.settings_file = folder / "triage_node.toml"
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, object] = {
            "data_dir": str(self.data_dir),
            "dicom_host": "127.0.0.1",
            "dicom_port": self.address.port,
            "http_port": self.http_port,
            "pacs": [str(each) for each in destinations],
            "quiet_period_s": 5.0,
            "retry_first_s": 0.5,
            "retry_longest_s": 1.0,
            "lease_s": 15.0,
            "torch_threads": 1,
            "spool_floor_bytes": 0,
        }
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in (values | settings).items()]
        self.settings_file.write_text("".join(lines))

    def start(self) -> None:
        """Start, and wait until every process shows a heartbeat."""
        process = self.processes.start("up", "up", "--config", self.settings_file)
        database = self.data_dir / "triage_node.sqlite3"
        wait_until(lambda: database.exists() or process.poll() is not None, "a database", within_s=60)
        wait_until(self._migrated, "the schema", within_s=60)
        self.results = Results(f"sqlite:///{database}")
        wait_until(self._whole, "all processes alive", within_s=90)
        self.processes.family("up")

    def stop(self) -> None:
        self.processes.stop()

    def restarted(self, name: str, old_pid: int) -> int:
        """Wait until another process of this name lives; return its process id."""

        def other() -> int | None:
            pid = self.results.alive().get(name)
            return pid if pid != old_pid else None

        pid = wait_until(other, f"{name} restarted", within_s=60)
        self.processes.family("up")
        return int(pid or 0)

    def log(self) -> str:
        return self.processes.log("up")

    def _migrated(self) -> bool:
        assert self.processes["up"].poll() is None, self.log()
        return "data in" in self.log()

    def _whole(self) -> bool:
        assert self.processes["up"].poll() is None, self.log()
        return set(self.results.alive()) >= PROCESSES
