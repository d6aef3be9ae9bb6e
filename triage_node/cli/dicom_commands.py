"""``echo`` and ``send``: this node as an SCU; ``conformance``: what it negotiates."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from triage_node.cli import options

Peer = Annotated[str, typer.Option("--to", help="Peer, AET@HOST:PORT. [default: this node on loopback]")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(echo)
    app.command()(send)
    app.command()(conformance)


def echo(to: Peer = "", config: options.Config = None, dicom_port: options.DicomPort = None) -> None:
    """Verify a connection with C-ECHO; exit status 1 where the peer does not answer."""
    from triage_node import wiring
    from triage_node.core.identifiers import PeerAddress

    settings = options.load(config, dicom_port=dicom_port)
    peer = PeerAddress.parse(to or f"{settings.ae_title}@127.0.0.1:{settings.dicom_port}")
    started = time.monotonic()
    wiring.storage_scu(settings, to_ourselves=not to).echo(peer)
    sys.stdout.write(f"{peer} answered in {(time.monotonic() - started) * 1000:.0f} ms\n")


def send(
    folder: Annotated[Path, typer.Argument(help="A DICOM file, or a folder that is searched for them.")],
    to: Peer = "",
    config: options.Config = None,
    dicom_port: options.DicomPort = None,
) -> None:
    """Send DICOM files with C-STORE; exit status 1 where one was not taken."""
    from rich.console import Console
    from rich.progress import Progress

    from triage_node import wiring
    from triage_node.core.dimse_status import Action
    from triage_node.core.errors import ConfigurationRejected
    from triage_node.core.identifiers import PeerAddress

    settings = options.load(config, dicom_port=dicom_port)
    peer = PeerAddress.parse(to or f"{settings.ae_title}@127.0.0.1:{settings.dicom_port}")
    if not folder.exists():
        raise ConfigurationRejected(f"{folder} does not exist")
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ConfigurationRejected(f"{folder} holds no files")
    taken, problems = 0, []
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"to {peer}", total=len(paths))
        for outcome in wiring.storage_scu(settings, to_ourselves=not to).send_files(peer, paths):
            progress.advance(bar)
            if outcome.action in (Action.DONE, Action.DONE_WITH_WARNING):
                taken += 1
            else:
                problems.append(f"{outcome.sop_instance_uid}: {outcome.detail}")
    sys.stdout.write(f"{taken} of {len(paths)} files taken by {peer}\n")
    for problem in problems[:20]:
        sys.stderr.write(problem + "\n")
    raise typer.Exit(0 if taken == len(paths) else 1)


def conformance() -> None:
    """Print the DICOM conformance statement of this version as Markdown."""
    from triage_node.conformance_statement import statement

    sys.stdout.write(statement())
