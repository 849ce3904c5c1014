"""``/logs``: the last log lines of all processes of the node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, NAMES, TEXT, TIME, Answer, Parameter, Schema, obj, operation
from pypes.api.query import LIMIT, check_names, choice_of, criterion_of, invalid, limit_of, since_of
from pypes.api.receipts import SOUGHT
from pypes.api.request import Request
from pypes.core.clock import wall
from pypes.runtime.contracts.control import LogQuery

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Levels of lines, the least first.
LEVELS = ("debug", "info", "warning", "error", "critical")

#: Seconds of the units in which a length of time is written.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGO = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")

MAYBE: Schema = {"type": ["string", "null"]}
ONE_OR_MORE: Schema = {"anyOf": [TEXT, NAMES]}
ENTRY: Schema = {
    **obj(
        {
            "graph": TEXT,
            "filter": TEXT,
            "receipt": {**ONE_OR_MORE, "description": "Of several documents the receipts of some."},
            "count": {**COUNT, "description": "So many lines that were alike; this is the first of them."},
            "since": {**TIME, "description": "The time of the first of them; time is that of the last."},
            "exception": TEXT,
        },
        time=TIME,
        level={"type": "string", "enum": list(LEVELS)},
        process=TEXT,
        logger=TEXT,
        event=TEXT,
    ),
    "additionalProperties": True,
    "description": "What else a line has depends on its event.",
}
NAMES_OF_QUERY = ("graph", "filter", "receipt", "level", "since", "after", "before", "limit")
AGO = Parameter(
    "since",
    "Only lines since this time: RFC 3339, seconds since the epoch, or so long ago: 90s, 5m, 2h, 1d.",
    {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0, "exclusiveMaximum": 253402300800}]},
)


class Logs:
    """``/logs``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "The last log lines of all processes, the newest last",
        {
            200: Answer(
                "Lines. later is what to give as after for those that come behind these; earlier what to give as before for "
                "those before these, null if there are none.",
                obj(logs={"type": "array", "items": ENTRY}, earlier=MAYBE, later=TEXT),
            )
        },
        errors={503: "The supervisor cannot be asked."},
        parameters=(
            Parameter("graph", "Only lines about this graph.", SOUGHT),
            Parameter("filter", "Only lines about filters with this name.", SOUGHT),
            Parameter("receipt", "Only lines about the delivery with this receipt.", SOUGHT),
            Parameter("level", "Only lines of this level, or of a graver one.", {"type": "string", "enum": list(LEVELS)}),
            AGO,
            LIMIT,
            Parameter("after", "The first lines behind this position: later of a former answer.", TEXT),
            Parameter("before", "The last lines before this position: earlier of a former answer.", TEXT),
        ),
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, NAMES_OF_QUERY)
        query = LogQuery(
            graph=criterion_of(req, "graph"),
            filter=criterion_of(req, "filter"),
            receipt=criterion_of(req, "receipt"),
            level=choice_of(req, "level", LEVELS) or "",
            since=_moment_of(req.get_param("since")),
            after=_position_of(req, "after"),
            before=_position_of(req, "before"),
            among=req.client.graphs,
        )
        if query.after is not None and query.before is not None:
            raise invalid("before", "left out where after is given")
        page = await self._worker.control.logs.page(query, limit_of(req))
        resp.data = orjson.dumps({"logs": page.logs, "earlier": page.earlier, "later": page.later})

    on_head = on_get


def _moment_of(text: str | None) -> float:
    """A time, or a length of time that has passed since, as seconds since the epoch. Raises :class:`BadRequest`."""
    ago = _AGO.fullmatch(text or "")
    return since_of(text) if ago is None else max(0.0, wall() - float(ago[1]) * _UNITS[ago[2]])


def _position_of(req: Request, name: str) -> str | None:
    text: str | None = req.get_param(name)
    if text is not None and not re.fullmatch(r"[0-9a-f]{1,16}-[0-9]{1,18}", text):
        raise invalid(name, "a position that an answer has given, such as 19a3f0c2d11-42")
    return text
