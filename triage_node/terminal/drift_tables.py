"""Drift at the terminal and as JSON: alarms in words, charts, counts by day, and the summary of a shadow release."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from triage_node.core.drift import Chart, Measure, ScannerDrift

_BARS = " ▁▂▃▄▅▆▇█"


def drift_json(standing: Sequence[ScannerDrift], days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return alarms, charts and days as plain JSON values."""
    return {
        "alarms": [
            {
                "scanner": str(alarm.scanner),
                "measure": alarm.measure.value,
                "direction": alarm.direction.value,
                "since": alarm.since.isoformat(),
                "changed_at": alarm.changed_at.isoformat(),
                "reference": alarm.reference,
                "recent": alarm.recent,
                "text": str(alarm),
            }
            for drift in standing
            for alarm in drift.alarms
        ],
        "scanners": [
            {
                "scanner": str(drift.scanner),
                "release": drift.model_name,
                "operating_point": drift.operating_point,
                "reference_read": drift.read,
                "reference_offered": drift.offered,
                "charts": [_chart_json(each) for each in drift.charts],
            }
            for drift in standing
        ],
        "days": list(days),
    }


def _chart_json(chart: Chart) -> dict[str, Any]:
    values = dataclasses.asdict(chart) | {"alarm": chart.raised_at is not None}
    del values["raised_at"], values["changed_at"]
    return {name: None if isinstance(each, float) and math.isnan(each) else each for name, each in values.items()}


def alarm_lines(standing: Sequence[ScannerDrift]) -> Iterator[Text]:
    """Yield one line an alarm, or one that there is none."""
    alarms = [alarm for drift in standing for alarm in drift.alarms]
    for alarm in alarms:
        yield Text(f"ALARM {alarm}", style="bold red")
    if not alarms:
        yield Text("No drift alarm." if standing else "Nothing has been read yet.", style="green")


def charts_table(standing: Sequence[ScannerDrift]) -> Table:
    """Lay out how far each chart has gone towards its alarm; a scanner without charts is still learned."""
    of_release = f" of {standing[0].model_name}, {standing[0].operating_point}" if standing else ""
    title = f"Charts{of_release}: usual, now, and the share of the way to an alarm"
    table = Table(title=title, header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in ("Scanner", *(each.value.replace("_", " ").capitalize() for each in Measure)):
        table.add_column(name, overflow="fold")
    for drift in standing:
        cells = [_chart_text(drift, measure) for measure in Measure]
        table.add_row(Text(str(drift.scanner)), *cells)
    return table


def _chart_text(drift: ScannerDrift, measure: Measure) -> Text:
    charts = [each for each in drift.charts if each.measure is measure]
    if not charts:
        learned = drift.offered if measure is Measure.REFUSAL_RATE else drift.read
        return Text(f"learning, {learned} series", style="dim")
    worst = max(charts, key=lambda each: each.value / each.interval)
    shown = "{:.2f}" if measure is Measure.MEAN_SCORE else "{:.1%}"
    recent = "-" if math.isnan(worst.recent) else shown.format(worst.recent)
    way = min(1.0, worst.value / worst.interval)
    style = "bold red" if any(each.raised_at is not None for each in charts) else ""
    return Text(f"{shown.format(worst.reference)}, {recent}, {way:.0%}", style=style)


def days_table(days: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the counts by day and scanner, and by release where there are several."""
    releases = {row["release"] for row in days if row["release"]}
    several = ("Release",) if len(releases) > 1 else ()
    table = Table(title="By day (UTC)", header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in ("Day", "Scanner", *several, "Read", "Flagged", "Mean", "Scores 0 to 1", "Refused"):
        table.add_column(name, overflow="fold", no_wrap=name in ("Day", "Scores 0 to 1"))
    for row in days:
        scanner = "/".join(each for each in (row["calling_ae_title"], row["station_name"]) if each) or "unknown"
        flagged = "" if row["positive_rate"] is None else f"{row['flagged']} ({row['positive_rate']:.0%})"
        mean = "" if row["mean_score"] is None else f"{row['mean_score']:.2f}"
        refused = ", ".join(f"{count} {reason}" for reason, count in row["refused"].items())
        refused += f" ({row['refusal_rate']:.0%})" if refused and row["refusal_rate"] is not None else ""
        read = str(row["read"]) if row["read"] else ""
        release = (row["release"] or "",) if several else ()
        cells = (row["day"], scanner, *release, read, flagged, mean, _bars(row["histogram"]), refused)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _bars(histogram: Sequence[int]) -> str:
    """Return one character a bin; any count at all shows."""
    highest = max(histogram)
    return "".join(_BARS[math.ceil(each / highest * (len(_BARS) - 1))] for each in histogram) if highest else ""


def shadow_lines(summary: Mapping[str, Any]) -> Iterator[Text]:
    """Yield the summary of ``core.shadow.summary``."""
    yield Text(f"{summary['shadow']} in the shadow of {summary['active']}", style="bold")
    yield Text(f"read by both {summary['read_by_both']}, left out by the shadow {summary['left_out']}")
    if summary["read_by_both"]:
        yield Text(f"flagged {summary['flagged_by_active']} before, {summary['flagged_by_shadow']} by the shadow")
        yield Text(f"same flag {summary['agreement']:.1%}, mean change of score {summary['mean_absolute_change']:.3f}")
        correlation = summary["rank_correlation"]
        yield Text(f"rank correlation of scores {'-' if correlation is None else f'{correlation:.3f}'}")
    for name, meaning in (("now_flagged", "newly flagged"), ("no_longer_flagged", "no longer flagged")):
        yield Text(f"{meaning}: {len(summary[name])}")
        yield from (Text(f"  {uid}") for uid in summary[name])
    for each in summary.get("predictions", ()):
        yield Text(f"written: {each}")
