"""``simulate``: how long studies wait for a reader with and without triage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options
from triage_node.core.reading_times import Distribution

if TYPE_CHECKING:
    from triage_node.core.measured_rates import MeasuredRates


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    arrivals: Annotated[float, typer.Option(help="Studies an hour, mean over the day; Poisson.")] = 4.0,
    reading_time: Annotated[float, typer.Option(help="Mean time of one reading, minutes.")] = 10.0,
    prevalence: Annotated[float, typer.Option(help="Share of studies that bleed, 0 to 1.")] = 0.1,
    sensitivity: Annotated[
        float | None, typer.Option(help="Of the flag, 0 to 1. [default: measured of the release in use]")
    ] = None,
    specificity: Annotated[
        float | None, typer.Option(help="Of the flag, 0 to 1. [default: measured of the release in use]")
    ] = None,
    readers: Annotated[int, typer.Option(help="Who read side by side from one queue.")] = 1,
    waiting_cap: Annotated[
        float | None, typer.Option(help="Unflagged studies count as flagged after so long, minutes. [default: never]")
    ] = None,
    distribution: Annotated[Distribution, typer.Option(help="Shape of the reading time.")] = Distribution.EXPONENTIAL,
    reading_time_cv: Annotated[float, typer.Option(help="Coefficient of variation of a lognormal reading time.")] = 0.5,
    hourly_weights: Annotated[
        str | None,
        typer.Option(help="24 numbers with commas: arrivals in each hour relative to the others. [default: all alike]"),
    ] = None,
    hours: Annotated[float, typer.Option(help="Simulated time of each run, hours.")] = 720.0,
    replications: Annotated[int, typer.Option(help="Runs.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same studies.")] = 1,
    config: options.Config = None,
    json_: options.AsJson = False,
) -> None:
    """Simulate a reading queue: first come first read, beside flagged first, beside that with a waiting cap.

    Queueing theory's mean stands beside each figure where there is a formula. Exit status 2 where the readers cannot keep up.
    """
    from triage_node import wiring
    from triage_node.core.queueing import ReadingLoad, Run
    from triage_node.core.queueing import simulate as run_queue
    from triage_node.core.simulation_report import simulation_report

    rates = wiring.measured_rates(options.load(config))
    load = ReadingLoad(
        arrivals,
        reading_time,
        prevalence,
        _rate("sensitivity", sensitivity, rates),
        _rate("specificity", specificity, rates),
        readers,
        distribution,
        reading_time_cv,
        _weights(hourly_weights),
    )
    run = Run(hours=hours, warm_up_hours=hours / 10, replications=replications, seed=seed)
    report = simulation_report(
        load,
        run,
        run_queue(load, run, waiting_cap_min=waiting_cap),
        measured=rates if None in (sensitivity, specificity) else None,
        waiting_cap_min=waiting_cap,
    )
    if json_:
        options.print_json(report)
        return
    from rich.console import Console

    from triage_node.terminal.simulation_tables import simulation_tables

    for each in simulation_tables(report):
        Console().print(each)


def _rate(name: str, given: float | None, rates: MeasuredRates | None) -> float:
    """Return what was given, else what was measured.

    Raises
    ------
    ConfigurationRejected
        Neither.
    """
    from triage_node.core.errors import ConfigurationRejected

    if given is not None:
        return given
    if rates is None:
        raise ConfigurationRejected(f"nothing was measured of the release in use: give --{name}")
    return rates.sensitivity if name == "sensitivity" else rates.specificity


def _weights(given: str | None) -> tuple[float, ...] | None:
    from triage_node.core.errors import ConfigurationRejected

    if given is None:
        return None
    try:
        return tuple(float(each) for each in given.split(","))
    except ValueError:
        raise ConfigurationRejected(f"--hourly-weights are 24 numbers with commas, not {given!r}") from None
