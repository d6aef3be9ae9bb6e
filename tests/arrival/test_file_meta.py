"""The File Meta Information that we write is read by others as it was meant."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread

from triage_node.arrival.file_meta import file_meta
from triage_node.core.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def test_pydicom_reads_what_was_written() -> None:
    meta = dcmread(BytesIO(file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", "CT1"))).file_meta
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert meta.FileMetaInformationVersion == b"\0\1"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_with_leading_zeros_is_written_as_the_scanner_sent_it() -> None:
    meta = dcmread(BytesIO(file_meta("1.2", "1.02.003", "1.2.840.10008.1.2.1", "OLD SCANNER"))).file_meta
    assert meta.MediaStorageSOPInstanceUID == "1.02.003"


def test_every_element_has_even_length() -> None:
    for uid in ("1.2", "1.2.3", "1.22"):
        assert len(file_meta(uid, uid, uid, "ODD")) % 2 == 0
