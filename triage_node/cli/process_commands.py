"""``up`` and the processes it is made of: scp, worker, courier, beat, web; and migrate, demo."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)
    app.command()(migrate)
    for command in (scp, worker, courier, beat, web):
        app.command()(command)


def up(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    dicom_port: options.DicomPort = None,
    http_port: options.HttpPort = None,
    pacs: options.Pacs = None,
) -> None:
    """Run the whole node on this machine until Ctrl-C or SIGTERM; what crashes is restarted.

    Without redis_url a private Redis is started; without database_url SQLite is used.
    """
    from triage_node import logs, wiring
    from triage_node.supervisor import Supervisor, free_port

    settings = options.load(config, data_dir=data_dir, dicom_port=dicom_port, http_port=http_port, pacs=pacs)
    free = {name: free_port() for name in ("dicom_port", "http_port") if getattr(settings, name) == 0}
    settings = settings.model_copy(update=free)
    logs.configure("up", settings.log_level, settings.log_format)
    wiring.migrate(settings)
    say = sys.stdout.write
    say(f"triage_node {wiring.version()}: {settings.ae_title} on port {settings.dicom_port}, ")
    say(f"worklist {wiring.local_web_address(settings)}, data in {settings.data_dir.resolve()}\n")
    names = ", ".join(each.name for each in settings.every_destination)
    say(f"evidence goes to {names or 'nobody: no destination is set (--pacs AET@HOST:PORT)'}\n")
    if not settings.peers:
        say("no peers are set: every calling AE title is accepted from loopback addresses, and nobody from elsewhere\n")
    say("research use only, not for diagnostic use\n")
    _tell_first_password(settings)
    sys.stdout.flush()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    supervisor = Supervisor(settings)
    try:
        supervisor.start()
        while not ended.wait(1.0):
            supervisor.watch()
    finally:
        supervisor.stop()


def demo(
    data_dir: Annotated[
        Path, typer.Option(help="Folder of the demo; what an earlier demo left there is removed.")
    ] = Path("var/demo"),
    exit_: Annotated[bool, typer.Option("--exit", help="End by itself: status 0 only if everything arrived.")] = False,
    http_port: Annotated[int, typer.Option(help="Port of the web server; 0 takes a free one.")] = 8080,
) -> None:
    """Start the node and a PACS of its own on loopback, send made-up studies and show what becomes of them."""
    from rich.console import Console

    from triage_node import logs
    from triage_node.terminal.ticking import ticking

    with ticking(Console(), "loading the node"):
        from triage_node.demo import run

    logs.configure("demo", "WARNING", "console")
    raise typer.Exit(run(data_dir, stay=not exit_, http_port=http_port))


def migrate(
    config: options.Config = None, data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None
) -> None:
    """Bring the database's schema to this version's; safe to repeat."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    wiring.migrate(settings)
    sys.stdout.write("the database is up to date\n")


def scp(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    dicom_port: options.DicomPort = None,
    supervisor: options.Supervisor = None,
) -> None:
    """Run the Storage and Verification SCP; several processes may share one port."""
    from triage_node import wiring

    wiring.run_scp(options.load(config, data_dir=data_dir, dicom_port=dicom_port), supervisor)


def worker(
    config: options.Config = None, data_dir: options.DataDir = None, supervisor: options.Supervisor = None
) -> None:
    """Run a worker: it reads series with the cascade, on a GPU where there is one, and writes their evidence."""
    from triage_node import wiring

    wiring.run_worker(options.load(config, data_dir=data_dir), supervisor)


def courier(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    pacs: options.Pacs = None,
    supervisor: options.Supervisor = None,
) -> None:
    """Run a courier: it sends evidence to the destinations, closes quiet series and rings for due work."""
    from triage_node import wiring

    wiring.run_courier(options.load(config, data_dir=data_dir, pacs=pacs), supervisor)


def beat(
    config: options.Config = None, data_dir: options.DataDir = None, supervisor: options.Supervisor = None
) -> None:
    """Run the clock: closing of quiet series, due work. One is enough; two do no harm."""
    from triage_node import wiring

    wiring.run_beat(options.load(config, data_dir=data_dir), supervisor)


def web(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    http_port: options.HttpPort = None,
    supervisor: options.Supervisor = None,
) -> None:
    """Run the web server: worklist, studies, accounts, API, health page, probes and metrics."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, http_port=http_port)
    if supervisor is None:  # `up` has told it already, and what this process says then goes to a log
        _tell_first_password(settings)
    wiring.run_web(settings, supervisor)


def _tell_first_password(settings: Settings) -> None:
    """Make the first administrator where there is no user, and print the password: on the terminal, once, nowhere else."""
    from triage_node import wiring
    from triage_node.core.accounts import FIRST_USER

    password = wiring.first_password(settings)
    if password is not None:
        sys.stdout.write(f"first sign-in: name {FIRST_USER}, password {password} (shown once; to be changed at once)\n")
        sys.stdout.flush()
