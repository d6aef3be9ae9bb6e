"""Reading a study: acknowledge, take, release, complete, and say whether the node was right.

Each answers with the reading as it then stands, which is what ``GET .../reading`` shows (``Content-Location``).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.reader_task import TaskRefused, UnknownStudy
from triage_node.web.api.entity import SeenBefore, check_unchanged, entity
from triage_node.web.api.operation_models import FeedbackToGive
from triage_node.web.api.study_models import ReaderTask
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.study_actions import NOTED_STEPS, Step, take_step
from triage_node.web.visitors import note, require

MaySee = Annotated[Visitor, Depends(require(Permission.SEE_WORKLIST))]
MayRead = Annotated[Visitor, Depends(require(Permission.READ_STUDIES))]
_REFUSALS: dict[int | str, dict[str, Any]] = {404: {}, 409: {}, 412: {}}
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
            responses=_REFUSALS,
            name=step,
        )

    @router.get("/reading", response_model=ReaderTask, summary="Show how the reading stands", responses={404: {}})
    def reading(request: Request, visitor: MaySee, study_instance_uid: Uid) -> Response:
        """Who has it, who acknowledged and completed it, and what readers said. A step that sends the ETag of this in
        `If-Match` is taken only where nothing of it has changed."""
        task = _task(parts, study_instance_uid)
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True, reading=True)
        return entity(request, task)

    @router.post(
        "/feedback", response_model=ReaderTask, summary="Judge a finding", responses=_REFUSALS, status_code=201
    )
    def feedback(
        request: Request, visitor: MayRead, study_instance_uid: Uid, given: FeedbackToGive, seen: SeenBefore = None
    ) -> Response:
        """The last word of a reader on a finding counts; earlier ones are kept. 409 where the study shows another revision
        by now, or was not analysed."""
        _check_seen(parts, study_instance_uid, seen)
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
        shown = _as_it_stands(request, parts, study_instance_uid)
        shown.status_code = 201
        return shown

    return router


def _step(parts: WebParts, step: Step) -> Any:
    def taken(request: Request, visitor: MayRead, study_instance_uid: Uid, seen: SeenBefore = None) -> Response:
        _check_seen(parts, study_instance_uid, seen)
        _refused_as_status(lambda: take_step(parts, step, study_instance_uid, visitor))
        note(request, NOTED_STEPS[step], study_instance_uid, api=True)
        return _as_it_stands(request, parts, study_instance_uid)

    return taken


def _check_seen(parts: WebParts, study_instance_uid: str, seen: str | None) -> None:
    """Who else may take the study meanwhile is decided by the step itself, in one transaction."""
    if seen is not None:
        check_unchanged(seen, _task(parts, study_instance_uid))


def _refused_as_status(act: Any) -> None:
    try:
        act()
    except UnknownStudy as error:
        raise HTTPException(404, str(error)) from error
    except TaskRefused as error:
        raise HTTPException(409, str(error)) from error


def _as_it_stands(request: Request, parts: WebParts, study_instance_uid: str) -> Response:
    where = {"Content-Location": f"/api/v1/studies/{study_instance_uid}/reading"}
    return entity(request, _task(parts, study_instance_uid), **where)


def _task(parts: WebParts, study_instance_uid: str) -> ReaderTask:
    return ReaderTask.model_validate(task_or_404(parts, study_instance_uid))


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
