"""One slice at a time gives what the whole volume would have given, however the files came and lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset

from triage_node.assembly.header_reader import read_header
from triage_node.assembly.slice_reader import PixelSliceReader
from triage_node.assembly.volume_reader import PixelVolumeReader
from triage_node.core.errors import Refused
from triage_node.core.ports import SeriesVolume
from triage_node.core.series import ordered

HeadFiles = Callable[..., list[Path]]


def _prone(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = ["-1", "0", "0", "0", "-1", "0"]


def _mirrored(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = ["-1", "0", "0", "0", "1", "0"]


@pytest.mark.parametrize("change", [None, _prone, _mirrored])
def test_slices_are_those_of_the_volume(
    head_files: HeadFiles, head_hu: npt.NDArray[np.int16], change: Callable[[Dataset], None] | None
) -> None:
    instances = [(read_header(path), path) for path in reversed(head_files(change))]
    volume = PixelVolumeReader().read(ordered(instances))
    assert isinstance(volume, SeriesVolume)
    reader = PixelSliceReader()
    stack = reader.stack(instances)
    assert stack is not None
    assert tuple(each.sop_instance_uid for each in stack.slices) == volume.sop_instance_uids
    assert tuple(each.position_mm for each in stack.slices) == volume.positions_mm
    assert (stack.flipped_rows, stack.flipped_columns) == (volume.flipped_rows, volume.flipped_columns)
    assert (stack.rows, stack.columns, stack.pixel_spacing_mm) == (128, 128, (1.8, 1.8))
    for index in range(len(stack.slices)):
        assert np.array_equal(reader.read(stack, index), volume.volume_hu[index])


def test_series_that_the_cascade_declines_can_be_looked_at(head_files: HeadFiles) -> None:
    paths = head_files()[:3]
    reader = PixelSliceReader()
    stack = reader.stack([(read_header(path), path) for path in paths])
    assert stack is not None
    assert len(stack.slices) == 3
    assert reader.read(stack, 2).shape == (128, 128)


def test_instances_without_a_place_make_no_stack(head_files: HeadFiles) -> None:
    def lose(dataset: Dataset) -> None:
        del dataset.ImagePositionPatient

    assert PixelSliceReader().stack([(read_header(path), path) for path in head_files(lose)]) is None
    assert PixelSliceReader().stack([]) is None


def test_missing_and_damaged_files_are_told_apart(head_files: HeadFiles) -> None:
    paths = head_files()
    reader = PixelSliceReader()
    stack = reader.stack([(read_header(path), path) for path in paths])
    assert stack is not None
    stack.slices[0].path.unlink()
    stack.slices[1].path.write_bytes(stack.slices[1].path.read_bytes()[:900])
    with pytest.raises(FileNotFoundError):
        reader.read(stack, 0)
    with pytest.raises(Refused):
        reader.read(stack, 1)
    assert reader.read(stack, 2).shape == (128, 128)
