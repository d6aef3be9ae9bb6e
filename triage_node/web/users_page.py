"""Accounts of everybody, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from triage_node.core.access import Permission, Role, Visitor
from triage_node.core.accounts import new_password
from triage_node.core.audit import AuditAction
from triage_node.core.errors import Refused
from triage_node.web.pages import page
from triage_node.web.parts import AccountParts, WebParts
from triage_node.web.visitors import note, require

_ADMINISTRATOR = Annotated[Visitor, Depends(require(Permission.ADMINISTER))]
_NAME = Annotated[str, Form()]
_ROLE = Annotated[Role, Form()]


def routes(parts: WebParts, accounts: AccountParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    users = accounts.users

    def users_page(request: Request, status_code: int = 200, **shown: object) -> Response:
        now = parts.clock.now()
        tokens: dict[str, int] = {}
        for each in accounts.api_tokens.of():
            tokens[each.user] = tokens.get(each.user, 0) + 1
        common = {"users": users.every(), "roles": list(Role), "now": now, "tokens": tokens}
        return page(request, "users.html", status_code=status_code, **common, **shown)

    def changed(
        request: Request, name: str, change: Callable[[], object], action: AuditAction, **detail: str
    ) -> Response:
        """Change a user, note it and show the list, or show why it was refused."""
        try:
            change()
        except Refused as refused:
            return users_page(request, 409, told=f"{str(refused)[:1].upper()}{str(refused)[1:]}.", told_of=name)
        note(request, action, user=users.named(name).name, **detail)
        return RedirectResponse("/users", 303)

    @router.get("/users")
    def show(request: Request, visitor: _ADMINISTRATOR) -> Response:
        return users_page(request)

    @router.post("/users")
    def add(request: Request, visitor: _ADMINISTRATOR, name: _NAME = "", role: _ROLE = Role.VIEWER) -> Response:
        password = new_password()
        answer = changed(
            request, name, lambda: users.add(name, role, password, parts.clock.now()), AuditAction.USER_ADDED, role=role
        )
        return users_page(request, made=users.named(name).name, password=password) if _done(answer) else answer

    @router.post("/users/password")
    def set_password(request: Request, visitor: _ADMINISTRATOR, name: _NAME = "") -> Response:
        password = new_password()
        answer = changed(request, name, lambda: users.set_password(name, password), AuditAction.PASSWORD_SET)
        return users_page(request, made=users.named(name).name, password=password) if _done(answer) else answer

    @router.post("/users/role")
    def set_role(request: Request, visitor: _ADMINISTRATOR, role: _ROLE, name: _NAME = "") -> Response:
        return changed(request, name, lambda: users.set_role(name, role), AuditAction.ROLE_SET, role=role)

    @router.post("/users/disable")
    def disable(request: Request, visitor: _ADMINISTRATOR, name: _NAME = "") -> Response:
        return changed(request, name, lambda: users.disable(name), AuditAction.USER_DISABLED)

    @router.post("/users/enable")
    def enable(request: Request, visitor: _ADMINISTRATOR, name: _NAME = "") -> Response:
        return changed(request, name, lambda: users.enable(name), AuditAction.USER_ENABLED)

    @router.post("/users/unlock")
    def unlock(request: Request, visitor: _ADMINISTRATOR, name: _NAME = "") -> Response:
        return changed(request, name, lambda: users.unlock(name), AuditAction.USER_UNLOCKED)

    return router


def _done(answer: Response) -> bool:
    return answer.status_code == 303
