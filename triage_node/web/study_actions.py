"""What a reader does with a study: acknowledge, take, release, complete, agree, disagree; and sending evidence again.

Plain forms that work without scripts: each answers with the page again, or, where somebody was faster, with the page that
says so and status 409. Every action is noted in the audit trail.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.reader_task import FindingChanged, TaskRefused, UnknownStudy, Verdict
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.study_page import study_answer
from triage_node.web.visitors import note, require

Step = Literal["acknowledge", "take", "release", "complete"]
NOTED_STEPS = {
    "acknowledge": AuditAction.ACKNOWLEDGED,
    "take": AuditAction.TAKEN,
    "release": AuditAction.RELEASED,
    "complete": AuditAction.COMPLETED,
}
LONGEST_COMMENT = 2000
"""Characters."""

DeliveryId = Annotated[int, Field(gt=0, lt=2**63)]
SliceNumber = Annotated[int | None, Form(alias="slice")]
"""Where the viewer stood, so that it stands there again."""

MayRead = Annotated[Visitor, Depends(require(Permission.READ_STUDIES))]
MayOperate = Annotated[Visitor, Depends(require(Permission.OPERATE))]


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.post("/studies/{study_instance_uid}/deliveries/retry")
    def retry(
        request: Request,
        visitor: MayOperate,
        study_instance_uid: Uid,
        delivery_id: Annotated[list[DeliveryId], Form()],
        slice_number: SliceNumber = None,
    ) -> Response:
        if parts.reader_tasks.state_of(study_instance_uid) is None:
            raise HTTPException(404, "there is no such study on this node, or no longer")
        count = parts.studies.retry_deliveries(
            parts.clock.now(), study_instance_uid=study_instance_uid, delivery_ids=delivery_id
        )
        note(request, AuditAction.DELIVERIES_RETRIED, study_instance_uid, count=count)
        return _back(study_instance_uid, slice_number, "deliveries")

    @router.post("/studies/{study_instance_uid}/feedback")
    def feedback(
        request: Request,
        visitor: MayRead,
        study_instance_uid: Uid,
        revision: Annotated[int, Form()],
        finding: Annotated[str, Form(max_length=8)],
        verdict: Annotated[Verdict, Form()],
        comment: Annotated[str, Form(max_length=LONGEST_COMMENT)] = "",
        slice_number: SliceNumber = None,
    ) -> Response:
        try:
            parts.reader_tasks.give_feedback(
                study_instance_uid,
                visitor.name,
                parts.clock.now(),
                revision=revision,
                finding=finding,
                verdict=verdict,
                comment=comment.strip(),
            )
        except UnknownStudy as error:
            raise HTTPException(404, str(error)) from error
        except FindingChanged as error:
            return study_answer(request, study_instance_uid, slice_number=slice_number, problem=_sentence(error))
        note(
            request, AuditAction.FEEDBACK_GIVEN, study_instance_uid, revision=revision, finding=finding, verdict=verdict
        )
        return _back(study_instance_uid, slice_number, "findings")

    @router.post("/studies/{study_instance_uid}/{step}")
    def reading_step(
        request: Request,
        visitor: MayRead,
        study_instance_uid: Uid,
        step: Step,
        slice_number: SliceNumber = None,
    ) -> Response:
        try:
            take_step(parts, step, study_instance_uid, visitor)
        except UnknownStudy as error:
            raise HTTPException(404, str(error)) from error
        except TaskRefused as error:
            return study_answer(request, study_instance_uid, slice_number=slice_number, problem=_sentence(error))
        note(request, NOTED_STEPS[step], study_instance_uid)
        return _back(study_instance_uid, slice_number, "reading")

    return router


def take_step(parts: WebParts, step: Step, study_instance_uid: str, visitor: Visitor) -> None:
    """Do one step of the reading, or raise ``TaskRefused``."""
    tasks, now = parts.reader_tasks, parts.clock.now()
    if step == "acknowledge":
        tasks.acknowledge(study_instance_uid, visitor.name, now)
    elif step == "take":
        tasks.take(study_instance_uid, visitor.name, now)
    elif step == "release":
        tasks.release(study_instance_uid, visitor.name, now, from_anyone=visitor.may(Permission.OPERATE))
    else:
        tasks.complete(study_instance_uid, visitor.name, now)


def _back(study_instance_uid: str, slice_number: int | None, part: str) -> Response:
    where = f"?slice={slice_number}" if slice_number is not None else ""
    return RedirectResponse(f"/studies/{study_instance_uid}{where}#{part}", status_code=303)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}. Nothing was changed."
