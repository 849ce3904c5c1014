"""``/status``: the whole node at one moment, for people and for what collects figures."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import falcon.asgi
import msgspec
import orjson

from pypes.access.client import Client
from pypes.api.fleet import MEMBER
from pypes.api.graphs import SUMMARY
from pypes.api.look import look
from pypes.api.operation import BOOLEAN, COUNT, NAMES, TEXT, Answer, Schema, obj, operation
from pypes.api.outbox import USE as OUTBOX
from pypes.api.outbox import outboxes_of
from pypes.api.request import Request
from pypes.graph.pools import graph_of
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.runtime.contracts.supervisor import FilterWork, WireWork

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

AMOUNT: Schema = {"type": "number", "minimum": 0}
QUEUE = obj(**{each.name: {"int": COUNT, "float": AMOUNT, "bool": BOOLEAN}[str(each.type)] for each in fields(QueueStats)})

COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
USE = obj(
    **{each.name: COUNT for each in fields(GraphUse) if each.name not in ("limits", "lanes", "lately")},
    limits={**COUNTS, "description": "The bounds in force for the graph in this shard, by the names of limits."},
    lanes={
        "type": "object",
        "additionalProperties": obj(deliveries=COUNT, documents=COUNT, bytes=COUNT, oldest_s=AMOUNT),
        "description": "What is not done of live and of bulk deliveries, and the age of the oldest.",
    },
    lately={
        "anyOf": [obj(seconds=AMOUNT, accepted=COUNT, published=COUNT, dropped=COUNT, failed=COUNT), {"type": "null"}],
        "description": "Documents within the last seconds; null of a shard that was just opened.",
    },
)
NO_QUEUE = "null while its owner cannot be asked, and with a token that is for some graphs only."


def _list(entry: Schema) -> Schema:
    return {"type": "array", "items": entry}


def _work(kind: type[msgspec.Struct]) -> Schema:
    """Schema of what filters, or wires, have done, by their names."""
    counts = {each.name: COUNT if each.type is int else AMOUNT for each in msgspec.structs.fields(kind)}
    return {"type": "object", "additionalProperties": obj(**counts)}


STATUS = obj(
    node={**COUNT, "description": "The number of the node, which is part of its receipts."},
    version=TEXT,
    state={"type": "string", "enum": ["starting", "ready", "draining"]},
    pid={**COUNT, "description": "The supervisor's."},
    url=TEXT,
    uptime_s=AMOUNT,
    generation={**COUNT, "description": "The newest generation of instances that serves, 0 if there is none."},
    arbiter={"type": ["integer", "null"], "description": "The process of gunicorn, from which the workers come."},
    default={"type": ["string", "null"], "description": "The graph that takes documents without a route."},
    workers=_list(obj(pid=COUNT, slot=COUNT, state={"type": "string", "enum": ["starting", "ready"]})),
    shards=_list(
        obj(
            shard=COUNT,
            queue={"anyOf": [QUEUE, {"type": "null"}], "description": NO_QUEUE},
            graphs={"type": "object", "additionalProperties": USE, "description": "The usage of each graph."},
            reason={**TEXT, "description": "Why it cannot be asked, or empty."},
        )
    ),
    instances=_list(obj(id=COUNT, generation=COUNT, pid=COUNT, state=TEXT, graphs=NAMES)),
    generations=_list(obj(generation=COUNT, instances=COUNT, ready=COUNT)),
    pools=_list(
        obj(
            name=TEXT,
            state={
                "type": "string",
                "enum": ["starting", "ready", "stalled", "ending"],
                "description": "stalled: all pool workers were lost, and none can be set up again for now.",
            },
            filters={**NAMES, "description": "The filters that it was set up for, with their graphs."},
            workers=_list(obj(pid=COUNT, is_busy=BOOLEAN)),
            deaths={**COUNT, "description": "Pool workers that were lost since the pool was set up."},
            busy_lately={**AMOUNT, "description": "The share of its pool workers that were busy in the last minute."},
            failure={**TEXT, "description": "Why one that was lost cannot be set up again, or empty."},
        )
    ),
    processes=_list(
        obj(
            name=TEXT,
            pid=COUNT,
            memory_bytes=COUNT,
            cpu_s=AMOUNT,
            descriptors=COUNT,
            memory_before={**_list(COUNT), "description": "What it had at the looks of the last minute, the oldest first."},
        )
    ),
    restarts={**COUNTS, "description": "Instances that ended unasked, by cause, since the start of the node."},
    work={
        "type": "object",
        "additionalProperties": obj(filters=_work(FilterWork), wires=_work(WireWork)),
        "description": "What the filters and wires of each graph have done since the start of the node; a wire is a.out-b.in.",
    },
    endings={
        **_list(obj(time=TEXT, instance=COUNT, graphs=NAMES, cause=TEXT, reason=TEXT, filter=TEXT)),
        "description": "The last instances that ended unasked, the oldest first; cause as in restarts.",
    },
    disk={
        "anyOf": [obj(folder=TEXT, total_bytes=COUNT, free_bytes=COUNT), {"type": "null"}],
        "description": "The file system of the data directory.",
    },
    lately={
        "anyOf": [
            obj(
                seconds=AMOUNT,
                work={
                    "type": "object",
                    "additionalProperties": _work(FilterWork),
                },
                refused={
                    **_list(obj(status=TEXT, code=TEXT, route=TEXT, count=COUNT)),
                    "description": "POSTs of documents that were answered 429, 503 or 507, by the code of the problem.",
                },
                over_budget={
                    **_list(obj(token=TEXT, budget=TEXT, count=COUNT)),
                    "description": "Requests that were refused because a client had used as much as it may, by its token.",
                },
            ),
            {"type": "null"},
        ],
        "description": "What the filters of each graph have done within the last seconds; null at the very first.",
    },
    max_memory_bytes={**COUNT, "description": "What an instance may have, 0 for no bound."},
    concerns={
        **_list(obj(kind=TEXT, graph=TEXT, filter=TEXT, text=TEXT)),
        "description": "What needs a look, in sentences; none of a node that keeps up with its load.",
    },
    graphs=_list(SUMMARY),
    undeployed={
        **_list(obj(file=TEXT, graph=TEXT, routes=NAMES, reason=TEXT)),
        "description": "Graph files that are not deployed, with the routes that their graphs would have.",
    },
    fleet={
        "type": "array",
        "items": MEMBER,
        "description": "The nodes that answer for each other, as GET /fleet has them; none if this node is by itself.",
    },
    certificate={
        "anyOf": [obj(expires=TEXT), {"type": "null"}],
        "description": "The certificate that the node shows to clients; null without TLS.",
    },
    outboxes=_list(OUTBOX),
)


class Status:
    """``/status``: asks the supervisor and all workers."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "The state of the node: workers, shards, instances, graphs",
        {200: Answer("A snapshot. A shard whose owner is being restarted says so in its place.", STATUS)},
        errors={503: "The supervisor cannot be asked."},
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        status, _ = await seen_by(self._worker, req.client)
        resp.data = orjson.dumps(status)

    on_head = on_get


