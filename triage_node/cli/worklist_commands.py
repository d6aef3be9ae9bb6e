"""The results at the terminal: ``worklist``, ``show``, ``deliveries``; and ``reprocess``, ``close``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options
from triage_node.cli.audit import note
from triage_node.core.audit import AuditAction
from triage_node.core.study_state import DeliveryState

if TYPE_CHECKING:
    from triage_node.core.ports import StudyRepository


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worklist)
    app.command()(show)
    app.command()(reprocess)
    app.command()(close)
    deliveries = typer.Typer(help="The outbox: list it, retry what was given up.", no_args_is_help=True)
    deliveries.command("list")(list_deliveries)
    deliveries.command("retry")(retry_deliveries)
    app.add_typer(deliveries, name="deliveries")


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

    from triage_node.terminal.worklist_table import worklist_table

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

    repository = wiring.results(options.load(config, data_dir=data_dir, database_url=database_url))
    found = repository.study(_study_uid(repository, study)) or {}
    if json_:
        options.print_json(found)
        return
    from rich.console import Console

    from triage_node.terminal.study_page import study_page

    Console().print(study_page(found))


def _study_uid(repository: StudyRepository, named: str) -> str:
    """Return the UID of the study that a UID, an accession number or a patient ID names.

    Raises
    ------
    Refused
        It names none, or several.
    """
    from triage_node.core.errors import Refused

    matches = repository.studies_named(named, limit=11)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Refused(f"{named} names several studies; give a Study Instance UID: {', '.join(matches[:10])}")
    raise Refused(f"no study has the Study Instance UID, accession number or patient ID {named}")


def reprocess(
    study: Annotated[str, typer.Argument(help="Study Instance UID, accession number or patient ID.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Read a study again as its next revision; the running node takes it up within seconds."""
    from triage_node import wiring
    from triage_node.core.errors import Refused

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    repository = wiring.results(settings)
    uid = _study_uid(repository, study)
    reopened = repository.reprocess(uid, wiring.SystemClock().now())
    if not reopened:
        raise Refused(f"no series of {uid} has ended; there is nothing to read again")
    note(settings, AuditAction.REPROCESSED, uid, series=len(reopened))
    sys.stdout.write(f"{len(reopened)} series of {uid} will be read again\n")


def close(
    study: Annotated[str, typer.Argument(help="Study Instance UID, accession number or patient ID.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Close a study's receiving series now, with what has arrived; later slices open the next revision."""
    from triage_node import wiring
    from triage_node.core.errors import Refused
    from triage_node.core.study_state import State

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    repository = wiring.results(settings)
    uid = _study_uid(repository, study)
    now = wiring.SystemClock().now()
    series = (repository.study(uid) or {}).get("series", ())
    receiving = [each for each in series if each["state"] == State.RECEIVING]
    closed = [each for each in receiving if repository.close_series(each["series_id"], each["revision"], now)]
    if not closed:
        raise Refused(f"no series of {uid} is being received; there is nothing to close")
    note(settings, AuditAction.CLOSED, uid, series=len(closed))
    sys.stdout.write(f"{len(closed)} series of {uid} closed\n")


def list_deliveries(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows that are printed, newest first.")] = 200,
    json_: options.AsJson = False,
) -> None:
    """Print the outbox: what went where, what is put off and until when, what was given up and why.

    Destinations that do not answer follow, with their breaker: while it is OPEN nothing is sent to them.
    """
    from triage_node import wiring

    repository = wiring.results(options.load(config, data_dir=data_dir, database_url=database_url))
    rows = repository.deliveries(state=state, limit=limit)
    breakers = repository.breakers(wiring.SystemClock().now())
    if json_:
        states = {each["destination"]: each["breaker"] for each in breakers}
        options.print_json([{**row, "breaker": states.get(row["destination"], "CLOSED")} for row in rows])
        return
    from rich.console import Console

    from triage_node.terminal.study_page import breakers_table, deliveries_page

    Console().print(deliveries_page(rows))
    if breakers:
        Console().print(breakers_table(breakers))


def retry_deliveries(
    study: Annotated[str | None, typer.Argument(help="Only of this study; without it, all that were given up.")] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Make given-up deliveries due again; a destination that was left alone is tried at once."""
    from triage_node import wiring

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    repository = wiring.results(settings)
    uid = _study_uid(repository, study) if study else None
    again = repository.retry_deliveries(wiring.SystemClock().now(), study_instance_uid=uid)
    note(settings, AuditAction.DELIVERIES_RETRIED, uid, count=again)
    sys.stdout.write(f"{again} deliveries are due again\n")
