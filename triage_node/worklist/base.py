"""What all tables share: how constraints are named, and the column type of each Python type."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Enum, MetaData
from sqlalchemy.orm import DeclarativeBase

from triage_node.core.access import Role
from triage_node.core.commitment import CommitmentState
from triage_node.core.reader_task import EscalationState, TaskState, Verdict
from triage_node.core.reason import Reason
from triage_node.core.study_state import DeliveryState, Priority, State
from triage_node.worklist.column_types import PlainText, UtcDateTime

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Codes are plain text without a CHECK, so that a new code needs no migration; Python refuses unknown ones.
_STATE = Enum(State, native_enum=False, length=16)
_PRIORITY = Enum(Priority, native_enum=False, length=16)
_DELIVERY_STATE = Enum(DeliveryState, native_enum=False, length=16)
_COMMITMENT_STATE = Enum(CommitmentState, native_enum=False, length=16)
_TASK_STATE = Enum(TaskState, native_enum=False, length=16)
_ROLE = Enum(Role, native_enum=False, length=16)
_VERDICT = Enum(Verdict, native_enum=False, length=16)
_ESCALATION_STATE = Enum(EscalationState, native_enum=False, length=16)
_REASON = Enum(Reason, native_enum=False, length=32)


class Base(DeclarativeBase):
    """What all tables share: names of constraints and the column type for each Python type."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads a plain dictionary here)
        datetime: UtcDateTime,
        str: PlainText,
        State: _STATE,
        Priority: _PRIORITY,
        DeliveryState: _DELIVERY_STATE,
        CommitmentState: _COMMITMENT_STATE,
        TaskState: _TASK_STATE,
        Role: _ROLE,
        Verdict: _VERDICT,
        EscalationState: _ESCALATION_STATE,
        Reason: _REASON,
        dict[str, Any]: JSON,
        dict[str, float]: JSON,
        list[str]: JSON,
        list[dict[str, Any]]: JSON,
    }
