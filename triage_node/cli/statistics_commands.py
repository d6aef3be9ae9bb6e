"""``stats``: figures over a window of time; ``query``: your own SELECT on documented views, read-only."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.worklist.read_only import QueryAnswer

_TIME_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
DEFAULT_DAYS = 28


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(stats)
    app.command()(query)


def stats(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=_TIME_FORMATS, help=f"Begin (UTC). [default: {DEFAULT_DAYS} days before the end]"),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_TIME_FORMATS, help="End (UTC), itself not included. [default: now]")
    ] = None,
    json_: options.AsJson = False,
) -> None:
    """Show volume, flags, times, agreement with readers, refusals, and scanners that fell silent.

    Exit status 0 whether or not a scanner is silent. No patient is in it.
    """
    from triage_node import wiring
    from triage_node.core.ports import Window

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    wiring.results(settings)  # refuses a data folder without results
    now = wiring.SystemClock().now()
    end = until.replace(tzinfo=UTC) if until else now
    window = Window(since.replace(tzinfo=UTC) if since else end - timedelta(days=DEFAULT_DAYS), end)
    source = wiring.statistics(settings)
    found, scanners = source.statistics(window), source.scanners(now)
    if json_:
        options.print_json({**found, "scanners": [each.as_json() for each in scanners]})
        return
    from rich.console import Console

    from triage_node.terminal.statistics_tables import statistics_tables

    console = Console()
    for each in statistics_tables(found, scanners):
        console.print(each)


def query(
    sql: Annotated[str | None, typer.Argument(help="One SELECT, in quotes; docs/DATABASE.md has the views.")] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    list_: Annotated[bool, typer.Option("--list", help="Explain the views and their columns.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most rows that are printed.")] = 10_000,
    timeout_s: Annotated[float, typer.Option(min=0.1, max=3600, help="The query is ended after this, s.")] = 30.0,
    json_: options.AsJson = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Run one SELECT on the results database, which is opened read-only; times are UTC.

    The views hold patients: what is printed belongs where patient data may be.
    """
    from triage_node import wiring
    from triage_node.core.errors import ConfigurationRejected

    if list_:
        _print_views(json_)
        return
    if sql is None or (json_ and csv_):
        raise ConfigurationRejected("give one SELECT in quotes, or --list; and --json or --csv, not both")
    from triage_node.worklist.read_only import ask

    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    wiring.results(settings)
    _print_answer(ask(settings.database, sql, limit=limit, timeout_s=timeout_s), json_=json_, csv_=csv_)


def _print_views(json_: bool) -> None:
    from triage_node.worklist.views import VIEWS

    if json_:
        options.print_json({name: {"row": view.row, "columns": dict(view.columns)} for name, view in VIEWS.items()})
        return
    for name, view in VIEWS.items():
        sys.stdout.write(f"{name}: {view.row}\n")
        sys.stdout.writelines(f"    {column:24} {meaning}\n" for column, meaning in view.columns.items())
        sys.stdout.write("\n")


def _print_answer(answer: QueryAnswer, *, json_: bool, csv_: bool) -> None:
    if json_:
        options.print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif csv_:
        from triage_node.core.csv_cell import csv_cell

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([csv_cell(value) for value in row] for row in answer.rows)
    else:
        _print_table(answer)
    if answer.more:
        sys.stderr.write(f"only the first {len(answer.rows)} rows; give --limit for more\n")


def _print_table(answer: QueryAnswer) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in answer.columns:
        table.add_column(Text(name), overflow="fold")
    for row in answer.rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    Console().print(table)
