"""Delivery to several destinations: Orthanc killed in the middle, one that never answers, STOW-RS beside C-STORE, commitment."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hospital.node import UNHURRIED_S, Node
from hospital.pacs import Orthanc
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, head_study, study_uid
from hospital.waiting import wait_until
from pydicom.dataset import Dataset

from triage_node.assembly.header_reader import read_header
from triage_node.assembly.volume_reader import PixelVolumeReader
from triage_node.core.dimse_status import Action
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.ports import EvidenceOrder, SeriesVolume
from triage_node.core.series import ordered
from triage_node.evidence.writer import DicomEvidenceWriter
from triage_node.forwarding.storage_scu import StorageScu

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SILENCE_S = 10.0
"""How long the destination that never answers is waited for; a busy machine needs less for all the others."""

pytestmark = [pytest.mark.debian, pytest.mark.slow, pytest.mark.xdist_group("debian")]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if Orthanc.executable() is None or not PLUGIN.exists():
        pytest.skip("Orthanc with its DICOMweb plug-in is not installed (Debian packages orthanc, orthanc-dicomweb)")
    orthanc = Orthanc(tmp_path_factory.mktemp("orthanc"), Plugins=[str(PLUGIN)])
    orthanc.start()
    yield orthanc
    orthanc.stop()


@pytest.fixture(scope="module")
def web_archive(tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc) -> Iterator[Orthanc]:
    archive = Orthanc(tmp_path_factory.mktemp("web"), Plugins=[str(PLUGIN)])
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc, web_archive: Orthanc, silent_port: int
) -> Iterator[Node]:
    """A node with an archive that is to commit, one over the web for reports only, and one that never answers."""
    destinations: list[dict[str, Any]] = [
        {"name": "archive", "kind": "dicom", "address": str(orthanc.address), "storage_commitment": True},
        {"name": "web", "kind": "stow", "address": f"{web_archive.url}/dicom-web", "objects": ["SR", "KO"]},
        {"name": "silent", "kind": "dicom", "address": f"SILENT@127.0.0.1:{silent_port}"},
        {"name": "elsewhere", "kind": "dicom", "address": "X@127.0.0.1:1", "called_ae_titles": ["ANOTHER"]},
    ]
    node = Node(tmp_path_factory.mktemp("node"), quiet_period_s=UNHURRIED_S, dimse_timeout_s=SILENCE_S)
    tables = "".join(
        "[[destinations]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in each.items())
        for each in destinations
    )
    node.settings_file.write_text(node.settings_file.read_text() + tables)
    orthanc_settings = {"triage": [node.address.ae_title, node.address.host, node.address.port]}
    orthanc.configure(DicomModalities=orthanc_settings)
    try:
        node.start()
        yield node
    finally:
        node.stop()


def deliveries(node: Node, series: list[Dataset], destination: str) -> list[Any]:
    return [
        each
        for each in node.results.repository.deliveries(limit=10_000)
        if each["study_instance_uid"] == study_uid(series) and each["destination"] == destination
    ]


def at(node: Node, series: list[Dataset], destination: str, state: str = "SENT", commitment: str | None = None) -> Any:
    """Wait until everything for a destination is there."""

    def there() -> Any:
        rows = deliveries(node, series, destination)
        done = rows and all(each["state"] == state and each["commitment"] == commitment for each in rows)
        return rows if done else None

    return wait_until(there, f"everything at {destination}", within_s=90)


@pytest.fixture
def scanner(node: Node, tmp_path: Path) -> Scanner:
    return Scanner(node.address, tmp_path / "scanner")


def test_each_destination_gets_what_it_wants_and_the_archive_commits(
    node: Node, orthanc: Orthanc, web_archive: Orthanc, scanner: Scanner
) -> None:
    series = head_study(bleeding_head())
    scanner.send(series)
    rows = at(node, series, "archive", commitment="COMMITTED")
    at(node, series, "web")
    assert {each["kind"] for each in rows} == {"SR", "SC", "KO"}
    listed = orthanc.study(study_uid(series))
    assert (len(listed["SR"]), len(listed["KO"]), len(listed["OT"])) == (1, 1, len(rows) - 2)
    assert {modality: len(each) for modality, each in web_archive.study(study_uid(series)).items()} == {
        "SR": 1,
        "KO": 1,
    }
    assert deliveries(node, series, "elsewhere") == []


def test_a_destination_that_never_answers_delays_nobody(node: Node, scanner: Scanner) -> None:
    """The silent one holds every association for its time-out; the studies at the archive do not notice."""
    studies = [head_study(bleeding_head()) for _ in range(3)]
    for series in studies:
        scanner.send(series)
    for series in studies:
        rows = at(node, series, "archive", commitment="COMMITTED")
        waits = [
            (datetime.fromisoformat(each["sent_at"]) - datetime.fromisoformat(each["created_at"])).total_seconds()
            for each in rows
        ]
        assert max(waits) < SILENCE_S, waits
    assert {each["state"] for each in deliveries(node, studies[0], "silent")} == {"DUE"}
    (breaker,) = wait_until(lambda: node.results.repository.breakers(datetime.now().astimezone()), "a breaker")
    assert breaker["destination"] == "silent"


def test_orthanc_killed_during_delivery_gets_everything_once(node: Node, orthanc: Orthanc, scanner: Scanner) -> None:
    series = head_study(bleeding_head())
    before = orthanc.get("/statistics")["CountInstances"]
    scanner.send(series)
    wait_until(
        lambda: orthanc.get("/statistics")["CountInstances"] > before, "a first object", within_s=60, every_s=0.002
    )
    orthanc.kill()
    while_away = deliveries(node, series, "archive")
    orthanc.start()
    rows = at(node, series, "archive", commitment="COMMITTED")
    assert len(rows) == len(while_away) > 3
    listed = orthanc.study(study_uid(series))
    assert (len(listed["SR"]), len(listed["KO"]), len(listed["OT"])) == (1, 1, len(rows) - 2)
    assert orthanc.get("/statistics")["CountInstances"] == before + len(rows)


def _order(volume: SeriesVolume, predecessor: Path | None = None) -> EvidenceOrder:
    count = len(volume.sop_instance_uids)
    subtypes = dict.fromkeys(SUBTYPES, 0.6)
    slices = tuple(
        SliceFinding(uid, 0.9 if number in (9, 10, 11) else 0.1, subtypes, number in (9, 10, 11))
        for number, uid in enumerate(volume.sop_instance_uids)
    )
    finding = Finding(0.9, True, subtypes, ("CPH",), slices, "given", "1", "0" * 64, "balanced", 0.5)
    heatmaps = {number: np.eye(*volume.volume_hu.shape[1:], dtype=np.float32) for number in (9, 10, 11)}
    assert count > 11
    return EvidenceOrder(volume, finding, heatmaps, 1, datetime.now().astimezone(), predecessor)


def test_the_same_step_three_times_leaves_one_of_each(orthanc: Orthanc, tmp_path: Path) -> None:
    series = head_study(bleeding_head())
    scanner = Scanner(orthanc.address, tmp_path / "scanner")
    scanner.send(series)
    paths = sorted((tmp_path / "scanner").rglob("*.dcm"))
    volume = PixelVolumeReader().read(ordered([(read_header(path), path) for path in paths]))
    assert isinstance(volume, SeriesVolume)
    for attempt in range(3):
        written = DicomEvidenceWriter(
            tmp_path / f"evidence{attempt}", station_name="TRIAGE", software_version="1"
        ).write(_order(volume))
        outcomes = StorageScu("TRIAGE").send(orthanc.address, written)
        assert {each.action for each in outcomes} == {Action.DONE}
    listed = orthanc.study(study_uid(series))
    assert {modality: len(each) for modality, each in listed.items()} == {"CT": len(series), "SR": 1, "OT": 3, "KO": 1}
    (study,) = [
        each
        for each in orthanc.get("/studies?expand")
        if each["MainDicomTags"]["StudyInstanceUID"] == study_uid(series)
    ]
    assert len(study["Series"]) == 4
