"""A node on loopback with a real database behind it, and reading systems that ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import Studies
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.association import Association
from sqlalchemy import Engine, delete

from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header
from triage_node.core.conformance import STUDY_ROOT_FIND, UPS_PULL, UPS_PUSH
from triage_node.worklist.account_tables import AuditRow
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.study_root import StudyRootScp
from triage_node.worklist.ups_scp import UpsScp
from triage_node.worklist.workitems import SqlWorkitems


@dataclass
class ReadingRoom:
    """A node with its database, and what a reading system does with it."""

    studies: Studies
    tasks: SqlReaderTasks
    audit: SqlAuditTrail
    port: int

    def associate(self, title: str = "VIEWER", *classes: str) -> Association:
        entity = AE(title)
        for uid in classes or (UPS_PULL, STUDY_ROOT_FIND):
            entity.add_requested_context(uid)
        entity.acse_timeout = entity.dimse_timeout = 30
        return entity.associate("127.0.0.1", self.port, ae_title="TRIAGE")

    def find(self, sop_class_uid: str = UPS_PULL, **keys: Any) -> tuple[list[Dataset], list[int]]:
        """Matches, and every status that came."""
        return self.ask(dataset(**keys), sop_class_uid)

    def ask(self, identifier: Dataset, sop_class_uid: str = UPS_PULL) -> tuple[list[Dataset], list[int]]:
        association = self.associate()
        responses = list(association.send_c_find(identifier, sop_class_uid))
        association.release()
        return [match for _, match in responses if match is not None], [int(status.Status) for status, _ in responses]

    def workitem(self, study_instance_uid: str) -> str:
        """SOP Instance UID of a study's workitem."""
        matches, _ = self.find(StudyInstanceUID=study_instance_uid)
        return str(matches[0].SOPInstanceUID)

    def change(self, workitem: str, state: str, transaction: str | None = None, title: str = "VIEWER") -> int:
        association = self.associate(title)
        information = dataset(ProcedureStepState=state)
        if transaction is not None:
            information.TransactionUID = transaction
        status, _ = association.send_n_action(information, 1, UPS_PUSH, workitem, meta_uid=UPS_PULL)
        association.release()
        return int(status.Status)

    def set(self, workitem: str, modification: Dataset, title: str = "VIEWER") -> int:
        association = self.associate(title)
        status, _ = association.send_n_set(modification, UPS_PUSH, workitem, meta_uid=UPS_PULL)
        association.release()
        return int(status.Status)

    def get(self, workitem: str, tags: list[int] | None = None) -> tuple[int, Dataset | None]:
        association = self.associate()
        status, found = association.send_n_get(tags or [], UPS_PUSH, workitem, meta_uid=UPS_PULL)
        association.release()
        return int(status.Status), found


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def performed(transaction: str) -> Dataset:
    """What a performer sets before COMPLETED."""
    code = dataset(CodeValue="VIEWER1", CodingSchemeDesignator="99SITE", CodeMeaning="Reading room 1")
    item = dataset(
        PerformedStationNameCodeSequence=[code],
        PerformedProcedureStepStartDateTime="20260301080000",
        PerformedWorkitemCodeSequence=[
            dataset(CodeValue="110005", CodingSchemeDesignator="DCM", CodeMeaning="Interpretation")
        ],
        PerformedProcedureStepEndDateTime="20260301081000",
        OutputInformationSequence=[],
    )
    return dataset(TransactionUID=transaction, UnifiedProcedureStepPerformedProcedureSequence=[item])


@pytest.fixture(name="dataset")
def dataset_fixture() -> Callable[..., Dataset]:
    return dataset


@pytest.fixture(name="performed")
def performed_fixture() -> Callable[[str], Dataset]:
    return performed


@pytest.fixture
def transaction() -> str:
    return str(generate_uid())


@pytest.fixture
def open_room(tmp_path: Path) -> Iterator[Callable[..., ReadingRoom]]:
    running: list[StorageScp] = []

    def start(engine: Engine, *, limit: int = 5000, retrieve_ae_title: str = "PACS", **options: Any) -> ReadingRoom:
        audit, answers = SqlAuditTrail(engine), {"limit": limit, "retrieve_ae_title": retrieve_ae_title}
        scp = StorageScp(
            ae_title="TRIAGE",
            host="127.0.0.1",
            port=0,
            spool=DirectorySpool(tmp_path / "spool", 0),
            read_header=read_header,
            on_stored=lambda _: None,
            on_quarantined=lambda _: None,
            on_association_opened=lambda *_: None,
            on_association_ended=lambda *_: None,
            services=(
                StudyRootScp(engine, audit, **answers),  # type: ignore[arg-type]
                UpsScp(SqlWorkitems(engine), audit, **answers),  # type: ignore[arg-type]
            ),
            **options,
        )
        scp.start()
        running.append(scp)
        return ReadingRoom(Studies(SqlStudyRepository(engine)), SqlReaderTasks(engine), audit, scp.port)

    yield start
    for scp in running:
        scp.shutdown()


@pytest.fixture
def room(engine: Engine, open_room: Callable[..., ReadingRoom]) -> ReadingRoom:
    """On each of the two databases in turn."""
    with engine.begin() as connection:
        connection.execute(delete(AuditRow))  # outlives the studies of earlier tests
    return open_room(engine)
