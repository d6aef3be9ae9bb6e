"""``worklist`` and ``show``: the results at the terminal."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from triage_node.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worklist)
    app.command()(show)


def worklist(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows that are printed.")] = 200,
    json_: options.AsJson = False,
) -> None:
    """Print the studies, most urgent first."""
    from triage_node import wiring

    rows = wiring.results(options.load(config, data_dir=data_dir, database_url=database_url)).worklist(limit=limit)
    if json_:
        options.print_json(list(rows))
        return
    from rich.console import Console

    from triage_node.cli.tables import worklist_table

    Console().print(worklist_table(rows))


def show(
    study: Annotated[str, typer.Argument(help="Study Instance UID, accession number or patient ID.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    json_: options.AsJson = False,
) -> None:
    """Print all that is known of one study: series, readings, slices, evidence and deliveries."""
    from triage_node import wiring
    from triage_node.core.errors import Refused

    repository = wiring.results(options.load(config, data_dir=data_dir, database_url=database_url))
    found: Any = repository.study(study)
    if found is None:
        matches = [row for row in repository.worklist(limit=100_000) if study in (row["accession_number"], row["patient_id"])]
        if len(matches) > 1:
            listed = ", ".join(row["study_instance_uid"] for row in matches[:10])
            raise Refused(f"{study} names {len(matches)} studies; give a Study Instance UID: {listed}")
        found = repository.study(matches[0]["study_instance_uid"]) if matches else None
    if found is None:
        raise Refused(f"no study has the Study Instance UID, accession number or patient ID {study}")
    if json_:
        options.print_json(found)
        return
    from rich.console import Console

    from triage_node.cli.tables import study_page

    console = Console()
    for part in study_page(found):
        console.print(part)
    sys.stdout.flush()
