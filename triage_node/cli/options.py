"""Options that several commands share, and the settings they lead to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from triage_node import logs
from triage_node import settings as settings_module
from triage_node.settings import Settings

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML). [env: TRIAGE_SETTINGS_FILE]")]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of spool, evidence and database. [default: triage_node_data]")
]
DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL. [default: SQLite in the data folder]")]
DicomPort = Annotated[int | None, typer.Option(help="Port of the Storage SCP. [default: 11112]")]
HttpPort = Annotated[int | None, typer.Option(help="Port of the web server. [default: 8080]")]
Pacs = Annotated[list[str] | None, typer.Option(help="Where evidence goes, AET@HOST:PORT; may be given several times.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Supervisor = Annotated[int | None, typer.Option(hidden=True, help="Process id to end with.")]


def load(config: Path | None = None, **flags: Any) -> Settings:
    """Read the settings with these flags on top."""
    if flags.get("pacs") is not None:
        flags["pacs"] = tuple(flags["pacs"])
    settings = settings_module.load(config, **flags)
    logs.configure("cli", "WARNING", settings.log_format)  # a process that stays configures its own
    return settings


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
