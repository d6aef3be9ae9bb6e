"""Reading a study: acknowledge, take, release, complete, and say whether the node was right."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.reader_task import TaskRefused, UnknownStudy
from triage_node.web.api.entity import entity
from triage_node.web.api.operation_models import FeedbackToGive
from triage_node.web.api.study_models import ReaderTask
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.study_actions import NOTED_STEPS, Step, take_step
from triage_node.web.visitors import note, require

MayRead = Annotated[Visitor, Depends(require(Permission.READ_STUDIES))]
_STEPS: dict[Step, tuple[str, str]] = {
    "acknowledge": ("Take note of a study", "The first who does stands; escalation of a flagged study ends."),
    "take": ("Begin to read", "Alone: 409 where somebody else has it. Asking again changes nothing."),
    "release": ("Give a study back unread", "409 where another has it, unless the role may operate the node."),
    "complete": ("End the reading", "409 where nobody has it, or another."),
}


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/studies/{study_instance_uid}", tags=["Reading"])
    for step, (summary, description) in _STEPS.items():
        router.add_api_route(
            f"/{step}",
            _step(parts, step),
            methods=["POST"],
            response_model=ReaderTask,
            summary=summary,
            description=description,
            responses={404: {}, 409: {}},
            name=step,
        )

    @router.post(
        "/feedback", response_model=ReaderTask, summary="Judge a finding", responses={404: {}, 409: {}}, status_code=201
    )
    def feedback(request: Request, visitor: MayRead, study_instance_uid: Uid, given: FeedbackToGive) -> Response:
        """The last word of a reader on a finding counts; earlier ones are kept. 409 where the study shows another revision
        by now, or was not analysed."""
        _refused_as_status(
            lambda: parts.reader_tasks.give_feedback(
                study_instance_uid,
                visitor.name,
                parts.clock.now(),
                revision=given.revision,
                finding=given.finding,
                verdict=given.verdict,
                comment=given.comment.strip(),
            )
        )
        said = given.model_dump(mode="json", exclude={"comment"})
        note(request, AuditAction.FEEDBACK_GIVEN, study_instance_uid, api=True, **said)
        shown = _task(request, parts, study_instance_uid)
        shown.status_code = 201
        return shown

    return router


def _step(parts: WebParts, step: Step) -> Any:
    def taken(request: Request, visitor: MayRead, study_instance_uid: Uid) -> Response:
        _refused_as_status(lambda: take_step(parts, step, study_instance_uid, visitor))
        note(request, NOTED_STEPS[step], study_instance_uid, api=True)
        return _task(request, parts, study_instance_uid)

    return taken


def _refused_as_status(act: Any) -> None:
    try:
        act()
    except UnknownStudy as error:
        raise HTTPException(404, str(error)) from error
    except TaskRefused as error:
        raise HTTPException(409, str(error)) from error


def _task(request: Request, parts: WebParts, study_instance_uid: str) -> Response:
    return entity(request, ReaderTask.model_validate(task_or_404(parts, study_instance_uid)))


def task_or_404(parts: WebParts, study_instance_uid: str) -> dict[str, Any]:
    """Return how the reading of a study stands.

    Raises
    ------
    HTTPException
        404.
    """
    task = parts.reader_tasks.state_of(study_instance_uid)
    if task is None:
        raise HTTPException(404, "there is no such study on this node, or no longer")
    return dataclasses.asdict(task)
