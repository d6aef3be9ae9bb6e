"""Each release is judged by the thresholds it called at: those of a table, of its operating point, or those asked for."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from triage_node.__main__ import main
from triage_node.core.shadow import ReadTwice, Scores, ShadowReadings, summary
from triage_node.training.predictions import read_predictions, write_predictions
from triage_node.training.shadow_predictions import shadow_predictions

LABELS = {"1.1": (1, *[math.nan] * 5), "1.2": (0, *[math.nan] * 5), "1.3": (1, *[math.nan] * 5)}


def readings() -> ShadowReadings:
    """Three studies at a site where few bleed: scores and thresholds are low, and the shadow has a threshold of its own."""
    pairs = []
    for study, before, after in (("1.1", 0.12, 0.3), ("1.2", 0.02, 0.09), ("1.3", 0.05, 0.25)):
        active = Scores(before, before >= 0.08, None, (), 0.08)
        pairs.append(ReadTwice(study, f"{study}.1", active, Scores(after, after >= 0.2, None, (), 0.2)))
    return ShadowReadings("old", "new", tuple(pairs), 0)


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "active.csv", tmp_path / "shadow.csv"
    for file, table in zip(files, shadow_predictions(readings(), LABELS), strict=True):
        write_predictions(file, table)
    return files


def judged(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> dict:
    monkeypatch.setattr(sys, "argv", ["triage-node", "evaluate", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)


def test_table_says_at_which_score_its_release_flagged(tables: tuple[Path, Path]) -> None:
    active, shadow = (read_predictions(each) for each in tables)
    assert active.thresholds is not None
    assert shadow.thresholds is not None
    assert active.thresholds[:, 0].tolist() == [0.08] * 3
    assert shadow.thresholds[:, 0].tolist() == [0.2] * 3
    assert np.isnan(active.thresholds[:, 1:]).all()


def test_flags_that_change_are_those_of_the_site(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    active, shadow = tables
    found = judged(capsys, monkeypatch, active, "--shadow", shadow, "--out", tmp_path / "report")
    changed = [each["subject"] for each in found["comparison"]["changed_flags"]]
    said = summary(readings())
    assert changed == said["now_flagged"] + said["no_longer_flagged"] == ["1.3"]
    assert found["thresholds"]["subject"] == 0.08


def test_threshold_that_is_asked_for_goes_before_those_of_the_tables(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    active, shadow = tables
    words = [active, "--shadow", shadow, "--threshold", 0.28, "--out", tmp_path / "report"]
    found = judged(capsys, monkeypatch, *words)
    assert [each["subject"] for each in found["comparison"]["changed_flags"]] == ["1.1"]
    assert found["thresholds"]["subject"] == 0.28


def test_table_without_the_column_is_judged_at_the_threshold_of_the_paper(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "plain.csv"
    lines = tables[0].read_text().splitlines()
    plain.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    assert read_predictions(plain).thresholds is None
    found = judged(capsys, monkeypatch, plain, "--out", tmp_path / "report")
    assert found["thresholds"]["subject"] == 0.5
