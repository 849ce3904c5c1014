"""Agreement with the other members of a fleet about a change of a graph, as the deployer needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from pypes.access.audit import ITSELF, Cause
from pypes.graph.digest import digest_of
from pypes.runtime.contracts.fleet import FleetVersion, GraphState, Mark
from pypes.runtime.graphs.store import StoredGraph


class OtherMembers(Protocol):
    """The other members of the fleet."""

    @property
    def is_alone(self) -> bool:
        """True if there are none."""

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """The turn to change a graph, for as long as the context lasts.

        Raises :class:`Changed` (``fleet.busy``) if another member changes it now.
        """

    def next(self, name: str) -> FleetVersion | None:
        """The version that a change of a graph gets; ``None`` for a node that is in no fleet."""

    async def prepare(self, state: GraphState) -> None:
        """Have the others prepare a change. Raises what keeps one of them from it, or :class:`Unavailable` if too few answer."""

    async def commit(self, state: GraphState) -> Mapping[str, Any]:
        """Tell the others that a change is decided; gives what is shown of it."""

    def abort(self, state: GraphState) -> None:
        """Tell the others to drop a change."""

    def told(self, name: str) -> Mapping[str, Any]:
        """The part of what is shown of a graph that is about other members."""


class Alone:
    """A node that is in no fleet."""

    is_alone = True

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        yield

    def next(self, name: str) -> FleetVersion | None:
        return None

    async def prepare(self, state: GraphState) -> None:
        """There is nobody to agree with."""

    async def commit(self, state: GraphState) -> Mapping[str, Any]:
        return {}

    def abort(self, state: GraphState) -> None:
        """Nobody has prepared anything."""

    def told(self, name: str) -> Mapping[str, Any]:
        return {}


def state_of(
    name: str,
    version: FleetVersion,
    graph: StoredGraph | None,
    *,
    is_paused: bool = False,
    is_forced: bool = False,
    cause: Cause = ITSELF,
) -> GraphState:
    """A graph in a version of the fleet; ``None`` if it is taken down."""
    if graph is None:
        return GraphState(name, version, None, is_forced=is_forced, cause=cause)
    author, note, written, uses = graph.author, graph.note, graph.written, graph.composites
    return GraphState(name, version, graph.graph, is_paused, author, note, cause=cause, written=written, composites=uses)


def mark_of(state: GraphState, digest: str | None = None) -> Mark:
    """The mark of a graph in a version of the fleet; ``digest`` is that of what this node has made of it, if it may differ."""
    return Mark(state.version, digest_of(state.graph) if digest is None else digest, state.author, state.note, state.is_forced)
