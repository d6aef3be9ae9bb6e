"""``classify``: the same reading without the network; ``check``: is this installation sound."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from triage_node.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(classify)
    app.command()(check)


def classify(
    folder: Annotated[Path, typer.Argument(help="A DICOM file, or a folder that is searched for them.")],
    config: options.Config = None,
    json_: options.AsJson = False,
) -> None:
    """Read the series in a folder as the node would; nothing is stored or sent.

    Exit status 1 where no file could be read as DICOM; a series that is not analysed has its reason and is no failure.
    """
    from triage_node import wiring
    from triage_node.core.errors import ConfigurationRejected, Refused

    settings = options.load(config)
    if not folder.exists():
        raise ConfigurationRejected(f"{folder} does not exist")
    results = wiring.read_folder(settings, folder)
    if not results:
        raise Refused(f"{folder} holds no DICOM file that can be read")
    if json_:
        options.print_json(results)
        return
    from rich.console import Console

    from triage_node.terminal.worklist_table import subtypes_text

    console = Console()
    for each in results:
        shown = each["reason"] or f"ICH {each['ich_probability']:.2f}" + (" FLAGGED " if each["flagged"] else "")
        shown += subtypes_text(each["subtypes"])
        console.print(
            f"{each['series_instance_uid']}  {each['instances']} instances  {shown}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print("Research use only. Not for diagnostic use.", markup=False)


def check(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Check this installation: settings, disk, database, Redis, weights against their reference output, destinations."""
    from triage_node.self_check import run_checks

    results = run_checks(options.load(config, data_dir=data_dir, database_url=database_url))
    if json_:
        options.print_json(results)
    else:
        for each in results:
            sys.stdout.write(f"{each['outcome']:<8} {each['name']:<14} {each['detail']}\n")
    raise typer.Exit(1 if any(each["outcome"] == "failed" for each in results) else 0)
