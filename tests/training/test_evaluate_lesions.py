"""Flags by the volume of blood and by look-alike, and the tables that say which subject has what."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from triage_node.training.datasets import DatasetRejected
from triage_node.training.datasets.lesion_table import LesionTable, read_lesion_table
from triage_node.training.evaluate import Thresholds, evaluate
from triage_node.training.evaluation_json import evaluation_to_json
from triage_node.training.evaluation_report import render_report
from triage_node.training.evaluation_table import evaluation_tables
from triage_node.training.lesion_evaluation import evaluate_lesions
from triage_node.training.predictions import Predictions

SUBJECTS = ("small", "middling", "large", "unmeasured", "mimic", "alarm", "plain", "trace")


@pytest.fixture
def predictions() -> Predictions:
    labels = np.zeros((8, 6))
    labels[:4, 0] = labels[:3, 1] = labels[2, 5] = 1
    scores = np.full((8, 6), 0.1)
    scores[[1, 2, 5], 0] = 0.9
    return Predictions("model", SUBJECTS, ("",) * 8, scores, labels)


TABLE = LesionTable(
    volume_ml={
        "small": {"CPH": 0.4},
        "middling": {"CPH": 5.0},
        "large": {"CPH": 4.0, "SAH": 2.0},
        "trace": {"SDH": 0.01},
    },
    mimics={
        "small": frozenset({"metal"}),
        "mimic": frozenset({"fracture"}),
        "alarm": frozenset({"fracture", "dense_sinus"}),
        "plain": frozenset(),
        "trace": frozenset({"fracture"}),
    },
)


def test_blood_is_counted_in_the_band_of_its_own_volume(predictions: Predictions) -> None:
    found = evaluate_lesions(predictions, predictions.scores[:, 0] >= 0.5, TABLE)
    counts = {row.target: [(each.successes, each.count) for each in row.flagged] for row in found.sensitivity}
    assert counts["any"] == [(2, 3), (0, 1), (1, 1), (1, 1)]
    assert counts["CPH"] == [(2, 3), (0, 1), (2, 2), (None, 0)]
    assert counts["SAH"] == [(1, 1), (None, 0), (1, 1), (None, 0)]
    assert "SDH" not in counts
    assert found.without_volume == 1
    assert found.sensitivity[0].flagged[0].method == "Wilson"


def test_a_head_with_a_trace_of_blood_is_no_head_with_look_alikes_alone(predictions: Predictions) -> None:
    found = evaluate_lesions(predictions, predictions.scores[:, 0] >= 0.5, TABLE)
    assert (found.mimics_only.successes, found.mimics_only.count) == (1, 2)
    assert (found.nothing.successes, found.nothing.count) == (0, 1)
    by_mimic = [(each.mimic, each.flagged.successes, each.flagged.count) for each in found.by_mimic]
    assert by_mimic == [("dense_sinus", 1, 1), ("fracture", 1, 2), ("metal", None, 0)]
    assert "1 of 2" in found.verdict
    assert "it is missed" in found.verdict


def test_the_aim_is_held_against_share_and_upper_bound(predictions: Predictions) -> None:
    nobody = evaluate_lesions(predictions, np.zeros(8, dtype=bool), TABLE)
    assert "though the upper bound does not" in nobody.verdict
    unknown = evaluate_lesions(predictions, np.zeros(8, dtype=bool), LesionTable(TABLE.volume_ml, {}))
    assert "not known" in unknown.verdict


def test_report_terminal_and_json_show_them(predictions: Predictions) -> None:
    judged = evaluate([predictions], thresholds=Thresholds(), lesions=TABLE)
    html = render_report(judged, datetime(2026, 1, 1, tzinfo=UTC))
    assert "under 1 mL" in html
    assert "dense sinus" in html
    console = Console(width=120, file=io.StringIO())
    for each in evaluation_tables(judged):
        console.print(each)
    assert "fracture 1 of 2" in console.file.getvalue()  # type: ignore[attr-defined]
    plain = evaluation_to_json(judged)["lesions"]
    assert plain["mimics_only"]["successes"] == 1
    assert plain["aim"] == 0.05


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lesions.csv").write_text("subject,kind,volume_ml,median_hu\nA,CPH,1.5,55\nA,sah,0.2,45\n")
    (tmp_path / "mimics.csv").write_text("subject,fracture,metal\nA,1,0\nB,0,0\n")
    return tmp_path


def test_the_tables_are_read(folder: Path) -> None:
    table = read_lesion_table(folder, ["A", "B"])
    assert table is not None
    assert table.volume_ml == {"A": {"CPH": 1.5, "SAH": 0.2}}
    assert table.mimics == {"A": frozenset({"fracture"}), "B": frozenset()}
    (folder / "mimics.csv").unlink()
    assert read_lesion_table(folder, ["A"]).mimics == {}  # type: ignore[union-attr]
    (folder / "lesions.csv").unlink()
    assert read_lesion_table(folder, ["A"]) is None


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        ("lesions.csv", "C,CPH,1,5", "row 4: subject 'C' is not in labels.csv"),
        ("lesions.csv", "B,ICH,1,5", "row 4: 'ICH' is no kind of blood"),
        ("lesions.csv", "A,CPH,1,5", "row 4: CPH of subject A occurs twice"),
        ("lesions.csv", "B,CPH,-1,5", "row 4: '-1' is no volume"),
        ("lesions.csv", "B,CPH,nan,5", "row 4: 'nan' is no volume"),
        ("mimics.csv", "B,0,0", "row 4: subject B occurs twice"),
        ("mimics.csv", "C,0,0", "row 4: subject 'C' is not in labels.csv"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder: Path, file: str, row: str, said: str) -> None:
    with (folder / file).open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(DatasetRejected, match=said):
        read_lesion_table(folder, ["A", "B"])
