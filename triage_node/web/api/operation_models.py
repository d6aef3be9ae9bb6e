"""What operators ask for and send: feedback, retries, audit trail, users."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from triage_node.core.access import Role
from triage_node.core.reader_task import Verdict
from triage_node.web.api.study_models import FindingName, Revision
from triage_node.web.study_actions import LONGEST_COMMENT

DeliveryNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]


class FeedbackToGive(BaseModel):
    """What a reader says of one finding."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"revision": 1, "finding": "SDH", "verdict": "DISAGREE", "comment": "beam hardening"}]
        },
    )

    revision: Revision
    finding: FindingName = Field(description="ICH or a subtype, found or not.")
    verdict: Verdict = Field(description="Whether the node is right about it.")
    comment: str = Field("", max_length=LONGEST_COMMENT, description="Anything to add; no patient data.")


class DeliveriesToRetry(BaseModel):
    """Which given-up deliveries of a study become due again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"delivery_ids": [17, 18]}]})

    delivery_ids: list[DeliveryNumber] | None = Field(
        None, max_length=500, description="Their numbers; null: all of the study."
    )


class Retried(BaseModel):
    """How many deliveries became due again."""

    retried: int = Field(ge=0, description="Number of deliveries; 0: none of them was given up.")


class AuditLine(BaseModel):
    """One line of the audit trail."""

    id: int = Field(description="Its number; later lines have higher ones.")
    at: datetime = Field(description="When, UTC.")
    actor: str = Field(description="Who: a user, cli: and a user of the operating system, or an AE title.")
    action: str = Field(description="What was done.", examples=["STUDY_SHOWN"])
    study_instance_uid: str | None = Field(description="With which study, if with one.")
    address: str = Field(description="From where; empty: on the machine itself.")
    detail: dict[str, Any] = Field(description="What belongs to the action.")


class AuditList(BaseModel):
    """Lines of the audit trail, newest first."""

    lines: list[AuditLine]
    next: str | None = Field(description="Path and query of the next page; null: this is the last.")


class UserEntry(BaseModel):
    """An account."""

    name: str
    role: Role
    disabled: bool
    must_change_password: bool
    locked_until: datetime | None = Field(description="Locked after failed sign-ins until then, UTC.")
    from_provider: bool = Field(description="Whether the person signs in at the identity provider.")
    created_at: datetime = Field(description="UTC.")
    signed_in_at: datetime | None = Field(description="Last time, UTC.")


class UserList(BaseModel):
    """All accounts, by name."""

    users: list[UserEntry]
