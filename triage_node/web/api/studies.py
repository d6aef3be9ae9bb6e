"""Studies: the worklist page by page, one study in full, its report as text, and the list as CSV."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.ports import WorklistPage
from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.core.worklist_order import Place, ReadingFilter, WorklistFilter
from triage_node.web.api.entity import Moment, entity, link_header, page_link
from triage_node.web.api.reading import task_or_404
from triage_node.web.api.study_export import csv_lines
from triage_node.web.api.study_models import Revision, StudyList, StudyRecord
from triage_node.web.parameters import Uid
from triage_node.web.parts import WebParts
from triage_node.web.shown_reading import report_text, shown_reading
from triage_node.web.visitors import note, require

MaySee = Annotated[Visitor, Depends(require(Permission.SEE_WORKLIST))]
LONGEST_PAGE = 500
_PLACE = r"^(0\.[0-2]\.[0-9]{1,17}\.[0-9]{1,18}|1\.0\.-[0-9]{1,17}\.-[0-9]{1,18})$"


class StudyFilter(BaseModel):
    """Which studies; what is not given is not asked."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        "",
        max_length=200,
        description="Each word begins a part of patient name, patient ID, accession number or Study Instance UID.",
        examples=["doe"],
    )
    flagged: bool | None = Field(
        None, description="true: only flagged ones; false: only those that were read and are not flagged."
    )
    state: State | None = Field(None, description="Only those in this state.")
    priority: Priority | None = Field(None, description="Only those of this priority.")
    reason: Reason | None = Field(None, description="Only those that were not analysed, or failed, for this reason.")
    reading: ReadingFilter | None = Field(
        None, description="How far the reading by a person has come; MINE: in progress by whoever asks."
    )
    received_from: Moment | None = Field(None, description="First instance kept at this time or later.")
    received_before: Moment | None = Field(None, description="First instance kept before this time.")

    def wanted(self, performer: str) -> WorklistFilter:
        """Return what is asked for."""
        given = self.model_dump(include=set(StudyFilter.model_fields))
        return WorklistFilter(**given, performer=performer if self.reading is ReadingFilter.MINE else "")


class StudyQuery(StudyFilter):
    """Which studies, and which page of them."""

    limit: int = Field(50, ge=1, le=LONGEST_PAGE, description="Most studies of a page.")
    after: str | None = Field(
        None, pattern=_PLACE, description="Where the page begins: take it from `next` of the page before."
    )


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1", tags=["Studies"])

    @router.get("/studies", response_model=StudyList, summary="List studies, most urgent first")
    def studies(request: Request, visitor: MaySee, query: Annotated[StudyQuery, Query()]) -> Response:
        """What waits for a reader comes first: by urgency, and of one urgency the longest waiting. Then what was read.

        A page ends at a place in this order, not at a number: no study is skipped because others came in meanwhile.
        """
        after = Place.parse(query.after) if query.after else None
        found = parts.worklist.page(query.wanted(visitor.name), limit=query.limit, after=after)
        note(request, AuditAction.WORKLIST_SHOWN, api=True, studies=len(found.rows))
        return _page(request, found)

    @router.get(
        "/studies/{study_instance_uid}",
        response_model=StudyRecord,
        summary="Show one study in full",
        responses={404: {}},
    )
    def study(request: Request, visitor: MaySee, study_instance_uid: Uid) -> Response:
        """Series, revisions, evidence, deliveries and the reading by a person; the scores of slices are asked for apart."""
        found = study_or_404(parts, study_instance_uid)
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True)
        task = task_or_404(parts, study_instance_uid)
        return entity(request, StudyRecord.model_validate({**found, "reading": task}))

    @router.get(
        "/studies/{study_instance_uid}/report",
        response_class=PlainTextResponse,
        summary="Read the report as text",
        responses={404: {}},
    )
    def report(
        request: Request,
        visitor: MaySee,
        study_instance_uid: Uid,
        revision: Annotated[Revision | None, Query()] = None,
    ) -> Response:
        """The text of the Structured Report of the reading that the study shows, or of one of its revisions."""
        reading = shown_reading(study_or_404(parts, study_instance_uid), revision=revision)
        if reading is None:
            raise HTTPException(404, "this study has no such revision")
        earlier = parts.studies.predecessor_report(int(reading.series["series_id"]), reading.revision)
        text = report_text(reading, earlier.answer if earlier else None)
        if text is None:
            raise HTTPException(404, "this study has no report yet")
        note(request, AuditAction.STUDY_SHOWN, study_instance_uid, api=True, report=True)
        return PlainTextResponse(text + "\n")

    @router.get(
        "/export/studies.csv",
        response_class=StreamingResponse,
        summary="Export studies as CSV",
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def export(request: Request, visitor: MaySee, query: Annotated[StudyFilter, Query()]) -> StreamingResponse:
        """One line a study, in the order of the list, without an end to their number. Text that a spreadsheet would take
        for a formula has an apostrophe before it."""
        note(request, AuditAction.EXPORTED, filters=query.model_dump(mode="json", exclude_defaults=True))
        lines = csv_lines(parts.worklist, query.wanted(visitor.name), LONGEST_PAGE)
        named = {"Content-Disposition": 'attachment; filename="studies.csv"'}
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=named)

    return router


def study_or_404(parts: WebParts, study_instance_uid: str) -> dict[str, Any]:
    """Return the record of a study.

    Raises
    ------
    HTTPException
        404.
    """
    found = parts.studies.study(study_instance_uid)
    if found is None:
        raise HTTPException(404, "there is no such study on this node, or no longer")
    return dict(found)


def _page(request: Request, found: WorklistPage) -> Response:
    following = page_link(request, after=found.rows[-1].place) if found.more else None
    shown = StudyList.model_validate({"studies": [each.entry for each in found.rows], "next": following})
    return entity(request, shown, **link_header(following))
