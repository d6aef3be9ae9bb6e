"""The statistics at the terminal: one table a subject, each share with its interval, and what the figures do not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from triage_node.core.proportion import share_text
from triage_node.core.reader_agreement import FEEDBACK_CAVEAT
from triage_node.core.scanner_silence import SILENCE_RULE, ScannerSilence


def statistics_tables(found: Mapping[str, Any], scanners: Sequence[ScannerSilence]) -> Iterator[RenderableType]:
    """Yield what is printed, the alarms first."""
    yield Text(f"From {found['since']} until {found['until']}", style="bold")
    for each in scanners:
        if each.silent:
            yield Text(f"ALARM {silence_text(each)}", style="bold red")
    yield _volume(found["volume"])
    yield _times(found["time_to_flag"], found["acknowledgement"])
    yield _agreement(found["agreement"])
    yield Text(FEEDBACK_CAVEAT, style="dim")
    yield _refusals(found["refusals"])
    yield _scanners(scanners)
    yield Text(SILENCE_RULE, style="dim")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    return table


def _volume(volume: Mapping[str, Any]) -> Table:
    table = _table("Studies received", "Day (UTC)", "Studies", "Read", "Flagged", "Not analysed", "Failed")
    names = ("studies", "read", "flagged", "not_analysed", "failed")
    for day in volume["days"]:
        if day["studies"]:
            table.add_row(day["day"], *(str(day[name]) for name in names))
    table.add_row("Together", *(str(volume[name]) for name in names), style="bold")
    table.caption = f"Flagged of those read: {share_text(volume['flagged_share'])}"
    table.caption_justify = "left"
    return table


def _times(time_to_flag: Mapping[str, Any], acknowledgement: Mapping[str, Any]) -> Table:
    table = _table("Times", "", "Studies", "Median", "95th percentile")
    rows = (
        ("Last slice to result", time_to_flag["all"]),
        ("Last slice to flag", time_to_flag["flagged"]),
        ("Flag to acknowledgement", acknowledgement),
    )
    for name, each in rows:
        table.add_row(name, str(each["count"]), duration_text(each["p50_s"]), duration_text(each["p95_s"]))
    table.caption = f"{acknowledgement['acknowledged']} of {acknowledgement['flagged']} flagged studies acknowledged"
    table.caption_justify = "left"
    return table


def _agreement(agreement: Mapping[str, Any]) -> Table:
    table = _table("Agreement with readers", "Finding", "Judged", "Sensitivity", "PPV", "Missed", "False alarms")
    for each in agreement["findings"]:
        table.add_row(
            each["finding"],
            str(each["judged"]),
            share_text(each["sensitivity"]),
            share_text(each["positive_predictive_value"]),
            str(each["misses"]),
            str(each["false_alarms"]),
        )
    return table


def _refusals(refusals: Mapping[str, Any]) -> Table:
    table = _table("Series not read", "Scanner", "Read", "Refused", "Reasons")
    table.columns[-1].justify = "left"
    for each in refusals["scanners"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in each["reasons"].items())
        table.add_row(Text(each["scanner"] or "unknown"), str(each["read"]), str(each["refused"]), reasons)
    return table


def _scanners(scanners: Sequence[ScannerSilence]) -> Table:
    table = _table("Scanners", "Scanner", "Series a day", "Last", "Silent for", "Alarm after")
    for each in scanners:
        table.add_row(
            Text(str(each.scanner) or "unknown"),
            f"{each.series_per_day:.1f}",
            f"{each.last_at:%Y-%m-%d %H:%M}",
            duration_text(each.silence_s),
            duration_text(each.alarm_after_s) if each.watched else "not watched",
            style="bold red" if each.silent else "",
        )
    return table


def silence_text(each: ScannerSilence) -> str:
    """Say of a silent scanner since when, and what was usual."""
    return (
        f"{each.scanner} has sent nothing for {duration_text(each.silence_s)}; it used to send"
        f" {each.series_per_day:.1f} series a day, {duration_text(each.usual_gap_s)} apart at most"
    )


def duration_text(seconds: float | None) -> str:
    """Return a duration in the unit that suits it.

    Examples
    --------
    >>> duration_text(0.42), duration_text(75), duration_text(7500), duration_text(200_000), duration_text(None)
    ('0.42 s', '1 min 15 s', '2 h 05 min', '2 d 7 h', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest_s:02} s"
    days, rest_h = divmod(hours, 24)
    return f"{days} d {rest_h} h" if days else f"{hours} h {rest_min:02} min"
