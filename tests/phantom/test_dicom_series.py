"""Made-up scans as DICOM: they read back, their geometry is the scan's, and dciodvfy finds no error."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from triage_node.phantom import PhantomHead, make_body, make_head
from triage_node.phantom.dicom_series import SCANNERS, datasets, localizer, write_series


@pytest.fixture(scope="module")
def head() -> PhantomHead:
    return make_head(6, kinds=("EDH",), size=64, tilt_deg=16.0)


def test_series_reads_back_with_the_same_hu(head: PhantomHead, tmp_path: Path) -> None:
    paths = write_series(head, tmp_path / "series", seed=6)
    read = [pydicom.dcmread(path) for path in paths]
    stored = np.stack([ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in read])
    assert np.array_equal(stored, head.volume_hu)
    assert [int(ds.InstanceNumber) for ds in read] == list(range(1, len(paths) + 1))


def test_geometry_is_the_scan_s(head: PhantomHead) -> None:
    made = datasets(head, seed=6)
    orientation = np.array(made[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(orientation[:3], orientation[3:])
    heights = [float(normal @ np.array(ds.ImagePositionPatient, dtype=float)) for ds in made]
    assert np.diff(heights) == pytest.approx(head.slice_spacing_mm, abs=1e-3)
    assert float(made[0].GantryDetectorTilt) == head.tilt_deg
    assert np.degrees(np.arccos(normal[2])) == pytest.approx(head.tilt_deg, abs=1e-3)
    assert len({str(ds.ImagePositionPatient[1]) for ds in made}) == 1  # the table moves along z alone


def test_uids_follow_from_the_seed(head: PhantomHead) -> None:
    first, again, other = (datasets(head, seed=seed)[0] for seed in (6, 6, 7))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert UID(first[name].value).is_valid
        assert first[name].value == again[name].value != other[name].value


def test_second_series_belongs_to_the_same_study(head: PhantomHead) -> None:
    first, second = datasets(head, seed=6)[0], datasets(head, seed=6, series_number=3)[0]
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_every_instance_says_that_no_patient_was_scanned(head: PhantomHead) -> None:
    assert all("no patient" in ds.ImageComments for ds in datasets(head, seed=1))


def test_localizer_belongs_to_the_study_and_is_no_axial_image(head: PhantomHead) -> None:
    scout = localizer(head, seed=6)
    assert list(scout.ImageType) == ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert scout.StudyInstanceUID == datasets(head, seed=6)[0].StudyInstanceUID
    assert scout.pixel_array.shape == (scout.Rows, scout.Columns)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("seed", range(len(SCANNERS)))
def test_dciodvfy_finds_no_error(head: PhantomHead, tmp_path: Path, seed: int) -> None:
    scan = make_body(seed, size=64, slices=3) if seed == 0 else head
    paths = write_series(scan, tmp_path / "series", seed=seed, accession_number="A1", patient_name="Müller^Jörg")
    scout = tmp_path / "scout.dcm"
    localizer(scan, seed=seed).save_as(scout, enforce_file_format=True)
    for path in (paths[0], paths[-1], scout):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in done.stderr, done.stderr
