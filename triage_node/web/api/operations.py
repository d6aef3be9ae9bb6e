"""Running the node: deliveries and trying them again, the audit trail, the accounts."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction, AuditFilter
from triage_node.core.study_state import DeliveryState
from triage_node.web.api.entity import Moment, entity, link_header, page_link
from triage_node.web.api.operation_models import AuditList, DeliveriesToRetry, Retried, UserList
from triage_node.web.api.studies import MaySee, study_or_404
from triage_node.web.api.study_models import DeliveryList
from triage_node.web.parameters import Uid
from triage_node.web.parts import AccountParts, WebParts
from triage_node.web.visitors import note, require

MayOperate = Annotated[Visitor, Depends(require(Permission.OPERATE))]
MayAdminister = Annotated[Visitor, Depends(require(Permission.ADMINISTER))]


class Paging(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500, description="Most entries of a page.")
    before: int | None = Field(None, ge=1, le=2**53 - 1, description="Take it from `next` of the page before.")


class DeliveryQuery(Paging):
    """Which deliveries."""

    state: DeliveryState | None = Field(None, description="Only those in this state.")


class AuditQuery(Paging):
    """Which lines of the audit trail; what is not given is not asked."""

    actor: str = Field("", max_length=200, description="Who, exactly.")
    action: str = Field("", max_length=32, description="What was done, as a code.", examples=["STUDY_SHOWN"])
    study_instance_uid: str = Field("", max_length=64, pattern=r"^[0-9.]*$", description="With which study.")
    since: Moment | None = Field(None, description="At this time or later.")
    until: Moment | None = Field(None, description="Before this time.")


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1")
    _delivery_routes(router, parts)

    @router.get("/audit", response_model=AuditList, summary="Read the audit trail", tags=["Operation"])
    def audit(request: Request, visitor: MayOperate, query: Annotated[AuditQuery, Query()]) -> Response:
        """Who looked at what, who changed what, newest first. Reading it is noted in it."""
        asked = query.model_dump(include={"actor", "action", "study_instance_uid", "since", "until"})
        lines = parts.audit.page(AuditFilter(**asked), query.limit + 1, query.before)
        note(request, AuditAction.AUDIT_TRAIL_SHOWN, api=True)
        shown = lines[: query.limit]
        following = page_link(request, before=shown[-1].id) if len(lines) > query.limit else None
        found = AuditList.model_validate({"lines": [dataclasses.asdict(each) for each in shown], "next": following})
        return entity(request, found, **link_header(following))

    return router


def _delivery_routes(router: APIRouter, parts: WebParts) -> None:
    @router.get("/deliveries", response_model=DeliveryList, summary="List deliveries", tags=["Operation"])
    def deliveries(request: Request, visitor: MayOperate, query: Annotated[DeliveryQuery, Query()]) -> Response:
        """Of all studies, newest first."""
        found = parts.studies.deliveries(state=query.state, limit=query.limit + 1, before=query.before)
        shown = found[: query.limit]
        following = page_link(request, before=shown[-1]["delivery_id"]) if len(found) > query.limit else None
        listed = DeliveryList.model_validate({"deliveries": shown, "next": following})
        return entity(request, listed, **link_header(following))

    @router.get(
        "/studies/{study_instance_uid}/deliveries",
        response_model=DeliveryList,
        summary="List the deliveries of a study",
        tags=["Operation"],
        responses={404: {}},
    )
    def deliveries_of_study(request: Request, visitor: MaySee, study_instance_uid: Uid) -> Response:
        """Of all its series and revisions, newest first, on one page."""
        study = study_or_404(parts, study_instance_uid)
        found = [
            evidence | delivery | {"study_instance_uid": study_instance_uid}
            for series in study["series"]
            for revision in series["revisions"]
            for evidence in revision["evidence"]
            for delivery in evidence["deliveries"]
        ]
        found.sort(key=lambda each: -int(each["delivery_id"]))
        return entity(request, DeliveryList.model_validate({"deliveries": found, "next": None}))

    @router.post(
        "/studies/{study_instance_uid}/deliveries/retry",
        response_model=Retried,
        summary="Try given-up deliveries again",
        tags=["Operation"],
        responses={404: {}},
    )
    def retry(request: Request, visitor: MayOperate, study_instance_uid: Uid, chosen: DeliveriesToRetry) -> Response:
        """What was given up is due again, and a destination that was left alone is tried at once."""
        study_or_404(parts, study_instance_uid)
        count = parts.studies.retry_deliveries(
            parts.clock.now(), study_instance_uid=study_instance_uid, delivery_ids=chosen.delivery_ids
        )
        note(request, AuditAction.DELIVERIES_RETRIED, study_instance_uid, api=True, count=count)
        return entity(request, Retried(retried=count))


def account_routes(accounts: AccountParts) -> APIRouter:
    """Return the routes that need accounts."""
    router = APIRouter(prefix="/api/v1", tags=["Operation"])

    @router.get("/users", response_model=UserList, summary="List the accounts")
    def users(request: Request, visitor: MayAdminister) -> Response:
        """By name. Accounts are changed on the page of users or with `triage-node user`, never with a token."""
        every = [dataclasses.asdict(each) for each in accounts.users.every()]
        return entity(request, UserList.model_validate({"users": every}))

    return router
