"""Heatmaps beside the evidence: the same bytes each time, in register with the slice, and nothing worse than a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from triage_node.core.identifiers import IllegalUid
from triage_node.core.ports import SeriesVersion
from triage_node.evidence.kept_heatmaps import HeatmapArchives, archive_name, keep_heatmaps

VERSION = SeriesVersion(1, "1.2.3", "1.2.3.4", 1, 40)


def _spot(rows: int, columns: int, row: int, column: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * (rows / 16) ** 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.joinpath("1.2.3").mkdir()
    return tmp_path


@pytest.mark.parametrize("shape", [(512, 512), (100, 90), (768, 512), (700, 700)])
def test_heatmap_keeps_its_place_in_the_field(folder: Path, shape: tuple[int, int]) -> None:
    rows, columns = shape
    heatmap = _spot(rows, columns, rows // 4, columns * 3 // 4)
    keep_heatmaps({7: heatmap}, folder / "1.2.3", "1.2.3.4", 1)
    kept = HeatmapArchives(folder).read(VERSION, 7)
    assert kept is not None
    assert max(kept.shape) <= 128
    assert kept.max() > 240
    place = np.array(np.unravel_index(kept.argmax(), kept.shape)) + 0.5
    assert place / kept.shape == pytest.approx((0.25, 0.75), abs=0.012)


def test_writing_again_gives_the_same_bytes(folder: Path) -> None:
    heatmaps = {2: _spot(64, 64, 9, 9), 1: _spot(64, 64, 30, 40)}
    path = folder / "1.2.3" / archive_name("1.2.3.4", 1)
    keep_heatmaps(heatmaps, path.parent, "1.2.3.4", 1)
    first = path.read_bytes()
    keep_heatmaps(dict(reversed(heatmaps.items())), path.parent, "1.2.3.4", 1)
    assert path.read_bytes() == first
    assert HeatmapArchives(folder).indices(VERSION) == [1, 2]


def test_reading_without_heatmaps_leaves_no_file(folder: Path) -> None:
    keep_heatmaps({}, folder / "1.2.3", "1.2.3.4", 1)
    assert not list(folder.rglob("*.zip"))
    assert HeatmapArchives(folder).indices(VERSION) == []
    assert HeatmapArchives(folder).read(VERSION, 1) is None


def test_slice_without_a_heatmap_has_none(folder: Path) -> None:
    keep_heatmaps({2: _spot(64, 64, 9, 9)}, folder / "1.2.3", "1.2.3.4", 1)
    assert HeatmapArchives(folder).read(VERSION, 3) is None


def test_damaged_archive_says_so(folder: Path) -> None:
    keep_heatmaps({2: _spot(64, 64, 9, 9)}, folder / "1.2.3", "1.2.3.4", 1)
    path = folder / "1.2.3" / archive_name("1.2.3.4", 1)
    path.write_bytes(path.read_bytes()[:40])
    assert HeatmapArchives(folder).indices(VERSION) == []
    with pytest.raises(OSError, match="damaged"):
        HeatmapArchives(folder).read(VERSION, 2)


def test_uid_that_would_leave_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(IllegalUid):
        HeatmapArchives(folder).read(SeriesVersion(1, "../..", "1.2", 1, 1), 0)


def test_writer_keeps_every_heatmap_of_a_flagged_reading(make_writer, make_order, make_series, tmp_path: Path) -> None:
    volume = make_series()
    order = make_order(volume)
    make_writer(heatmap_limit=1).write(order)
    source = dcmread(volume.paths[0])
    version = SeriesVersion(1, str(source.StudyInstanceUID), str(source.SeriesInstanceUID), 1, 5)
    kept = HeatmapArchives(tmp_path / "evidence")
    assert list(kept.indices(version)) == sorted(order.heatmaps)
    for index, heatmap in order.heatmaps.items():
        assert kept.read(version, index) == pytest.approx(heatmap * 255.0, abs=0.51)


def test_writer_keeps_nothing_of_a_reading_that_is_not_flagged(make_writer, make_order, make_series, tmp_path) -> None:
    make_writer().write(make_order(make_series(), flagged=False))
    assert not list(tmp_path.joinpath("evidence").rglob("*.zip"))
