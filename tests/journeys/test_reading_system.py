"""A reading system beside the browser: it sees the flagged study first, claims it, and everybody sees it taken."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hospital.node import Node, Results
from hospital.studies import bleeding_head, head_study, normal_head, study_uid, written
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE

from triage_node.core.conformance import UPS_PULL, UPS_PUSH
from triage_node.worklist.engine import make_engine
from triage_node.worklist.reader_tasks import SqlReaderTasks

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(shutil.which("findscu") is None, reason="needs DCMTK (apt-get install dcmtk)"),
]


def _dcmtk(tool: str, node: Node, *arguments: str, last: tuple[str, ...] = ()) -> str:
    place = (node.address.host, str(node.address.port))
    command = [tool, "-v", "-aet", "VIEWER", "-aec", node.address.ae_title, *arguments, *place, *last]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_flagged_study_is_first_for_a_reading_system_and_taken_for_all(
    node: Node, results: Results, tmp_path: Path
) -> None:
    plain, bleeding = head_study(normal_head()), head_study(bleeding_head())
    for name, series in (("plain", plain), ("bleeding", bleeding)):
        files = written(series, tmp_path / name)
        _dcmtk("storescu", node, last=tuple(map(str, files)))
        results.ended(study_uid(series))
    ours = [study_uid(plain), study_uid(bleeding)]
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(ours), "RequestedProcedurePriority")
    shown = _dcmtk("findscu", node, "-S", *(part for key in keys for part in ("-k", key)))
    assert shown.index("[STAT") < shown.index("[ROUTINE")

    entity = AE("VIEWER")
    entity.add_requested_context(UPS_PULL)
    association = entity.associate(node.address.host, node.address.port, ae_title=node.address.ae_title)
    asked, claim = Dataset(), Dataset()
    asked.StudyInstanceUID, asked.ScheduledProcedureStepPriority = ours, ""
    matches = [match for _, match in association.send_c_find(asked, UPS_PULL) if match is not None]
    priorities = [(each.StudyInstanceUID, each.ScheduledProcedureStepPriority) for each in matches]
    assert priorities == [(study_uid(bleeding), "HIGH"), (study_uid(plain), "LOW")]

    claim.ProcedureStepState, claim.TransactionUID = "IN PROGRESS", generate_uid()
    status, _ = association.send_n_action(claim, 1, UPS_PUSH, matches[0].SOPInstanceUID, meta_uid=UPS_PULL)
    association.release()
    assert status.Status == 0x0000
    task = SqlReaderTasks(make_engine(f"sqlite:///{node.data_dir / 'triage_node.sqlite3'}")).state_of(
        study_uid(bleeding)
    )
    assert task is not None
    assert (task.state.value, task.performer) == ("IN PROGRESS", "AE:VIEWER")
