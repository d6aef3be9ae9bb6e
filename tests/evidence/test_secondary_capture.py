"""Heatmaps: plain pixels, the slice's geometry, and words that say what is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from triage_node.core.overlay import blended, shown
from triage_node.evidence.heatmap_picture import Captions, enlargement, heatmap_picture
from triage_node.evidence.secondary_capture import patient_orientation
from triage_node.evidence.source_series import SlicePlane

CAPTIONS = Captions("Headline", ["A line"], "NOTICE")


def test_heatmap_is_plain_rgb_in_the_plainest_transfer_syntax(write):
    image = write()["SC"][0]
    assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (image.PhotometricInterpretation, image.SamplesPerPixel, image.PlanarConfiguration) == ("RGB", 3, 0)
    assert (image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation) == (8, 8, 7, 0)
    assert image.pixel_array.shape == (image.Rows, image.Columns, 3)
    assert image.BurnedInAnnotation == "YES"
    assert image.ConversionType == "WSD"


def test_pixels_of_the_slice_are_not_written_over(make_writer, make_order, make_series):
    order = make_order(make_series())
    volume = np.kron(order.volume.volume_hu, np.ones((1, 8, 8), dtype=np.int16))
    heatmaps = {index: np.kron(each, np.ones((8, 8), dtype=np.float32)) for index, each in order.heatmaps.items()}
    order = replace(order, volume=replace(order.volume, volume_hu=volume), heatmaps=heatmaps)
    image = dcmread(make_writer(kinds=("SC",)).write(order)[0].path)
    expected = blended(shown(volume[1]), heatmaps[1])
    assert np.array_equal(image.pixel_array[:512], expected)
    assert image.pixel_array[512:].any()  # the footer


def test_geometry_of_the_slice_is_kept(write, make_series):
    image = write()["SC"][0]
    factor = image.Columns / 64
    assert factor == 8
    assert [float(each) for each in image.PixelSpacing] == [0.5 / factor] * 2
    # the first of the enlarged pixels lies in the first pixel's corner
    corner = -16.0 - 0.25 + 0.25 / factor
    assert [float(each) for each in image.ImagePositionPatient] == pytest.approx([corner, corner, 5.0])
    assert [float(each) for each in image.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    assert list(image.PatientOrientation) == ["L", "P"]
    assert "FrameOfReferenceUID" in image


def test_numbers_that_do_not_fit_a_decimal_string_are_rounded_before_they_are_set(make_writer, make_order, make_series):
    def crooked(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = ["-117.6541234567", "-123.540456912", "22.7160586123"]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0.948323712345", "-0.31730471234"]

    volume = replace(make_series(change=crooked), pixel_spacing_mm=(0.48828125 / 3, 1 / 7))
    image = dcmread(make_writer(kinds=("SC",)).write(make_order(volume))[0].path)
    assert float(image.PixelSpacing[1]) == pytest.approx(1 / 56, abs=1e-9)
    assert float(image.ImagePositionPatient[2]) == pytest.approx(22.7160586123, abs=0.1)


def test_slice_without_frame_of_reference_keeps_its_place(write):
    def without(dataset: Dataset) -> None:
        del dataset.FrameOfReferenceUID

    image = write(without)["SC"][0]
    assert "FrameOfReferenceUID" not in image
    assert "ImagePositionPatient" in image


def test_source_slice_is_referenced_with_its_purpose(make_writer, make_order, make_series):
    volume = make_series()
    written = make_writer(kinds=("SC",)).write(make_order(volume))
    images = [dcmread(each.path) for each in written]
    referenced = [each.SourceImageSequence[0].ReferencedSOPInstanceUID for each in images]
    assert referenced == list(volume.sop_instance_uids[1:4])
    assert images[0].SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert [each.InstanceNumber for each in images] == [1, 2, 3]


def test_what_is_written_is_also_readable_as_text(write):
    comments = write()["SC"][1].ImageComments
    assert "Suspected hemorrhage 0.70 in this slice" in comments
    assert "Series 0.93, operating point 0.50" in comments
    assert "subdural and subarachnoid hemorrhage" in comments
    assert "SDH 0.88" in comments
    assert "Slice 3 of 5 from inferior, position 10.0 mm, instance 3" in comments


def test_pixels_hold_no_identifier_of_the_patient(write):
    def other(dataset: Dataset) -> None:
        dataset.PatientName, dataset.PatientID = "Another^Name", "0815"

    assert write()["SC"][0].PixelData == write(other)["SC"][0].PixelData


def test_once_lossy_always_lossy(write):
    def lossy(dataset: Dataset) -> None:
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = "12.5"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"

    image = write(lossy)["SC"][0]
    assert image.LossyImageCompression == "01"
    assert float(image.LossyImageCompressionRatio) == 12.5


def test_plane_of_a_frame_comes_from_its_functional_groups(make_writer, make_order, make_series):
    def enhanced(dataset: Dataset) -> None:
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.NumberOfFrames = "5"
        orientation, shared = Dataset(), Dataset()
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        shared.PlaneOrientationSequence = [orientation]
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = []
        for number in range(5):
            position, frame = Dataset(), Dataset()
            position.ImagePositionPatient = [-16, -16, 100 + number]
            frame.PlanePositionSequence = [position]
            dataset.PerFrameFunctionalGroupsSequence.append(frame)

    volume = make_series(change=enhanced)
    one = (volume.sop_instance_uids[0],) * 5
    volume = replace(volume, sop_instance_uids=one, frame_numbers=(1, 2, 3, 4, 5), paths=(volume.paths[0],) * 5)
    image = dcmread(make_writer(kinds=("SC",)).write(make_order(volume))[0].path)
    assert image.ImagePositionPatient[2] == 101
    assert image.SourceImageSequence[0].ReferencedFrameNumber == 2


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        ((1, 0, 0, 0, 1, 0), ("L", "P")),
        ((-1, 0, 0, 0, -1, 0), ("R", "A")),
        ((1, 0, 0, 0, 0.948, -0.317), ("L", "PF")),
        ((0.9, 0.43, 0, -0.43, 0.9, 0.05), ("LP", "PRH")),
        (None, ("L", "P")),
    ],
)
def test_orientation_letters_follow_the_cosines(orientation, letters):
    assert patient_orientation(SlicePlane(None, orientation)) == letters


@pytest.mark.parametrize(("side", "factor"), [(64, 8), (256, 2), (300, 2), (512, 1), (768, 1)])
def test_small_slices_are_enlarged_by_a_whole_factor(side, factor):
    assert enlargement(side, side) == factor
    picture = heatmap_picture(np.zeros((side, side), np.int16), np.zeros((16, 16), np.float32), CAPTIONS)
    assert picture.shape[1] == side * factor
    assert picture.shape[0] > side * factor


def test_long_captions_stay_inside_the_picture():
    long = Captions("H", ["Suspected: " + "cerebral parenchymal, intraventricular, subdural, epidural " * 3], "NOTICE")
    short = heatmap_picture(np.zeros((512, 512), np.int16), np.zeros((512, 512), np.float32), CAPTIONS)
    picture = heatmap_picture(np.zeros((512, 512), np.int16), np.zeros((512, 512), np.float32), long)
    assert picture.shape[0] > short.shape[0]
    assert not picture[512:, -4:].any()


def test_heatmap_with_nan_is_drawn_as_if_it_were_cold():
    slice_hu = np.full((512, 512), 40, np.int16)
    heatmap = np.full((512, 512), np.nan, np.float32)
    picture = heatmap_picture(slice_hu, heatmap, CAPTIONS)
    assert (picture[:512] == shown(slice_hu)[..., np.newaxis]).all()
