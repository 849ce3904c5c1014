"""``/audit``: who has changed what of the node."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import falcon.asgi
import msgspec
import orjson

from pypes.access.audit import OPERATIONS, AuditQuery, Entry
from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, TIME, Answer, Parameter, Schema, obj, operation
from pypes.api.query import (
    AFTER,
    LIMIT,
    ORDER,
    SINCE,
    check_names,
    criterion_of,
    invalid,
    is_newest_first,
    limit_of,
    moment_of,
    since_of,
)
from pypes.api.receipts import BUSY, GRAPH, MAYBE_TEXT, SOUGHT
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

VERSION: Schema = {"type": ["integer", "null"], "minimum": 1}
LINE = obj(
    id=TEXT,
    time=TIME,
    operation={
        **TEXT,
        "description": "What was done, such as graph.deploy: the x-pypes-audit of operations of this interface.",
    },
    by={**TEXT, "description": "Name of the token, admin for the node's own, node for the node itself; empty without a token."},
    address={**TEXT, "description": "Address of the client; empty for the node itself."},
    graph={**TEXT, "description": "The graph it is about; empty for what belongs to none."},
    object={**TEXT, "description": "Filter, dead letter, token or whatever else was changed; of several the first."},
    before={**VERSION, "description": "Version of the graph that was live before."},
    after={**VERSION, "description": "The new version."},
    count={**COUNT, "description": "Number of objects that were changed."},
    outcome={"type": "string", "enum": ["done", "failed"], "description": "failed: a version that could not be set up."},
    receipt={**TEXT, "description": "Receipt of the new delivery, of a replay."},
    trace={**TEXT, "description": "Id of the trace that the request belongs to, if it had a traceparent."},
    detail=JSON_OBJECT,
    hash={**TEXT, "description": "SHA-256 of the line with the hash of the line before it in the same file, in hexadecimal."},
)
FILE = obj(
    source={**COUNT, "description": "The file, as in the middle of ids: 0 for control.db, else one more than the shard."},
    gone={**COUNT, "description": "Number of the last line that has gone, for its age or for room; 0: none has."},
    hash={**TEXT, "description": "Hash of that line."},
    last={**COUNT, "description": "Number of the last line."},
    bytes={**COUNT, "description": "Bytes of all lines that should be there."},
    written_as={
        **COUNT,
        "description": "The file in the ids that its hashes are made of: another one if it came from another node.",
    },
)
OPERATION = re.compile(r"[a-z.*]{1,64}")
NAMES = ("graph", "by", "operation", "since", "until", "order", "limit", "after")
ID = re.compile(r"[0-9a-f]{1,12}-[0-9]{1,5}-[0-9]{1,18}")


class Audit:
    """``/audit``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "The audit log: a line for each change of graphs, tokens, dead letters and what else belongs to the node",
        {
            200: Answer(
                "A page of lines; next is null on the last one.",
                obj(audit={"type": "array", "items": LINE}, next=MAYBE_TEXT, files={"type": "array", "items": FILE}),
            )
        },
        errors={400: "An unknown parameter, or one whose value is empty or invalid.", 503: BUSY},
        parameters=(
            GRAPH,
            Parameter("by", "Only what was changed with the token of this name; node for the node itself.", SOUGHT),
            Parameter("operation", "Only these operations: a name, or a pattern such as graph.*", SOUGHT),
            SINCE,
            Parameter("until", "Only entries before this time: RFC 3339, or seconds since the epoch.", TEXT),
            ORDER,
            LIMIT,
            AFTER,
        ),
        scope="admin",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, NAMES)
        until = criterion_of(req, "until")
        query = AuditQuery(
            operation=_operation(req),
            by=criterion_of(req, "by") or "",
            graph=criterion_of(req, "graph") or "",
            since=since_of(criterion_of(req, "since")),
            until=0.0 if until is None else moment_of("until", until),
            is_newest_first=is_newest_first(req),
            after=_fitting(req, "after", ID, "an id that an answer has given, such as 19a3f0c2d11-0-42"),
        )
        limit = limit_of(req)
        found = await self._worker.audit.lines(query, limit)
        following = found[-1].id if len(found) == limit else None
        files = msgspec.to_builtins(await self._worker.audit.kept())
        resp.data = orjson.dumps({"audit": [shown(entry) for entry in found], "next": following, "files": files})


def _operation(req: Request) -> str:
    """The operations that are asked for, a name or a pattern; empty for all. Raises :class:`BadRequest` if there are none."""
    text = criterion_of(req, "operation") or ""
    # of patterns, fnmatch knows more than is promised, and SQLite other ones
    is_good = OPERATION.fullmatch(text) and any(fnmatchcase(known, text) for known in OPERATIONS)
    if text and not is_good:
        raise invalid("operation", f"one of {', '.join(OPERATIONS)}, or a pattern such as graph.*")
    return text


def shown(entry: Entry) -> dict[str, Any]:
    """An entry of the log as one object."""
    return {"id": entry.id, **msgspec.to_builtins(entry.line), "hash": entry.hash}


def _fitting(req: Request, name: str, form: re.Pattern[str], what: str) -> str:
    """A parameter of this form, empty if it was not given. Raises :class:`BadRequest`."""
    text = criterion_of(req, name) or ""
    if text and not form.fullmatch(text):
        raise invalid(name, what)
    return text
