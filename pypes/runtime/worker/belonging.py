"""Deliveries that belong to one node of the fleet: those with an idempotency key, and those of a graph with order.

Each goes to the node that owns its key or its graph, before it is acknowledged. Members that are configured own, whether they
answer or not: while the owner is away, the answer is 503, never a second acceptance.

When nodes have joined lately, the owner asks those that owned the text before it. They answer only to who owns it by their own
list, too, and by that list they take nothing of it any more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from pypes.errors import Unavailable
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header, Spooled
from pypes.runtime.contracts.fleet import AWAY, Member, MemberCalls
from pypes.runtime.worker.forwarding import Forwarder
from pypes.runtime.worker.members import Members

#: A piece of a large body, in bytes.
PIECE_BYTES = 1 << 20

#: Longest wait for a former owner to finish what it has of a graph with order, in seconds.
SETTLE_S = 5.0
SETTLE_POLL_S = 0.1


class Here(Protocol):
    """Appends to the queue of this node that a delivery belongs to."""

    def __call__(self, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None, /) -> Awaitable[str]: ...


class Belonging:
    """Appends what belongs to one node, wherever that is. ``is_key_owner_required``: keys wait for an owner that is away."""

    def __init__(
        self, members: Members, here: Here, known: Callable[[str, Key], Awaitable[str | None]], *, is_key_owner_required: bool
    ) -> None:
        self._members = members
        self._forwarder = Forwarder(members)
        self._here = here
        self._known = known
        self._is_key_owner_required = is_key_owner_required
        #: Graphs with order of which no former owner has anything left.
        self._settled: set[str] = set()
        members.on_change.append(self._settled.clear)

    async def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None, *, is_ordered: bool
    ) -> str:
        """Append a delivery; returns its receipt once it is durable. Raises as ``Queue.append``, and :class:`Unavailable`."""
        text = text_of(header.graph, key, is_ordered=is_ordered)
        ranks = self._members.ranked(text)
        if not ranks or ranks[0].is_here:
            if former := formerly(ranks):
                if key is not None and (receipt := await self._known_before(former, header.graph, key)) is not None:
                    await _discard(body)
                    return receipt
                if is_ordered:
                    await self._settle(former, header.graph)
            return await self._here(header, body, decoded, key)
        owner = ranks[0]
        if owner.state == AWAY and not (is_ordered or self._is_key_owner_required):
            return await self._here(header, body, decoded, key)
        if isinstance(body, bytes):
            return await self._forwarder.append(owner, header, body, key)
        return await self._forward_pieces(self._members.calls(owner), header, body, key)

    def is_settled(self, graph: str, key: Key | None, *, is_ordered: bool) -> bool:
        """True if no former owner has to be asked for what this node owns."""
        if key is None and graph in self._settled:
            return True
        return not formerly(self._members.ranked(text_of(graph, key, is_ordered=is_ordered)))

    async def close(self) -> None:
        """Forward nothing any more."""
        await self._forwarder.close()

    def is_here(self, graph: str, key: Key | None, *, is_ordered: bool) -> bool:
        """True if this node owns what has this key, or is of this graph with order."""
        ranks = self._members.ranked(text_of(graph, key, is_ordered=is_ordered))
        return not ranks or ranks[0].is_here

    async def _forward_pieces(self, owner: MemberCalls, header: Header, body: Spooled, key: Key | None) -> str:
        name = uuid.uuid4().hex
        try:
            with body.open() as stream:
                while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
                    await owner.piece(name, header.graph, key, piece)
            return await owner.append_pieces(header, name, key)
        finally:
            await _discard(body)

    async def _known_before(self, former: list[Member], graph: str, key: Key) -> str | None:
        """The receipt that a key has here or at a former owner."""
        if (receipt := await self._known(graph, key)) is not None:
            return receipt
        for member in former:
            if (receipt := await self._members.calls(member).claim(graph, key, self._members.own_name)) is not None:
                return receipt
        return None

    async def _settle(self, former: list[Member], graph: str) -> None:
        """Wait until former owners of a graph with order have nothing left of it; raises :class:`Unavailable` after a while."""
        deadline = time.monotonic() + SETTLE_S
        while graph not in self._settled:
            left = [await self._members.calls(member).let_go(graph, self._members.own_name) for member in former]
            if not any(left):
                self._settled.add(graph)
            elif time.monotonic() >= deadline:
                raise Unavailable(
                    f"the graph has a new owner, and the former one still has {sum(left)} deliveries; try again",
                    code="fleet.changing",
                    where=graph,
                )
            else:
                await asyncio.sleep(SETTLE_POLL_S)


def text_of(graph: str, key: Key | None, *, is_ordered: bool) -> str:
    """The text by which a delivery has an owner."""
    if is_ordered:
        return graph
    assert key is not None
    return key.name


def changing() -> Unavailable:
    """The error of a node that is asked for what another one owns by its own list of members."""
    return Unavailable("the list of nodes changes, and not all know it yet; try again", code="fleet.changing")


def formerly(ranks: list[Member]) -> list[Member]:
    """The members that may have owned what the first of these owns now: down to the first that did not join lately."""
    former = []
    for before, member in pairwise(ranks):
        if not before.is_new:
            break
        former.append(member)
    return former


async def _discard(body: bytes | Spooled) -> None:
    if isinstance(body, Spooled):
        await asyncio.to_thread(Path(body.path).unlink, missing_ok=True)
