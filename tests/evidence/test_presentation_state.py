"""The contours: on the flagged slices, where the heatmap has half its maximum, readable by DCMTK and highdicom."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from triage_node.core.hounsfield import BRAIN_WINDOW, rescaled, windowed
from triage_node.core.report import NOTICE
from triage_node.evidence.presentation_state import contours

ROWS = COLUMNS = 64


def states_of(make_writer, order):
    return [dcmread(each.path) for each in make_writer(kinds=("PR",)).write(order)]


def spot(row: int, column: int, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return np.exp(-(((rows - row) ** 2 + (columns - column) ** 2) / radius**2)).astype(np.float32)


def test_every_flagged_slice_has_its_contour_and_caption(make_writer, make_order, make_series):
    volume = make_series()
    (state,) = states_of(make_writer, make_order(volume))
    drawn = {item.ReferencedImageSequence[0].ReferencedSOPInstanceUID: item for item in state.GraphicAnnotationSequence}
    assert list(drawn) == list(volume.sop_instance_uids[1:4])
    assert [
        each.ReferencedSOPInstanceUID for each in state.ReferencedSeriesSequence[0].ReferencedImageSequence
    ] == list(drawn)
    for item in drawn.values():
        assert {each.GraphicType for each in item.GraphicObjectSequence} == {"POLYLINE"}
        text = item.TextObjectSequence[0].UnformattedTextValue
        assert text.startswith("Suspected hemorrhage 0.")
        assert text.endswith(f"{NOTICE}.")


def test_slices_are_shown_in_hounsfield_units_and_the_brain_window(make_writer, make_order, make_series):
    def shifted(dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-1024"

    (state,) = states_of(make_writer, make_order(make_series(change=shifted)))
    assert (state.RescaleSlope, state.RescaleIntercept, state.RescaleType) == (0.5, -1024, "HU")
    voi = state.SoftcopyVOILUTSequence[0]
    assert (voi.WindowCenter, voi.WindowWidth) == (40, 80)


def test_slices_with_another_rescale_get_a_state_of_their_own(make_writer, make_order, make_series):
    def by_number(dataset: Dataset) -> None:
        dataset.RescaleIntercept = "-1024" if int(dataset.InstanceNumber) == 3 else "0"

    states = states_of(make_writer, make_order(make_series(change=by_number)))
    assert [(state.InstanceNumber, state.RescaleIntercept) for state in states] == [(1, 0), (2, -1024)]
    assert [len(state.GraphicAnnotationSequence) for state in states] == [2, 1]


def test_contour_lies_around_what_is_hot(make_writer, make_order, make_series):
    order = make_order(make_series())
    (state,) = states_of(make_writer, replace(order, heatmaps={2: spot(20, 40, 8.0)}))
    (item,) = state.GraphicAnnotationSequence
    (line,) = item.GraphicObjectSequence
    points = np.array(line.GraphicData).reshape(-1, 2)
    distance = np.hypot(points[:, 0] - 40.5, points[:, 1] - 20.5)  # column first; pixel centres at a half
    assert distance == pytest.approx(8.0 * np.sqrt(np.log(2.0)), abs=0.2)
    assert (points[0] == points[-1]).all()


def test_contour_lies_where_the_source_pixels_lie(make_writer, make_order, make_series):
    volume = replace(make_series(), flipped_columns=True)
    (state,) = states_of(make_writer, replace(make_order(volume), heatmaps={2: spot(20, 40, 8.0)}))
    points = np.array(state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
    assert points[:, 0].mean() == pytest.approx(COLUMNS - 40.5, abs=0.5)


def test_nothing_hot_draws_nothing(make_writer, make_order, make_series):
    order = make_order(make_series())
    cold = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    assert states_of(make_writer, replace(order, heatmaps={2: cold, 3: cold * np.nan})) == []
    assert states_of(make_writer, make_order(make_series(), flagged=False)) == []


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, (12, 9), elements=st.floats(0, 1, width=32)))
def test_lines_are_closed_and_inside_the_picture(heatmap):
    for line in contours(heatmap):
        assert line.min() >= 0.0
        assert (line.max(axis=0) <= (9, 12)).all()
        assert (line[0] == line[-1]).all()


def test_rugged_heatmap_stays_within_what_a_length_field_holds():
    comb = np.zeros((400, 2000), dtype=np.float32)
    comb[:, ::2] = 1.0
    comb[0] = 1.0
    lines = contours(comb)
    assert max(len(line) for line in lines) <= 1002
    assert all((line[0] == line[-1]).all() for line in lines)


def test_frames_of_a_multi_frame_source_are_annotated_one_by_one(make_writer, make_order, make_series):
    volume = make_series()

    dataset = dcmread(volume.paths[0])
    dataset.NumberOfFrames = 5
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    transformation, group = Dataset(), Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = "2", "-8192", "HU"
    group.PixelValueTransformationSequence = [transformation]
    dataset.SharedFunctionalGroupsSequence = [group]
    dataset.save_as(volume.paths[0])
    one = (volume.sop_instance_uids[0],) * 5
    volume = replace(volume, sop_instance_uids=one, frame_numbers=(1, 2, 3, 4, 5), paths=(volume.paths[0],) * 5)
    (state,) = states_of(make_writer, make_order(volume))
    references = [item.ReferencedImageSequence[0] for item in state.GraphicAnnotationSequence]
    assert [each.ReferencedFrameNumber for each in references] == [2, 3, 4]
    assert {each.ReferencedSOPClassUID for each in references} == {EnhancedCTImageStorage}
    assert (state.RescaleSlope, state.RescaleIntercept) == (2, -8192)
    assert len(state.ReferencedSeriesSequence[0].ReferencedImageSequence) == 1


@pytest.mark.debian
def test_dcmtk_finds_nothing_wrong(make_writer, make_order, make_series):
    if shutil.which("dcmpschk") is None:
        pytest.skip("dcmpschk (Debian: dcmtk) is not installed")

    def oblong(dataset: Dataset) -> None:
        dataset.PixelSpacing = [0.5, 0.4]

    for change, spacing_mm in ((None, (0.5, 0.5)), (oblong, (0.5, 0.4))):
        volume = replace(make_series(change=change), pixel_spacing_mm=spacing_mm)
        (written,) = make_writer(kinds=("PR",)).write(make_order(volume))
        read = subprocess.run(["dcmpschk", "-v", written.path], capture_output=True, text=True, timeout=60)
        assert read.returncode == 0
        assert "Test passed" in read.stderr


@pytest.mark.debian
@pytest.mark.parametrize("rescale", [(1.0, 0.0), (0.5, -1024.0)], ids=["HU", "rescaled"])
def test_dcmtk_shows_a_slice_in_the_brain_window(make_writer, make_order, make_series, tmp_path, rescale):
    if shutil.which("dcmp2pgm") is None:
        pytest.skip("dcmp2pgm (Debian: dcmtk) is not installed")
    slope, intercept = rescale
    ramp_hu = np.linspace(-60.0, 140.0, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    stored = np.round((ramp_hu - intercept) / slope).astype("<i2")

    def of_a_ramp(dataset: Dataset) -> None:
        dataset.PixelData = stored.tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{intercept:g}"

    volume = make_series(change=of_a_ramp)
    (written,) = make_writer(kinds=("PR",)).write(make_order(volume))
    picture = tmp_path / "shown.pgm"
    command = ["dcmp2pgm", "--pstate", str(written.path), str(volume.paths[1]), str(picture)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with Image.open(picture) as shown:
        grey = np.asarray(shown, dtype=np.float32)
    expected = windowed(rescaled(stored, slope, intercept)[np.newaxis], [BRAIN_WINDOW])[0, 0] * 255.0
    assert (
        np.abs(grey - expected).max() <= 255.0 / 80.0
    )  # the standard's window is one HU narrower (PS3.3 C.11.2.1.2.1)
