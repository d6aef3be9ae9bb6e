"""The report's plots: ROC curves as the paper's Figure 3, calibration, thresholds, slices; and heatmaps to look at."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triage_node.core.hounsfield import BRAIN_WINDOW
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.evaluate import Evaluation
from triage_node.training.evaluation_table import TARGET_NAMES
from triage_node.training.heatmap_scores import MaskedSlice, pointing_hit
from triage_node.training.positional_baseline import positional_scores
from triage_node.training.predictions import Predictions
from triage_node.training.reliability import Reliability

FloatArray = npt.NDArray[np.float64]
COLOURS = ("#0b5394", "#d1495b", "#2a9d8f", "#e9a03b", "#7a5195", "#5c6770")
READER_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#8a929a"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5c6770",
    "axes.linewidth": 0.8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "triage-node",
}


def as_data_uri(figure: Figure) -> str:
    """Return an SVG as a ``data:`` URI, so that the report is one file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def heatmap_figure(examples: Sequence[MaskedSlice], tolerance_pixels: int) -> str:
    """Draw slices in the brain window under the first of their heatmaps, the region outlined, the peak marked."""
    columns = min(4, len(examples))
    rows = -(-len(examples) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * columns, 2.8 * rows), layout="constrained")
        tiles = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes in tiles:
            axes.set_axis_off()
        for axes, each in zip(tiles, examples, strict=False):
            heatmap = next(iter(each.heatmaps.values()))
            lower = BRAIN_WINDOW.lower_hu
            axes.imshow(each.slice_hu, cmap="gray", vmin=lower, vmax=lower + BRAIN_WINDOW.width_hu)
            axes.imshow(heatmap, cmap="inferno", alpha=np.clip(heatmap / max(float(heatmap.max()), 1e-6), 0, 1) * 0.55)
            axes.contour(each.mask.astype(float), levels=[0.5], colors=[COLOURS[2]], linewidths=1.2)
            row, column = np.unravel_index(int(np.argmax(heatmap)), heatmap.shape)
            axes.plot(column, row, "+", color="white", ms=9, mew=1.6)
            hit = pointing_hit(heatmap, each.mask, tolerance_pixels)
            axes.set_title(f"{each.patient}: {'in the region' if hit else 'elsewhere'}", loc="left", fontsize=8)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def roc_points(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the curve as (1 - specificity, sensitivity), both from 0 to 1.

    Parameters
    ----------
    labels, scores : (cases,), labels 0 or 1, both present
    """
    from sklearn.metrics import roc_curve

    false_positive_rate, sensitivity, _ = roc_curve(labels, scores, drop_intermediate=False)
    return np.asarray(false_positive_rate), np.asarray(sensitivity)


def roc_figure(evaluation: Evaluation) -> str:
    """Draw one panel for each target, every model a curve and every reader a point."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 7.2), layout="constrained")
        for index, axes in enumerate(figure.subplots(2, 3).ravel()):
            _roc_panel(axes, evaluation, index)
        return as_data_uri(figure)


def _roc_panel(axes: Axes, evaluation: Evaluation, index: int) -> None:
    target = TARGETS[index]
    _roc_axes(axes, TARGET_NAMES[target] if index == 0 else f"{target} (bleeding subjects)")
    for model, predictions, colour in zip(evaluation.models, evaluation.predictions, COLOURS * 9, strict=False):
        row = next((each for each in model.as_paper if each.target == target), None)
        if row is None or not row.figures["auc"].known:
            continue
        among = ~np.isnan(predictions.labels[:, index]) & ((predictions.labels[:, 0] == 1) | (index == 0))
        scores = np.nan_to_num(predictions.scores[among, index], nan=0.0)
        area = row.figures["auc"]
        label = f"{model.name}: {area.value:.3f} ({area.lower:.3f}–{area.upper:.3f})"
        axes.plot(*roc_points(predictions.labels[among, index], scores), color=colour, lw=1.8, label=label)
        point = row.figures["specificity"], row.figures["sensitivity"]
        axes.plot(1 - point[0].value, point[1].value, "o", color=colour, ms=5, mec="white", mew=0.8, zorder=4)
    for reader, marker in zip(
        evaluation.readers.readers if evaluation.readers else (), READER_MARKERS * 9, strict=False
    ):
        assert evaluation.readers is not None
        figures = evaluation.readers.as_paper[reader][index].figures
        place = 1 - figures["specificity"].value, figures["sensitivity"].value
        axes.plot(*place, marker, color="#1f2933", ms=5, mfc="none", label=reader, ls="none")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", title="AUC (95 % interval)", title_fontsize=7.5, alignment="left")
    else:
        around = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(0.5, 0.5, "one class is missing", ha="center", va="center", color=GREY, bbox=around)


def _roc_axes(axes: Axes, title: str) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (4, 4)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="1 − specificity", ylabel="sensitivity")
    axes.set_title(title, loc="left")


