"""``bench``: timings on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from triage_node.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands."""
    bench = typer.Typer(help="Timings of the whole node on this machine.", no_args_is_help=True)
    bench.callback()(lambda: None)
    bench.command("end-to-end")(end_to_end)
    app.add_typer(bench, name="bench")


def end_to_end(
    studies: Annotated[int, typer.Option(min=1, help="How many studies are timed, one after the other.")] = 20,
    slices: Annotated[int, typer.Option(min=20, max=200, help="Slices of 512 x 512 in each.")] = 40,
    json_: options.AsJson = False,
) -> None:
    """Time from the sender's A-RELEASE to the last report or heatmap stored at a PACS on loopback, seconds."""
    from rich.console import Console
    from rich.progress import Progress

    from triage_node import bench, logs

    logs.configure("bench", "WARNING", "console")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        result = bench.end_to_end(studies, slices, progress)
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
