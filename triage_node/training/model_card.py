"""The model card of a release, written from what the run measured.

In: configuration, out-of-fold predictions and operating points. Out: Markdown. Sections follow Mitchell et al. 2019;
every figure carries its count and its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPE_NAMES, SUBTYPES
from triage_node.training.baselines import BaselineRow
from triage_node.training.configuration import RunConfiguration
from triage_node.training.delong import auc_estimate
from triage_node.training.estimates import Estimate
from triage_node.training.metrics import clustered_metrics
from triage_node.training.predictions import Predictions

_USE = """## Intended use

Research use only, not for diagnostic use. The network orders a worklist of non-contrast head CT: it may move a study up
and never down, it does not diagnose and it never rules blood out. It has not been tested on the site where it is
installed; measure it there first
with `triage-node evaluate`."""

_RECONSTRUCTION = """## Method, and what of it is a reconstruction

After Ye et al., Eur Radiol 2019 (doi 10.1007/s00330-019-06163-2): a CNN per slice and an RNN over the slices, first any
blood, then, where that is positive, five kinds; slices resampled to 512 x 512 and then to 256 x 256; three intensity
windows; subject and slice labels. The paper's supplement is not publicly stored, so backbone, kind of RNN, window
values, losses and optimizer are ours, and so are the crop to one square around the cranium before the second
resampling and the size of the network's input, named below. Both stages share the CNN."""

_NEIGHBOURS = " That the CNN is\nshown the slices below and above as well is ours too."

_MANY_PATIENTS = 500
_LIMITS_OF_SOURCE: Mapping[str, str] = {
    "ct-ich": "- CT-ICH comes from one hospital. As screen exports its images have 8 bits and their geometry (0.46 mm pixels, "
    "5 mm\n  slices) is assumed; thin slices, other kernels and tilted gantries were then seen in made-up heads only.",
    "cq500": "- CQ500 labels whole scans: which slices bleed was not told.",
    "folder": "- The data are their owner's: other scanners, protocols and patients than theirs were not seen.",
}
_LIMITS_OF_ALL = """- Thresholds and calibration were chosen on the same out-of-fold predictions they are reported on. The line
  "threshold chosen without the fold" is the figure to expect on new patients.
- The shipped networks are trained on all patients; the figures are those of networks of the same recipe that did not
  see the patient."""


