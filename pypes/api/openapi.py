"""``/openapi.json``: made from the responders' own descriptions, so that the two cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import falcon.asgi
import orjson

from pypes.api.operation import JSON_OBJECT, TEXT, Answer, Operation, Schema, obj, operation
from pypes.api.problems import MEDIA_TYPE
from pypes.api.request import Request

VERSION = "3.1.0"

PROBLEM: Schema = obj(
    {
        "where": {**TEXT, "description": "Place of the problem: a filter, a graph, a line and column, or the name of a token."},
        "limit": {
            **TEXT,
            "description": "Name of the limit or budget that is reached; where is the graph or the token whose it is.",
        },
        "errors": {
            "type": "array",
            "items": obj({"code": TEXT}, path=TEXT, message=TEXT),
            "description": "All problems, if there are several.",
        },
        "draft": {"type": "object", "description": "The draft that there is, where it is not the one in If-Match."},
    },
    type=TEXT,
    title=TEXT,
    status={"type": "integer"},
    code={**TEXT, "description": "Stable code for programs to match on."},
    detail={**TEXT, "description": "Sentence for people: the problem and its remedy."},
)

#: Answers that any request may get, said once; safe methods never see the second group.
ALWAYS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong, was revoked or has expired, or the session is over.",
    403: (
        "The token has not the scope, or is for other graphs. Or the Host is no name of this server, or a foreign Origin tries "
        "to change something, or a session without its CSRF token."
    ),
    429: "The token is over its budget, or has as many requests under way as one token may have.",
    500: "A bug of the server.",
}
CHANGING = {413: "The body is too long.", 503: "The node is stopping, or cannot serve the request now."}

SESSION = (
    "A browser that has signed in at /session may do what its token may. Whatever changes something needs the csrf of "
    "GET /session besides, as X-CSRF-Token (otherwise 403, csrf.missing). Over TLS the cookie is __Host-pypes-session-NODE."
)

METHODS = ("get", "put", "post", "patch", "delete")

_FIELD = re.compile(r"\{(\w+)(?::\w+)?\}")


def document(routes: Iterable[tuple[str, Any, str]], version: str) -> dict[str, Any]:
    """Build the document from ``(template, resource, suffix)`` triples."""
    paths: dict[str, Any] = {}
    for template, resource, suffix in routes:
        methods = {}
        for method in METHODS:
            responder = getattr(resource, f"on_{method}_{suffix}" if suffix else f"on_{method}", None)
            if responder is not None:
                methods[method] = _operation(method, template, responder.operation)
        paths[_FIELD.sub(r"{\1}", template)] = methods
    return {
        "openapi": VERSION,
        "info": {
            "title": "Pypes",
            "version": version,
            "description": "Push documents in, follow them by their receipts, and change the graphs that process them.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "pypes-session-NODE", "description": SESSION},
            },
        },
        "security": [{"token": []}, {"session": []}, {}],
    }


def _operation(method: str, template: str, described: Operation) -> dict[str, Any]:
    errors = {**ALWAYS, **({} if method == "get" else CHANGING)}
    if not described.scopes:
        del errors[401], errors[429]
    errors |= described.errors
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": TEXT, "description": _PLACES.get(name, "")}
        for name in _FIELD.findall(template)
    ]
    parameters += [
        {"name": p.name, "in": p.place, "required": False, "schema": p.schema, "description": p.description}
        for p in described.parameters
    ]
    result: dict[str, Any] = {"summary": described.summary}
    if parameters:
        result["parameters"] = parameters
    if described.body:
        result["requestBody"] = {"required": True, "content": {media: {"schema": s} for media, s in described.body.items()}}
    answers = {str(status): _answer(answer) for status, answer in described.answers.items()}
    result["responses"] = answers | {str(s): _problem(s, text) for s, text in sorted(errors.items()) if str(s) not in answers}
    if described.scopes:
        result["x-pypes-scope"] = list(described.scopes)
    else:
        result["security"] = []
    if described.audit:
        result["x-pypes-audit"] = described.audit
    return result


_PLACES: Mapping[str, str] = {
    "route": "Chooses the graph that names it among its routes, otherwise the default graph; known to filters as metadata.",
    "id": "Identifies the thing; for a document, what publishers replace or delete it by.",
    "name": "Its name.",
    "version": "A number, or two with three dots between them to compare.",
}


def _answer(answer: Answer) -> dict[str, Any]:
    result: dict[str, Any] = {"description": answer.description}
    if answer.schema is not None:
        result["content"] = {answer.media: {"schema": answer.schema}}
    if answer.headers:
        result["headers"] = {name: {"description": text, "schema": TEXT} for name, text in answer.headers.items()}
    return result


def _problem(status: int, text: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}. {text}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503, 507):
        result["headers"] = {"Retry-After": {"description": "Seconds to wait before trying again.", "schema": TEXT}}
    return result


class OpenApi:
    """``/openapi.json``; built when it is first asked for."""

    def __init__(self, routes: Iterable[tuple[str, Any, str]], version: str) -> None:
        self._routes = routes
        self._version = version
        self._document: bytes | None = None

    @operation("This document", {200: Answer("OpenAPI 3.1.", JSON_OBJECT)}, scope="read")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        if self._document is None:
            self._document = orjson.dumps(document(self._routes, self._version), option=orjson.OPT_NON_STR_KEYS)
        resp.data = self._document
