"""``evaluate``: judge predictions, or a release on a labelled data set, as the paper's tables do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.training.evaluate import Evaluation, Thresholds
    from triage_node.training.predictions import Predictions


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
        bool, typer.Option("--even-if-trained-on", help="With --data: warn, not refuse, of patients trained on.")
    ] = False,
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
    warnings: list[str] = []
    if data:
        models, other, thresholds = _read_with_releases(
            data, [release, *([shadow] if shadow else [])], operating_point, even_if_trained_on, config, out, warnings
        )
    else:
        from triage_node.training.evaluate import Thresholds

        models, other, thresholds = _read_tables(predictions or []), _shadow_table(shadow), Thresholds()
    thresholds = _overridden(thresholds, threshold, slice_threshold, subtype_threshold)
    _judge_and_show(models, other, readers, thresholds, slices, warnings, out, json_)


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


def _shadow_table(shadow: str | None) -> Predictions | None:
    return _read_tables([shadow])[0] if shadow else None


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
    warnings: list[str],
) -> tuple[list[Predictions], Predictions | None, Thresholds]:
    """Read a data set with one release, or two; keep each one's predictions beside the report."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from triage_node import wiring
    from triage_node.cascade.runner import Cascade
    from triage_node.cascade.weights import active_release_folder
    from triage_node.training.datasets import open_dataset
    from triage_node.training.predictions import write_predictions
    from triage_node.training.release_reading import read_dataset, refuse_trained_on, thresholds_of

    settings = options.load(config)
    home = wiring.weights_folder(settings)
    dataset = open_dataset(data)
    warnings += [f"left out: {each.series}, {each.reason}" for each in dataset.excluded[:20]]
    console = Console(stderr=True)
    found: list[Predictions] = []
    thresholds = None
    for name in releases:
        folder = active_release_folder(home) if name is None else Path(name) if Path(name).is_dir() else home / name
        cascade = Cascade.load(folder, operating_point=operating_point)
        warnings += refuse_trained_on(cascade.release, dataset, allow=even_if_trained_on)
        thresholds = thresholds or thresholds_of(cascade.operating_point)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task(f"reading with {cascade.release.name}", total=len(dataset.scans))
            found.append(read_dataset(cascade, dataset.scans, cascade.release.name, lambda: progress.advance(bar)))
        out.mkdir(parents=True, exist_ok=True)
        write_predictions(out / f"predictions_{cascade.release.name}.csv", found[-1])
    assert thresholds is not None
    return found[:1], found[1] if len(found) > 1 else None, thresholds


def _judge_and_show(
    models: Sequence[Predictions],
    shadow: Predictions | None,
    readers: Path | None,
    thresholds: Thresholds,
    slices: bool,
    warnings: Sequence[str],
    out: Path,
    json_: bool,
) -> None:
    from triage_node.training.evaluate import evaluate as judge
    from triage_node.training.evaluation_json import evaluation_to_json
    from triage_node.training.evaluation_report import write_report
    from triage_node.training.readings import read_readings

    judged: Evaluation = judge(
        models,
        readings=read_readings(readers, models[0].subjects) if readers else None,
        shadow=shadow,
        thresholds=thresholds,
        with_slices=slices,
        warnings=warnings,
    )
    html, _ = write_report(judged, out)
    if json_:
        options.print_json(evaluation_to_json(judged))
        return
    from rich.console import Console

    from triage_node.training.evaluation_table import evaluation_tables

    console = Console()
    for each in evaluation_tables(judged):
        console.print(each)
    console.print(f"Report: {html}", markup=False, highlight=False)
