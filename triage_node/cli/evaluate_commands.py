"""``evaluate``: judge predictions, or a release on a labelled data set, as the paper's tables do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.cascade.runner import Cascade
    from triage_node.training.datasets import LabelledScan
    from triage_node.training.evaluate import Thresholds
    from triage_node.training.heatmap_scores import HeatmapEvaluation
    from triage_node.training.predictions import Predictions

_TABLE_WIDTH = 120
"""Columns of the widest table, for files and pipes; a narrower terminal folds it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    predictions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]PREDICTIONS.csv...",
            help="Scores beside labels, one file a model; the first is compared with readers and shadow.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.html and evaluation.json.")] = Path("evaluation"),
    readers: Annotated[
        Path | None, typer.Option(help="Readers' calls (CSV): subject,reader,any,cph,ivh,sdh,edh,sah; 0 or 1.")
    ] = None,
    slices: Annotated[bool, typer.Option("--slices", help="Judge slices too, with patients as clusters.")] = False,
    shadow: Annotated[
        str | None, typer.Option(help="Compare with this: predictions (CSV), or with --data a release.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="A subject is called at or above it, 0 to 1. [default: 0.5, as the paper]"),
    ] = None,
    slice_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The same for slices, 0 to 1. [default: 0.5]")
    ] = None,
    subtype_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The same for every subtype, 0 to 1. [default: 0.5]")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Read this data set first, SOURCE:FOLDER (ct-ich, rsna-2019, cq500, folder).")
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(help="With --data: the release to read with, a name or a folder. [default: the active]"),
    ] = None,
    operating_point: Annotated[
        str, typer.Option(help="With --data: whose thresholds are used where none is given.")
    ] = "balanced",
    even_if_trained_on: Annotated[
        bool,
        typer.Option(
            "--even-if-trained-on", help="With --data: do not refuse patients trained on, but mark the report so."
        ),
    ] = False,
    regions: Annotated[
        Path | None,
        typer.Option(help="With --data ct-ich: folder of drawn regions (masks.csv) to score heatmaps with."),
    ] = None,
    config: options.Config = None,
    json_: options.AsJson = False,
) -> None:
    """Judge models: accuracy, sensitivity, specificity, F1 and AUC with 95 % intervals, as HTML, JSON and a table.

    PREDICTIONS.csv has the columns subject,slice,fold,any,CPH,IVH,SDH,EDH,SAH,label_any,label_CPH,label_IVH,
    label_SDH,label_EDH,label_SAH: one row for each subject with slice left empty, and one for each slice from inferior
    to superior. Exit status 0 whatever the figures are, 2 where a table or data set is refused.
    """
    from triage_node.core.errors import ConfigurationRejected

    if bool(predictions) == bool(data):
        raise ConfigurationRejected("give either PREDICTIONS.csv or --data SOURCE:FOLDER")
    if regions and not data:
        raise ConfigurationRejected("--regions needs --data: heatmaps are made by reading")
    if data:
        asked = [release, *([shadow] if shadow else [])]
        found = _read_with_releases(data, asked, operating_point, even_if_trained_on, config, out, regions)
    else:
        found = _read_tables_only(predictions or [], shadow)
    thresholds = _overridden(found.thresholds, threshold, slice_threshold, subtype_threshold)
    _judge_and_show(found, thresholds, readers, slices, out, json_)


@dataclass(frozen=True)
class _Read:
    """What is to be judged, wherever it came from."""

    models: Sequence[Predictions]
    shadow: Predictions | None
    thresholds: Thresholds
    warnings: Sequence[str] = ()
    seen_in_training: Sequence[str] = ()
    heatmaps: HeatmapEvaluation | None = None


def _read_tables_only(named: Sequence[str], shadow: str | None) -> _Read:
    from triage_node.training.evaluate import Thresholds

    return _Read(_read_tables(named), _read_tables([shadow])[0] if shadow else None, Thresholds())


def _read_tables(named: Sequence[str]) -> list[Predictions]:
    from triage_node.core.errors import ConfigurationRejected
    from triage_node.training.predictions import read_predictions

    tables = []
    for each in named:
        name, separator, file = each.partition("=")
        path = Path(file) if separator and not Path(each).exists() else Path(each)
        tables.append(read_predictions(path, name if path != Path(each) else None))
    names = [each.name for each in tables]
    if len(set(names)) < len(names):
        raise ConfigurationRejected(f"two models are called {max(names, key=names.count)}; write NAME=PREDICTIONS.csv")
    return tables


