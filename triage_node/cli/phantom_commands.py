"""``phantom``: write made-up head CT studies as DICOM, with their labels."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from triage_node.phantom import PhantomHead

_FEWEST_PIXELS, _MOST_PIXELS = 64, 1024


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(phantom)


def phantom(
    out: Annotated[Path, typer.Option(help="Folder to fill: one folder a study, and labels.csv. New or empty.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of studies.")] = 6,
    seed: Annotated[
        int, typer.Option(min=0, help="Study n has seed SEED + n; the same seed gives the same heads.")
    ] = 0,
    kinds: Annotated[
        str | None,
        typer.Option(help="Blood in every head, such as SDH,SAH, or none. [default: as in patients, half bleed]"),
    ] = None,
    matrix: Annotated[
        int, typer.Option(min=_FEWEST_PIXELS, max=_MOST_PIXELS, help="Rows and columns of a slice, pixels.")
    ] = 512,
    preview: Annotated[
        Path | None, typer.Option(help="Write a contact sheet too (PNG, brain window, one row a study).")
    ] = None,
) -> None:
    """Write made-up head CT studies with the five kinds of blood: DICOM series and labels.csv.

    Kinds are CPH, IVH, SDH, EDH and SAH. No patient was scanned: every object says so in its comments.
    """
    wanted = _kinds(kinds)
    if preview is not None and preview.suffix.lower() != ".png":
        raise typer.BadParameter(f"{preview} must end in .png", param_hint="--preview")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is not an empty folder; name a new one", param_hint="--out")
    out.mkdir(parents=True, exist_ok=True)

    from triage_node.phantom.contact_sheet import contact_sheet

    rows = list(_written_studies(out, range(seed, seed + studies), wanted, matrix))
    if preview is not None:
        preview.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(rows).save(preview)
    sys.stdout.write(f"{studies} studies in {out}, labels in {out / 'labels.csv'}\n")


def _kinds(text: str | None) -> tuple[str, ...] | None:
    """Read the option: None draws, an empty tuple makes heads without blood."""
    from triage_node.core.finding import SUBTYPES

    if text is None:
        return None
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    if names == ["NONE"]:
        return ()
    unknown = [name for name in names if name not in SUBTYPES]
    if unknown or not names:
        wrong = ", ".join(unknown) or "nothing"
        raise typer.BadParameter(
            f"{wrong} is no kind of blood; write some of {','.join(SUBTYPES)}, or none", param_hint="--kinds"
        )
    return tuple(names)


def _written_studies(
    out: Path, seeds: Iterable[int], wanted: tuple[str, ...] | None, matrix: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Write each study and its labels; yield its row of the contact sheet."""
    from triage_node.core.finding import SUBTYPES
    from triage_node.phantom import make_head
    from triage_node.phantom.contact_sheet import tile_row
    from triage_node.phantom.dicom_series import write_series

    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("subject", "slice", "any", *SUBTYPES))
        for seed in _with_progress(list(seeds)):
            head = make_head(seed, kinds=wanted, size=matrix)
            subject = f"phantom-{seed:06}"
            paths = write_series(
                head,
                out / subject,
                seed=seed,
                patient_name=f"Phantom^{seed:06}",
                patient_id=f"PHANTOM-{seed:06}",
                accession_number=f"PH{seed:06}",
            )
            table.writerows(_label_rows(subject, [path.name for path in paths], head))
            file.flush()
            shown = [name for name, there in zip(SUBTYPES, head.labels, strict=True) if there]
            yield tile_row(head.volume_hu, f"{subject} {head.age}{head.sex} {' '.join(shown) or 'no blood'}")


def _label_rows(subject: str, files: list[str], head: PhantomHead) -> Iterator[tuple[str | int, ...]]:
    """The subject's row, with an empty slice, then one for each slice."""
    yield (subject, "", int(head.labels.any()), *map(int, head.labels))
    for name, labels in zip(files, head.slice_labels, strict=True):
        yield (subject, name, int(labels.any()), *map(int, labels))


def _with_progress(seeds: list[int]) -> Iterator[int]:
    """Show a bar on a terminal and a line a study elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(seeds, description="making studies", console=console)
        return
    for number, seed in enumerate(seeds, start=1):
        yield seed
        sys.stderr.write(f"study {number} of {len(seeds)} written\n")
