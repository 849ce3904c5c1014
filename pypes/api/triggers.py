"""``/graphs/{name}/trigger``: sources that run when they are told to, and how they fare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import cause_of
from pypes.api.graphs import UNKNOWN
from pypes.api.operation import BOOLEAN, NAMES, TEXT, Answer, Parameter, obj, operation
from pypes.api.query import choice_of
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker


#: Confirms that a run may delete however much it finds gone.
_CONFIRM = Parameter(
    "confirm",
    "deletions: delete everything that the sources find gone, even if that is most of what they know (see `stopped`).",
    {"type": "string", "enum": ["deletions"]},
)

#: Filter → what it said.
_STOPPED = {"type": "object", "additionalProperties": TEXT}


class Triggers:
    """Runs the sources of a graph. Anything may ask for it, a filter of another graph included."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Run the sources of a graph once",
        {
            202: Answer(
                (
                    "The sources run, even if a process dies meanwhile. The names are those of the filters that fetch. "
                    "`stopped` gives, for each source whose last run would have deleted too much, the finding of that run."
                ),
                obj(graph=TEXT, sources=NAMES, stopped=_STOPPED),
            )
        },
        parameters=(_CONFIRM,),
        errors={
            400: "`confirm` is not `deletions`.",
            404: UNKNOWN,
            409: "The sources run already, or the graph has none, is paused, or could not be set up.",
            503: "The worker that owns the graph is being started, or the server is stopping.",
        },
        scope="edit",
        audit="sources.run",
        graph="name",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        is_confirmed = choice_of(req, "confirm", ("deletions",)) is not None
        runs = await self._worker.trigger(name, is_confirmed=is_confirmed, cause=cause_of(req))
        resp.status = 202
        resp.data = orjson.dumps({"graph": name, "sources": runs.sources, "stopped": runs.stopped})

    @operation(
        "State of the sources of a graph",
        {
            200: Answer(
                (
                    "`running`: the sources run or wait to run. `stopped`: filter → the reason why it deletes nothing "
                    "until a confirmation. `failed`: filter → the error that ended its last run."
                ),
                obj(graph=TEXT, sources=NAMES, running=BOOLEAN, stopped=_STOPPED, failed=_STOPPED),
            )
        },
        errors={
            404: UNKNOWN,
            409: "The graph has no sources, is paused, or could not be set up.",
            503: "The worker that owns the graph is being started.",
        },
        scope="read",
        graph="name",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        runs = await self._worker.runs(name)
        found = {"running": runs.is_running, "stopped": runs.stopped, "failed": runs.failed}
        resp.data = orjson.dumps({"graph": name, "sources": runs.sources, **found})
