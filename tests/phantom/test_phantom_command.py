"""``triage-node phantom``: studies, labels and a contact sheet; bad options end in 2 and leave nothing."""

import csv
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from triage_node.cli import phantom_commands


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer(rich_markup_mode=None)
    made.callback()(lambda: None)
    phantom_commands.register(made)
    return made


def test_studies_labels_and_preview_are_written(app: typer.Typer, tmp_path: Path) -> None:
    out, preview = tmp_path / "out", tmp_path / "sheet.png"
    options = ["--studies", "2", "--seed", "7", "--matrix", "64", "--kinds", "CPH,IVH", "--preview", str(preview)]
    done = CliRunner().invoke(app, ["phantom", "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((out / "labels.csv").open()))
    subjects = [row for row in rows if not row["slice"]]
    assert [row["subject"] for row in subjects] == ["phantom-000007", "phantom-000008"]
    assert all(row["CPH"] == "1" and row["EDH"] == "0" for row in subjects)
    for row in rows:
        assert not row["slice"] or (out / row["subject"] / row["slice"]).is_file()
    assert Image.open(preview).size[0] > 500


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--kinds", "SDH,XYZ"], "XYZ"),
        (["--studies", "0"], "--studies"),
        (["--matrix", "7"], "--matrix"),
        (["--preview", "sheet.jpg"], "sheet.jpg"),
    ],
)
def test_bad_option_ends_in_2_and_writes_nothing(
    app: typer.Typer, tmp_path: Path, options: list[str], names: str
) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["phantom", "--out", str(out), *options])
    assert done.exit_code == 2
    assert names in done.output
    assert not out.exists()


def test_folder_with_files_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("kept")
    done = CliRunner().invoke(app, ["phantom", "--out", str(tmp_path), "--studies", "1"])
    assert done.exit_code == 2
    assert (tmp_path / "other.txt").read_text() == "kept"
