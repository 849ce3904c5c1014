"""Intake of a queue on a store: deliveries gather in the write buffer, and are confirmed by the commit that has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from pypes.access.audit import ITSELF, Cause
from pypes.core.graph_limits import GraphLimits
from pypes.errors import Conflict, PypesError
from pypes.ingest.contracts.blobs import Blobs
from pypes.ingest.contracts.cursors import Cursor
from pypes.ingest.contracts.intake import Key, Waiter
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.queues.committer import Committer, store_error
from pypes.ingest.queues.idempotency import Keys, check
from pypes.ingest.queues.retention import Retention
from pypes.ingest.queues.room import Room
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.write_buffer import Append
from pypes.ingest.replaying import Link
from pypes.ingest.store.ledger import Ledger


class StoredIntake:
    """Implements :class:`pypes.ingest.contracts.intake.Intake`.

    ``receipt_of`` gives the id of the delivery at the key of a commit, a position and a salt.
    """

    def __init__(
        self,
        room: Room,
        committer: Committer,
        ledger: Ledger,
        reading: StoreThread,
        blobs: Blobs,
        retention: Retention,
        receipt_of: Callable[[int, int, int], object],
    ) -> None:
        self.keys = Keys()
        self._room = room
        self._committer = committer
        self._ledger = ledger
        self._reading = reading
        self._blobs = blobs
        self._retention = retention
        self._receipt_of = receipt_of
        self._loop = asyncio.get_running_loop()

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        if key is None:
            return self.put(header, body, decoded)
        try:
            self._committer.check()
            known = self.keys.find(key)
        except PypesError:
            self._discard(body)
            raise
        if known is not None:
            self._discard(body)
            return known
        future = self.keys.begin(key, self._loop.create_future())
        look_up = partial(self._ledger.key, key.name)
        self._reading.submit(look_up, partial(self._looked_up, Append(header, body, decoded, future, key)))
        return self.keys.follow(future)

    async def known(self, key: Key) -> str | None:
        if (pending := self.keys.find(key)) is not None:
            try:
                return await pending
            except PypesError as error:
                if isinstance(error, Conflict):
                    raise
                return None
        found = await self._reading.call(partial(self._ledger.key, key.name))
        if found is None:
            return None
        digest, *place = found
        check(key, digest)
        return str(self._receipt_of(*place))

    def append_for(self, waiter: Waiter, header: Header, body: bytes, decoded: bytes | None = None) -> None:
        # PERF: as _take_on, for an append that has nothing but its body
        self._committer.check()
        self._room.reserve(header, len(body))
        self._committer.buffer.appends.append(Append(header, body, decoded, waiter))
        self._committer.kick_soon()

    def _looked_up(self, append: Append, found: tuple[bytes, int, int, int] | None, error: BaseException | None) -> None:
        """Append what came with an idempotency key, unless the store has that key already."""
        assert append.key is not None
        if found is not None:
            self._discard(append.body)
            digest, *place = found
            self.keys.known(append.key, digest, str(self._receipt_of(*place)))
            return
        try:
            if error is not None:
                self._discard(append.body)
                raise store_error(error)
            self._take_on(append)
        except PypesError as refusal:
            self.keys.failed(append.key, refusal)

    def put(
        self,
        header: Header,
        body: bytes | Spooled,
        decoded: bytes | None = None,
        *,
        replays: tuple[str, ...] = (),
        cursors: tuple[Cursor, ...] = (),
        link: Link | None = None,
        cause: Cause = ITSELF,
    ) -> asyncio.Future[str]:
        """As :meth:`append`; removes the dead letters ``replays`` and moves the ``cursors`` in the same transaction.

        ``link`` says what a replay runs again, and is kept; ``cause`` is what the audit log says of it.
        """
        future = self._loop.create_future()
        self._take_on(Append(header, body, decoded, future, None, replays, cursors, link, cause))
        return future

    def _take_on(self, append: Append) -> None:
        try:
            self._committer.check()
            if append.key is not None:
                self._room.check_keys(append.header.graph)
            self._room.reserve(append.header, len(append.body), is_replay=bool(append.replays))
        except PypesError:
            self._discard(append.body)
            raise
        if append.key is not None:
            self._room.add_keys(append.header.graph, 1)
        self._committer.buffer.appends.append(append)
        self._committer.kick_soon()

    def _discard(self, body: bytes | Spooled) -> None:
        """Remove the file of a body that is not taken on."""
        if isinstance(body, Spooled):
            self._blobs.remove([body.name])

    # -- what a commit brought ---------------------------------------------------------------------------

    def confirm(self, appends: Iterable[Append], ids: Iterable[str]) -> None:
        """Give appends their receipts: they are durable."""
        for append, id in zip(appends, ids, strict=True):
            waiter = append.waiter
            if not waiter.done():  # done: the client hung up; what it sent was accepted all the same
                waiter.set_result(id)
            if append.key is not None:
                self.keys.end(append.key)

    def refuse(self, append: Append, error: BaseException) -> None:
        """Tell that the store failed and nothing of an append was accepted."""
        self._room.count(append.header.graph, -1, -len(append.body))
        refusal = store_error(error)
        if append.key is not None:
            self._room.add_keys(append.header.graph, -1)
            self.keys.failed(append.key, refusal)
        elif not append.waiter.done():
            append.waiter.set_exception(refusal)

    # -- room --------------------------------------------------------------------------------------------

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        self._room.check(size, graph, is_bulk=is_bulk)

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        self._room.reserve_arriving(size, is_repeatable=is_repeatable)

    def release_arriving(self, size: int) -> None:
        self._room.release_arriving(size)

    def deployed(self, graphs: Mapping[str, GraphLimits]) -> None:
        self._room.deployed(graphs)
        self._retention.deployed(graphs)