async def seen_by(worker: IngestWorker, client: Client) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status and the dead letters by cause, as :func:`look` has them, as far as they are the client's."""
    status, causes = await look(worker, client.has)
    if not client.graphs:
        return status, causes
    status = limited(status, client, await outboxes_of(worker, client))
    return status, [cause for cause in causes if client.has(cause["graph"])]


#: Parts of the state of a node that are about no graph.
_OF_THE_NODE = (
    *("node", "version", "state", "pid", "url", "uptime_s", "generation", "arbiter", "workers", "generations"),
    *("restarts", "disk", "max_memory_bytes", "certificate", "fleet"),
)


def limited(status: dict[str, Any], client: Client, outboxes: set[str]) -> dict[str, Any]:
    """The state of a node without what belongs to graphs that are not the client's, nor sums with those in them."""

    def own(by_graph: dict[str, Any]) -> dict[str, Any]:
        return {graph: value for graph, value in by_graph.items() if client.has(graph)}

    def has_all(graphs: list[str]) -> bool:
        return bool(graphs) and all(map(client.has, graphs))

    default, lately = status["default"], status["lately"]
    graphs = [graph for graph in status["graphs"] if client.has(graph["name"])]
    undeployed = [file for file in status["undeployed"] if client.has(file["graph"])]
    routes = {route for each in (*graphs, *undeployed) for route in each["routes"]}
    if lately is not None:
        refused = [each for each in lately["refused"] if each["route"] in routes]
        over = [each for each in lately["over_budget"] if each["token"] == client.name]
        lately = {**lately, "work": own(lately["work"]), "refused": refused, "over_budget": over}
    return {
        **{name: status[name] for name in _OF_THE_NODE},
        "default": default if default is not None and client.has(default) else None,
        "graphs": graphs,
        "undeployed": undeployed,
        "shards": [{**shard, "queue": None, "graphs": own(shard["graphs"])} for shard in status["shards"]],
        "instances": [{**each, "graphs": [*filter(client.has, each["graphs"])]} for each in status["instances"]],
        "pools": [pool for pool in status["pools"] if has_all([each.partition(".")[0] for each in pool["filters"]])],
        "processes": [each for each in status["processes"] if not (graph := graph_of(each["name"])) or client.has(graph)],
        "work": own(status["work"]),
        "lately": lately,
        "endings": [ending for ending in status["endings"] if has_all(ending["graphs"])],
        "concerns": [concern for concern in status["concerns"] if has_all([concern["graph"]] if concern["graph"] else [])],
        "outboxes": [outbox for outbox in status["outboxes"] if outbox["name"] in outboxes],
    }
