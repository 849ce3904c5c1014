"""Idempotency keys on their way: all who send one key at the same time share one delivery."""

from __future__ import annotations

import asyncio

from pypes.errors import Conflict, PypesError
from pypes.ingest.contracts.intake import DIGEST_BYTES, Key


class Keys:
    """Keys that are being looked up or whose append is not durable yet; those that are durable are in the store.

    Those who wait get a future each: one that hangs up must not take the answer away from the others.
    """

    def __init__(self) -> None:
        self._pending: dict[str, tuple[bytes, asyncio.Future[str]]] = {}

    def find(self, key: Key) -> asyncio.Future[str] | None:
        """The answer of a key on its way, if it is; raises :class:`Conflict` if it came with another request."""
        found = self._pending.get(key.name)
        if found is None:
            return None
        check(key, found[0])
        return self.follow(found[1])

    def begin(self, key: Key, future: asyncio.Future[str]) -> asyncio.Future[str]:
        """A key comes for the first time; ``future`` is to give its receipt."""
        self._pending[key.name] = (key.digest, future)
        return future

    def known(self, key: Key, digest: bytes, receipt: str) -> None:
        """The store has the key, for the request with this digest."""
        try:
            check(key, digest)
        except Conflict as conflict:
            self.failed(key, conflict)
        else:
            _, future = self._pending.pop(key.name)
            future.set_result(receipt)

    def end(self, key: Key) -> None:
        """The key is durable now."""
        self._pending.pop(key.name, None)

    def failed(self, key: Key, error: PypesError) -> None:
        """Nothing was accepted: the key is free again."""
        _, future = self._pending.pop(key.name)
        future.set_exception(error)

    @staticmethod
    def follow(future: asyncio.Future[str]) -> asyncio.Future[str]:
        """A future of its own that ends as the given one does."""
        own: asyncio.Future[str] = future.get_loop().create_future()

        def copy(done: asyncio.Future[str]) -> None:
            error = done.exception()
            if own.done():
                return
            if error is None:
                own.set_result(done.result())
            else:
                own.set_exception(error)

        future.add_done_callback(copy)
        return own


def check(key: Key, digest: bytes) -> None:
    """Raise :class:`Conflict` if a key was used before with a request that has another digest."""
    if digest[:DIGEST_BYTES] != key.digest[:DIGEST_BYTES]:
        raise Conflict(
            "the idempotency key was used with another request; use a new key for each request", code="idempotency.mismatch"
        )
