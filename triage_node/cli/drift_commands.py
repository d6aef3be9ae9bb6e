"""``drift``: what the scanners send and the node reads of it, day by day; alarms; and what a release in the shadow says."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.core.drift import Scanner
    from triage_node.core.shadow import ShadowReadings
    from triage_node.settings import Settings
    from triage_node.worklist.drift import SqlDriftWatch


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drift)


def drift(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days (UTC) are shown, today among them.")] = 14,
    accept: Annotated[
        str | None,
        typer.Option(metavar="SCANNER", help="Learn this scanner, as listed, or 'all scanners' anew from now on."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Compare what the shadow release read in these days with the active one.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --shadow: folder for both releases' predictions (CSV) for `evaluate`.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="With --out: labels (CSV) to join: subject,any,CPH,IVH,SDH,EDH,SAH; Study Instance UID as subject."
        ),
    ] = None,
    json_: options.AsJson = False,
) -> None:
    """Show what was read, flagged and refused by day and scanner, and whether that has changed.

    Exit status 0 whether or not an alarm stands; 1 where --accept names a scanner that was never seen.
    """
    from triage_node import wiring
    from triage_node.core.errors import ConfigurationRejected

    if (out and not shadow) or (labels and not out):
        raise ConfigurationRejected("--out belongs to --shadow, and --labels to --out")
    settings = options.load(config, data_dir=data_dir, database_url=database_url)
    wiring.results(settings)  # refuses a data folder without results
    now = wiring.SystemClock().now()
    since = (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if shadow:
        _compare(settings, since, out, labels, json_)
        return
    watch = wiring.drift_watch(settings)
    if accept is not None:
        scanner = _scanner(watch, accept)
        watch.accept(scanner, now)
        watch.watch(now)
        sys.stdout.write(f"{scanner} is learned anew from the next series on\n")
        return
    _show(watch, since, json_)


def _scanner(watch: SqlDriftWatch, named: str) -> Scanner:
    """Return the scanner that is listed by this name.

    Raises
    ------
    Refused
        None is.
    """
    from triage_node.core.drift import EVERY_SCANNER
    from triage_node.core.errors import Refused

    totals = watch.totals()
    known = {str(each): each for each in (EVERY_SCANNER, *totals.read, *(each for each, _ in totals.refused))}
    if named not in known:
        raise Refused(f"no scanner is called {named!r}; there are: {', '.join(sorted(known))}")
    return known[named]


def _show(watch: SqlDriftWatch, since: datetime, json_: bool) -> None:
    from triage_node.terminal.drift_tables import drift_json

    standing, counted = watch.standing(), watch.days(since.date())
    if json_:
        options.print_json(drift_json(standing, counted))
        return
    from rich.console import Console

    from triage_node.terminal.drift_tables import alarm_lines, charts_table, days_table

    console = Console()
    for line in alarm_lines(standing):
        console.print(line)
    console.print(charts_table(standing))
    console.print(days_table(counted))


def _compare(settings: Settings, since: datetime, out: Path | None, labels: Path | None, json_: bool) -> None:
    from triage_node import wiring
    from triage_node.core.errors import Refused
    from triage_node.core.shadow import summary

    readings = wiring.shadow_log(settings).readings(since=since, with_slices=out is not None)
    if readings is None:
        raise Refused("no release has read in the shadow yet; set shadow_release and restart the workers")
    found: dict[str, Any] = summary(readings)
    if out is not None:
        found["predictions"] = [str(each) for each in _export(readings, out, labels)]
    if json_:
        options.print_json(found)
        return
    from rich.console import Console

    from triage_node.terminal.drift_tables import shadow_lines

    console = Console()
    for line in shadow_lines(found):
        console.print(line, soft_wrap=True)


def _export(readings: ShadowReadings, out: Path, labels: Path | None) -> list[Path]:
    from triage_node.training.predictions import write_predictions
    from triage_node.training.shadow_predictions import read_labels, shadow_predictions

    tables = shadow_predictions(readings, read_labels(labels) if labels else {})
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "active.csv", out / "shadow.csv"]
    for file, table in zip(files, tables, strict=True):
        write_predictions(file, table)
    return files
