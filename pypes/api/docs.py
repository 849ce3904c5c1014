"""``/docs``: where documents come in. Answered with 202 once they are durable, never before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import falcon.asgi
import msgspec
import orjson

from pypes.api import options
from pypes.api.arrival import Arrival
from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.options import PLAIN, Options, options_of
from pypes.api.pace import Pace
from pypes.api.receipts import RECEIPT, wait_receipt
from pypes.api.request import Request, too_large
from pypes.core.identity import id_of
from pypes.core.limits import MIB
from pypes.errors import BadId, BadRequest, PypesError
from pypes.ingest.codecs import Survey, check, normalize
from pypes.ingest.codecs.media import filename_of
from pypes.ingest.delivery import PACKETS, Header, Spooled
from pypes.runtime.worker.config import WorkerConfig

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

T = TypeVar("T")

#: Larger bodies are checked in a thread: up to here a hand-over would cost more than the check. Compressed ones grow.
INLINE_BYTES = 64 << 10
#: So are the parts of multipart bodies, each with a head of its own.
INLINE_ENCODED_BYTES = 8 << 10

#: Inflating and hashing run beside each other, parsing does not: more threads would only take turns at it.
CHECK_THREADS = 2

#: Bodies that go to a spool file are written and checked in blocks of this size.
BLOCK_BYTES = MIB

ACCEPTED = Answer(
    "Durable: whatever happens now, every document will be published, dropped by a filter, or put among the dead letters. "
    "rejected (with on_error=deadletter) is how many of the accepted could not be read.",
    obj({"rejected": COUNT}, receipt=TEXT, accepted=COUNT),
    {"Location": "Where the receipt is."},
)
FINISHED = Answer(
    "Only if preferred: durable, and finished within the time.",
    RECEIPT,
    {"Location": "Where the receipt is.", "Preference-Applied": "wait, and the seconds that were granted."},
)
ANSWERS = {200: FINISHED, 202: ACCEPTED}
BODIES: dict[str, Schema] = {
    "application/json": {"oneOf": [JSON_OBJECT, {"type": "array", "items": JSON_OBJECT, "minItems": 1}]},
    "application/x-ndjson": {"type": "string", "description": "One JSON object per line."},
    "multipart/form-data": {"type": "object", "description": "Any number of files, each a document."},
    PACKETS: {"description": "Packets with their metadata: fields, meta, field_meta."},
    "*/*": {"type": "string", "description": "Anything else is one document, handed to the adapters as bytes."},
}
ERRORS = {
    400: "Malformed (line and column, or the line of the NDJSON, are named), empty, nested too deeply, several documents for "
    "one id, a number of more than 64 bits, an id or route that cannot be one: nothing of it was accepted.",
    403: "The callback leads to a host that is not allowed.",
    409: "The Idempotency-Key came with another request before.",
    413: "Over one of the limits, perhaps only after decompression.",
    415: "A media type or content encoding that cannot be taken; forms are not documents.",
    422: "The graph keeps order by id, and a document has none; line or index are named.",
    429: "The queue is full, or the graph fills its share of it.",
    503: "No graph is deployed that would take it, the node is stopping, its disk fails, or the worker that owns it restarts.",
    507: "There is no room on the disk, or so many dead letters of the graph are kept that no more fit.",
}
PARAMETERS = (
    Parameter(
        "Content-Encoding", "How the body is compressed.", {"type": "string", "enum": ["gzip", "deflate", "zstd"]}, "header"
    ),
    Parameter("Content-Disposition", "filename= names the document's file.", place="header"),
    *options.PARAMETERS,
)


class Documents:
    """``/docs``, ``/docs/{route}`` and ``/docs/{route}/{id}``."""

    def __init__(self, worker: IngestWorker, config: WorkerConfig, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._limits = config.limits
        self._hosts = config.callback_hosts
        self._stopping = stopping
        self._pace = Pace()
        self._threads = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="pypes-check")

    def _in_thread(self, fn: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, fn, *args)

    @operation("Submit documents to the default graph", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post(self, req: Request, resp: falcon.asgi.Response, route: str | None = None, id: str | None = None) -> None:
        _check_names(route, id)
        wanted = options_of(req, self._limits, self._hosts)
        encoding = req.header(b"content-encoding")
        if encoding:
            encoding = normalize(encoding)
        disposition = req.header(b"content-disposition")
        filename = filename_of(disposition) if disposition else None
        content_type = req.content_type or ""
        whole = req.whole()
        if whole is not None and wanted is PLAIN:
            receipt, documents = await self.accept(
                req.method, content_type, whole, encoding=encoding, route=route, id=id, filename=filename
            )
            _tell(resp, receipt, documents)
            return
        # resolved first: what no graph would take is not worth reading
        graph = self._worker.resolve(route)
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
        )
        if wanted.key is None:
            self._worker.check_room(req.content_length or 0, graph, is_bulk=wanted.is_bulk)
        arrival = Arrival(header, wanted.key, self._limits, self._worker.is_ordered(graph))
        began = await self._pace.enter() if wanted.is_bulk else 0.0
        body, decoded = await self._receive(req, arrival) if whole is None else await self._check(arrival, whole)
        receipt = await self._worker.submit(arrival.header, body, decoded, arrival.key)
        if wanted.is_bulk:
            self._pace.leave(began)
        await self._answer(resp, wanted, receipt, arrival)

    async def accept(
        self,
        method: str,
        content_type: str,
        body: bytes,
        *,
        encoding: str = "",
        route: str | None = None,
        id: str | None = None,
        filename: str | None = None,
    ) -> tuple[str, int]:
        """Check a body that is there whole, and queue it; returns its receipt, once durable, and its number of documents."""
        self._pace.live_at = time.monotonic()
        header = Header(self._worker.resolve(route), method, content_type, encoding, route, id, filename, 1, len(body))
        seen = Survey(header, True) if self._worker.is_ordered(header.graph) else None
        if len(body) <= _inline_bytes(header):
            documents, decoded = check(header, body, self._limits, seen)
        else:
            documents, decoded = await self._in_thread(check, header, body, self._limits, seen)
        if seen is not None:
            header = msgspec.structs.replace(header, documents=documents, keys=seen.keys, identities=seen.identities)
        elif documents != 1:
            header = msgspec.structs.replace(header, documents=documents)
        return await self._worker.submit(header, body, decoded), documents

    async def _answer(self, resp: falcon.asgi.Response, wanted: Options, receipt: str, arrival: Arrival) -> None:
        _tell(resp, receipt, arrival.header.documents, arrival.rejected if wanted.is_lenient else None)
        if not wanted.wait_s:
            return
        try:
            found = await wait_receipt(self._worker, self._stopping, receipt, wanted.wait_s)
        except PypesError:
            return  # accepted it is, whatever keeps the receipt from being told
        if found.finished is not None:
            resp.status = 200
            resp.set_header("preference-applied", f"wait={wanted.wait_s:g}")
            resp.data = orjson.dumps(found.to_obj())

    @operation("Submit documents under a route", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit documents under a route", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_put_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit one document under its id", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation("Submit one document under its id", ANSWERS, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_put_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation(
        "Delete a document: publishers are told to, in the order of the queue",
        ANSWERS,
        errors={status: ERRORS[status] for status in (400, 403, 409, 429, 503, 507)},
        parameters=tuple(parameter for parameter in options.PARAMETERS if parameter.name != "on_error"),
    )
    async def on_delete_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        _check_names(route, id)
        wanted = options_of(req, self._limits, self._hosts)
        graph = self._worker.resolve(route)
        header = Header(graph, "DELETE", route=route, id=id, is_lenient=wanted.is_lenient, is_bulk=wanted.is_bulk)
        header = msgspec.structs.replace(header, callback=wanted.callback)
        arrival = Arrival(header, wanted.key, self._limits, self._worker.is_ordered(graph))
        arrival.finish(1, 0)
        receipt = await self._worker.submit(arrival.header, b"", None, arrival.key)
        await req.discard()
        await self._answer(resp, wanted, receipt, arrival)

    async def _check(self, arrival: Arrival, body: bytes) -> tuple[bytes, bytes | None]:
        """Check a body that is there whole; returns it as it is and decoded."""
        if len(body) <= _inline_bytes(arrival.header):
            return body, arrival.check(body)
        return body, await self._in_thread(arrival.check, body)

    async def _receive(self, req: Request, arrival: Arrival) -> tuple[bytes | Spooled, bytes | None]:
        """Take a body that did not come with the head; what exceeds ``spool_bytes`` goes to a file while it arrives."""
        parts: list[bytes] = []
        size = 0
        chunks = req.chunks()
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > self._limits.spool_bytes:
                return await self._spool(chunks, arrival, b"".join(parts)), None
        return await self._check(arrival, b"".join(parts))

    async def _spool(self, chunks: AsyncIterator[bytes], arrival: Arrival, head: bytes) -> Spooled:
        """Write and check a body of any length, block by block, each while the next one arrives. Memory is bounded."""
        job: asyncio.Future[None] | None = None
        async with self._worker.spool(arrival.header.graph, arrival.key) as spool:
            try:
                async for block in _blocks(head, chunks):
                    if spool.size + len(block) > self._limits.body_bytes:
                        raise too_large(self._limits.body_bytes)
                    if job is not None:
                        await job
                    # a thread: a block may inflate to a lot, and JSON is parsed
                    job = self._in_thread(arrival.feed, block)
                    await spool.write(block)
                if job is not None:
                    await job
                documents = await self._in_thread(arrival.checker.finish)
                arrival.finish(documents, spool.size)
                return await spool.finish()
            finally:
                if job is not None and not job.done():
                    await asyncio.wait([job])


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


def _inline_bytes(header: Header) -> int:
    """Up to how many bytes a body is checked on the event loop."""
    is_costly = header.encoding or header.content_type[:10].lower() == "multipart/"
    return INLINE_ENCODED_BYTES if is_costly else INLINE_BYTES


def _tell(resp: falcon.asgi.Response, receipt: str, documents: int, rejected: int | None = None) -> None:
    resp.status = 202
    resp.set_header("location", f"/receipts/{receipt}")
    more = b"" if rejected is None else b',"rejected":%d' % rejected
    resp.data = b'{"receipt":"%b","accepted":%d%b}' % (receipt.encode(), documents, more)


async def _blocks(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What arrives after ``head``, in blocks worth a thread's while."""
    parts = [head]
    size = len(head)
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
