"""The evaluation as one HTML file: tables, plots and the words a hospital needs to judge them.

The file holds everything, loads nothing from elsewhere and escapes every name that comes from data.
"""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from triage_node.training.agreement import in_words
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.estimates import Estimate
from triage_node.training.evaluate import Evaluation
from triage_node.training.evaluation_json import evaluation_to_json
from triage_node.training.evaluation_plots import (
    heatmap_figure,
    reliability_figure,
    roc_figure,
    slice_figure,
    threshold_figure,
)
from triage_node.training.evaluation_table import HEADINGS, TARGET_NAMES, mimic_name
from triage_node.training.lesion_evaluation import VOLUME_BANDS
from triage_node.training.metrics import METRICS
from triage_node.training.output_folder import output_folder

HTML_NAME = "evaluation.html"
JSON_NAME = "evaluation.json"
LONGEST_LIST = 60
"""Wrong calls and changed flags shown; the JSON has all of them."""


def write_report(evaluation: Evaluation, folder: Path, made_at: datetime | None = None) -> tuple[Path, Path]:
    """Write ``evaluation.html`` and ``evaluation.json``; each appears whole or not at all.

    Parameters
    ----------
    folder
        Made where it is missing.
    made_at
        Printed in the report; now where None.

    Returns
    -------
    The two paths.

    Raises
    ------
    ConfigurationRejected
        Nothing can be written to the folder.
    """
    html = render_report(evaluation, made_at or datetime.now(UTC))
    values = json.dumps(evaluation_to_json(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with output_folder(folder):
        return _write(folder / HTML_NAME, html), _write(folder / JSON_NAME, values)


def render_report(evaluation: Evaluation, made_at: datetime) -> str:
    """Render the HTML."""
    environment = Environment(
        loader=PackageLoader("triage_node.training", "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number, interval=_interval, p_value=_p_value, kappa_words=in_words, mimic=mimic_name
    )
    first, predictions = evaluation.models[0], evaluation.predictions[0]
    return environment.get_template("evaluation_report.html").render(
        evaluation=evaluation,
        first=first,
        made_at=made_at.strftime("%Y-%m-%d %H:%M UTC"),
        targets=TARGETS,
        target_names=TARGET_NAMES,
        metrics=METRICS,
        headings=HEADINGS,
        longest_list=LONGEST_LIST,
        volume_bands=VOLUME_BANDS,
        plots=_plots(evaluation),
        subjects=len(predictions.subjects),
        folds=len(set(predictions.folds) - {""}),
    )


def _plots(evaluation: Evaluation) -> dict[str, str]:
    first, predictions = evaluation.models[0], evaluation.predictions[0]
    heatmaps = evaluation.heatmaps
    judged = [("Any hemorrhage, subjects", first.reliability[0])]
    if first.slices is not None:
        judged.append(("Any hemorrhage, slices", first.slices.reliability))
    return {
        "roc": roc_figure(evaluation),
        "reliability": reliability_figure(judged),
        "thresholds": threshold_figure(predictions, evaluation.thresholds.subject),
        "slices": slice_figure(evaluation) if first.slices is not None and first.slices.targets else "",
        "heatmaps": heatmap_figure(heatmaps.examples, heatmaps.tolerance_pixels)
        if heatmaps and heatmaps.examples
        else "",
    }


def _number(value: float, decimals: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}".replace("-", "−")


def _interval(estimate: Estimate, decimals: int = 3) -> str:
    if math.isnan(estimate.lower) or math.isnan(estimate.upper):
        return ""
    between = " to " if estimate.lower < 0 else "–"
    return f"{_number(estimate.lower, decimals)}{between}{_number(estimate.upper, decimals)}"


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
