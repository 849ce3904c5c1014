"""Description of a responder: the only source of ``/openapi.json``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from pypes.api.permission import permit
from pypes.errors import Forbidden

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

Schema = Mapping[str, Any]

#: Scope of a responder that asks for no token.
OPEN: tuple[str, ...] = ()

TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
NAMES: Schema = {"type": "array", "items": TEXT}
JSON_OBJECT: Schema = {"type": "object"}


def obj(optional: Mapping[str, Schema] | None = None, /, **properties: Schema) -> Schema:
    """Schema of an object that has all of ``properties`` and perhaps those of ``optional``."""
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": list(properties)}


PROBLEMS: Schema = {"type": "array", "items": obj(path=TEXT, message=TEXT, code=TEXT)}


@dataclass(frozen=True)
class Answer:
    """A successful response: what it means, and the schema of its body (``None``: no body), which is JSON unless said."""

    description: str
    schema: Schema | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query, a header, or a part of the path that needs a word."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: TEXT)
    place: str = "query"


@dataclass(frozen=True)
class Operation:
    """One method of one resource. ``errors`` is status → when; 401, 403, 405 and the like are said once for all."""

    summary: str
    answers: Mapping[int, Answer]
    errors: Mapping[int, str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    #: Media type → schema of the body.
    body: Mapping[str, Schema] = field(default_factory=dict)
    #: One of them is needed; none: it asks for no token.
    scopes: tuple[str, ...] = ()
    #: The name in the audit log of what it does; empty: it changes nothing that has a line there.
    audit: str = ""


def operation(
    summary: str,
    answers: Mapping[int, Answer],
    *,
    scope: str | tuple[str, ...],
    graph: str = "",
    checks_itself: bool = False,
    audit: str = "",
    errors: Mapping[int, str] | None = None,
    parameters: tuple[Parameter, ...] = (),
    body: Mapping[str, Schema] | None = None,
) -> Callable[[F], F]:
    """Describe a responder, and let only those call it who may.

    They have ``scope``, or one of several; ``graph`` names the field of the address that is a graph, which must be one of theirs.
    A responder that ``checks_itself`` is called by everybody who passes the guard, and so is one with :data:`OPEN`.
    One that changes something has a name for that in the audit log, ``audit``.
    """
    scopes = (scope,) if isinstance(scope, str) else scope

    def describe(responder: F) -> F:
        described = Operation(summary, answers, errors or {}, parameters, body or {}, scopes, audit)
        checked: Any = responder
        if audit or (scopes and not checks_itself):

            @wraps(responder)
            async def checked(self: Any, req: Any, resp: Any, *args: Any, **fields: Any) -> None:
                req.operation = audit
                try:
                    if scopes and not checks_itself:
                        permit(req.client, scopes, fields.get(graph))
                    await responder(self, req, resp, *args, **fields)
                except Forbidden as error:
                    if audit:
                        _refused(req, error)
                    raise

        checked.operation = described
        return checked  # type: ignore[no-any-return]

    return describe


def _refused(req: Any, error: Forbidden) -> None:
    """Log what a client was not allowed to change; such lines are folded, however often it tries."""
    about = {"graph": error.where} if error.code.startswith("graph.") else {}
    about |= {"operation": req.operation, "by": req.client.name, "address": req.client_address, "code": error.code}
    log.warning("change refused", extra=about)
