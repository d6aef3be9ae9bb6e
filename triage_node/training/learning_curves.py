"""Learning curves as one picture.

In: each job's ``curve.json``. Out: a PNG with the losses of every phase over the steps, a job in one colour throughout, its loss
on patients kept aside for early stopping dashed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = ("encoder", "sequence", "joint")


def draw_learning_curves(curves: Mapping[str, Path], picture: Path) -> None:
    """Draw the curves of jobs that have one; write nothing where none has. The picture appears whole or not at all.

    Parameters
    ----------
    curves
        Job name to its ``curve.json``.
    picture
        PNG to write.
    """
    from matplotlib.figure import Figure

    described = {job: json.loads(path.read_text(encoding="utf-8")) for job, path in curves.items() if path.is_file()}
    if not any(each.get(part) for each in described.values() for part in PARTS):
        return
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    panels = figure.subplots(1, len(PARTS))
    for panel, part in zip(panels, PARTS, strict=True):
        for number, (job, found) in enumerate(described.items()):
            _draw(panel, found.get(part, []), job, f"C{number % 10}")
        panel.set(title=part, xlabel="step", ylabel="loss")
        if not panel.lines:
            panel.text(0.5, 0.5, "nothing recorded", ha="center", va="center", transform=panel.transAxes, color="0.5")
    aside = any("validation_loss" in entry for found in described.values() for entry in found.get("encoder", []))
    if aside:
        panels[0].plot([], [], "--", color="0.4", linewidth=1, label="on patients kept aside")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=7, frameon=False)
    draft = picture.with_name(f"{picture.name}.new")
    figure.savefig(draft, dpi=120, format="png")
    os.replace(draft, picture)


def _draw(panel: Axes, entries: Sequence[Mapping[str, Any]], job: str, colour: str) -> None:
    """Draw one job's losses, its phases one behind the other."""
    if not entries:
        return
    steps: list[float] = []
    total = 0.0
    for before, entry in zip([None, *entries[:-1]], entries, strict=True):
        if before is not None and entry.get("phase") != before.get("phase"):
            total = steps[-1]
        steps.append(total + entry["step"])
    panel.plot(steps, [entry["loss"] for entry in entries], ".-", color=colour, linewidth=1, markersize=3, label=job)
    if any("validation_loss" in entry for entry in entries):
        aside = [entry.get("validation_loss", math.nan) for entry in entries]
        panel.plot(steps, aside, "--", color=colour, linewidth=1)
