"""``/components``: the catalogue of what graphs can be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import cause_of
from pypes.api.operation import BOOLEAN, JSON_OBJECT, NAMES, TEXT, Answer, obj, operation
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

PORTS = {"type": "object", "additionalProperties": {"type": "string"}}

#: An example of a component: ``takes`` and ``gives`` are packets by port, in their JSON form; ``files`` are there
#: before and ``leaves`` afterwards, by path in the data directory.
PACKETS = {"type": "object", "additionalProperties": {"type": "array", "items": JSON_OBJECT}}
EXAMPLE = obj(
    params=JSON_OBJECT,
    takes=PACKETS,
    gives=PACKETS,
    files=PORTS,
    leaves={"type": "object", "additionalProperties": {"type": ["string", "null"]}},
)

#: ``error`` says why a component cannot be used: its distribution could not be imported, or a library that it needs is not
#: installed. ``needs`` maps modules to the lines that install them, ``missing`` names those that are not there. An ``isolated``
#: component runs in a process of its own; one that ``fetches`` is a source, which triggers and schedules run. A filter of one
#: that ``batches`` may have the options ``batch_size``, ``batch_bytes`` and ``batch_s``. ``icon`` is the name of one of Lucide's.
#: A ``privileged`` one is placed with the scope admin only.
#: ``parts`` are the kinds of parts that its code makes. One that ``completes`` is told of each document that is complete,
#: one that ``concludes`` of each that is done everywhere. One that ``searches`` can be asked by ``GET /search``.
COMPONENT = obj(
    {
        "error": {"type": ["string", "null"]},
        "accepts": {"type": "array", "items": TEXT},
        "isolated": BOOLEAN,
        "privileged": BOOLEAN,
        "batches": BOOLEAN,
        "fetches": BOOLEAN,
        "completes": BOOLEAN,
        "concludes": BOOLEAN,
        "searches": BOOLEAN,
        "parts": NAMES,
        "icon": TEXT,
        "tags": NAMES,
        "example": {"oneOf": [EXAMPLE, {"type": "null"}]},
        "needs": PORTS,
        "missing": NAMES,
    },
    name=TEXT,
    kind=TEXT,
    distribution=TEXT,
    version=TEXT,
    doc=TEXT,
    inputs=PORTS,
    outputs=PORTS,
    schema=JSON_OBJECT,
)


class Components:
    """``/components`` and ``/components/{name}``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All components",
        {200: Answer("The catalogue, sorted by name.", {"type": "array", "items": COMPONENT}, LINK)},
        parameters=LISTED,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        await answer_page(req, resp, self._worker.control.components.page, req.get_param("after"))

    @operation(
        "Look for components again: what was installed since the start can be used at once",
        {200: Answer("Names that are new, and names that are gone.", obj(added=NAMES, removed=NAMES))},
        scope="admin",
        audit="components.rescan",
    )
    async def on_post_rescan(self, req: Request, resp: falcon.asgi.Response) -> None:
        await req.discard()
        resp.data = orjson.dumps(await self._worker.control.components.rescan(cause_of(req)))

    @operation(
        "One component: ports, parameters, documentation",
        {200: Answer("The component.", COMPONENT)},
        errors={404: "No component of that name."},
        scope="read",
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.components.get(name))
