"""A simulated reading queue at the terminal: one table for each order of reading, with the theory beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text


def simulation_tables(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield what is printed of a ``core.simulation_report``."""
    load, run = report["load"], report["run"]
    yield Text(
        f"{load['readers']} reader(s), {load['utilisation']:.0%} busy; {load['arrivals_per_hour']:g} studies an hour,"
        f" {load['prevalence']:.0%} bleeding, {load['flagged_share']:.0%} flagged"
        f" (sensitivity {load['sensitivity']:.3g}, specificity {load['specificity']:.3g})"
    )
    measured = report["measured"]
    if measured:
        yield Text(
            f"What was not given of the flag was measured: release {measured['release']} at its operating point"
            f" {measured['operating_point']}, {measured['bleeding_subjects']} subjects with hemorrhage,"
            f" {measured['other_subjects']} without",
            style="dim",
        )
    for order in report["orders"]:
        yield _table(order)
    exact = "exact for this load" if report["theory_is_exact"] else "an approximation for this load"
    yield Text(
        f"Minutes until a reader opens the study; {run['replications']} runs of {run['hours']:g} h, the mean with its 95 %"
        f" interval. Theory is {exact}; a cap or an hourly profile has no formula.",
        style="dim",
    )


def _table(order: Mapping[str, Any]) -> Table:
    title = order["order"][0].upper() + order["order"][1:]
    table = Table(title=title, title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0))
    for index, name in enumerate(("Studies", "Number", "Mean, 95 %", "Theory", "p95", "Max")):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for each in order["kinds"]:
        if each["studies"] is None:
            table.add_row(each["kind"], "0", *[""] * 4)
            continue
        theory = "-" if each["theory_mean_min"] is None else f"{each['theory_mean_min']:.1f}"
        mean = f"{each['mean_min']:.1f}"
        if each["upper_95_min"] is not None:
            mean += f" ({each['lower_95_min']:.1f} to {each['upper_95_min']:.1f})"
        table.add_row(
            each["kind"], str(each["studies"]), mean, theory, f"{each['p95_min']:.1f}", f"{each['max_min']:.1f}"
        )
    return table
