"""The demo's story: start, send, watch the worklist fill, check what arrived, show the heatmaps."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from triage_node import wiring
from triage_node.core.accounts import FIRST_USER
from triage_node.core.errors import ConfigurationRejected, TriageError
from triage_node.core.identifiers import PeerAddress
from triage_node.core.study_state import FINAL_STATES
from triage_node.demo.arrivals import missing_at_pacs, written_heatmaps
from triage_node.demo.pacs import DemoPacs
from triage_node.demo.studies import STUDIES, DemoStudy, write
from triage_node.settings import Settings
from triage_node.supervisor import Supervisor, free_port
from triage_node.terminal.ticking import ticking
from triage_node.terminal.worklist_table import worklist_table

START_LIMIT_S = 90.0
FINISH_LIMIT_S = 120.0
_MARKER = ".triage-node-demo"


def run(data_dir: Path, *, stay: bool, http_port: int) -> int:
    """Run the demo.

    Returns
    -------
    0 where every study ended as it must and its evidence is at the PACS, else 1.
    """
    console = Console()
    _emptied(data_dir)
    started = time.monotonic()
    pacs = DemoPacs(data_dir / "pacs")
    pacs.start()
    settings = Settings(
        data_dir=data_dir / "node",
        dicom_host="127.0.0.1",
        dicom_port=free_port(),
        http_port=_usable(http_port),
        pacs=(pacs.address,),
        peers=(),
    )
    say = console.print
    say(f"PACS of the demo: {pacs.address}; node: {settings.ae_title}@127.0.0.1:{settings.dicom_port}", highlight=False)
    supervisor = Supervisor(settings, logs=data_dir / "logs")
    try:
        with ticking(console, "migrating the database"):
            wiring.migrate(settings)
            password = wiring.first_password(settings)
        supervisor.start()
        rows = _filled(console, supervisor, settings, data_dir / "studies")
        with ticking(console, "checking what arrived at the PACS"):
            complete = _checked(console, rows, pacs, data_dir, started)
        if stay:
            _stay(console, supervisor, settings, password)
        return 0 if complete else 1
    except KeyboardInterrupt:
        return 1
    finally:
        with ticking(console, "stopping the node"):
            supervisor.stop()
            pacs.stop()


def _emptied(data_dir: Path) -> None:
    """Remove what an earlier demo left, and nothing else."""
    marker = data_dir / _MARKER
    if data_dir.exists() and any(data_dir.iterdir()):
        if not marker.exists():
            raise ConfigurationRejected(f"{data_dir} is not empty and not from a demo; give another --data-dir")
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _usable(port: int) -> int:
    """Return this port where it is free, else one that is: a demo must not fail for a busy 8080."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port or free_port()


