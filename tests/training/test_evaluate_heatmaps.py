"""Heatmaps against masks, and the loader of drawn regions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triage_node.phantom.truth_tables import mask_image
from triage_node.training.datasets import DatasetRejected
from triage_node.training.evaluate import evaluate
from triage_node.training.evaluation_json import evaluation_to_json
from triage_node.training.evaluation_plots import heatmap_figure
from triage_node.training.evaluation_report import render_report
from triage_node.training.heatmap_scores import (
    MaskedSlice,
    brightness,
    energy_inside,
    inner_tissue,
    pointing_hit,
    score_heatmaps,
)
from triage_node.training.predictions import Predictions
from triage_node.training.region_masks import read_region_masks

ROWS, COLUMNS = np.mgrid[:128, :128]


def head_slice(bleed_hu: float = 70.0) -> tuple[np.ndarray, np.ndarray]:
    """A disc of brain in a ring of bone with a round bleed, in HU, and the bleed's mask."""
    radius = np.hypot(ROWS - 64, COLUMNS - 64)
    hu = np.where(radius < 55, 32.0, np.where(radius < 60, 900.0, -1000.0))
    mask = np.hypot(ROWS - 50, COLUMNS - 80) < 8
    hu[mask] = bleed_hu
    return hu, mask


def blob(row: int, column: int) -> np.ndarray:
    return np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / 50.0)


def test_a_heatmap_on_the_blood_scores_and_one_elsewhere_does_not() -> None:
    hu, mask = head_slice()
    slices = [MaskedSlice(f"P{i % 6}", hu, {"heat": blob(50, 80) if i % 3 else blob(90, 30)}, mask) for i in range(12)]
    found = score_heatmaps(slices, tolerance_pixels=3)
    heat, chance, bright = found.scores
    assert heat.pointing.value == pytest.approx(8 / 12)
    assert bright.pointing.value == 1.0
    assert chance.pointing.value < 0.1
    assert chance.energy.value == pytest.approx(mask.sum() / inner_tissue(hu).sum())
    assert [each.name for each in found.scores] == ["heat", "random point", "brightest tissue"]
    assert (found.slices, found.patients, heat.empty) == (12, 6, 0)
    assert heat.pointing.lower < heat.pointing.value < heat.pointing.upper


def test_an_empty_heatmap_misses() -> None:
    hu, mask = head_slice()
    assert not pointing_hit(np.zeros_like(hu), mask)
    assert energy_inside(np.zeros_like(hu), mask) == 0.0
    empty = {"empty": np.zeros_like(hu), "not": blob(50, 80)}
    first, second, *_ = score_heatmaps([MaskedSlice("P", hu, empty, mask)]).scores
    assert (first.empty, second.empty) == (1, 0)


def test_brightness_does_not_point_at_bone() -> None:
    hu, mask = head_slice(bleed_hu=32.0)
    bright = brightness(hu)
    assert bright[np.hypot(ROWS - 64, COLUMNS - 64) > 55].max() == 0
    assert not pointing_hit(bright, mask, 0)


def test_regions_without_slices_cannot_be_scored() -> None:
    with pytest.raises(DatasetRejected, match="none lies on a slice"):
        score_heatmaps([])


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    drawn = np.zeros((65, 65), dtype=np.uint8)
    drawn[10:30, 40:60] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(drawn).save(tmp_path / "masks/078_11.png")
    rows = "PatientNumber,SliceNumber,file,mask_pixels,match_distance\n078,11,masks/078_11.png,400,0\n"
    (tmp_path / "masks.csv").write_text(rows)
    return tmp_path


def test_drawn_regions_are_brought_to_the_slices_grid(regions: Path) -> None:
    (mask,) = read_region_masks(regions, "ct-ich")
    assert (mask.series, mask.slice_id) == ("078", "11")
    loaded = mask.load((130, 130))
    assert loaded.shape == (130, 130)
    assert loaded[30, 100]
    assert not loaded[100, 30]
    assert loaded.sum() == pytest.approx(1600, rel=0.05)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("078,12,masks/078_12.png,1,0", "row 3: masks/078_12.png is missing"),
        ("078,12,../elsewhere.png,1,0", "row 3"),
        ("078,11,masks/078_11.png,1,0", "row 3: 078 slice 11 occurs twice"),
        ("seven,11,masks/078_11.png,1,0", "row 3: 'seven' in column PatientNumber is not a whole number"),
    ],
)
def test_a_region_table_that_does_not_fit_is_refused(regions: Path, row: str, said: str) -> None:
    with (regions / "masks.csv").open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(DatasetRejected, match=said):
        read_region_masks(regions, "ct-ich")


def test_every_kind_in_a_phantoms_mask_is_blood(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:8, :8], mask[8:16, :8] = 1, 18
    (tmp_path / "masks").mkdir()
    mask_image(mask).save(tmp_path / "masks/7.png")
    (tmp_path / "masks.csv").write_text("subject,slice,file\nphantom-000007,1.2.3,masks/7.png\n")
    (region,) = read_region_masks(tmp_path, "folder")
    assert (region.series, region.slice_id) == ("phantom-000007", "1.2.3")
    np.testing.assert_array_equal(region.load((64, 64)), mask > 0)
    np.testing.assert_array_equal(np.asarray(Image.open(region.path)), mask)


def test_the_largest_region_of_each_patient_is_drawn_and_not_in_the_json() -> None:
    hu, mask = head_slice()
    smaller = mask & (ROWS < 48)
    slices = [MaskedSlice("P", hu, {"heat": blob(50, 80)}, each) for each in (smaller, mask, smaller)]
    found = score_heatmaps([*slices, MaskedSlice("Q", hu, {"heat": blob(90, 30)}, smaller)])
    assert [(each.patient, int(each.mask.sum())) for each in found.examples] == [
        ("P", int(mask.sum())),
        ("Q", int(smaller.sum())),
    ]
    assert heatmap_figure(found.examples, 3).startswith("data:image/png;base64,")
    judged = evaluate([Predictions("m", ("P", "Q"), ("", ""), np.eye(2, 6), np.eye(2, 6))], heatmaps=found)
    assert "examples" not in evaluation_to_json(judged)["heatmaps"]
    assert "the peak marked by a cross" in render_report(judged, datetime(2026, 1, 1, tzinfo=UTC))
