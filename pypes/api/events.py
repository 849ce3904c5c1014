"""``/events``: what happens on the node, as it happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import falcon.asgi

from pypes.api.operation import TEXT, Answer, Parameter, operation
from pypes.api.query import check_names, criterion_of, invalid, number_of
from pypes.api.request import Request
from pypes.api.streaming import MEDIA_TYPE, stream
from pypes.observe.events import KINDS

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Events of the past that can be asked for without an id.
MOST_RECENT = 1000

_FORM = (
    "Server-sent events that do not end. The type of each is its kind, and its data a JSON object with kind, time and what the "
    "kind has: deployment (state, graph, version), draft (graph, counter, by; deleted if it is gone), instance (state, instance, "
    "graphs, reason), breaker (a filter that rests, or goes on), deadletters (graph, filter, code, count), log (warnings and "
    "errors), counters (rates of filters and wires of a graph, and what waits on them, once a second), queue (what waits of a "
    "graph, and documents per second, once a second). A gap says that events before it are not kept any more."
)


class Events:
    """``stopping`` is set when the server is to end: nobody is kept waiting then."""

    def __init__(self, worker: IngestWorker, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._stopping = stopping

    @operation(
        "What happens on the node, as a stream of events",
        {200: Answer(_FORM, TEXT, media=MEDIA_TYPE)},
        errors={
            429: "As many streams have begun with this token as one may have.",
            503: "Too many clients look already, or the supervisor cannot be asked.",
        },
        parameters=(
            Parameter("graph", "Only what is about these graphs, separated by commas.", {"type": "string", "minLength": 1}),
            Parameter("kind", f"Only these kinds, separated by commas: {', '.join(KINDS)}.", {"type": "string", "minLength": 1}),
            Parameter(
                "recent",
                "So many of the last events come first, if there is no Last-Event-ID.",
                {"type": "integer", "minimum": 0, "maximum": MOST_RECENT},
            ),
            Parameter("Last-Event-ID", "Go on behind this event; a browser sends it when it comes back.", TEXT, "header"),
        ),
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, ("graph", "kind", "recent"))
        graphs, kinds = _several(req, "graph"), _several(req, "kind")
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise invalid("kind", f"some of {', '.join(KINDS)}, separated by commas, not {unknown[0]!r}")
        recent = number_of(req, "recent", 0, 0, MOST_RECENT)
        viewer = await self._worker.live.events.open(
            graphs, kinds, req.header(b"last-event-id").strip(), recent, req.client.graphs, req.client.account
        )
        stream(req, resp, viewer, self._stopping)


def _several(req: Request, name: str) -> list[str]:
    given = criterion_of(req, name)
    found = [] if given is None else [part.strip() for part in given.split(",")]
    if "" in found:
        raise invalid(name, "texts separated by commas, none of them empty")
    return found
