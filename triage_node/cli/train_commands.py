"""``train``: from labelled scans and a run configuration to a release of weights."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.training.datasets import LabelledDataset

_CONFIGURATIONS = Path(__file__).resolve().parent.parent / "training" / "configs"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    configuration: Annotated[
        Path, typer.Argument(help="Run configuration (TOML), or the name of a shipped one: own_data, ct_ich.")
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="Data set, SOURCE:FOLDER, where SOURCE is ct-ich, rsna-2019, cq500 or folder; may be given several times."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run's folder: banks, jobs, curves, predictions, release.")],
    labels: Annotated[
        str | None, typer.Option(help="sub (subject labels) or sli (subject and slice labels), over the file's.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Release, a name or a folder, whose CNN is trained on in place of the pretraining; over the file's."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut off.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs side by side on the CPU. [default: cores - 1]")
    ] = None,
    banks: Annotated[Path | None, typer.Option(help="Where prepared scans are kept. [default: OUT/banks]")] = None,
    config: options.Config = None,
    json_: options.AsJson = False,
) -> None:
    """Train both stages with cross-validation by patient, and write weights with their measured figures.

    Both stages, two-type (any blood) and five-type (CPH, IVH, SDH, EDH, SAH), are trained in one run. A run that
    was cut off goes on by --resume. Exit status 2 where a data set or the configuration is refused.
    """
    from dataclasses import replace

    from triage_node import wiring
    from triage_node.cascade.weights import release_folder
    from triage_node.core.errors import ConfigurationRejected
    from triage_node.training.configuration import read_configuration
    from triage_node.training.datasets import check_scans, open_dataset
    from triage_node.training.progress import ProgressDisplay
    from triage_node.training.sources import described_sources
    from triage_node.training.start import refuse_its_patients, starting_release
    from triage_node.training.train import detected_machine, run

    named = _CONFIGURATIONS / f"{configuration.name}.toml"
    file = named if not configuration.exists() and named.is_file() else configuration
    if not file.is_file():
        shipped = ", ".join(sorted(each.stem for each in _CONFIGURATIONS.glob("*.toml")))
        raise ConfigurationRejected(
            f"{configuration} is no file, and no shipped configuration either: those are {shipped}"
        )
    chosen = read_configuration(file)
    if labels is not None:
        chosen = replace(chosen, labels=labels, text=with_setting(chosen.text, "labels", labels))
    if start is not None:
        start = str(Path(start).resolve()) if Path(start).is_dir() else start
        chosen = replace(chosen, start=start, text=with_setting(chosen.text, "start", start))
    if (out / "jobs").exists() and not resume:
        raise ConfigurationRejected(f"{out} holds a run already; give --resume to go on with it, or another --out")
    started = None
    if chosen.start:
        homes = wiring.weights_folder(options.load(config)), wiring.shipped_weights_folder()
        started = starting_release(release_folder(chosen.start, *homes), chosen.architecture)
    datasets = [open_dataset(each) for each in data]
    scans = [scan for dataset in datasets for scan in dataset.scans]
    check_scans(scans)
    if started is not None:
        refuse_its_patients(started, datasets)
    _say_what_is_left_out(datasets)
    with ProgressDisplay() as display:
        release = run(
            scans,
            chosen,
            out,
            detected_machine(workers),
            display.show,
            sources=described_sources(datasets),
            banks=banks,
            start=started,
        )
    if json_:
        options.print_json({"release": str(release)})
    else:
        typer.echo(f"{release}\nAdd it with `triage-node weights add {release}`.")


def with_setting(text: str, key: str, value: str) -> str:
    """Write a setting into a run's file, so that what is stored with the weights says what was run."""
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    changed, times = re.subn(rf"^[ \t]*{key}[ \t]*=.*$", lambda _: line, text, count=1, flags=re.MULTILINE)
    return changed if times else f"{line}\n{text}"


def _say_what_is_left_out(datasets: Sequence[LabelledDataset], longest_list: int = 20) -> None:
    excluded = [(dataset.source, each) for dataset in datasets for each in dataset.excluded]
    for source, each in excluded[:longest_list]:
        sys.stderr.write(f"left out: {source} {each.series}, {each.reason}\n")
    if len(excluded) > longest_list:
        sys.stderr.write(f"left out: {len(excluded) - longest_list} more scans\n")
