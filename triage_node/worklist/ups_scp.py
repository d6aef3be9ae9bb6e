"""The Unified Procedure Step SCP: reading systems query the studies to be read, claim one, and complete it.

In: C-FIND, N-GET, N-ACTION and N-SET under UPS Pull, C-FIND under UPS Query. Out: statuses and datasets, and a line of the
audit trail for each query, look and change. Never: a second performer for a claimed study, a Transaction UID shown to anyone.
Answers to PS3.4 Annex CC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from triage_node.core.audit import AuditAction
from triage_node.core.conformance import UPS_PULL, UPS_QUERY
from triage_node.core.errors import Transient
from triage_node.core.identifiers import IllegalUid, checked_uid
from triage_node.core.ports import AssociationPeer, AuditTrail
from triage_node.core.query_status import (
    INVALID_ARGUMENT,
    INVALID_ATTRIBUTE,
    NO_SUCH_ACTION,
    NO_SUCH_ARGUMENT,
    NO_SUCH_WORKITEM,
    NOT_AUTHORIZED,
    OPTIONAL_NOT_SUPPORTED,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
    Answer,
)
from triage_node.core.reader_task import TaskState
from triage_node.core.workitem import StepState
from triage_node.worklist import workitem_attributes
from triage_node.worklist.find_scp import Matches, Response, find_responses, in_pages
from triage_node.worklist.identifier import Identifier, answer, declare_character_set, put
from triage_node.worklist.matching import Texts
from triage_node.worklist.study_selection import Selection
from triage_node.worklist.workitem_attributes import ATTRIBUTES
from triage_node.worklist.workitems import SqlWorkitems

_log = structlog.get_logger()

CHANGE_STATE = 1
"""Action Type ID (PS3.4 Table CC.2.1-1)."""
_BY_PERFORMER = ("ProcedureStepProgressInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence")
"""What an N-SET may set; the rest is the node's."""
_SILENT = ("SpecificCharacterSet",)
_NOTED = {
    StepState.IN_PROGRESS: AuditAction.TAKEN,
    StepState.COMPLETED: AuditAction.COMPLETED,
    StepState.CANCELED: AuditAction.RELEASED,
}


