"""The command ``triage-node``: every command with units and defaults in its help, and exit status 0, 1 or 2.

Importing this module loads none of the heavy libraries; each command imports what it runs.
"""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(
    name="triage-node",
    help="A DICOM node that triages head CT for intracranial hemorrhage. Research use only, not for diagnostic use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_COMMAND_MODULES = (
    "process_commands",
    "dicom_commands",
    "worklist_commands",
    "reading_commands",
    "bench_commands",
    "phantom_commands",
    "train_commands",
    "evaluate_commands",
    "weights_commands",
    "drift_commands",
    "user_commands",
    "statistics_commands",
    "simulate_commands",
)

for _name in _COMMAND_MODULES:
    importlib.import_module(f"triage_node.cli.{_name}").register(app)
