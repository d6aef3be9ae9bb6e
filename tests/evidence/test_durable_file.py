"""Files that are whole or not there, and that read back as they were written."""

from __future__ import annotations

import errno
import os

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from triage_node.core.errors import Defect
from triage_node.evidence.durable_file import fsync_folder, write_durably


@pytest.fixture
def dataset() -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    made.PatientID = "PID"
    return made


def test_what_is_written_is_read(dataset, tmp_path):
    write_durably(dataset, tmp_path / "one.dcm")
    fsync_folder(tmp_path)
    assert dcmread(tmp_path / "one.dcm").PatientID == "PID"
    assert [each.name for each in tmp_path.iterdir()] == ["one.dcm"]


def test_value_that_does_not_survive_the_file_is_a_defect(dataset, tmp_path):
    dataset.PatientID = "padded  "
    with pytest.raises(Defect, match="PatientID"):
        write_durably(dataset, tmp_path / "one.dcm")


def test_object_that_cannot_be_encoded_leaves_no_file(dataset, tmp_path):
    dataset.Rows = 70000
    with pytest.raises(Exception, match="Rows"):
        write_durably(dataset, tmp_path / "one.dcm")
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fails_leaves_neither_file_nor_half_of_one(dataset, tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(dataset, tmp_path / "one.dcm")
    assert list(tmp_path.iterdir()) == []
