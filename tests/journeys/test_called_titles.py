"""Two names on one door: studies that the emergency department's title was called for go to its archive as well."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hospital.node import UNHURRIED_S, Node
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import head_study, normal_head, study_uid

from triage_node.core.identifiers import PeerAddress


def test_destination_takes_only_studies_that_came_to_its_title(tmp_path: Path) -> None:
    archive, emergency = Pacs(tmp_path / "archive"), Pacs(tmp_path / "emergency", ae_title="ERPACS")
    node = Node(tmp_path / "node", quiet_period_s=UNHURRIED_S, further_ae_titles="TRIAGE_ER")
    try:
        for pacs in (archive, emergency):
            pacs.start()
        tables = (
            {"name": "archive", "kind": "dicom", "address": str(archive.address)},
            {"name": "er", "kind": "dicom", "address": str(emergency.address), "called_ae_titles": ["TRIAGE_ER"]},
        )
        with node.settings_file.open("a") as file:
            for table in tables:
                lines = (f"{key} = {json.dumps(value)}\n" for key, value in table.items())
                file.write("\n[[destinations]]\n" + "".join(lines))
        node.start()
        ward, urgent = head_study(normal_head()), head_study(normal_head())
        called: dict[str, PeerAddress] = {"ward": node.address, "er": replace(node.address, ae_title="TRIAGE_ER")}
        assert set(Scanner(called["ward"], tmp_path / "ct1").send(ward)) == {0}
        assert set(Scanner(called["er"], tmp_path / "ct2").send(urgent)) == {0}
        for series in (ward, urgent):
            assert node.results.ended(study_uid(series))["state"] == "FORWARDED"
            assert len(archive.of_modality(study_uid(series), "SR")) == 1
        assert len(emergency.of_modality(study_uid(urgent), "SR")) == 1
        assert emergency.objects(study_uid(ward)) == []
    finally:
        node.stop()
        for pacs in (archive, emergency):
            pacs.stop()
