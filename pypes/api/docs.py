"""``/docs``: where documents come in. Answered with 202 once they are durable, never before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

import falcon.asgi
import msgspec
import orjson

from pypes.access.client import Client
from pypes.api import options
from pypes.api.admission import Admission
from pypes.api.arrival import Arrival
from pypes.api.counting import ROUTE
from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.options import PLAIN, Options, options_of
from pypes.api.pace import Pace
from pypes.api.permission import check_current, permitted
from pypes.api.receipts import RECEIPT, wait_receipt
from pypes.api.reception import Reception, grown_bytes
from pypes.api.request import Request
from pypes.api.sampling import Sampling, context_of
from pypes.core.hops import MAX_HOPS
from pypes.core.identity import id_of
from pypes.core.media_types import PACKETS, media_type_of
from pypes.core.trace_context import TraceContext
from pypes.errors import BadId, BadRequest, PypesError
from pypes.ingest.codecs import Survey, check, normalize
from pypes.ingest.codecs.file_names import filename_of, plain_name
from pypes.ingest.codecs.given import MAX_META, MAX_META_BYTES, PREFIX, given_of, one_id
from pypes.ingest.contracts.intake import Waiter
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import GivenMeta, Header, Spooled
from pypes.runtime.worker.config import WorkerConfig

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: The header that names the graph which took the documents.
GRAPH = "pypes-graph"
GRAPH_TEXT = "The graph that accepted the documents: by their route, or as the default graph."
ACCEPTED = Answer(
    "Durable: whatever happens now, every document will be published, dropped by a filter, or put among the dead letters. "
    "rejected (with on_error=deadletter) is how many of the accepted could not be read.",
    obj({"rejected": COUNT}, receipt=TEXT, accepted=COUNT),
    {"Location": "Address of the receipt.", "Pypes-Graph": GRAPH_TEXT},
)
FINISHED = Answer(
    "Only if preferred: durable, and finished within the time.",
    RECEIPT,
    {
        "Location": "Address of the receipt.",
        "Pypes-Graph": GRAPH_TEXT,
        "Preference-Applied": "wait, with the number of seconds granted.",
    },
)
ANSWERS = {200: FINISHED, 202: ACCEPTED}
BODIES: dict[str, Schema] = {
    "application/json": {"oneOf": [JSON_OBJECT, {"type": "array", "items": JSON_OBJECT, "minItems": 1}]},
    "application/x-ndjson": {"type": "string", "description": "One JSON object per line."},
    "application/msgpack": {
        "type": "string",
        "format": "binary",
        "description": "MessagePack: a map, an array of maps, or a row.",
    },
    "application/x-protobuf": {
        "type": "string",
        "format": "binary",
        "description": "Protocol Buffers: a message Documents of the schema pypes.proto, which the package has.",
    },
    "multipart/form-data": {"type": "object", "description": "Any number of files, each a document."},
    PACKETS: {"description": "Packets with their metadata: fields, meta, field_meta."},
    "*/*": {"type": "string", "description": "Anything else is one document, handed to the adapters as bytes."},
}
ERRORS = {
    400: (
        "Nothing was accepted: the body is malformed (the detail names line and column, the line of the NDJSON or the byte), "
        "empty or nested too deeply, has several documents for one id or two ids for one document, a number of more than 64 "
        "bits, or an invalid id, route or metadata."
    ),
    404: "No graph names the route, and the node refuses unknown routes (strict_routes); the detail names similar ones.",
    403: "The callback leads to a host that is not allowed.",
    409: "The Idempotency-Key was used with a different request before.",
    413: "Over one of the limits, perhaps only after decompression.",
    415: "An unsupported media type or content encoding; forms are not documents.",
    422: "The graph keeps order by id, and a document has no id; the detail names its line or index.",
    429: (
        "The queue is full, the graph fills its share of the queue or has reached a limit of its own, or the memory for bodies "
        "being received is used up; limit names the limit, and where the graph if it is one of a graph."
    ),
    503: (
        "No deployed graph takes the document, the node is stopping, its disk fails, or the worker that owns the document "
        "restarts."
    ),
    507: "The disk is full, or the graph has as many dead letters, or bytes on the disk, as it may have; where and limit say so.",
}
PARAMETERS = (
    Parameter("Content-Encoding", "Compression of the body.", {"type": "string", "enum": ["gzip", "deflate", "zstd"]}, "header"),
    Parameter(
        "Content-Disposition",
        "filename= names the document's file; its suffix gives the type if no Content-Type does.",
        place="header",
    ),
    Parameter(
        "Pypes-Id",
        "Percent-encoded id of the one document that is sent, as in the address; also in the head of a part of a multipart body.",
        TEXT,
        "header",
    ),
    Parameter(
        "Pypes-Meta-NAME",
        "Percent-encoded metadata of the documents that are sent, dashes in NAME becoming underscores; a list where it is given "
        f"several times. Also in the head of a part. At most {MAX_META} names, of {MAX_META_BYTES} bytes together, and none that "
        "the server sets itself.",
        TEXT,
        "header",
    ),
    Parameter(
        "Pypes-Hops",
        f"How many nodes the documents came over, this one included, if a node hands them in; more than {MAX_HOPS} are refused.",
        {"type": "integer", "minimum": 1, "maximum": MAX_HOPS},
        "header",
    ),
    *options.PARAMETERS,
)
PREFIX_BYTES = PREFIX.encode()


class Documents:
    """``/docs``, ``/docs/{route}`` and ``/docs/{route}/{id}``."""

    def __init__(self, worker: IngestWorker, config: WorkerConfig, reception: Reception, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._limits = config.limits
        self._hosts = config.callback_hosts
        self._stopping = stopping
        self._pace = Pace()
        self._admission = Admission(worker)
        self._reception = reception
        #: The deliveries that are traced because those who posted them are.
        self.sampling = Sampling(config.caller_traces_per_s)

    @operation(
        "Submit documents to the default graph", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES, scope="ingest"
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, route: str | None = None, id: str | None = None) -> None:
        _check_names(route, id)
        id, meta = _given(req, id)
        wanted = options_of(req, self._limits, self._hosts)
        encoding = req.header(b"content-encoding")
        if encoding:
            encoding = normalize(encoding)
        disposition = req.header(b"content-disposition")
        filename = filename_of(disposition, keeps_folders=wanted.keeps_folders) if disposition else None
        content_type = req.content_type or ""
        if id is not None and not content_type and filename is None and media_type_of(id).outer:
            filename = plain_name(id, keeps_folders=wanted.keeps_folders)  # curl -T, which says nothing but the address
        context, is_traced = self._trace(req, wanted)
        began_s = time.monotonic()
        whole = req.whole()
        if whole is not None and wanted is PLAIN and not is_traced:
            given = (req, content_type, whole, encoding, route, id, filename, meta, context)
            receipt, documents, graph = await self._take_whole(*given)
            req.client.account.owe(documents)
            _accept(resp, receipt, documents, graph)
            return
        # resolved first: what no graph would take is not worth reading
        graph = self._graph_of(req.client, route)
        header = Header(
            graph,
            req.method,
            content_type,
            encoding,
            route,
            id,
            filename,
            is_lenient=wanted.is_lenient,
            is_bulk=wanted.is_bulk,
            callback=wanted.callback,
            meta=meta,
            keeps_folders=wanted.keeps_folders,
            poster=req.client.name,
            is_traced=is_traced,
            context=context,
        )
        if wanted.key is None:
            self._worker.check_room(req.content_length or 0, graph, is_bulk=wanted.is_bulk)
        arrival = Arrival(header, wanted.key, self._limits, self._worker.is_ordered(graph), wanted.is_request)
        if whole is None or wanted.is_bulk:
            async with self._turn(header, req.content_length):
                receipt = await self._take(req, arrival, whole)
        else:
            receipt = await self._take(req, arrival, whole)
        await self._answer(resp, req.client, wanted, receipt, arrival)
        self._tell(req, resp, receipt, arrival.header, began_s)

    def _trace(self, req: Request, wanted: Options) -> tuple[TraceContext | None, bool]:
        """The trace that a request belongs to, and whether its delivery is to be traced."""
        context = context_of(req)
        is_sampled = context is not None and context.is_sampled
        return context, wanted.is_traced or (is_sampled and self.sampling.take())

    def _graph_of(self, client: Client, route: str | None) -> str:
        """The graph that takes documents of a route. Raises as ``resolve``, and :class:`Forbidden` if it is not the client's."""
        return permitted(client, self._worker.resolve, route) if client.graphs else self._worker.resolve(route)

    def _turn(self, header: Header, length: int | None) -> AbstractAsyncContextManager[None]:
        """The turn of a body of ``length`` bytes (None: not announced). Small live ones are always let in."""
        grown = grown_bytes(header, length, self._limits)
        if not header.is_bulk and grown is None:
            return nullcontext()
        return self._admission.turn(Stream(header.graph, header.is_bulk), grown or length or 0)

    async def _take(self, req: Request, arrival: Arrival, whole: bytes | None) -> str:
        """Receive a body unless it is there ``whole``, check it, and queue it; returns its receipt, once durable."""
        is_bulk = arrival.header.is_bulk
        began = await self._pace.enter() if is_bulk else 0.0
        body: bytes | Spooled
        if whole is None:
            body, decoded = await self._reception.receive(req, arrival)
        else:
            body, decoded = whole, await self._reception.check(arrival.header, whole, arrival.check, whole)
        check_current(req.client)
        receipt = await self._worker.submit(arrival.header, body, decoded, arrival.key)
        req.client.account.owe(arrival.header.documents)
        if is_bulk:
            self._pace.leave(began)
        return receipt

    async def _take_whole(
        self,
        req: Request,
        content_type: str,
        body: bytes,
        encoding: str,
        route: str | None,
        id: str | None,
        filename: str | None,
        meta: GivenMeta,
        context: TraceContext | None,
    ) -> tuple[str, int, str]:
        """Check a body that is there whole, and queue it; returns its receipt, once durable, number of documents, and graph."""
        self._pace.live_at = time.monotonic()
        graph = self._graph_of(req.client, route)
        given = (graph, req.method, content_type, encoding, route, id, filename, 1, len(body))
        header = Header(*given, meta=meta, poster=req.client.name, context=context)
        seen = Survey(header, True) if self._worker.is_ordered(graph) else None
        documents, decoded = await self._reception.check(header, body, check, header, body, self._limits, seen)
        return await self._worker.submit(_counted(header, documents, seen), body, decoded), documents, graph

    def take(
        self, waiter: Waiter, client: Client, content_type: str, body: bytes, context: TraceContext | None = None
    ) -> tuple[Awaitable[str] | None, int, str]:
        """Check a small body that a client has posted without a route or options, and queue it.

        ``waiter`` is told its receipt, once durable, unless what gives it is returned, as of a graph with order. Returns also
        the number of documents, and their graph. The body is checked here and now, so it has at most ``INLINE_BYTES``, and
        ``INLINE_COSTLY_BYTES`` if its check is costly.
        """
        self._pace.live_at = time.monotonic()
        graph = self._graph_of(client, None)
        header = Header(graph, "POST", content_type, length=len(body), poster=client.name, context=context)
        seen = Survey(header, True) if self._worker.is_ordered(graph) else None
        documents, decoded = check(header, body, self._limits, seen)
        if seen is not None or documents != 1:
            header = _counted(header, documents, seen)
        if seen is not None:
            return self._worker.submit(header, body, decoded), documents, graph
        self._worker.submit_for(waiter, header, body, decoded)
        return None, documents, graph

    def _tell(self, req: Request, resp: falcon.asgi.Response, receipt: str, header: Header, began_s: float) -> None:
        """Tell a collector, if there is one, of a request with a traced delivery; ``began_s`` is of the monotonic clock."""
        if header.is_traced and self._worker.exporting is not None:
            took_s = time.monotonic() - began_s
            self._worker.exporting.requested(header, receipt, str(req.scope[ROUTE]), resp.status_code, took_s)

    async def _answer(self, resp: falcon.asgi.Response, client: Client, wanted: Options, receipt: str, arrival: Arrival) -> None:
        _accept(resp, receipt, arrival.header.documents, arrival.header.graph, arrival.rejected if wanted.is_lenient else None)
        if not wanted.wait_s:
            return
        try:
            found = await wait_receipt(self._worker, self._stopping, client, receipt, wanted.wait_s)
        except PypesError:
            return  # accepted it is, whatever keeps the receipt from being told
        if found.finished is not None:
            resp.status = 200
            resp.set_header("preference-applied", f"wait={wanted.wait_s:g}")
            resp.data = orjson.dumps(found.to_obj())

    @operation("Submit documents under a route", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES, scope="ingest")
    async def on_post_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit documents under a route", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES, scope="ingest")
    async def on_put_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit one document under its id", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES, scope="ingest")
    async def on_post_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation("Submit one document under its id", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES, scope="ingest")
    async def on_put_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation(
        "Delete a document: publishers are told to, in the order of the queue",
        ANSWERS,
        errors={status: ERRORS[status] for status in (400, 403, 404, 409, 429, 503, 507)},
        parameters=tuple(parameter for parameter in options.PARAMETERS if parameter.name not in ("on_error", "folders")),
        scope="ingest",
    )
    async def on_delete_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        _check_names(route, id)
        _, meta = _given(req, id)
        wanted = options_of(req, self._limits, self._hosts)
        context, is_traced = self._trace(req, wanted)
        began_s = time.monotonic()
        graph = self._graph_of(req.client, route)
        header = Header(
            graph,
            "DELETE",
            route=route,
            id=id,
            is_lenient=wanted.is_lenient,
            is_bulk=wanted.is_bulk,
            callback=wanted.callback,
            meta=meta,
            poster=req.client.name,
            is_traced=is_traced,
            context=context,
        )
        arrival = Arrival(header, wanted.key, self._limits, self._worker.is_ordered(graph), wanted.is_request)
        arrival.finish(1, 0)
        receipt = await self._worker.submit(arrival.header, b"", None, arrival.key)
        await req.discard()
        await self._answer(resp, req.client, wanted, receipt, arrival)
        self._tell(req, resp, receipt, arrival.header, began_s)


