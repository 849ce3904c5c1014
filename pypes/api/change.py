"""Common parts of requests that change something: the cause for the audit log, and, of a graph, preconditions, author and reason,
the answer with the new version.
"""

from __future__ import annotations

from typing import Any

import falcon.asgi
import orjson

from pypes.access.audit import Cause
from pypes.api.operation import Parameter
from pypes.api.request import Request
from pypes.api.sampling import context_of
from pypes.errors import BadRequest
from pypes.runtime.contracts.control import Edit

ETAG = {"ETag": "The live version, in quotes."}
IF_MATCH = Parameter("If-Match", "Entity tag of the version that must be live.", place="header")
IF_NONE_MATCH = Parameter("If-None-Match", "*: the graph must not exist yet.", place="header")
CHANGED = "The live version is not the one in If-Match."
#: Parameters for the author of a change and its reason, which are kept with the version.
AUTHORSHIP = (
    Parameter("by", "Author of the change, kept beside the name of the token; by default that, or the address of the client."),
    Parameter("note", "Reason for the change."),
)


def cause_of(req: Request) -> Cause:
    """The request as the audit log tells of it."""
    context = context_of(req)
    return Cause(req.operation, req.client.name, req.client_address, "" if context is None else context.trace_id)


def edit_of(req: Request, expected: list[int] | None) -> Edit:
    """The request as a change of a graph, of which one of the ``expected`` versions must be live."""
    given, name = req.get_param("by"), req.client.name
    # whoever is named: it is known whose token it was
    author = f"{given} ({name})" if given and name and given != name else given or name or req.client_address
    return Edit(author, req.get_param("note") or "", expected, req.client.rights, cause_of(req))


def answer(resp: falcon.asgi.Response, graph: dict[str, Any]) -> None:
    """Answer with a graph; its version is the entity tag."""
    resp.set_header("etag", f'"{graph["version"]}"')
    resp.data = orjson.dumps(graph)


def expected(req: Request) -> list[int] | None:
    """The versions one of which must be live, from the preconditions, as for :class:`Edit`; raises :class:`BadRequest`."""
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
        raise BadRequest(
            'If-Match must be an entity tag that a response gave as ETag, such as "3"', code="request.invalid", where="If-Match"
        )
    return [int(number) for number in numbers]
