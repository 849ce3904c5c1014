"""What requests that change a graph have in common: preconditions, who makes the change and why, the answer with its version."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import orjson

from pypes.api.operation import Parameter
from pypes.api.request import Request
from pypes.errors import BadRequest

ETAG = {"ETag": "The live version, in quotes."}
IF_MATCH = Parameter("If-Match", "Entity tag of the version that must be live.", place="header")
IF_NONE_MATCH = Parameter("If-None-Match", "*: there must be no such graph yet.", place="header")
CHANGED = "Another version is live than If-Match says."
#: Who changes it and why: kept with the version.
AUTHORSHIP = (
    Parameter("by", "Who makes the change; the client's address if nobody is named."),
    Parameter("note", "Why the change is made."),
)


def authorship(req: Request) -> tuple[str, str]:
    """Who makes a change, and why."""
    return req.get_param("by") or req.remote_addr or "", req.get_param("note") or ""


def answer(resp: falcon.asgi.Response, graph: dict[str, Any]) -> None:
    """Answer with a graph; its version is the entity tag."""
    resp.set_header("etag", f'"{graph["version"]}"')
    resp.data = orjson.dumps(graph)


def expected(req: Request) -> list[int] | None:
    """The versions one of which must be live, from the preconditions, as in ``Deployments.put``; raises :class:`BadRequest`."""
    if req.header(b"if-none-match").strip() == "*":
        return [0]
    tags = req.header(b"if-match").strip()
    if not tags:
        return None
    if tags == "*":
        return []
    # a weak tag means the same version here
    numbers = [tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")]
    if not all(number.isdecimal() and len(number) < 10 for number in numbers):
        raise BadRequest('If-Match takes what ETag said, such as "3"', code="request.invalid", where="If-Match")
    return [int(number) for number in numbers]
