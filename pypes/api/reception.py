"""Reception of the body of a POST: checked while it arrives, in a file if it is large, within one budget of memory and disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from pypes.api.arrival import Arrival
from pypes.api.memory import Memory, Share
from pypes.api.request import Request, too_large
from pypes.core.limits import MIB, Limits
from pypes.core.media_types import MSGPACK, PROTOBUF, media_type_of
from pypes.ingest.codecs.checking import DECODED_BYTES
from pypes.ingest.delivery import Header, Spooled
from pypes.runtime.worker.config import WorkerConfig

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

T = TypeVar("T")

#: Larger bodies are checked in a thread: up to here a hand-over would cost more than the check. Compressed ones grow.
INLINE_BYTES = 64 << 10
#: So are the parts of multipart bodies, each with a head of its own, and binary forms, which may have to be read with all care.
INLINE_COSTLY_BYTES = 8 << 10
_COSTLY = ("multipart/", *MSGPACK, *PROTOBUF)

#: The factor by which a compressed body is guessed to grow, as text does.
GROWTH = 4

#: Inflating and hashing run beside each other, parsing does not: more threads would only take turns at it.
CHECK_THREADS = 2

#: Bodies that go to a spool file are written and checked in blocks of this size: one while the next one arrives.
BLOCK_BYTES = MIB
BLOCKS = 2


class Reception:
    """Takes bodies for one ingest worker."""

    def __init__(self, worker: IngestWorker, config: WorkerConfig, memory: Memory) -> None:
        self._worker = worker
        self._limits = config.limits
        self._memory = memory
        self._threads = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="pypes-check")

    def _in_thread(self, fn: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, fn, *args)

    async def check(self, header: Header, body: bytes, check: Callable[..., T], *args: Any) -> T:
        """Result of ``check`` for a body that is complete. Raises :class:`TooLarge` for one that is longer than allowed."""
        size = len(body)
        if size > self._limits.body_bytes:
            raise too_large(self._limits.body_bytes)
        if size <= _inline_bytes(header):
            return check(*args)
        with self._memory.share() as share:
            grown = min(DECODED_BYTES, self._limits.decompressed_ratio * size) if _is_inflated(header) else 0
            await share.hold(size + grown)
            return await self._in_thread(check, *args)

    async def receive(self, req: Request, arrival: Arrival) -> tuple[bytes | Spooled, bytes | None]:
        """Take a body that did not come with the head; returns it as it is and decoded.

        What exceeds ``spool_bytes`` goes to a file while it arrives. Raises :class:`QueueFull` for lack of memory or disk.
        """
        parts: list[bytes] = []
        size = 0
        chunks = req.chunks()
        announced = min(req.content_length or 0, self._limits.spool_bytes)
        with self._memory.share(req.client.account) as share:
            if announced > INLINE_BYTES:
                await share.hold(announced)
            async for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if size > self._limits.spool_bytes:
                    return await self._spool(chunks, arrival, b"".join(parts), share), None
                # what is smaller is bounded by the number of connections
                if size > INLINE_BYTES and size > share.held_bytes:
                    await share.hold(size)
            body = b"".join(parts)
        return body, await self.check(arrival.header, body, arrival.check, body)

    async def _spool(self, chunks: AsyncIterator[bytes], arrival: Arrival, head: bytes, share: Share) -> Spooled:
        """Write and check a body of any length, block by block, each while the next one arrives. Memory is bounded."""
        job: asyncio.Future[None] | None = None
        is_repeatable = arrival.key is not None
        reserved = 0
        async with self._worker.spool(arrival.header.graph, arrival.key) as spool:
            try:
                async for block in _blocks(head, chunks):
                    if spool.size + len(block) > self._limits.body_bytes:
                        raise too_large(self._limits.body_bytes)
                    if job is not None:
                        await job
                    self._worker.reserve_arriving(len(block), is_repeatable=is_repeatable)
                    reserved += len(block)
                    await share.hold(BLOCKS * BLOCK_BYTES + arrival.checker.most_bytes(len(block)))
                    # a thread: a block may inflate to a lot, and JSON is parsed
                    job = self._in_thread(arrival.feed, block)
                    await spool.write(block)
                if job is not None:
                    await job
                await share.hold(BLOCK_BYTES + arrival.checker.held_bytes)
                documents = await self._in_thread(arrival.checker.finish)
                arrival.finish(documents, spool.size)
                return await spool.finish()
            finally:
                if job is not None and not job.done():
                    await asyncio.wait([job])
                # from here on the queue counts it, if it is appended
                self._worker.release_arriving(reserved)


def grown_bytes(header: Header, length: int | None, limits: Limits) -> int | None:
    """Bytes of a body of ``length`` once inflated, roughly; ``None`` for one so small that it is checked on the event loop."""
    if length is None:
        return limits.spool_bytes
    if length <= _inline_bytes(header):
        return None
    return min(DECODED_BYTES, GROWTH * length) if _is_inflated(header) else length


def _inline_bytes(header: Header) -> int:
    """Up to how many bytes a body is checked on the event loop."""
    return INLINE_COSTLY_BYTES if _is_inflated(header) or is_costly(header.content_type) else INLINE_BYTES


def is_costly(content_type: str) -> bool:
    """True for the type of a body whose check may take long for its size."""
    return content_type[:40].lower().startswith(_COSTLY)


def _is_inflated(header: Header) -> bool:
    """True if the body will grow: by its encoding, or because the name of its file says that it is compressed."""
    return bool(header.encoding) or (header.filename is not None and media_type_of(header.filename).compression != "")


async def _blocks(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body after ``head``, in blocks large enough to be worth a thread."""
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