def _filled(console: Console, supervisor: Supervisor, settings: Settings, folder: Path) -> Sequence[Mapping[str, Any]]:
    """Make the studies while the node starts, send each as soon as it is made, and watch the worklist fill."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as makers:
        making = [(study, makers.submit(write, study, folder)) for study in STUDIES]
        with ticking(console, f"starting the node; {len(STUDIES)} studies are made meanwhile"):
            wait_until_alive(supervisor, settings)
        with ThreadPoolExecutor(1) as sender:
            return _watched(console, supervisor, settings, sender.submit(_send_all, console, settings, making))


def _send_all(console: Console, settings: Settings, making: Sequence[tuple[DemoStudy, Future[Path]]]) -> None:
    """Send each study, once it is made, over an association of its own."""
    scu = wiring.storage_scu(settings.model_copy(update={"ae_title": "DEMO_CT"}))
    node = PeerAddress(settings.ae_title, "127.0.0.1", settings.dicom_port)
    for study, made in making:
        files = sorted(made.result().glob("*.dcm"))
        outcomes = list(scu.send_files(node, files))
        taken = sum(outcome.status_code == 0 for outcome in outcomes)
        told = f"sent {study.accession_number} {study.name}: {taken} of {len(files)} instances"
        console.print(told, highlight=False)


def wait_until_alive(supervisor: Supervisor, settings: Settings) -> None:
    """Wait for a heartbeat of every kind of process.

    Raises
    ------
    TriageError
        Names those that are missing when the time is up.
    """
    repository = wiring.repository(settings)
    deadline = time.monotonic() + START_LIMIT_S
    needed = {"scp", "worker", "courier", "beat", "web"}
    while time.monotonic() < deadline:
        alive = {each.name for each in repository.processes()}
        if needed <= alive:
            return
        supervisor.watch()
        time.sleep(0.1)
    raise TriageError(
        f"not alive after {START_LIMIT_S:.0f} s: {', '.join(sorted(needed - alive))}; see the demo's logs folder"
    )


def _watched(
    console: Console, supervisor: Supervisor, settings: Settings, sending: Future[None]
) -> Sequence[Mapping[str, Any]]:
    """Show the worklist as it fills, until every study has ended or has had the time to.

    Raises
    ------
    Exception
        What kept the studies from being sent.
    """
    repository = wiring.repository(settings)
    rows: Sequence[Mapping[str, Any]] = ()
    deadline, last_plain = float("inf"), 0.0
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while time.monotonic() < deadline:
            rows = repository.worklist()
            if console.is_terminal:
                live.update(worklist_table(rows), refresh=True)
            elif time.monotonic() - last_plain >= 1.5:
                last_plain = time.monotonic()
                console.print("worklist: " + _in_short(rows), highlight=False, soft_wrap=True)
            if sending.done():
                sending.result()
                deadline = min(deadline, time.monotonic() + FINISH_LIMIT_S)
                if len(rows) == len(STUDIES) and all(row["state"] in FINAL_STATES for row in rows):
                    break
            supervisor.watch()
            time.sleep(0.25)
    if not console.is_terminal:
        console.print(worklist_table(rows))
    return rows


def _in_short(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['accession_number']} {row['state']}" for row in rows) or "empty"


def _checked(
    console: Console, rows: Sequence[Mapping[str, Any]], pacs: DemoPacs, data_dir: Path, started: float
) -> bool:
    """Compare what ended where, and what lies at the PACS, with what must."""
    by_accession = {row["accession_number"]: row for row in rows}
    problems = []
    for study in STUDIES:
        row = by_accession.get(study.accession_number)
        if row is None:
            problems.append(f"{study.accession_number}: not on the worklist")
        elif row["state"] != study.expected_state or row["reason"] != study.expected_reason:
            problems.append(
                f"{study.accession_number}: {row['state']} {row['reason'] or ''}, not {study.expected_state}"
            )
        elif row["state"] == "FORWARDED":
            problems.extend(missing_at_pacs(row, pacs.received.values()))
    if not any(row["flagged"] for row in rows):
        problems.append("no study was flagged, so no heatmap was made")
    heatmaps = written_heatmaps(pacs.received.values(), data_dir / "heatmaps")
    for problem in problems:
        console.print(f"MISSING {problem}", style="bold red", highlight=False)
    console.print(f"{len(pacs.received)} objects at the PACS in {(data_dir / 'pacs').resolve()}", highlight=False)
    console.print(f"{len(heatmaps)} heatmaps as PNG in {(data_dir / 'heatmaps').resolve()}", highlight=False)
    verdict = "everything arrived" if not problems else "NOT everything arrived"
    console.print(f"{verdict}, {time.monotonic() - started:.0f} s after the start", style="bold", highlight=False)
    return not problems


def _stay(console: Console, supervisor: Supervisor, settings: Settings, password: str | None) -> None:
    console.print(f"web: {wiring.local_web_address(settings)}", highlight=False)
    console.print(f"sign in as {FIRST_USER}, password {password}", highlight=False)
    console.print(f"the worklist again: triage-node worklist --data-dir {settings.data_dir}", highlight=False)
    console.print(f"send it something: triage-node send FOLDER --dicom-port {settings.dicom_port}", highlight=False)
    console.print("the node stays up until Ctrl-C", style="bold", highlight=False)
    try:
        while True:
            supervisor.watch()
            time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("")
