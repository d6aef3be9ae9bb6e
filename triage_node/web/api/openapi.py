"""The description of the API as OpenAPI 3.1, made from the routes themselves.

What FastAPI cannot know is added here: how a program proves itself, that every error is a problem, which permission each
operation needs, and which answers carry an ETag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from triage_node.web.problems import PROBLEM_TYPE, Problem
from triage_node.web.visitors import SESSION_COOKIE, required_of

_DESCRIPTION = (
    "Studies in the order in which they should be read, what the network said of them, and what people do with them."
    " Research use only, not for diagnostic use: nothing here is a diagnosis, and a study that is not flagged is not free of"
    " hemorrhage. Times are UTC, probabilities lie in 0 to 1. A program sends `Authorization: Bearer` with a token made on the"
    " page of its account; a page of a signed-in browser sends its session's CSRF token in `X-CSRF-Token` with every POST."
)
_TAGS = [
    {"name": "Studies", "description": "The worklist, one study, its report, the export."},
    {"name": "Series", "description": "Series, scores of slices, pictures."},
    {"name": "Reading", "description": "Acknowledge, take, release, complete, agree and disagree."},
    {"name": "Operation", "description": "Deliveries, audit trail, accounts."},
    {"name": "Statistics", "description": "Figures, and scanners that fell silent."},
]
_PROBLEMS = {
    400: "The body is not JSON in UTF-8.",
    401: "No valid token and no session.",
    403: "The role does not allow this, or a browser did not send its CSRF token.",
    404: "There is no such study, series, revision or slice, or no longer.",
    409: "Somebody was faster, or it is not in the state that this asks for.",
    410: "It was there, and its file is gone or cannot be decoded.",
    412: "The reading is not as `If-Match` says that the program has seen it.",
    413: "What was sent is longer than 1 MiB.",
    422: "A value is missing, unknown or out of its range.",
    503: "The database does not answer; `Retry-After` says when to try again.",
}
_ALWAYS = (401, 403, 503)


def openapi_document(routes: Sequence[APIRoute], version: str) -> dict[str, Any]:
    """Return the description of these routes."""
    document = get_openapi(
        title="triage_node",
        version=version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=routes,
        tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["responses"] = {_named(status): _problem(text) for status, text in _PROBLEMS.items()}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token made on the page of an account."},
        "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "A signed-in browser."},
    }
    document["security"] = [{"token": []}, {"session": []}]
    for route in routes:
        for method in sorted(route.methods or ()):
            _complete(document["paths"][route.path_format][method.lower()], route, method)
    return document


def permission_of(route: APIRoute) -> str:
    """Return the permission that a route asks for."""
    for each in route.dependant.dependencies:
        if each.call is not None:
            asks, permission = required_of(each.call)
            if asks and permission is not None:
                return permission.value
    raise LookupError(f"{route.path} names no permission")


def _named(status: int) -> str:
    return f"Problem{status}"


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    operation["operationId"] = f"{method.lower()}_{route.name}"
    operation["x-required-permission"] = permission_of(route)
    responses = operation["responses"]
    statuses = {int(each) for each in responses if int(each) in _PROBLEMS} | set(_ALWAYS)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if not operation.get("parameters"):
        statuses -= {422} if "requestBody" not in operation else set()
        responses.pop("422", None)
    for status in sorted(statuses):
        responses[str(status)] = {"$ref": f"#/components/responses/{_named(status)}"}
    if method == "GET" and "application/json" in responses["200"].get("content", {}):
        etag = {"schema": {"type": "string"}, "description": "Send it back in If-None-Match."}
        responses["200"]["headers"] = {"ETag": etag}
        responses["304"] = {"description": "The program has this very answer (If-None-Match)."}
