"""DCMTK's storescu is the scanner and Orthanc is the PACS; dicom3tools and DCMTK judge what the node made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hospital.node import Node
from hospital.pacs import Orthanc
from hospital.studies import bleeding_head, head_study, normal_head, study_uid, written
from pydicom.dataset import Dataset

pytestmark = pytest.mark.debian


def _needed(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (Debian packages dcmtk, dicom3tools)")
    return found


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if Orthanc.executable() is None:
        pytest.skip("Orthanc is not installed (Debian package orthanc)")
    orthanc = Orthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        orthanc.start()
        yield orthanc
    finally:
        orthanc.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc) -> Iterator[Node]:
    """A node whose PACS is Orthanc."""
    node = Node(tmp_path_factory.mktemp("node"), [orthanc.address])
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def bleeding(node: Node, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """A bleeding head that storescu has sent and the node has finished with."""
    series = head_study(bleeding_head())
    _storescu(node, written(series, tmp_path_factory.mktemp("bleeding")))
    assert node.results.ended(study_uid(series))["state"] == "FORWARDED"
    return series


def _storescu(node: Node, files: list[Path], *options: str) -> subprocess.CompletedProcess[str]:
    peer = ["-aet", "DCMTK_CT", "-aec", node.address.ae_title, node.address.host, str(node.address.port)]
    sent = subprocess.run(
        [_needed("storescu"), "-v", *options, *peer, *files], capture_output=True, text=True, timeout=60
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    return sent


def test_orthanc_lists_report_heatmaps_and_key_objects_under_the_study(
    node: Node, orthanc: Orthanc, bleeding: list[Dataset]
) -> None:
    (revision,) = node.results.only_series(study_uid(bleeding))["revisions"]
    flagged = sum(each["flagged"] for each in revision["slices"])
    listed = orthanc.study(study_uid(bleeding))
    assert {modality: len(instances) for modality, instances in listed.items()} == {"SR": 1, "OT": flagged, "KO": 1}


def test_evidence_joins_the_original_study_where_the_pacs_has_it(
    node: Node, orthanc: Orthanc, bleeding: list[Dataset], tmp_path: Path
) -> None:
    files = written(bleeding, tmp_path / "original")
    peer = ["-aec", orthanc.address.ae_title, orthanc.address.host, str(orthanc.address.port)]
    subprocess.run([_needed("storescu"), *peer, *files], check=True, capture_output=True, timeout=60)
    (study,) = [
        each
        for each in orthanc.get("/studies?expand")
        if each["MainDicomTags"]["StudyInstanceUID"] == study_uid(bleeding)
    ]
    assert len(study["Series"]) == 4
    assert study["PatientMainDicomTags"]["PatientID"] == bleeding[0].PatientID


def test_dciodvfy_finds_no_error_in_any_object(orthanc: Orthanc, bleeding: list[Dataset], tmp_path: Path) -> None:
    dciodvfy = _needed("dciodvfy")
    for modality, instances in orthanc.study(study_uid(bleeding)).items():
        if modality == "CT":
            continue
        for instance in instances:
            file = orthanc.file(instance, tmp_path / f"{modality}_{instance}.dcm")
            checked = subprocess.run([dciodvfy, file], capture_output=True, text=True, timeout=60)
            errors = [line for line in checked.stderr.splitlines() if line.startswith("Error")]
            assert not errors, f"{modality}: {errors}"


def test_dsrdump_reads_the_report(orthanc: Orthanc, bleeding: list[Dataset], tmp_path: Path) -> None:
    (instance,) = orthanc.study(study_uid(bleeding))["SR"]
    file = orthanc.file(instance, tmp_path / "report.dcm")
    dumped = subprocess.run([_needed("dsrdump"), file], capture_output=True, text=True, timeout=60)
    assert dumped.returncode == 0, dumped.stderr
    assert "Imaging Measurement Report" in dumped.stdout
    assert "not for diagnostic use" in dumped.stdout.lower()


def test_normal_head_comes_back_as_a_report_alone(node: Node, orthanc: Orthanc, tmp_path: Path) -> None:
    series = head_study(normal_head())
    _storescu(node, written(series, tmp_path / "normal"))
    assert node.results.ended(study_uid(series))["flagged"] is False
    assert {modality: len(each) for modality, each in orthanc.study(study_uid(series)).items()} == {"SR": 1}


@pytest.mark.parametrize(
    ("syntax", "encoder"),
    [
        ("--propose-implicit", None),
        ("--propose-lossless", ["dcmcjpeg", "+e1"]),
        ("--propose-jls-lossless", ["dcmcjpls"]),
        ("--propose-rle", ["dcmcrle"]),
    ],
)
def test_transfer_syntaxes_of_dcmtk_are_taken_and_read(
    node: Node, tmp_path: Path, syntax: str, encoder: list[str] | None
) -> None:
    series = head_study(normal_head())
    files = written(series, tmp_path / "plain")
    if encoder is not None:
        (tmp_path / "encoded").mkdir()
        plain, files = files, []
        for file in plain:
            files.append(tmp_path / "encoded" / file.name)
            subprocess.run([_needed(encoder[0]), *encoder[1:], file, files[-1]], check=True, timeout=60)
    _storescu(node, files, syntax)
    row = node.results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)
