"""``/docs``: where documents come in. Answered with 202 once they are durable, never before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

import falcon
import falcon.asgi

from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.request import Request, too_large
from pypes.core.limits import MIB, Limits
from pypes.ingest.codecs import Checker, check
from pypes.ingest.delivery import PACKETS, Header, Spooled

if TYPE_CHECKING:
    from pypes.runtime.worker import IngestWorker

#: Larger bodies are checked in a thread: up to here a hand-over would cost more than the check. Compressed ones grow.
INLINE_BYTES = 64 << 10
INLINE_ENCODED_BYTES = 8 << 10

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

    @operation("Submit documents to the default graph", {202: ACCEPTED}, errors=ERRORS, parameters=PARAMETERS, body=BODIES)
    async def on_post(self, req: Request, resp: falcon.asgi.Response, route: str | None = None, id: str | None = None) -> None:
        # resolved first: what no graph would take is not worth reading
        graph = self._worker.resolve(route)
        content_type = req.content_type or ""
        encoding = req.header(b"content-encoding")
        disposition = req.header(b"content-disposition")
        filename = _filename(disposition) if disposition else None
        body: bytes | Spooled | None = req.whole()
        decoded = None
        if body is None:
            body, documents, decoded = await self._receive(req, content_type, encoding, id)
        elif len(body) <= (INLINE_ENCODED_BYTES if encoding else INLINE_BYTES):
            documents, decoded = check(content_type, encoding, id, body, self._limits)
        else:
            documents, decoded = await asyncio.to_thread(check, content_type, encoding, id, body, self._limits)
        header = Header(graph, req.method, content_type, encoding, route, id, filename, documents, len(body))
        receipt = await self._worker.submit(header, body, decoded)
        resp.status = 202
        resp.set_header("location", f"/receipts/{receipt}")
        resp.data = b'{"receipt":"%b","accepted":%d}' % (receipt.encode(), documents)

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

    async def _receive(
        self, req: Request, content_type: str, encoding: str, id: str | None
    ) -> tuple[bytes | Spooled, int, bytes | None]:
        """A body that did not come with the head: what exceeds ``spool_bytes`` goes to a file while it arrives."""
        max_bytes, spool_bytes = self._limits.body_bytes, self._limits.spool_bytes
        parts: list[bytes] = []
        size = 0
        checker: Checker | None = None
        job: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        # nothing is opened before the first write
        async with self._worker.spool() as spool:
            try:
                async for chunk in req.chunks():
                    parts.append(chunk)
                    size += len(chunk)
                    if spool.size + size > max_bytes:
                        raise too_large(max_bytes)
                    if size < (MIB if checker else spool_bytes):
                        continue
                    checker = checker or Checker(content_type, encoding, id, self._limits)
                    block, parts, size = b"".join(parts), [], 0
                    # one block is checked and written while the next one arrives
                    if job is not None:
                        await job
                    job = loop.run_in_executor(None, checker.feed, block)
                    await spool.write(block)
                if checker is None:
                    body = b"".join(parts)
                    documents, decoded = await asyncio.to_thread(check, content_type, encoding, id, body, self._limits)
                    return body, documents, decoded
                if job is not None:
                    await job
                block = b"".join(parts)
                job = loop.run_in_executor(None, checker.feed, block)
                await spool.write(block)
                await job
                documents = await asyncio.to_thread(checker.finish)
                return await spool.finish(), documents, None
            finally:
                if job is not None and not job.done():
                    await asyncio.wait([job])


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
