"""Table 3 of the paper on a terminal: six targets by models and readers by five figures, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from triage_node.core.finding import SUBTYPE_NAMES
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.estimates import Estimate
from triage_node.training.evaluate import Evaluation
from triage_node.training.heatmap_scores import HeatmapEvaluation
from triage_node.training.lesion_evaluation import VOLUME_BANDS, LesionEvaluation
from triage_node.training.metrics import METRICS, TargetMetrics
from triage_node.training.reader_study import ReaderStudy, Spread
from triage_node.training.release_comparison import ReleaseComparison

HEADINGS = {
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "f1": "F1",
    "auc": "AUC",
}
TARGET_NAMES = {"any": "Any hemorrhage", **SUBTYPE_NAMES}
_NAME_WIDTH = 18
"""Columns for a model's or reader's name, folded where it is longer, so that no figure is cut."""
NOT_UNSEEN = "NOT FIGURES OF UNSEEN PATIENTS"
READER_AUC_NOTE = "* a reader has no curve: (sensitivity + specificity) / 2"


def figure_text(estimate: Estimate, mark: str = "") -> Text:
    """Write a figure over its interval."""
    if not estimate.known:
        return Text("–", style="dim")
    text = Text(f"{estimate.value:.2f}{mark}")
    if not math.isnan(estimate.lower):
        between = " to " if estimate.lower < 0 else "–"
        text.append(f"\n{estimate.lower:.2f}{between}{estimate.upper:.2f}", style="dim")
    return text


def evaluation_tables(evaluation: Evaluation) -> Iterator[RenderableType]:
    """Lay out what a terminal shows: warnings, Table 3, where judged slices, shadow and heatmaps, and the verdict."""
    for reason in evaluation.seen_in_training:
        yield Text(f"{NOT_UNSEEN}: {reason}", style="bold white on red")
    for warning in evaluation.warnings:
        yield Text(f"Warning: {warning}", style="bold yellow")
    yield table_3(evaluation)
    if evaluation.readers is not None:
        yield agreement_table(evaluation.readers)
    if any(model.slices for model in evaluation.models):
        yield slice_table(evaluation)
    if evaluation.comparison is not None:
        yield comparison_table(evaluation.comparison)
    if evaluation.heatmaps is not None:
        yield heatmap_table(evaluation.heatmaps)
    if evaluation.lesions is not None:
        yield lesion_table(evaluation.lesions)
        yield from mimic_lines(evaluation.lesions)
    for model in evaluation.models:
        yield Text(f"{model.name}: {model.gate.verdict}", style="green" if model.gate.passed else "yellow")
    yield Text("Research use only. Not for diagnostic use.", style="dim")


def table_3(evaluation: Evaluation) -> Table:
    """Lay out subject-level figures in the paper's Table 3 layout."""
    first = evaluation.models[0].as_paper[0].confusion
    table = Table(
        title=f"Subject level, {first.count} subjects, {first.positives} with hemorrhage (95 % intervals)",
        caption="Subtypes on the truly positive subjects, as in the paper."
        + (f" {READER_AUC_NOTE}" if evaluation.readers else ""),
        header_style="bold",
    )
    table.add_column("Target", no_wrap=True)
    table.add_column("Read by", max_width=_NAME_WIDTH, overflow="fold")
    table.add_column("n (pos.)", justify="right", no_wrap=True)
    for name in METRICS:
        table.add_column(HEADINGS[name], justify="right", no_wrap=True)
    for target in TARGETS:
        rows = list(_rows_of(evaluation, target))
        for index, (read_by, metrics) in enumerate(rows):
            table.add_row(_short_name(target) if index == 0 else "", read_by, *_cells(metrics))
        if evaluation.readers is not None:
            spreads = evaluation.readers.spread[target]
            table.add_row("", "Readers, mean ± SD", "", *(_spread_text(spreads[name]) for name in METRICS))
        table.add_section()
    return table


def _short_name(target: str) -> str:
    return "ICH" if target == "any" else target


def _spread_text(spread: Spread) -> Text:
    if math.isnan(spread.mean):
        return Text("–", style="dim")
    return Text(f"{spread.mean:.2f}") + Text("" if math.isnan(spread.deviation) else f" ± {spread.deviation:.2f}")


def _rows_of(evaluation: Evaluation, target: str) -> Iterator[tuple[str, TargetMetrics]]:
    for model in evaluation.models:
        yield from ((model.name, each) for each in model.as_paper if each.target == target)
    if evaluation.readers is not None:
        for reader, rows in evaluation.readers.as_paper.items():
            yield from ((reader, each) for each in rows if each.target == target)


def _cells(metrics: TargetMetrics) -> list[Text]:
    counts = Text(f"{metrics.confusion.count}\n({metrics.confusion.positives})")
    marks = {"auc": "*"} if metrics.auc_is_balanced_accuracy else {}
    return [counts, *(figure_text(metrics.figures[name], marks.get(name, "")) for name in METRICS)]


