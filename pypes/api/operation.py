"""Description of a responder: the only source of ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

Schema = Mapping[str, Any]

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
    is_open: bool = False


def operation(
    summary: str,
    answers: Mapping[int, Answer],
    *,
    errors: Mapping[int, str] | None = None,
    parameters: tuple[Parameter, ...] = (),
    body: Mapping[str, Schema] | None = None,
    is_open: bool = False,
) -> Callable[[F], F]:
    """Describe a responder; ``is_open`` says that it asks for no token."""

    def describe(responder: F) -> F:
        responder.operation = Operation(summary, answers, errors or {}, parameters, body or {}, is_open)  # type: ignore[attr-defined]
        return responder

    return describe
