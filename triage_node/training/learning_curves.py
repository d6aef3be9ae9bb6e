"""Learning curves as one picture.

In: each job's ``curve.json``. Out: a PNG with the losses of every phase over the steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def draw_learning_curves(curves: Mapping[str, Path], picture: Path) -> None:
    """Draw the curves of jobs that have one; write nothing where none has.

    Parameters
    ----------
    curves
        Job name to its ``curve.json``.
    picture
        PNG to write.
    """
    from matplotlib.figure import Figure

    parts = ("encoder", "sequence", "joint")
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, len(parts))
    drawn = False
    for job, path in curves.items():
        if not path.is_file():
            continue
        described = json.loads(path.read_text(encoding="utf-8"))
        for panel, part in zip(panels, parts, strict=True):
            entries = described.get(part, [])
            if not entries:
                continue
            drawn = True
            steps: list[float] = []
            total = 0.0
            for before, entry in zip([None, *entries[:-1]], entries, strict=True):
                if before is not None and entry.get("phase") != before.get("phase"):
                    total = steps[-1]
                steps.append(total + entry["step"])
            panel.plot(steps, [entry["loss"] for entry in entries], linewidth=1, label=job)
            if any("validation_loss" in entry for entry in entries):
                panel.plot(steps, [entry.get("validation_loss") for entry in entries], "--", linewidth=1)
    if not drawn:
        return
    for panel, part in zip(panels, parts, strict=True):
        panel.set(title=part, xlabel="step", ylabel="loss")
    panels[0].legend(fontsize=6)
    figure.savefig(picture, dpi=120)
