"""``triage-node phantom``: the tables beside the studies say what the written voxels and masks show."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from triage_node.cli import phantom_commands
from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets import open_dataset
from triage_node.training.datasets.lesion_table import read_lesion_table
from triage_node.training.region_masks import read_region_masks


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "out"
    app = typer.Typer()
    phantom_commands.register(app)
    options = ["--studies", "2", "--seed", "902", "--matrix", "128", "--masks"]
    done = CliRunner().invoke(app, ["--out", str(folder), *options])
    assert done.exit_code == 0, done.output
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_labelled_kind_has_a_volume_and_slices(out: Path) -> None:
    labelled = {row["subject"]: row for row in rows(out / "labels.csv") if not row["slice"]}
    assert any(row["any"] == "1" for row in labelled.values())
    lesions = {(row["subject"], row["kind"]): row for row in rows(out / "lesions.csv")}
    for subject, labels in labelled.items():
        for kind in SUBTYPES:
            lesion = lesions.get((subject, kind))
            slices = sum(
                row[kind] == "1" for row in rows(out / "labels.csv") if row["subject"] == subject and row["slice"]
            )
            assert (labels[kind] == "1") == (lesion is not None and int(lesion["slices"]) > 0)
            assert lesion is None or (float(lesion["volume_ml"]) > 0 and int(lesion["slices"]) == slices)


def test_masks_lie_on_the_slices_that_are_labelled(out: Path) -> None:
    by_uid = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in out.glob("*/*.dcm")}
    labels = {(row["subject"], row["slice"]): row for row in rows(out / "labels.csv") if row["slice"]}
    masked = rows(out / "masks.csv")
    assert len(masked) == sum(row["any"] == "1" for row in labels.values())
    for row in masked:
        image = by_uid[row["slice"]]
        bits = np.asarray(Image.open(out / row["file"]))
        assert image.parent.name == row["subject"]
        for bit, kind in enumerate(SUBTYPES):
            assert labels[row["subject"], image.name][kind] == "0" or ((bits >> bit) & 1).any()


def test_mimics_have_a_row_for_every_head(out: Path) -> None:
    table = rows(out / "mimics.csv")
    assert [row["subject"] for row in table] == ["phantom-000902", "phantom-000903"]
    assert "scalp_swelling" in table[0]
    assert {row[name] for row in table for name in row if name != "subject"} <= {"0", "1"}


def test_evaluation_reads_what_was_written(out: Path) -> None:
    dataset = open_dataset(f"folder:{out}")
    series = [scan.series for scan in dataset.scans] + [each.series for each in dataset.excluded]
    table = read_lesion_table(out, series)
    assert table is not None
    assert table.volume_ml
    slice_ids = {each for scan in dataset.scans for each in scan.slice_ids}
    regions = read_region_masks(out, dataset.source)
    assert regions
    assert {each.slice_id for each in regions} <= slice_ids