def agreement_table(readers: ReaderStudy) -> Table:
    """Lay out how far readers agree, as the paper's Table 2."""
    table = Table(title="Agreement of readers", caption="Fleiss κ of all, Cohen κ of two.", header_style="bold")
    table.add_column("Between", overflow="fold")
    for each in readers.agreement:
        table.add_column(_short_name(each.target), justify="right", no_wrap=True)
    table.add_row(f"all {len(readers.readers)}", *(figure_text(each.fleiss) for each in readers.agreement))
    for pair in readers.agreement[0].pairs:
        table.add_row(pair, *(figure_text(each.pairs[pair]) for each in readers.agreement))
    for reader in readers.readers:
        table.add_row(f"{reader} and the truth", *(figure_text(each.with_truth[reader]) for each in readers.agreement))
    return table


def slice_table(evaluation: Evaluation) -> Table:
    """Lay out slice-level figures beside the baseline that knows the slice's height alone."""
    table = Table(
        title="Slice level, intervals by drawing patients",
        caption="Subtypes on the slices of truly positive subjects. Height alone: the AUC of a slice's place in the head.",
        header_style="bold",
    )
    for name in ("Target", "Read by", "n (pos.)", *(HEADINGS[name] for name in METRICS), "Height alone"):
        width = {"max_width": _NAME_WIDTH, "overflow": "fold"} if name == "Read by" else {"no_wrap": True}
        table.add_column(name, justify="left" if name in ("Target", "Read by") else "right", **width)
    judged = [
        (target, model.name, each)
        for target in TARGETS
        for model in evaluation.models
        for each in (model.slices.targets if model.slices else ())
        if each.metrics.target == target
    ]
    for index, (target, name, each) in enumerate(judged):
        new = index == 0 or judged[index - 1][0] != target
        if new:
            table.add_section()
        baseline = figure_text(each.positional_auc)
        table.add_row(_short_name(target) if new else "", name, *_cells(each.metrics), baseline)
    return table


def comparison_table(comparison: ReleaseComparison) -> Table:
    """Lay out a shadow release beside the active one."""
    table = Table(
        title=f"{comparison.shadow} in the shadow of {comparison.active}, {comparison.subjects} subjects",
        caption=f"Flags that change: {len(comparison.changed_flags)}. Only one right: {comparison.active} : {comparison.shadow}.",
        header_style="bold",
    )
    headings = (
        "Target",
        "n",
        "AUC before",
        "AUC after",
        "Difference",
        "p",
        "Only one right",
        "p",
        "Newly called",
        "No longer",
    )
    for name in headings:
        table.add_column(name, justify="left" if name == "Target" else "right")
    for each in comparison.targets:
        table.add_row(
            _short_name(each.target),
            str(each.count),
            *(Text("–") if math.isnan(area) else Text(f"{area:.2f}") for area in (each.auc.first, each.auc.second)),
            figure_text(each.auc.difference),
            _p_text(each.auc.p_value),
            f"{each.decisions.only_first_right} : {each.decisions.only_second_right}",
            _p_text(each.decisions.p_value),
            str(each.newly_called),
            str(each.no_longer_called),
        )
    return table


def lesion_table(lesions: LesionEvaluation) -> Table:
    """Lay out how often blood is flagged, by its volume and kind."""
    table = Table(
        title="Blood that is flagged, by volume",
        caption="Flagged by stage one, of subjects with this blood. ICH by the volume of all blood, a kind by its own."
        + (f" {lesions.without_volume} bleeding subjects have no volume." if lesions.without_volume else ""),
        header_style="bold",
    )
    table.add_column("Target", no_wrap=True)
    for name in VOLUME_BANDS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in lesions.sensitivity:
        table.add_row(_short_name(row.target), *(counted_text(each) for each in row.flagged))
    return table


def counted_text(estimate: Estimate) -> Text:
    """Write a share over its counts and interval."""
    text = figure_text(estimate)
    if estimate.known and estimate.successes is not None:
        text.append(f"\n{estimate.successes} of {estimate.count}", style="dim")
    return text


def mimic_lines(lesions: LesionEvaluation) -> Iterator[Text]:
    """Say whether look-alikes are taken for blood, and which."""
    found = lesions.mimics_only
    yield Text(lesions.verdict, style="green" if found.known and found.value <= lesions.aim else "yellow")
    flagged = [each for each in lesions.by_mimic if each.flagged.successes]
    if flagged:
        parts = (f"{mimic_name(each.mimic)} {each.flagged.successes} of {each.flagged.count}" for each in flagged)
        yield Text(f"Flagged without blood, by look-alike: {', '.join(parts)}.", style="dim")


def mimic_name(mimic: str) -> str:
    """Write a look-alike's column as words."""
    return mimic.replace("_", " ")


def heatmap_table(heatmaps: HeatmapEvaluation) -> Table:
    """Lay out heatmaps beside chance and brightness."""
    table = Table(
        title=f"Heatmaps against {heatmaps.regions}, {heatmaps.slices} slices of {heatmaps.patients} patients",
        caption=f"Peak within {heatmaps.tolerance_pixels} pixels of the region; share of the heat inside it.",
        header_style="bold",
    )
    for name in ("Pointing by", "Peak in region", "Heat in region"):
        table.add_column(name, justify="left" if name == "Pointing by" else "right")
    for each in heatmaps.scores:
        table.add_row(each.name, figure_text(each.pointing), figure_text(each.energy))
    return table


def _p_text(p_value: float) -> str:
    if math.isnan(p_value):
        return "–"
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}"