def _trainings(training: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """This training, then those that it started from."""
    yield training
    if start := training.get("started_from"):
        yield from _trainings(start["training"])


def _limits(training: Mapping[str, Any]) -> str:
    """What the figures cannot say, by the data that they come from."""
    sources = dict.fromkeys(source for each in _trainings(training) for source in each.get("sources", {}))
    lines = [_LIMITS_OF_SOURCE[source] for source in sources if source in _LIMITS_OF_SOURCE]
    if training["subjects"] < _MANY_PATIENTS:
        few = "- The patients are few: every interval is wide, and subtypes with fewer than ten positive patients say next to"
        lines.insert(0, f"{few}\n  nothing.")
    return "\n".join(["## Limits\n", *lines, _LIMITS_OF_ALL])


def _source_line(name: str, source: Mapping[str, Any]) -> str:
    left_out = f", {source['excluded']} left out" if source.get("excluded") else ""
    line = f"- {name}: {source.get('scans')} scans{left_out}. Licence {source.get('licence')}. Cite: {source.get('citation')}"
    if source.get("may_be_shipped") is False:
        line += ". These weights are the user's own and do not ship with triage_node"
    return line


def _shown(estimate: Estimate) -> str:
    if not estimate.known:
        return f"not measurable (n = {estimate.count})"
    interval = f" ({estimate.lower:.3f} to {estimate.upper:.3f})" if estimate.lower == estimate.lower else ""
    return f"{estimate.value:.3f}{interval}"


def _shown_mapping(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.3f} ({figure['lower_95']:.3f} to {figure['upper_95']:.3f}, n = {figure['n']})"


def _counts(labels: npt.NDArray[np.float64]) -> str:
    """Positive cases of those whose label is known."""
    return f"{int((labels == 1).sum())} / {int((~np.isnan(labels)).sum())}"


def _figures(predicted: Predictions) -> list[str]:
    assert predicted.slices is not None
    slices = predicted.slices
    any_labels, any_scores = slices.labels[:, 0], slices.scores[:, 0]
    flagged = any_scores >= 0.5
    patients = predicted.patient_index[slices.subject_index]
    of_slices = clustered_metrics("any", any_labels, any_scores, flagged, patients).figures["auc"]
    bleeding = predicted.labels[:, 0] == 1
    lines = [
        "| target | level | positive / all | AUC (95 % interval) |",
        "| --- | --- | --- | --- |",
        f"| any blood | subject | {_counts(predicted.labels[:, 0])} | "
        f"{_shown(auc_estimate(predicted.labels[:, 0], predicted.scores[:, 0]))} |",
        f"| any blood | slice | {_counts(any_labels)} | {_shown(of_slices)} |",
    ]
    for column, kind in enumerate(SUBTYPES, start=1):
        labels, scores = predicted.labels[bleeding, column], predicted.scores[bleeding, column]
        estimate = auc_estimate(labels, scores)
        lines.append(
            f"| {SUBTYPE_NAMES[kind]} ({kind}) | subject with blood | {_counts(labels)} | {_shown(estimate)} |"
        )
    return lines


def _operating_points(points: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["| operating point | threshold | sensitivity | specificity |", "| --- | --- | --- | --- |"]
    for name, point in points.items():
        figures = point["measured"]
        lines.append(
            f"| {name} | {point['threshold']:.3f} | {_shown_mapping(figures['sensitivity'])} | "
            f"{_shown_mapping(figures['specificity'])} |"
        )
        without = figures.get("threshold_chosen_without_the_fold")
        if without:
            lines.append(
                f"| {name}, threshold chosen without the fold | | {_shown_mapping(without['sensitivity'])} | "
                f"{_shown_mapping(without['specificity'])} |"
            )
    return lines


def _baselines(rows: Sequence[BaselineRow]) -> list[str]:
    lines = ["| reading | subject AUC (95 % interval) | slice AUC (95 % interval) |", "| --- | --- | --- |"]
    return lines + [f"| {row.name} | {_shown(row.subject)} | {_shown(row.slice)} |" for row in rows]


def _phantoms(configuration: RunConfiguration) -> str:
    """What phantoms contributed, and with which labels."""
    if not configuration.made_up.phantoms:
        return "No phantoms."
    alone = 0 if configuration.start else sum(phase.steps for phase in configuration.pretraining)
    text = f"Phantoms: {configuration.made_up.phantoms}"
    if alone:
        text += f"; the CNN learns from them alone for {alone} steps before it sees a patient"
    if configuration.encoder:
        shares = dict.fromkeys(f"{phase.phantom:.0%}" for phase in configuration.encoder)
        text += f"; later they are {', then '.join(shares)} of the slices"
    return f"{text}. Made-up scans train with slice labels and masks in both label settings."


def _start(training: Mapping[str, Any]) -> list[str]:
    """What the CNN had learned before, and from whom."""
    lines: list[str] = []
    for start in (each["started_from"] for each in _trainings(training) if "started_from" in each):
        before = start["training"]
        configuration = before.get("configuration", {})
        labels = {"sub": "Sub-Lab", "sli": "Sli-Lab"}.get(configuration.get("labels"), "labels not told")
        phantoms = configuration.get("made_up", {}).get("phantoms", 0)
        lines.append(
            f"- {'Before that the' if lines else 'The'} CNN was that of {start['name']} {start['version']} (SHA-256 "
            f"{start['weights_sha256']}), whose manifest names none of these patients ({labels}, {phantoms} phantoms):\n"
            + "\n".join(f"  {_source_line(name, source)}" for name, source in before.get("sources", {}).items())
        )
    return lines


def model_card(
    configuration: RunConfiguration,
    predicted: Predictions,
    rows: Sequence[BaselineRow],
    points: Mapping[str, Mapping[str, Any]],
    training: Mapping[str, Any],
) -> str:
    """Write the card.

    Parameters
    ----------
    configuration
        Of the run.
    predicted
        Out of fold.
    rows
        The same CNN without its RNN, and position alone.
    points
        As ``out_of_fold.operating_points`` gives them.
    training
        Sources, counts and time, as in the manifest.
    """
    setting = "Sli-Lab (subject and slice labels)" if configuration.labels == "sli" else "Sub-Lab (subject labels)"
    sources = [_source_line(name, source) for name, source in training["sources"].items()]
    made_up = configuration.made_up
    architecture = configuration.architecture
    windows = ", ".join(f"{each.center_hu:g}/{each.width_hu:g}" for each in architecture.windows)
    several = f"{configuration.members} networks whose logits are averaged"
    members = several if configuration.members > 1 else "one network"
    beside = ", the slices below and above through the first of them" if architecture.neighbours else ""
    stage_two = f", that of stage two {architecture.subtype_head}" if architecture.subtype_head else ""
    parts = [
        f"# {configuration.name}, version {configuration.version}",
        _USE,
        _RECONSTRUCTION + (_NEIGHBOURS if architecture.neighbours else ""),
        f"Backbone {architecture.backbone} on {architecture.input_size} x {architecture.input_size} pixels "
        f"through the windows {windows} HU (centre/width){beside}, "
        f"{architecture.layers}-layer bidirectional {architecture.recurrence.upper()} of {architecture.units} units a "
        f"direction, subject head {architecture.subject_head}{stage_two}, {members}, {setting}.",
        "## Data",
        *sources,
        *_start(training),
        f"- Made-up blood pasted {made_up.pasted_per_head} times into each head labelled free of blood; a pasted copy trains "
        f"only where its own patient does. {_phantoms(configuration)}",
        f"## Figures, out of fold ({configuration.folds} folds by patient, stratified; {training['subjects']} patients, "
        f"{training['subjects_with_blood']} with blood)",
        "\n".join(_figures(predicted)),
        "Subject intervals are DeLong's; slice intervals draw whole patients; proportions have Wilson's.",
        "\n".join(_operating_points(points)),
        "## What each part adds (the same folds, uncalibrated logits)",
        "\n".join(_baselines(rows)),
        _limits(training),
    ]
    return "\n\n".join(parts) + "\n"
