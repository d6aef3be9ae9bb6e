"""The description of the API: for programs as OpenAPI, for people as a page without a script of anybody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from triage_node.core.access import Permission, Visitor
from triage_node.web.api.openapi import openapi_document
from triage_node.web.pages import page
from triage_node.web.visitors import require

MaySee = Annotated[Visitor, Depends(require(Permission.SEE_WORKLIST))]


def routes(described: Sequence[APIRouter], version: str) -> APIRouter:
    """Return the routes that describe those of these routers; the document is made at the first request."""
    router = APIRouter(include_in_schema=False)

    @cache
    def document() -> dict[str, Any]:
        every = [each for one in described for each in one.routes if isinstance(each, APIRoute)]
        return openapi_document(every, version)

    @router.get("/api/openapi.json")
    def openapi(request: Request, visitor: MaySee) -> Response:
        return JSONResponse(document(), headers={"Cache-Control": "private, no-cache"})

    @router.get("/api")
    def reference(request: Request, visitor: MaySee) -> Response:
        return page(request, "api.html", document=document(), subjects=list(_subjects(document())))

    return router


def _subjects(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each tag with its operations, in the order of the document."""
    for tag in document["tags"]:
        operations = [
            _operation(document, path, method, each)
            for path, methods in document["paths"].items()
            for method, each in methods.items()
            if tag["name"] in each["tags"]
        ]
        yield {"name": tag["name"], "description": tag["description"], "operations": operations}


def _operation(document: Mapping[str, Any], path: str, method: str, described: Mapping[str, Any]) -> dict[str, Any]:
    body = described.get("requestBody", {}).get("content", {})
    return {
        "id": described["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": described["summary"],
        "description": described.get("description", ""),
        "permission": described["x-required-permission"],
        "parameters": [
            {
                "name": each["name"],
                "where": each["in"],
                "required": each.get("required", False),
                "type": _type(document, _without_null(each["schema"])),
                "description": each.get("description") or each["schema"].get("description", ""),
            }
            for each in described.get("parameters", [])
        ],
        "body": list(_fields(document, next(iter(body.values()))["schema"])) if body else [],
        "answers": [
            {"status": status, "description": _resolved(document, each).get("description", "")}
            for status, each in sorted(described["responses"].items())
        ],
        "fields": list(_fields(document, _answer(described))) if _answer(described) else [],
    }


def _answer(described: Mapping[str, Any]) -> Mapping[str, Any]:
    for status in ("200", "201"):
        content = described["responses"].get(status, {}).get("content", {})
        if "application/json" in content:
            found: Mapping[str, Any] = content["application/json"]["schema"]
            return found
    return {}


def _resolved(document: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in described:
        found: Any = document
        for part in described["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        described = found
    return described


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    described = _resolved(document, schema)
    required = described.get("required", [])
    for name, each in described.get("properties", {}).items():
        yield {
            "name": name,
            "type": _type(document, each),
            "required": name in required,
            "description": each.get("description") or _resolved(document, each).get("description", ""),
        }


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what may stand in an address, where nothing is null but left out."""
    values = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return {**schema, "anyOf": values} if values else schema


def _type(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say of a schema in a few words what it lets through; of codes, which.

    Examples
    --------
    >>> verdict, study = ({"$ref": f"#/components/schemas/{name}"} for name in ("Verdict", "Study"))
    >>> document = {"components": {"schemas": {"Verdict": {"enum": ["AGREE", "DISAGREE"]}, "Study": {"type": "object"}}}}
    >>> _type(document, {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}), _type(document, study)
    ('integer or null', 'Study')
    >>> _type(document, verdict)
    'AGREE | DISAGREE'
    """
    if "$ref" in schema:
        resolved = _resolved(document, schema)
        return _type(document, resolved) if "enum" in resolved else str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(document, each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any"))
