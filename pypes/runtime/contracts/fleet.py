"""Calls from node to node: what one asks another of, over a link that both have proven to be theirs."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.rpc.contract import once

#: States of a member, besides those that ``/readyz`` has: it does not answer; another node has its number; or its shards.
AWAY = "away"
TWIN = "twin"
DRAINED = "drained"


class Greeting(msgspec.Struct, frozen=True):
    """A node that introduces itself: its number, the start that it lives by, its release, and the state that ``/readyz`` has.

    ``is_new``: it joined a short while ago, so that others may have what it owns now. ``adopted``: nodes whose shards it has.
    """

    node: int
    boot: str
    version: str
    state: str = ""
    is_new: bool = False
    adopted: tuple[Adopted, ...] = ()


class Member(msgspec.Struct, frozen=True):
    """A node of the fleet, as another one knows it.

    ``name`` is the same for all nodes: the address that is configured. ``number`` is that in receipts, ``None`` until it has
    answered for the first time. ``state`` is as ``/readyz`` has it, or :data:`AWAY`, :data:`TWIN` or :data:`DRAINED`, with a
    ``reason``; one that is away without a reason was not asked yet. ``is_here``: it is this node. ``is_new`` and ``adopted`` are
    as in its :class:`Greeting`; one that has never answered is new.
    """

    name: str
    url: str
    number: int | None = None
    state: str = AWAY
    reason: str = ""
    version: str = ""
    is_here: bool = False
    is_new: bool = True
    adopted: tuple[Adopted, ...] = ()


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A delivery that belongs to another node."""

    header: Header
    body: bytes
    key: Key | None


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """Its receipt, or the error as JSON values."""

    receipt: str
    error: dict[str, Any] | None = None


class MemberCalls(RecordCalls, Protocol):
    """Calls to another node; it answers for what it has itself and asks nobody else, so that a call makes one hop."""

    async def claim(self, graph: str, key: Key, owner: str) -> str | None:
        """As ``ShardCalls.claim``."""

    async def let_go(self, graph: str, owner: str) -> int:
        """As ``ShardCalls.let_go``."""

    async def piece(self, body: str, graph: str, key: Key | None, data: bytes) -> None:
        """Take a piece of a large body, which has a name of its own; what is not appended goes with the link."""

    @once
    async def append(self, sent: list[Sent]) -> list[Taken]:
        """Append deliveries that belong to this node; gives what became of each, once that is durable.

        One for which this node believes in another owner has failed with :class:`Unavailable` (``fleet.changing``).
        """

    @once
    async def append_pieces(self, header: Header, pieces: str, key: Key | None) -> str:
        """Append a delivery whose body has come in pieces; returns its receipt, and raises what :meth:`append` tells."""

    async def greet(self, greeting: Greeting) -> Greeting:
        """Introduce the node that calls; the answer introduces the one that is called."""
