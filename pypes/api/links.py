"""Links of other nodes to this one: connections that began as HTTP (:mod:`pypes.runtime.fleet.link`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Forbidden
from pypes.runtime.fleet.link import LINK_PROTOCOL, WELCOME, Answerer
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import MAX_LINE_BYTES, Peer, RpcServer

#: Does a call of another node: who calls, method, parameters.
Handle = Callable[[Peer, str, dict[str, Any]], Awaitable[Any]]

#: Longest line with which a caller proves itself.
MAX_PROOF_BYTES = 256


class Links:
    """The links of a worker. ``server`` answers the calls of callers that know the secret."""

    def __init__(self, access: FleetAccess, server: RpcServer) -> None:
        self._access = access
        self._server = server
        # a link that fails is missed by the one who called
        self._tasks = WatchedTasks(lambda name: None)

    def open(self, fields: Iterable[tuple[bytes, bytes]], transport: asyncio.Transport) -> Link | None:
        """Answer an offer to make the connection a link; ``None`` if it is another one.

        Raises :class:`Forbidden` (``fleet.secret``) if the caller knows none of the secrets.
        """
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
        if found.get("upgrade") != LINK_PROTOCOL:
            return None
        answerer = Answerer(self._access, found)
        if (answer := answerer.answer) is None:
            raise Forbidden("the caller knows none of the secrets of this fleet; see secret_file of [fleet]", code="fleet.secret")
        transport.write(answer)
        return Link(answerer, transport, self)

    def serve(self, reader: asyncio.StreamReader, transport: asyncio.Transport) -> None:
        """Answer calls until the connection ends."""
        self._tasks.start(self._server.serve(reader, transport), "link of a node")

    async def close(self) -> None:
        """End all links."""
        await self._tasks.close()


def links_of(access: FleetAccess | None, handle: Handle, on_gone: Callable[[Peer], None]) -> Links | None:
    """The links of a worker that answers calls of other nodes with ``handle``; ``None`` for a node that is in no fleet.

    ``on_gone`` hears of links that have ended.
    """
    return None if access is None else Links(access, RpcServer(handle, on_gone))


class Link:
    """A connection from another node."""

    def __init__(self, answerer: Answerer, transport: asyncio.Transport, links: Links) -> None:
        self._answerer = answerer
        self._transport = transport
        self._links = links
        self._reader = asyncio.StreamReader(MAX_LINE_BYTES)
        self._reader.set_transport(transport)
        self._proof = b""
        #: True once the caller has proven that it knows the secret.
        self.is_proven = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.is_proven:
            self._reader.feed_data(data)
            return
        self._proof += data
        proof, end, rest = self._proof.partition(b"\n")
        if not end and len(proof) <= MAX_PROOF_BYTES:
            return
        if not end or not self._answerer.is_proven(proof.decode("latin-1")):
            self._transport.abort()
            return
        self.is_proven = True
        self._transport.write(WELCOME)
        self._links.serve(self._reader, self._transport)
        if rest:
            self._reader.feed_data(rest)

    def end(self) -> None:
        """The connection has ended."""
        self._reader.feed_eof()
