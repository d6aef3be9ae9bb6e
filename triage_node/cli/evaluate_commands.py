"""``evaluate``: judge predictions, or a release on a labelled data set, as the paper's tables do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.training.datasets import LabelledDataset, LabelledScan
    from triage_node.training.evaluation_reading import JudgedMaterial
    from triage_node.training.predictions import Predictions
    from triage_node.training.release_reading import ScanReader

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
        typer.Option(
            min=0.0,
            max=1.0,
            help="A subject is called at or above it, 0 to 1. [default: the release's, or the table's column threshold, else "
            "0.5, as the paper]",
        ),
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
    run: Annotated[
        Path | None,
        typer.Option(
            help="With --data: the folder of a finished `triage-node train` on it; every patient is read by the networks that "
            "did not see it."
        ),
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
        typer.Option(
            help="With --data: folder of drawn regions (masks.csv) to score heatmaps with. [default: for folder, its own "
            "masks.csv where it has one]"
        ),
    ] = None,
    config: options.Config = None,
    json_: options.AsJson = False,
) -> None:
    """Judge models: accuracy, sensitivity, specificity, F1 and AUC with 95 % intervals, as HTML, JSON and a table.

    PREDICTIONS.csv has the columns subject,slice,fold,any,CPH,IVH,SDH,EDH,SAH,label_any,label_CPH,label_IVH,
    label_SDH,label_EDH,label_SAH: one row for each subject with slice left empty, and one for each slice from inferior
    to superior. With --data folder:DIR, the lesions.csv, mimics.csv and masks.csv that DIR may hold (`triage-node phantom
    --masks` writes them) add sensitivity by volume, flags of look-alikes, and heatmaps against masks. Exit status 0
    whatever the figures are, 2 where a table or data set is refused.
    """
    from triage_node.core.errors import ConfigurationRejected

    if bool(predictions) == bool(data):
        raise ConfigurationRejected("give either PREDICTIONS.csv or --data SOURCE:FOLDER")
    if not data and (regions or run or release):
        raise ConfigurationRejected(
            "--regions, --run and --release need --data: they are of use only where scans are read"
        )
    if run and (release or shadow):
        raise ConfigurationRejected("--run reads with the run's own networks; leave --release and --shadow out")
    if data:
        asked = _Asked(data, release, shadow, run, operating_point, even_if_trained_on, regions)
        found = _read_first(asked, config, out)
    else:
        found = _read_tables_only(predictions or [], shadow)
    _judge_and_show(_overridden(found, threshold, slice_threshold, subtype_threshold), readers, slices, out, json_)


@dataclass(frozen=True)
class _Asked:
    """What is to be read, and with what."""

    data: str
    release: str | None
    shadow: str | None
    run: Path | None
    operating_point: str
    even_if_trained_on: bool
    regions: Path | None


def _read_tables_only(named: Sequence[str], shadow: str | None) -> JudgedMaterial:
    from triage_node.training.evaluation_reading import judged_tables

    return judged_tables(_read_tables(named), _read_tables([shadow])[0] if shadow else None)


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
    found: JudgedMaterial, subject: float | None, slice_: float | None, subtype: float | None
) -> JudgedMaterial:
    from dataclasses import replace

    from triage_node.training.datasets import TARGETS

    thresholds = found.thresholds
    if subject is not None:
        thresholds, found = replace(thresholds, subject=subject), found.without_thresholds_of(TARGETS[:1])
    if slice_ is not None:
        thresholds = replace(thresholds, slice=slice_)
    if subtype is not None:
        found = found.without_thresholds_of(TARGETS[1:])
        thresholds = replace(thresholds, subtypes=dict.fromkeys(thresholds.subtypes, subtype))
    return replace(found, thresholds=thresholds)


def _read_first(asked: _Asked, config: Path | None, out: Path) -> JudgedMaterial:
    """Read a data set with one release, with two, or with a run's networks out of fold."""
    from dataclasses import replace

    from triage_node.training.datasets import open_dataset
    from triage_node.training.evaluation_reading import read_material
    from triage_node.training.fold_reading import FoldReader

    dataset = open_dataset(asked.data)
    folder = Path(asked.data.partition(":")[2])
    seen: list[str] = []
    readers: list[ScanReader] = []
    if asked.run is not None:
        readers.append(FoldReader.open(asked.run, dataset, asked.operating_point))
    else:
        readers, seen = _release_readers(asked, dataset, config)
    found = read_material(dataset, folder, readers, asked.regions, out, _with_progress)
    return replace(found, seen_in_training=seen)


def _release_readers(
    asked: _Asked, dataset: LabelledDataset, config: Path | None
) -> tuple[list[ScanReader], list[str]]:
    """Load the release, and the one in its shadow; say where they were trained on these patients."""
    from triage_node import wiring
    from triage_node.cascade.runner import Cascade
    from triage_node.cascade.weights import active_release_folder, release_folder
    from triage_node.training.release_reading import ReleaseReader, refuse_trained_on

    home = wiring.weights_folder(options.load(config))
    readers: list[ScanReader] = []
    seen: list[str] = []
    for name in (asked.release, asked.shadow) if asked.shadow else (asked.release,):
        folder = active_release_folder(home) if name is None else release_folder(name, home)
        cascade = Cascade.load(folder, operating_point=asked.operating_point)
        seen += refuse_trained_on(cascade.release, dataset, allow=asked.even_if_trained_on)
        readers.append(ReleaseReader(cascade, f"{cascade.release.name} (shadow)" if readers else None))
    return readers, seen


def _with_progress(scans: Sequence[LabelledScan], description: str) -> Iterable[LabelledScan]:
    """Show a bar with the time left on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(scans, description, console=console, disable=not console.is_terminal)


def _judge_and_show(found: JudgedMaterial, readers: Path | None, slices: bool, out: Path, json_: bool) -> None:
    from triage_node.training.evaluate import evaluate as judge
    from triage_node.training.evaluation_json import evaluation_to_json
    from triage_node.training.evaluation_report import write_report
    from triage_node.training.readings import read_readings

    judged = judge(
        found.models,
        readings=read_readings(readers, found.models[0].subjects) if readers else None,
        shadow=found.shadow,
        thresholds=found.thresholds,
        with_slices=slices,
        warnings=found.warnings,
        seen_in_training=found.seen_in_training,
        heatmaps=found.heatmaps,
        lesions=found.lesions,
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