def slice_figure(evaluation: Evaluation) -> str:
    """Draw every model's ROC curve on slices beside that of the height alone; empty where there is no curve."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.6), layout="constrained")
        axes = figure.subplots()
        _roc_axes(axes, "Any hemorrhage, slices")
        for model, predictions, colour in zip(evaluation.models, evaluation.predictions, COLOURS * 9, strict=False):
            slices = predictions.slices
            if slices is None or model.slices is None or not model.slices.targets[0].metrics.figures["auc"].known:
                continue
            known = ~np.isnan(slices.labels[:, 0])
            label = f"{model.name}: {model.slices.targets[0].metrics.figures['auc'].value:.3f}"
            axes.plot(*roc_points(slices.labels[known, 0], slices.scores[known, 0]), color=colour, lw=1.8, label=label)
        _height_curve(axes, evaluation)
        if not axes.get_legend_handles_labels()[0]:  # no slice is labelled, or all are alike
            return ""
        axes.legend(loc="lower right", title="AUC", title_fontsize=7.5, alignment="left")
        return as_data_uri(figure)


def _height_curve(axes: Axes, evaluation: Evaluation) -> None:
    slices, judged = evaluation.predictions[0].slices, evaluation.models[0].slices
    if slices is None or judged is None or not judged.targets[0].positional_auc.known:
        return
    known = ~np.isnan(slices.labels[:, 0])
    patients = evaluation.predictions[0].patient_index[slices.subject_index]
    by_height = positional_scores(slices.labels[:, 0], slices.subject_index, patients)[known]
    label = f"height alone: {judged.targets[0].positional_auc.value:.3f}"
    axes.plot(*roc_points(slices.labels[known, 0], by_height), color=GREY, lw=1.4, label=label)


def reliability_figure(judged: Sequence[tuple[str, Reliability]]) -> str:
    """Draw one reliability plot for each named calibration: observed frequency over mean score, bin by bin."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(judged), 4.2), layout="constrained")
        for axes, (title, found) in zip(np.atleast_1d(figure.subplots(1, len(judged))), judged, strict=True):
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (4, 4)))
            said = [each.mean_score for each in found.bins]
            seen = [each.observed.value for each in found.bins]
            below = [max(0.0, each.observed.value - each.observed.lower) for each in found.bins]
            above = [max(0.0, each.observed.upper - each.observed.value) for each in found.bins]
            axes.errorbar(said, seen, yerr=[below, above], fmt="o-", color=COLOURS[0], ms=4.5, lw=1.2, elinewidth=0.9)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="mean score", ylabel="observed")
            axes.set_title(title, loc="left")
        return as_data_uri(figure)


def threshold_figure(predictions: Predictions, threshold: float) -> str:
    """Draw sensitivity and specificity over the threshold, above the subjects' scores."""
    known = ~np.isnan(predictions.labels[:, 0])
    labels, scores = predictions.labels[known, 0], predictions.scores[known, 0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        curves, subjects = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
        grid = np.linspace(0, 1, 501)
        for positive, name, colour in ((1, "sensitivity", COLOURS[1]), (0, "specificity", COLOURS[0])):
            mine = np.sort(scores[labels == positive])
            if len(mine):
                below = np.searchsorted(mine, grid) / len(mine)
                curves.step(grid, 1 - below if positive else below, where="post", color=colour, lw=1.8, label=name)
                jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(mine))
                subjects.plot(mine, positive + jitter, ".", color=colour, ms=5, alpha=0.75, mew=0)
        for axes in (curves, subjects):
            axes.axvline(threshold, color="#1f2933", lw=0.9, ls=(0, (4, 3)))
        curves.set(ylim=(-0.02, 1.04), ylabel="share of subjects")
        if curves.get_legend_handles_labels()[0]:
            curves.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        subjects.set(xlim=(-0.01, 1.01), ylim=(-0.6, 1.6), xlabel="threshold, and the subjects' scores")
        subjects.set_yticks([0, 1], ["no blood", "blood"])
        return as_data_uri(figure)