def _overridden(
    thresholds: Thresholds, subject: float | None, slice_: float | None, subtype: float | None
) -> Thresholds:
    from dataclasses import replace

    if subject is not None:
        thresholds = replace(thresholds, subject=subject)
    if slice_ is not None:
        thresholds = replace(thresholds, slice=slice_)
    if subtype is not None:
        thresholds = replace(thresholds, subtypes=dict.fromkeys(thresholds.subtypes, subtype))
    return thresholds


def _read_with_releases(
    data: str,
    releases: Sequence[str | None],
    operating_point: str,
    even_if_trained_on: bool,
    config: Path | None,
    out: Path,
    regions: Path | None,
) -> _Read:
    """Read a data set with one release, or two; keep each one's predictions beside the report."""
    from triage_node import wiring
    from triage_node.cascade.runner import Cascade
    from triage_node.cascade.weights import active_release_folder
    from triage_node.training.datasets import open_dataset
    from triage_node.training.predictions import write_predictions
    from triage_node.training.release_reading import read_dataset, refuse_trained_on, thresholds_of

    home = wiring.weights_folder(options.load(config))
    dataset = open_dataset(data)
    warnings = [f"left out: {each.series}, {each.reason}" for each in dataset.excluded[:20]]
    cascades: list[Cascade] = []
    seen: list[str] = []
    for name in releases:
        folder = active_release_folder(home) if name is None else Path(name) if Path(name).is_dir() else home / name
        cascades.append(Cascade.load(folder, operating_point=operating_point))
        seen += refuse_trained_on(cascades[-1].release, dataset, allow=even_if_trained_on)
    out.mkdir(parents=True, exist_ok=True)
    found: list[Predictions] = []
    for cascade in cascades:
        name = cascade.release.name if not found else f"{cascade.release.name} (shadow)"
        found.append(read_dataset(cascade, _with_progress(dataset.scans, f"reading with {name}"), name))
        kind = "predictions" if len(found) == 1 else "shadow_predictions"
        write_predictions(out / f"{kind}_{cascade.release.name}.csv", found[-1])
    return _Read(
        models=found[:1],
        shadow=found[1] if len(found) > 1 else None,
        thresholds=thresholds_of(cascades[0].operating_point),
        warnings=warnings,
        seen_in_training=seen,
        heatmaps=_scored_heatmaps(cascades[0], dataset.scans, regions) if regions else None,
    )


def _scored_heatmaps(cascade: Cascade, scans: Sequence[LabelledScan], regions: Path) -> HeatmapEvaluation:
    from triage_node.training.heatmap_scores import score_heatmaps
    from triage_node.training.region_masks import read_region_masks
    from triage_node.training.release_reading import masked_slices

    drawn = read_region_masks(regions)
    return score_heatmaps(masked_slices(cascade, scans, drawn))


def _with_progress(scans: Sequence[LabelledScan], description: str) -> Iterable[LabelledScan]:
    """Show a bar with the time left on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(scans, description, console=console, disable=not console.is_terminal)


def _judge_and_show(
    found: _Read, thresholds: Thresholds, readers: Path | None, slices: bool, out: Path, json_: bool
) -> None:
    from triage_node.training.evaluate import evaluate as judge
    from triage_node.training.evaluation_json import evaluation_to_json
    from triage_node.training.evaluation_report import write_report
    from triage_node.training.readings import read_readings

    judged = judge(
        found.models,
        readings=read_readings(readers, found.models[0].subjects) if readers else None,
        shadow=found.shadow,
        thresholds=thresholds,
        with_slices=slices,
        warnings=found.warnings,
        seen_in_training=found.seen_in_training,
        heatmaps=found.heatmaps,
    )
    html, _ = write_report(judged, out)
    if json_:
        options.print_json(evaluation_to_json(judged))
        return
    from rich.console import Console

    from triage_node.training.evaluation_table import evaluation_tables

    console = Console()
    if console.width < _TABLE_WIDTH and not console.is_terminal:
        console = Console(width=_TABLE_WIDTH)
    for each in evaluation_tables(judged):
        console.print(each)
    console.print(f"Report: {html}", markup=False, highlight=False)