class UpsScp:
    """Answers on the associations of the SCP.

    Parameters
    ----------
    limit
        Matches of one query at most.
    retrieve_ae_title
        From where readers get the images; empty where nobody said so.
    """

    sop_classes = (UPS_PULL, UPS_QUERY)

    def __init__(self, workitems: SqlWorkitems, audit: AuditTrail, *, limit: int, retrieve_ae_title: str) -> None:
        self._workitems, self._audit = workitems, audit
        self._limit, self._retrieve_ae_title = limit, retrieve_ae_title
        self._columns = workitem_attributes.key_columns()
        self._constants = workitem_attributes.constants()

    # C-FIND
    def find(self, event: Event, peer: AssociationPeer) -> Iterator[Response]:
        """Answer a query of workitems."""

        def found(identifier: Identifier) -> Matches:
            selection = self._selection(identifier)
            ids = self._workitems.select(selection, self._limit + 1)
            count = min(len(ids), self._limit)
            detail = {"service": "UPS C-FIND", "matches": count}
            self._note(peer, AuditAction.WORKLIST_SHOWN, None, detail)
            return Matches(self._answers(identifier, ids[:count]), count, len(ids) > count)

        return find_responses(event, peer, frozenset(ATTRIBUTES), found)

    def _selection(self, identifier: Identifier) -> Selection:
        selection = Selection()
        for path, wanted in identifier.criteria.items():
            if path in self._columns:
                selection.conditions.append(wanted.sql(self._columns[path], sqlite=self._workitems.is_sqlite))
                is_exact = isinstance(wanted, Texts) and wanted.is_exact
                selection.is_narrow |= is_exact and path[-1] in workitem_attributes.NARROW
                if isinstance(wanted, Texts) and path[-1] in workitem_attributes.SEARCHED:
                    selection.words += wanted.beginnings
            elif path == ("ProcedureStepState",) and isinstance(wanted, Texts):
                selection.task_states = tuple(each for each in TaskState if wanted.holds(each.value))
            elif path == ("ScheduledProcedureStepPriority",) and isinstance(wanted, Texts):
                selection.urgencies = workitem_attributes.urgencies(wanted)
            elif path in self._constants and not self._holds_somewhere(wanted, self._constants[path]):
                selection.task_states = ()
        return selection

    @staticmethod
    def _holds_somewhere(wanted: Any, values: tuple[str, ...]) -> bool:
        return isinstance(wanted, Texts) and any(wanted.holds(each) for each in values)

    def _answers(self, identifier: Identifier, ids: list[int]) -> Iterator[Dataset]:
        with_series = "InputInformationSequence" in identifier.asked
        for page in in_pages(ids):
            for each in self._workitems.workitems(page, with_series=with_series):
                yield answer(identifier.asked, ATTRIBUTES, workitem_attributes.ALWAYS, each, self._retrieve_ae_title)

    # N-GET
    def get(self, event: Event, peer: AssociationPeer) -> tuple[int, Dataset | None]:
        """Return what a workitem says, all of it where nothing was asked for by tag."""
        return self._answered(peer, lambda: self._get(event, peer))

    def _get(self, event: Event, peer: AssociationPeer) -> tuple[Answer, Dataset | None]:
        workitem = self._workitems.workitem(_instance_uid(event))
        if workitem is None:
            return NO_SUCH_WORKITEM, None
        asked = [keyword_for_tag(tag) for tag in event.attribute_identifiers] or list(ATTRIBUTES)
        self._note(peer, AuditAction.STUDY_SHOWN, workitem.study.study_instance_uid, {"service": "UPS N-GET"})
        made = Dataset()
        for keyword in asked:
            if keyword in ATTRIBUTES:
                put(made, keyword, ATTRIBUTES[keyword](workitem, self._retrieve_ae_title))
        declare_character_set(made)
        return SUCCESS if ATTRIBUTES.keys() >= frozenset(asked) else OPTIONAL_NOT_SUPPORTED, made

    # N-ACTION
    def action(self, event: Event, peer: AssociationPeer) -> tuple[int, Dataset | None]:
        """Claim a workitem, complete it or give it up."""
        return self._answered(peer, lambda: (self._action(event, peer), None))

    def _action(self, event: Event, peer: AssociationPeer) -> Answer:
        if event.action_type != CHANGE_STATE:
            return NO_SUCH_ACTION
        try:
            information = event.action_information
            state = str(information.get("ProcedureStepState", "") or "").strip()
            transaction_uid = _transaction_uid(information)
        except Exception:  # pydicom raises whatever the bytes lead it to
            return INVALID_ARGUMENT
        if not state:
            return NO_SUCH_ARGUMENT
        if state not in {each.value for each in StepState}:
            return INVALID_ARGUMENT
        wanted, now = StepState(state), datetime.now(UTC)
        answered, study = self._workitems.change_state(
            _instance_uid(event), wanted, transaction_uid, performer_name(peer), now
        )
        if answered is SUCCESS:
            self._note(peer, _NOTED[wanted], study, {"service": "UPS N-ACTION"})
        return answered

    # N-SET
    def set(self, event: Event, peer: AssociationPeer) -> tuple[int, Dataset | None]:
        """Keep what the performer says of the work."""
        return self._answered(peer, lambda: (self._set(event, peer), None))

    def _set(self, event: Event, peer: AssociationPeer) -> Answer:
        try:
            given = event.modification_list
            transaction_uid = _transaction_uid(given)
            progress = {
                f"{element.tag:08X}": element.to_json_dict(None, 0)
                for element in given
                if element.keyword in _BY_PERFORMER and element.VR == "SQ"
            }
            if "ProcedureStepState" in given:
                return INVALID_ATTRIBUTE
            others = [each for each in given if each.keyword not in (*_BY_PERFORMER, "TransactionUID", *_SILENT)]
        except Exception:  # pydicom raises whatever the bytes lead it to
            return INVALID_ATTRIBUTE
        workitem_uid = _instance_uid(event)
        answered, study = self._workitems.set_progress(workitem_uid, transaction_uid, progress)
        if answered is not SUCCESS:
            return answered
        self._note(peer, AuditAction.PROGRESS_NOTED, study, {"service": "UPS N-SET"})
        return OPTIONAL_NOT_SUPPORTED if others else SUCCESS

    # N-CREATE
    def create(self, event: Event, peer: AssociationPeer) -> tuple[int, Dataset | None]:
        """Refuse: workitems are made by what arrives."""
        return self._answered(peer, lambda: (NOT_AUTHORIZED, None))

    def _answered(
        self, peer: AssociationPeer, work: Callable[[], tuple[Answer, Dataset | None]]
    ) -> tuple[int, Dataset | None]:
        """Give every failure its status."""
        try:
            answered, made = work()
        except Transient as error:
            _log.warning("workitem_put_off", association_id=peer.association_id, error=str(error))
            answered, made = RESOURCE_LIMITATION, None
        except Exception:
            _log.exception("workitem_failed", association_id=peer.association_id)
            answered, made = PROCESSING_FAILURE, None
        _log.info("workitem_answered", association_id=peer.association_id, status=f"0x{answered.code:04X}")
        return answered.code, made

    def _note(self, peer: AssociationPeer, action: AuditAction, study: str | None, detail: dict[str, Any]) -> None:
        self._audit.note(performer_name(peer), action, study, peer.address, detail, datetime.now(UTC))


def performer_name(peer: AssociationPeer) -> str:
    """Return how a reading system is called among the readers."""
    return f"AE:{peer.calling_ae_title}"


def _instance_uid(event: Event) -> str:
    request = cast(Any, event.request)
    return str(request.RequestedSOPInstanceUID)


def _transaction_uid(information: Dataset) -> str | None:
    """Return the Transaction UID, None where there is none that could be one."""
    try:
        return checked_uid(str(information.get("TransactionUID", "") or "").strip(), "Transaction UID")
    except IllegalUid:
        return None
