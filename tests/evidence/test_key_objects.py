"""Key objects: the flagged slices, marked Of Interest, with words."""

from __future__ import annotations

from highdicom.ko import KeyObjectSelectionDocument
from pydicom import dcmread
from pydicom.dataset import Dataset

from triage_node.evidence import codes


def read(written) -> KeyObjectSelectionDocument:
    return KeyObjectSelectionDocument.from_dataset(dcmread(written[0].path))


def test_flagged_slices_are_selected_in_order(make_writer, make_order, make_series):
    volume = make_series()
    document = read(make_writer(kinds=("KO",)).write(make_order(volume)))
    selected = [each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in document.content.get_references()]
    assert selected == list(volume.sop_instance_uids[1:4])
    assert document.resolve_reference(selected[0])[2] == selected[0]


def test_selection_is_of_interest_and_described(make_writer, make_order, make_series):
    dataset = dcmread(make_writer(kinds=("KO",)).write(make_order(make_series()))[0].path)
    assert dataset.ConceptNameCodeSequence[0].CodeValue == codes.OF_INTEREST.value
    described = [
        item.TextValue for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "113012"
    ]
    assert described[0].startswith("Flagged for suspected intracranial hemorrhage")
    assert "research use only" in described[0]


def test_selection_carries_the_patient_of_the_source(write):
    def rename(dataset: Dataset) -> None:
        dataset.PatientName = "Roe^Richard"

    document = write(rename)["KO"][0]
    assert (str(document.PatientName), document.PatientID, document.AccessionNumber) == (
        "Roe^Richard",
        "PID-1",
        "ACC-77",
    )
