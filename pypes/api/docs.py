"""``/docs``: where documents come in. Answered with 202 once they are durable, never before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import falcon
import falcon.asgi
import msgspec

from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.request import Request, too_large
from pypes.core.limits import MIB, Limits
from pypes.ingest.codecs import Checker, check, normalize
from pypes.ingest.delivery import PACKETS, Header, Spooled

if TYPE_CHECKING:
    from pypes.runtime.worker import IngestWorker

T = TypeVar("T")

#: Larger bodies are checked in a thread: up to here a hand-over would cost more than the check. Compressed ones grow.
INLINE_BYTES = 64 << 10
INLINE_ENCODED_BYTES = 8 << 10

#: Inflating and hashing run beside each other, parsing does not: more threads would only take turns at it.
CHECK_THREADS = 2

#: Bodies that go to a spool file are written and checked in blocks of this size.
BLOCK_BYTES = MIB

ACCEPTED = Answer(
    "Durable: whatever happens now, every document will be published, dropped by a filter, or put among the dead letters.",
    obj(receipt=TEXT, accepted=COUNT),
    {"Location": "Where the receipt is."},
)
BODIES: dict[str, Schema] = {
    "application/json": {"oneOf": [JSON_OBJECT, {"type": "array", "items": JSON_OBJECT, "minItems": 1}]},
    "application/x-ndjson": {"type": "string", "description": "One JSON object per line."},
    "multipart/form-data": {"type": "object", "description": "Any number of files, each a document."},
    PACKETS: {"description": "Packets with their metadata: fields, meta, field_meta."},
    "*/*": {"type": "string", "description": "Anything else is one document, handed to the adapters as bytes."},
}
ERRORS = {
    400: "Malformed (line and column, or the line of the NDJSON, are named), empty, nested too deeply, several documents for "
    "one id: nothing of it was accepted.",
    413: "Over one of the limits, perhaps only after decompression.",
    415: "A media type or content encoding that cannot be taken; forms are not documents.",
    429: "The queue is full.",
    503: "No graph is deployed that would take it, the node is stopping, or its disk fails.",
}
PARAMETERS = (
    Parameter(
        "Content-Encoding", "How the body is compressed.", {"type": "string", "enum": ["gzip", "deflate", "zstd"]}, "header"
    ),
    Parameter("Content-Disposition", "filename= names the document's file.", place="header"),
)


class Documents:
    """``/docs``, ``/docs/{route}`` and ``/docs/{route}/{id}``."""

    def __init__(self, worker: IngestWorker, limits: Limits) -> None:
        self._worker = worker
        self._limits = limits
        self._threads = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="pypes-check")

    def _in_thread(self, fn: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, fn, *args)

    @operation("Submit documents to the default graph", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post(self, req: Request, resp: falcon.asgi.Response, route: str | None = None, id: str | None = None) -> None:
        encoding = req.header(b"content-encoding")
        if encoding:
            encoding = normalize(encoding)
        disposition = req.header(b"content-disposition")
        filename = _filename(disposition) if disposition else None
        whole = req.whole()
        if whole is not None:
            receipt, documents = await self.accept(
                req.method, req.content_type or "", whole, encoding=encoding, route=route, id=id, filename=filename
            )
        else:
            # resolved first: what no graph would take is not worth reading
            header = Header(self._worker.resolve(route), req.method, req.content_type or "", encoding, route, id, filename)
            body, documents, decoded = await self._receive(req, header)
            header = msgspec.structs.replace(header, documents=documents, length=len(body))
            receipt = await self._worker.submit(header, body, decoded)
        resp.status = 202
        resp.set_header("location", f"/receipts/{receipt}")
        resp.data = b'{"receipt":"%b","accepted":%d}' % (receipt.encode(), documents)

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
        header = Header(self._worker.resolve(route), method, content_type, encoding, route, id, filename, 1, len(body))
        if len(body) <= (INLINE_ENCODED_BYTES if encoding else INLINE_BYTES):
            documents, decoded = check(header, body, self._limits)
        else:
            documents, decoded = await self._in_thread(check, header, body, self._limits)
        if documents != 1:
            header = msgspec.structs.replace(header, documents=documents)
        return await self._worker.submit(header, body, decoded), documents

    @operation("Submit documents under a route", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit documents under a route", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_put_route(self, req: Request, resp: falcon.asgi.Response, route: str) -> None:
        await self.on_post(req, resp, route)

    @operation("Submit one document under its id", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation("Submit one document under its id", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_put_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        await self.on_post(req, resp, route, id)

    @operation(
        "Delete a document: publishers are told to, in the order of the queue",
        {202: ACCEPTED},
        errors={429: ERRORS[429], 503: ERRORS[503]},
    )
    async def on_delete_id(self, req: Request, resp: falcon.asgi.Response, route: str, id: str) -> None:
        header = Header(self._worker.resolve(route), "DELETE", route=route, id=id)
        receipt = await self._worker.submit(header, b"")
        await req.discard()
        resp.status = 202
        resp.set_header("location", f"/receipts/{receipt}")
        resp.data = b'{"receipt":"%b","accepted":1}' % receipt.encode()

    async def _receive(self, req: Request, header: Header) -> tuple[bytes | Spooled, int, bytes | None]:
        """Take a body that did not come with the head; what exceeds ``spool_bytes`` goes to a file while it arrives."""
        parts: list[bytes] = []
        size = 0
        chunks = req.chunks()
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > self._limits.spool_bytes:
                body, documents = await self._spool(chunks, header, b"".join(parts))
                return body, documents, None
        whole = b"".join(parts)
        documents, decoded = await self._in_thread(check, header, whole, self._limits)
        return whole, documents, decoded

    async def _spool(self, chunks: AsyncIterator[bytes], header: Header, head: bytes) -> tuple[Spooled, int]:
        """Write and check a body of any length, block by block, each while the next one arrives. Memory is bounded."""
        checker = Checker(header, self._limits)
        job: asyncio.Future[None] | None = None
        async with self._worker.spool(header.graph) as spool:
            try:
                async for block in _blocks(head, chunks):
                    if spool.size + len(block) > self._limits.body_bytes:
                        raise too_large(self._limits.body_bytes)
                    if job is not None:
                        await job
                    # a thread: a block may inflate to a lot, and JSON is parsed
                    job = self._in_thread(checker.feed, block)
                    await spool.write(block)
                if job is not None:
                    await job
                documents = await self._in_thread(checker.finish)
                return await spool.finish(), documents
            finally:
                if job is not None and not job.done():
                    await asyncio.wait([job])


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


def _filename(disposition: str) -> str | None:
    """The file's name without folders from a Content-Disposition header (RFC 6266), ``None`` if it has none."""
    _, parameters = falcon.parse_header(disposition)
    name = parameters.get("filename")
    extended = parameters.get("filename*", "")
    if extended.count("'") >= 2:
        charset, _, value = extended.split("'", 2)
        try:
            name = unquote(value, encoding=charset or "utf-8")
        except LookupError:
            name = unquote(value)
    return name.replace("\\", "/").rpartition("/")[2] or None if name else None
