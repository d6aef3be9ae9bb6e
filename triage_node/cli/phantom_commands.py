"""``phantom``: write made-up head CT studies as DICOM, with all that is true of them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
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
    out: Annotated[
        Path, typer.Option(help="Folder to fill: one folder a study, and tables of what is true. New or empty.")
    ],
    studies: Annotated[int, typer.Option(min=1, help="Number of studies.")] = 6,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Study n has seed SEED + n; the same seed gives the same heads. Training draws from 5000000 on, so that lower "
            "ones are never trained on.",
        ),
    ] = 0,
    kinds: Annotated[
        str | None,
        typer.Option(help="Blood in every head, such as SDH,SAH, or none. [default: as in patients, half bleed]"),
    ] = None,
    matrix: Annotated[
        int, typer.Option(min=_FEWEST_PIXELS, max=_MOST_PIXELS, help="Rows and columns of a slice, pixels.")
    ] = 512,
    masks: Annotated[
        bool, typer.Option("--masks", help="Write masks too: a PNG for each slice with blood, and masks.csv.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            help="Write a contact sheet too (PNG, brain window, one row a study, with the slices that bleed most)."
        ),
    ] = None,
) -> None:
    """Write made-up head CT studies with the five kinds of blood: DICOM series and what is true of them.

    Kinds are CPH, IVH, SDH, EDH and SAH. labels.csv labels every study and slice; lesions.csv gives each kind's volume
    (mL), median HU and number of slices; mimics.csv says which look-alikes of blood a head carries; with --masks,
    masks.csv names for each slice with blood a PNG whose pixel values are bits, 1 CPH, 2 IVH, 4 SDH, 8 EDH, 16 SAH.
    `triage-node evaluate --data folder:OUT` uses all of them. No patient was scanned: every object says so.
    """
    wanted = _kinds(kinds)
    if preview is not None and preview.suffix.lower() != ".png":
        raise typer.BadParameter(f"{preview} must end in .png", param_hint="--preview")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is not an empty folder; name a new one", param_hint="--out")
    out.mkdir(parents=True, exist_ok=True)

    from triage_node.phantom.contact_sheet import contact_sheet

    rows = []
    for subject, head in _written_studies(out, range(seed, seed + studies), wanted, matrix, masks):
        if preview is not None:
            rows.append(_tiles(subject, head))
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
    out: Path, seeds: Iterable[int], wanted: tuple[str, ...] | None, matrix: int, masks: bool
) -> Iterator[tuple[str, PhantomHead]]:
    """Write each study and what is true of it; yield its name and its head."""
    from triage_node.phantom import make_head, truth_tables
    from triage_node.phantom.dicom_series import write_series

    with ExitStack() as files:
        labels = _Table(files, out / "labels.csv", truth_tables.LABEL_COLUMNS)
        lesions = _Table(files, out / "lesions.csv", truth_tables.LESION_COLUMNS)
        mimics = _Table(files, out / "mimics.csv", truth_tables.MIMIC_COLUMNS)
        masked = _Table(files, out / "masks.csv", truth_tables.MASK_COLUMNS) if masks else None
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
            labels.add(truth_tables.label_rows(subject, [path.name for path in paths], head))
            lesions.add(truth_tables.lesion_rows(subject, head))
            mimics.add([truth_tables.mimic_row(subject, head)])
            if masked is not None:
                masked.add(_written_masks(out, subject, seed, head))
            yield subject, head


def _tiles(subject: str, head: PhantomHead) -> npt.NDArray[np.uint8]:
    """The row of a head: who it is and what it shows, each kind on the slice with most of it."""
    from triage_node.core.finding import SUBTYPES
    from triage_node.phantom.contact_sheet import tile_row

    def words(shown: npt.NDArray[np.bool_]) -> str:
        return " ".join(name for name, there in zip(SUBTYPES, shown, strict=True) if there)

    most = [int(((head.masks >> bit) & 1).sum(axis=(1, 2)).argmax()) for bit in head.labels.nonzero()[0]]
    caption = f"{subject} {head.age}{head.sex} {words(head.labels) or 'no blood'} {' '.join(sorted(head.mimics))}"
    return tile_row(head.volume_hu, caption, notes=[words(each) for each in head.slice_labels], needed=most)


class _Table:
    """A CSV that grows study by study, whole after each."""

    def __init__(self, files: ExitStack, path: Path, columns: tuple[str, ...]) -> None:
        self._file = files.enter_context(path.open("w", newline="", encoding="utf-8"))
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, rows: Iterable[tuple[str | int | float, ...]]) -> None:
        self._writer.writerows(rows)
        self._file.flush()


def _written_masks(out: Path, subject: str, seed: int, head: PhantomHead) -> Iterator[tuple[str, ...]]:
    """Write the mask of every slice that is labelled with blood, and yield its row."""
    from triage_node.phantom.dicom_series import image_uid
    from triage_node.phantom.truth_tables import mask_image

    for index, shown in enumerate(head.slice_labels):
        if shown.any():
            path = out / "masks" / subject / f"{index + 1:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            mask_image(head.masks[index]).save(path)
            yield subject, image_uid(seed, index), path.relative_to(out).as_posix()


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
