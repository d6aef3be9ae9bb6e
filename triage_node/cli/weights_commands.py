"""``weights``: the releases in ``model_weights/``: list, show, verify, add, activate and roll back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage_node.cli import options

if TYPE_CHECKING:
    from triage_node.cascade.weights import Release

Folder = Annotated[
    Path | None, typer.Option("--model-weights", help="Folder of releases. [default: the one that the node uses]")
]
Name = Annotated[str | None, typer.Argument(help="Release. [default: the active one]")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Releases of weights: list, show, verify, add, activate, rollback.", no_args_is_help=True)
    group.command("list")(list_releases)
    group.command()(show)
    group.command()(verify)
    group.command()(add)
    group.command()(activate)
    group.command()(rollback)
    app.add_typer(group, name="weights")


def _folder(given: Path | None) -> Path:
    from triage_node import wiring

    return given if given is not None else wiring.weights_folder(options.load())


def _active_name(folder: Path) -> str | None:
    from triage_node.cascade.weights import WeightsRejected, active_release_folder

    try:
        return active_release_folder(folder).name
    except WeightsRejected:
        return None


def _release(folder: Path, name: str | None) -> Release:
    from triage_node.cascade.weights import WeightsRejected, active_release_folder, read_release, release_names

    if name is None:
        return read_release(active_release_folder(folder))
    if name not in release_names(folder):
        raise WeightsRejected(
            f"{folder} has no release {name!r}; there are {', '.join(release_names(folder)) or 'none'}"
        )
    return read_release(folder / name)


def _described(release: Release) -> dict[str, Any]:
    return {
        "name": release.name,
        "version": release.version,
        "weights_sha256": release.weights_sha256,
        "architecture": release.architecture.as_mapping(),
        "members": len(release.members),
        "trained_prevalence": release.trained_prevalence,
        "operating_points": {
            name: {"threshold": point.threshold, **point.measured} for name, point in release.operating_points.items()
        },
        "training": release.manifest.get("training", {}),
    }


def list_releases(model_weights: Folder = None, json_: options.AsJson = False) -> None:
    """List the releases; a broken one is listed with what is wrong with it. Exit status 1 where one is broken."""
    from triage_node.cascade.weights import WeightsRejected, release_names

    folder = _folder(model_weights)
    active = _active_name(folder)
    rows: list[dict[str, Any]] = []
    for name in release_names(folder):
        row: dict[str, Any] = {"name": name, "active": name == active, "problem": None}
        try:
            release = _release(folder, name)
            row |= {"version": release.version, "weights_sha256": release.weights_sha256}
        except WeightsRejected as error:
            row["problem"] = str(error)
        rows.append(row)
    if json_:
        options.print_json(rows)
    else:
        for row in rows:
            state = row["problem"] or f"{row['version']}  {row['weights_sha256'][:12]}"
            typer.echo(f"{'*' if row['active'] else ' '} {row['name']}  {state}")
        if not rows:
            typer.echo(f"{folder} holds no release")
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


def show(name: Name = None, model_weights: Folder = None, json_: options.AsJson = False) -> None:
    """Show a release: architecture, measured operating points, and its model card."""
    from triage_node.cascade.weights import MODEL_CARD_NAME

    release = _release(_folder(model_weights), name)
    if json_:
        options.print_json(_described(release))
        return
    typer.echo(f"{release.name} {release.version}  sha256 {release.weights_sha256}")
    architecture = ", ".join(f"{part} {value}" for part, value in release.architecture.as_mapping().items())
    typer.echo(f"members {len(release.members)}, each {architecture}")
    for name_, point in release.operating_points.items():
        typer.echo(f"operating point {name_}: threshold {point.threshold:.3f}{_figures(point.measured)}")
    typer.echo("")
    card = release.folder / MODEL_CARD_NAME
    typer.echo(card.read_text(encoding="utf-8") if card.is_file() else f"{card} is missing")


def _figures(measured: Mapping[str, Any]) -> str:
    """Sensitivity and specificity with their intervals, as far as they were measured."""
    said = ""
    for name in ("sensitivity", "specificity"):
        figure = measured.get(name)
        if isinstance(figure, Mapping) and figure.keys() >= {"value", "lower_95", "upper_95", "n"}:
            said += f", {name} {figure['value']:.2f} ({figure['lower_95']:.2f} to {figure['upper_95']:.2f}, n {figure['n']})"
    return said


def verify(name: Name = None, model_weights: Folder = None, json_: options.AsJson = False) -> None:
    """Check a release's hashes and tensors, and compare its reference output with what this machine computes."""
    from triage_node.cascade.installed_releases import check_release

    release, difference = check_release(_release(_folder(model_weights), name).folder)
    verified = {"name": release.name, "weights_sha256": release.weights_sha256, "largest_difference": difference}
    if json_:
        options.print_json(verified)
    else:
        typer.echo(f"{release.name} is sound: logits differ by at most {difference:.1e} from its reference output")


def add(
    source: Annotated[Path, typer.Argument(help="A release folder, as `triage-node train` writes it.")],
    model_weights: Folder = None,
    json_: options.AsJson = False,
) -> None:
    """Check a release and copy it beside the others; it is not activated."""
    from triage_node.cascade.installed_releases import add_release

    added = add_release(_folder(model_weights), source)
    if json_:
        options.print_json({"added": added})
    else:
        typer.echo(f"{added} added; use it with `triage-node weights activate {added}`")


def activate(
    name: Annotated[str, typer.Argument(help="Release.")], model_weights: Folder = None, json_: options.AsJson = False
) -> None:
    """Check a release as `verify` does, and make it the one that workers load at their next start."""
    from triage_node.cascade import installed_releases

    installed_releases.activate(_folder(model_weights), name)
    if json_:
        options.print_json({"active": name})
    else:
        typer.echo(f"{name} is active; restart the workers to load it")


def rollback(model_weights: Folder = None, json_: options.AsJson = False) -> None:
    """Make the release active that was active before."""
    from triage_node.cascade import installed_releases

    name = installed_releases.rollback(_folder(model_weights))
    if json_:
        options.print_json({"active": name})
    else:
        typer.echo(f"{name} is active again; restart the workers to load it")