def _counted(header: Header, documents: int, seen: Survey | None) -> Header:
    """The header of one document with what the check of the body has found; in an ordered graph also the keys."""
    if seen is not None:
        return msgspec.structs.replace(header, documents=documents, keys=seen.keys, identities=seen.identities)
    return header if documents == 1 else msgspec.structs.replace(header, documents=documents)


def _given(req: Request, id: str | None) -> tuple[str | None, GivenMeta]:
    """The id and the metadata that address and head give; raises :class:`BadRequest` if they make no sense together."""
    fields = req.fields(PREFIX_BYTES)
    if not fields:
        return id, ()
    given = given_of(fields)
    return one_id(id, given.id), given.meta


def _check_names(route: str | None, id: str | None) -> None:
    """Raise :class:`BadRequest` if what stands in the URL cannot be a route or an id."""
    for name, value in (("route", route), ("id", id)):
        if value is None:
            continue
        try:
            if id_of(value) is None:
                raise BadRequest(
                    f"the {name} in the URL is empty; leave it out together with the slash before it",
                    code=BadId.code,
                    where=name,
                )
        except BadId as error:
            raise BadRequest(f"{name} in the URL: {error.message}", code=error.code, where=name) from error


def _accept(resp: falcon.asgi.Response, receipt: str, documents: int, graph: str, rejected: int | None = None) -> None:
    resp.status = 202
    resp.set_header(GRAPH, graph)
    resp.set_header("location", f"/receipts/{receipt}")
    more = b"" if rejected is None else b',"rejected":%d' % rejected
    resp.data = b'{"receipt":"%b","accepted":%d%b}' % (receipt.encode(), documents, more)
