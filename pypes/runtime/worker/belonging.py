"""Deliveries that belong to one node of the fleet: those with an idempotency key, and those of a graph with order.

Each goes to the node that owns its key or its graph, before it is acknowledged. Members that are configured own, whether they
answer or not: while the owner is away, the answer is 503, never a second acceptance.

When nodes have joined or were drained lately, the owner asks those that have what the text had before. Members that owned it
answer only to who owns it by their own list, too, and by that list they take nothing of it any more.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from pypes.errors import Draining, Unavailable
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header, Spooled
from pypes.runtime.contracts.fleet import AWAY, Member
from pypes.runtime.fleet.link import AWAY_CODE
from pypes.runtime.worker.forwarding import Forwarder
from pypes.runtime.worker.members import POLL_S, Former, Members

#: A piece of a large body, in bytes.
PIECE_BYTES = 1 << 20

#: Code of a node that is asked for what another one owns by its own list of members.
CHANGING = "fleet.changing"

#: Codes of what passes by itself: nothing was done, or it may be done again.
PASSING = (AWAY_CODE, CHANGING, "fleet.joining", "fleet.pieces", Draining.code)


class Here(Protocol):
    """Appends to the queue of this node that a delivery belongs to."""

    def __call__(self, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None, /) -> Awaitable[str]: ...


class Belonging:
    """Appends what belongs to one node, wherever that is. ``is_key_owner_required``: keys wait for an owner that is away.

    ``check_open(graph)`` raises if this node takes nothing of a graph now.
    """

    def __init__(
        self,
        members: Members,
        here: Here,
        known: Callable[[str, Key], Awaitable[str | None]],
        check_open: Callable[[str], None],
        *,
        is_key_owner_required: bool,
    ) -> None:
        self._members = members
        self._forwarder = Forwarder(members)
        self._here = here
        self._known = known
        self._check_open = check_open
        self._is_key_owner_required = is_key_owner_required
        #: Graphs with order of which no former owner has anything left.
        self._settled: set[str] = set()
        members.on_change.append(self._settled.clear)

    async def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None, *, is_ordered: bool
    ) -> str:
        """Append a delivery; returns its receipt once it is durable. Raises as ``Queue.append``, and :class:`Unavailable`.

        Waits while the owner may only be restarting, and while not all nodes know the same members.
        """
        text = text_of(header.graph, key, is_ordered=is_ordered)
        # had the request been sent before, these had not been there to accept it; an earlier one they may have accepted
        given_up = self._members.given_up if key is not None and key.is_request and not is_ordered else frozenset[str]()
        deadline = math.inf
        is_taken = False
        try:
            while True:
                self._check_open(header.graph)
                try:
                    owner = self._owner(text, is_ordered=is_ordered, given_up=given_up)
                    if owner is not None:
                        return await self._forward(owner, header, body, key)
                    if (receipt := await self._before(text, header.graph, key, given_up, is_ordered=is_ordered)) is not None:
                        return receipt
                    is_taken = True
                    return await self._here(header, body, decoded, key)
                except Unavailable as error:
                    deadline = min(deadline, time.monotonic() + self._members.patience_s)
                    if is_taken or not self._passes(error) or time.monotonic() >= deadline:
                        raise
                await asyncio.sleep(POLL_S)
        finally:
            if not is_taken:  # its queue owns the file otherwise
                await _discard(body)

    def _passes(self, error: Unavailable) -> bool:
        """True if what kept a delivery from being appended may pass by itself in a moment."""
        return error.code in PASSING and (error.code != AWAY_CODE or self._members.is_patient(error.where))

    def _owner(self, text: str, *, is_ordered: bool, given_up: frozenset[str]) -> Member | None:
        """The node to which a text belongs, ``None`` if it is this one, or stands for one that is away."""
        ranks = self._members.ranked(text)
        if not ranks or ranks[0].is_here or ranks[0].name in given_up:
            return None
        is_free = ranks[0].state == AWAY and not (is_ordered or self._is_key_owner_required)
        return None if is_free else ranks[0]

    async def _forward(self, owner: Member, header: Header, body: bytes | Spooled, key: Key | None) -> str:
        if isinstance(body, bytes):
            return await self._forwarder.append(owner, header, body, key)
        name, calls = uuid.uuid4().hex, self._members.calls(owner)
        with body.open() as stream:
            while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
                await calls.piece(name, header.graph, key, piece)
        return await calls.append_pieces(header, name, key)

    async def _before(self, text: str, graph: str, key: Key | None, given_up: frozenset[str], *, is_ordered: bool) -> str | None:
        """Ask former owners of what this node owns: the receipt that a key has, and what is left of a graph with order."""
        ranks = self._members.ranked(text)
        former = self._members.former(text) if ranks and ranks[0].is_here else []
        former = [one for one in former if one.member.name not in given_up]
        if former and key is not None:
            if (receipt := await self._known(graph, key)) is not None:
                return receipt
            for one in former:
                if (receipt := await self._receipt_at(one, graph, key)) is not None:
                    return receipt
        if former and is_ordered and graph not in self._settled:
            left = sum([await self._left_at(one, graph) for one in former])
            if left:
                message = f"the graph has a new owner, and the former one still has {left} deliveries; try again"
                raise Unavailable(message, code=CHANGING, where=graph)
            self._settled.add(graph)
        return None

    async def _receipt_at(self, former: Former, graph: str, key: Key) -> str | None:
        """The receipt that a key has at a former owner."""
        if former.node is None:
            return await self._members.calls(former.member).claim(graph, key, self._members.own_name)
        return await self._members.handing(former.member).known(key, former.node)

    async def _left_at(self, former: Former, graph: str) -> int:
        """The number of unfinished deliveries of a graph at a former owner."""
        if former.node is None:
            return await self._members.calls(former.member).let_go(graph, self._members.own_name)
        return await self._members.handing(former.member).unfinished(graph, former.node)

    def is_settled(self, graph: str, key: Key | None, *, is_ordered: bool) -> bool:
        """True if no former owner has to be asked for what this node owns."""
        if key is None and graph in self._settled:
            return True
        return not self._members.former(text_of(graph, key, is_ordered=is_ordered))

    async def close(self) -> None:
        """Forward nothing any more."""
        await self._forwarder.close()

    def is_here(self, graph: str, key: Key | None, *, is_ordered: bool) -> bool:
        """True if this node owns what has this key, or is of this graph with order."""
        ranks = self._members.ranked(text_of(graph, key, is_ordered=is_ordered))
        return not ranks or ranks[0].is_here


def text_of(graph: str, key: Key | None, *, is_ordered: bool) -> str:
    """The text by which a delivery has an owner."""
    if is_ordered:
        return graph
    assert key is not None
    return key.name


def changing() -> Unavailable:
    """The error of a node that is asked for what another one owns by its own list of members."""
    return Unavailable("the list of nodes changes, and not all know it yet; try again", code=CHANGING)


async def _discard(body: bytes | Spooled) -> None:
    if isinstance(body, Spooled):
        await asyncio.to_thread(Path(body.path).unlink, missing_ok=True)
