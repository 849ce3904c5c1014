"""The shards of a node as one worker sees them: some are its own, for the others it asks the worker that serves them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pypes.errors import PypesError, StoreError, Unavailable
from pypes.ingest.contracts.blobs import BlobWriter
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.store.origin import Origin
from pypes.ingest.store.shards import Shard, Shards
from pypes.ingest.store.spool import SpoolDir
from pypes.runtime.contracts.shard import ShardCalls, worker_socket
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, answer, stub
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.desk import Append

#: Longest wait of a request for the worker that owns a shard, while that one is being started.
PEER_WAIT_S = 5.0
PEER_POLL_S = 0.02

#: Longest wait of an owner that lets go for its disk to take what was appended before.
FINISH_S = 5.0

#: The code of an owner that lets go of its shard: nothing was done, its successor is to be asked.
CLOSING = "owner.closing"


class Peers:
    """Asks the owner of any shard, wherever it is. ``open`` opens one that nobody owns any more and adds it to ``queues``.

    ``desk`` makes of a queue of this worker what answers for it.
    """

    def __init__(
        self,
        config: WorkerConfig,
        shards: Shards,
        queues: Mapping[int, Queue],
        open: Callable[[Shard], Awaitable[Queue]],
        desk: Callable[[Queue, Append], ShardCalls],
    ) -> None:
        self._config = config
        self._shards = shards
        self._queues = queues
        self._open = open
        self._desk = desk
        self._clients: dict[int, asyncio.Future[RpcClient]] = {}
        #: Appends that other workers have asked for and that are not answered yet.
        self._appending: set[asyncio.Future[str]] = set()
        self._is_closing = False
        self._origins: dict[int, Origin | None] = {}

    def socket_of(self, number: int) -> str:
        """The address at which the worker that serves a shard listens."""
        return str(worker_socket(Path(self._config.runtime_dir), number))

    def numbers(self) -> list[int]:
        """The shards there are, ascending."""
        return self._shards.numbers()

    def adopted(self) -> dict[int, Origin]:
        """The slots with shards that came from other nodes, and the origin of each. Raises :class:`StoreError`."""
        return self._adopted_of(self.numbers())

    def _adopted_of(self, numbers: list[int]) -> dict[int, Origin]:
        for number in numbers:
            # PERF: a slot keeps its origin for good
            if number not in self._origins and number >= self._config.workers:
                self._origins[number] = self._shards.origin(number)
        return {number: origin for number, origin in self._origins.items() if origin is not None}

    def own(self) -> list[int]:
        """The shards of this node, ascending."""
        numbers = self.numbers()
        adopted = self._adopted_of(numbers)
        return [number for number in numbers if number not in adopted]

    def slot_of(self, node: int, shard: int) -> int | None:
        """The slot with a shard of another node."""
        origins = self.adopted().items()
        return next((slot for slot, origin in origins if (origin.node, origin.shard) == (node, shard)), None)

    # -- asking -----------------------------------------------------------------------------------------

    def shard(self, number: int) -> ShardCalls:
        """The owner of a shard; what it raises comes back as the same error.

        While another worker that owns it is being started, a call waits up to :data:`PEER_WAIT_S`, then raises
        :class:`Unavailable`. One that must not be made twice is not repeated when its answer was lost: that is
        :class:`Unavailable` (``owner.lost``).
        """
        return stub(ShardCalls, partial(self._ask, number))

    def every(self) -> list[ShardCalls]:
        """The owners of all shards, ascending by number."""
        return [self.shard(number) for number in self.numbers()]

    async def _ask(self, number: int, name: str, method: Method, params: dict[str, Any]) -> Any:
        if number in self._queues:
            return await self._do(number, name, params)
        deadline = math.inf
        while True:
            client = None
            try:
                client = await self._client(number)
                return await client.carry(name, method, params)
            except OSError:
                pass  # nobody listens there: the owner is being started
            except Unavailable as error:
                if error.code != CLOSING:
                    if client is not None and client.is_open:
                        raise  # the owner's own words
                    if not method.is_repeatable and not _has_key(params):
                        raise _lost() from error
            if await self._adopted(number):
                return await self._do(number, name, params)
            # the owner's time to come back counts from when it was missed: a long wait at it may have come before
            deadline = min(deadline, time.monotonic() + PEER_WAIT_S)
            if time.monotonic() >= deadline:
                raise _restarts()
            await asyncio.sleep(PEER_POLL_S)

    async def _do(self, number: int, name: str, params: Mapping[str, Any]) -> Any:
        """Do a call here, for a shard that this worker owns."""
        return await answer(ShardCalls, self._desk(self._queues[number], partial(self._append, number)), name, params)

    async def _client(self, number: int) -> RpcClient:
        connecting = self._clients.get(number)
        if connecting is None or (connecting.done() and not _is_open(connecting)):
            connecting = self._clients[number] = asyncio.ensure_future(RpcClient.connect(self.socket_of(number)))
        # shared: one who gives up must not take the others' connection along
        return await asyncio.shield(connecting)

    async def _adopted(self, number: int) -> bool:
        """True if this worker serves the shard now, perhaps because its worker is gone for good and it was free."""
        if number not in self._queues and number >= self._config.workers:
            try:
                await self._open(self._shards.lock(number))
            except StoreError as error:
                if error.code != "store.locked":
                    raise
        return number in self._queues

    # -- appending --------------------------------------------------------------------------------------

    def spool(self, number: int) -> BlobWriter:
        """A writer of a spool file in the folder of a shard."""
        if number in self._queues:
            return self._queues[number].blobs.create()
        return self._spool_of(number).create()

    def _spool_of(self, number: int) -> SpoolDir:
        return SpoolDir(self._shards.path / f"{number:03d}" / "spool", self._config.durability)

    async def append(self, number: int, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None) -> str:
        """Append a delivery to a shard; raises as ``Queue.append``. A spooled body must lie in that shard's folder.

        Without a key nothing is sent twice: when the answer of the owner was lost, this raises (``owner.lost``).
        """
        if number in self._queues:
            return await self._queues[number].intake.append(header, body, decoded, key)
        if isinstance(body, Spooled):
            try:
                return await self.shard(number).append(header, b"", body.name, key)
            except PypesError as error:
                if error.code in (_RESTARTS, CLOSING):
                    self._spool_of(number).remove([body.name])  # it never came to the owner
                raise
        return await self.shard(number).append(header, body, "", key)

    async def _append(self, number: int, header: Header, body: bytes, spool: str, key: Key | None) -> str:
        """Append what another worker sent; a file that was swept meanwhile is :class:`StoreError`."""
        taken: bytes | Spooled = self._spool_of(number).locate(spool) if spool else body
        future = self._queues[number].intake.append(header, taken, None, key)
        self._appending.add(future)
        future.add_done_callback(self._appending.discard)
        return await future

    # -- answering --------------------------------------------------------------------------------------

    async def answer(self, number: int, name: str, params: dict[str, Any]) -> Any:
        """Do what another worker asks of a shard. Raises :class:`Unavailable` (``owner.closing``) if it is let go of."""
        if self._is_closing or number not in self._queues:
            raise Unavailable("the worker is giving up the shard; ask again, its successor will answer", code=CLOSING)
        return await self._do(number, name, params)

    # -- stopping ---------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Refuse what others ask from now on, and wait until what they had appended is durable."""
        self._is_closing = True
        if self._appending:
            await asyncio.wait(self._appending, timeout=FINISH_S)

    async def close(self) -> None:
        """Close the connections to other workers."""
        clients, self._clients = list(self._clients.values()), {}
        for connecting in clients:
            if not connecting.done():
                connecting.cancel()
            elif not connecting.cancelled() and connecting.exception() is None:
                await connecting.result().close()


_RESTARTS = "receipt.owner_restarts"


def _has_key(params: Mapping[str, Any]) -> bool:
    return params.get("key") is not None


def _is_open(connected: asyncio.Future[RpcClient]) -> bool:
    return not connected.cancelled() and connected.exception() is None and connected.result().is_open


def _restarts() -> Unavailable:
    return Unavailable("the worker that owns the shard is being restarted; ask again", code=_RESTARTS)


def _lost() -> Unavailable:
    return Unavailable(
        (
            "the worker that owns the shard ended before its answer, so the request may have been carried out; check "
            "before repeating the request, or post with an Idempotency-Key, which makes that safe"
        ),
        code="owner.lost",
    )
