"""``bench``: timings on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from triage_node.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands."""
    bench = typer.Typer(help="Timings of the whole node on this machine.", no_args_is_help=True)
    bench.callback()(lambda: None)
    bench.command("end-to-end")(end_to_end)
    bench.command("worklist-page")(worklist_page)
    app.add_typer(bench, name="bench")


def end_to_end(
    studies: Annotated[int, typer.Option(min=1, help="How many studies are timed, one after the other.")] = 20,
    slices: Annotated[int, typer.Option(min=20, max=200, help="Slices of 512 x 512 in each.")] = 40,
    json_: options.AsJson = False,
) -> None:
    """Time from the sender's A-RELEASE to the last report or heatmap stored at a PACS on loopback, seconds."""
    from rich.console import Console
    from rich.progress import Progress

    from triage_node import logs
    from triage_node.bench.end_to_end import end_to_end as timed

    logs.configure("bench", "WARNING", "console")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        result = timed(studies, slices, progress)
    if json_:
        options.print_json(result)
        return
    for each in result["seconds"]:
        classified = f"{each['to_classified_s']:.2f}" if each["to_classified_s"] is not None else "-"
        sys.stdout.write(
            f"{each['state']:<12} flagged {each['flagged']!s:<5} objects {each['objects']:>3}  "
            f"sending {each['sending_s']:.2f} s  classified {classified} s  stored {each['to_stored_s']:.2f} s\n"
        )
    sys.stdout.write(
        f"{result['studies']} studies of {result['slices']} slices on {result['cores']} cores, {result['flagged']} flagged: "
        f"p50 {result['p50_s']:.2f} s, p95 {result['p95_s']:.2f} s, max {result['max_s']:.2f} s\n"
    )


def worklist_page(
    studies: Annotated[int, typer.Option(min=100, help="How many made-up studies the database holds.")] = 100_000,
    database_url: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of an empty scratch database. [default: SQLite, temporary]")
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.1, max=500, help="Requests a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long requests are sent, s.")] = 60.0,
    json_: options.AsJson = False,
) -> None:
    """Time the worklist page over a great archive: first, filtered, searched and deep pages, milliseconds."""
    from rich.console import Console
    from rich.progress import Progress

    from triage_node import logs
    from triage_node.bench.worklist_page import worklist_page as timed

    logs.configure("bench", "WARNING", "console")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        result = timed(studies, database_url, per_second, seconds, progress)
    if json_:
        options.print_json(result)
        return
    for kind, each in result["kinds"].items():
        sys.stdout.write(f"{kind:<18} {_milliseconds(each)}\n")
    sys.stdout.write(
        f"{result['studies']:,} studies in {result['database']}, {per_second:g} requests a second on {result['cores']} cores: "
        f"{_milliseconds(result)}\n"
    )


def _milliseconds(times: Mapping[str, Any]) -> str:
    return (
        f"{times['requests']:>5} requests  p50 {times['p50_ms']:.0f} ms  p95 {times['p95_ms']:.0f} ms  "
        f"max {times['max_ms']:.0f} ms"
    )
