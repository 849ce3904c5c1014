"""Calls from node to node: what one asks another of, over a link that both have proven to be theirs."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pypes.access.audit import ITSELF, Cause
from pypes.graph.expansion import Use
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.rpc.contract import once, while_wanted

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


class FleetVersion(msgspec.Struct, frozen=True, order=True):
    """A version of a graph, as the members of a fleet count it: the greater one is in force.

    ``node`` is the number of the member that has given it. With ``counter`` 0 nobody has agreed to it: the graph comes from a
    file, or from the time when the node was by itself, and takes no other's place.
    """

    counter: int = 0
    node: int = 0

    def __str__(self) -> str:
        return f"{self.counter}.{self.node}"

    def replaces(self, other: FleetVersion) -> bool:
        """True if this version takes the place of the other one."""
        return self.counter > 0 and self > other


class Mark(msgspec.Struct, frozen=True):
    """The version of the fleet that a graph has on this node: the digest of its definition, empty if it was taken down."""

    version: FleetVersion
    digest: str
    author: str = ""
    note: str = ""
    is_forced: bool = False


class GraphHead(msgspec.Struct, frozen=True):
    """A graph as a member has it: its version, and the digest of what runs, empty if it is not deployed."""

    name: str
    version: FleetVersion
    digest: str
    is_paused: bool = False


class GraphState(msgspec.Struct, frozen=True):
    """Everything that members have of one version of a graph; ``graph`` is ``None`` if it is taken down.

    ``written`` is the graph as it was written, if ``composites`` are in it.
    ``is_forced``: it is taken down without waiting for what was accepted for it.
    """

    name: str
    version: FleetVersion
    graph: dict[str, Any] | None
    is_paused: bool = False
    author: str = ""
    note: str = ""
    is_forced: bool = False
    cause: Cause = ITSELF
    written: dict[str, Any] | None = None
    composites: tuple[Use, ...] = ()


#: Words of a member about a version: it has switched to it, is about to decide, or will not switch to it.
SWITCHED, PENDING, DROPPED = "switched", "pending", "dropped"


class AgreementCalls(Protocol):
    """Calls of a member that coordinates a change of a graph; the supervisor of the called node answers."""

    async def grant(self, name: str, by: int, id: str) -> None:
        """Have the turn to change a graph, asked of the member with the lowest number; waits for changes of other graphs.

        Raises :class:`Changed` (``fleet.busy``) while another member changes the same graph.
        """

    async def release(self, id: str) -> None:
        """Give the turn back."""

    @while_wanted
    async def prepare(self, state: GraphState) -> None:
        """Set a graph up beside what runs. Raises :class:`Changed` if something newer is there, and what a deployment raises."""

    async def commit(self, name: str, version: FleetVersion) -> bool:
        """The version is decided: a member that has prepared it switches to it, another one (False) takes it later."""

    async def abort(self, name: str, version: FleetVersion) -> None:
        """Drop what was prepared."""

    async def verdict(self, name: str, version: FleetVersion) -> str:
        """The word of this member about a version: :data:`SWITCHED`, :data:`PENDING` or :data:`DROPPED`."""

    async def heads(self) -> list[GraphHead]:
        """The graphs of this member, those that were taken down included."""

    async def state(self, name: str) -> GraphState:
        """One graph. Raises :class:`NotFound`."""
