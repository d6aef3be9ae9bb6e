"""Rendering: every page is a template that extends ``base.html`` and is told who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

from triage_node.web.visitors import parts_of, visitor_of

_TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")


def page(request: Request, template: str, *, status_code: int = 200, **shown: Any) -> Response:
    """Render a template; it sees ``visitor``, ``version`` and what it is given, all escaped."""
    common = {"visitor": visitor_of(request), "version": parts_of(request).version}
    return _TEMPLATES.TemplateResponse(request, template, common | shown, status_code=status_code)
