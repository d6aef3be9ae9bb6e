"""Rendering: every page is a template that extends ``base.html`` and is told who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

from triage_node.web import words
from triage_node.web.visitors import parts_of, visitor_of

_TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")
_TEMPLATES.env.globals["words"] = words


def page(request: Request, template: str, *, status_code: int = 200, **shown: Any) -> Response:
    """Render a template; it sees ``visitor``, ``version`` and what it is given, all escaped."""
    common = {"visitor": visitor_of(request), "version": parts_of(request).version}
    return _TEMPLATES.TemplateResponse(request, template, common | shown, status_code=status_code)


def fragment(template: str, **shown: Any) -> str:
    """Render a part of a page that looks the same whoever looks at it, for scripts to put into pages that are open."""
    return _TEMPLATES.env.get_template(template).render(shown)
