"""Changes that other members of the fleet coordinate, as this node carries them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pypes import logs
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Changed, NotFound, PypesError
from pypes.graph.digest import digest_of
from pypes.runtime.contracts.fleet import DROPPED, SWITCHED, FleetVersion, GraphHead, GraphState, Mark
from pypes.runtime.graphs.agreeing import mark_of, state_of
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.switching import Prepared, Together

if TYPE_CHECKING:
    from pypes.runtime.graphs.deployer import Deployer

#: Seconds until whoever hears nothing of what it has prepared asks, again and again.
SILENCE_S = 1.0
ASK_S = 1.0

#: Seconds after which it is dropped, if the coordinator cannot be asked and nobody else has switched.
UNKNOWN_S = 5.0


@dataclass(slots=True)
class _Pending:
    """A change that is prepared, and not decided. The deployer's lock is held."""

    state: GraphState
    prepared: Prepared
    digest: str
    watch: asyncio.Task[None] | None = None


class Agreed:
    """Prepares, switches and drops what others coordinate, and takes what it has missed.

    ``node`` is the number of this node; ``asked(name, version)`` is the word of others about a version, ``None`` if nobody knows.
    """

    def __init__(
        self,
        deployer: Deployer,
        store: ControlStore,
        node: int,
        asked: Callable[[str, FleetVersion], Awaitable[str | None]],
        on_failed: Callable[[str], None],
    ) -> None:
        self._deployer = deployer
        self._store = store
        self._node = node
        self._asked = asked
        self._pending: _Pending | None = None
        self._tasks = WatchedTasks(on_failed)
        #: Versions that could not be taken: each is kept as failed once.
        self._failed: set[tuple[str, FleetVersion]] = set()
        self._digests: dict[str, tuple[StoredGraph, str]] = {}
        self._log = logs.get("pypes.fleet")

    # -- what there is ----------------------------------------------------------------------------------

    def heads(self) -> list[GraphHead]:
        """The graphs of this node, those that were taken down in the fleet included."""
        marks = self._store.marks()
        return [self._head(name, marks.get(name)) for name in sorted(self._deployer.live.keys() | marks.keys())]

    def _head(self, name: str, mark: Mark | None) -> GraphHead:
        digest, is_paused = self.digest(name), name in self._deployer.paused
        # a mark of something else: it was changed while the node was in no fleet
        version = mark.version if mark is not None and mark.digest == digest else FleetVersion(0, self._node)
        return GraphHead(name, version, digest, is_paused)

    def digest(self, name: str) -> str:
        """The digest of a graph, empty if it is not deployed."""
        graph = self._deployer.live.get(name)
        if graph is None:
            return ""
        known = self._digests.get(name)
        if known is None or known[0] is not graph:
            known = self._digests[name] = (graph, digest_of(graph.graph))
        return known[1]

    def state(self, name: str) -> GraphState:
        """One graph; raises :class:`NotFound`."""
        mark, graph = self._store.mark(name), self._deployer.live.get(name)
        if mark is None and graph is None:
            raise NotFound(f"there is no graph {name!r} on this node", code="graph.not_found", where=name)
        head, is_forced = self._head(name, mark), mark is not None and mark.is_forced
        return state_of(name, head.version, graph, is_paused=head.is_paused, is_forced=is_forced)

    # -- what others coordinate -------------------------------------------------------------------------

    async def prepare(self, state: GraphState) -> None:
        """Prepare a change. Until it is decided nothing else is changed on this node."""
        await self._deployer.lock.acquire()
        try:
            mine = self._head(state.name, self._store.mark(state.name)).version
            if not state.version.replaces(mine):
                reason = f"this node has version {mine} of the fleet already; read the graph again"
                raise Changed(reason, code="graph.changed", where=state.name)
            self._pending = _Pending(state, *await self._prepared(state))
        except BaseException:
            self._deployer.lock.release()
            raise
        self._pending.watch = self._tasks.start(self._watch(self._pending), f"waiting for a version of {state.name}")

    async def commit(self, name: str, version: FleetVersion) -> bool:
        """Switch to what was prepared; False if that was not."""
        pending = self._take_pending(name, version)
        if pending is None:
            mark = self._store.mark(name)
            return mark is not None and mark.version == version
        await self._switch(pending)
        return True

    async def abort(self, name: str, version: FleetVersion) -> None:
        """Drop what was prepared, if it was."""
        if (pending := self._take_pending(name, version)) is not None:
            await self._drop(pending, "another node could not prepare it")

    def _take_pending(self, name: str, version: FleetVersion) -> _Pending | None:
        pending = self._pending
        if pending is None or (pending.state.name, pending.state.version) != (name, version):
            return None
        self._pending = None
        if pending.watch is not None and pending.watch is not asyncio.current_task():
            pending.watch.cancel()
        return pending

    async def _switch(self, pending: _Pending) -> None:
        try:
            await pending.prepared.commit(mark_of(pending.state, pending.digest))
        finally:
            self._deployer.lock.release()

    async def _drop(self, pending: _Pending, reason: str) -> None:
        try:
            await pending.prepared.abort(reason)
        finally:
            self._deployer.lock.release()
        self._log.info("prepared version dropped", graph=pending.state.name, version=str(pending.state.version), reason=reason)

    async def _watch(self, pending: _Pending) -> None:
        """Ask what has become of a version that nobody says anything of."""
        name, version = pending.state.name, pending.state.version
        await asyncio.sleep(SILENCE_S)
        unknown_since = None
        while True:
            found = await self._asked(name, version)
            if found in (SWITCHED, DROPPED):
                break
            now = time.monotonic()
            unknown_since = None if found is not None else unknown_since or now
            if unknown_since is not None and now - unknown_since > UNKNOWN_S:
                break
            await asyncio.sleep(ASK_S)
        if self._take_pending(name, version) is None:
            return
        if found == SWITCHED:
            try:
                await self._switch(pending)
            except PypesError as error:  # it is taken later
                self._log.warning("prepared version not taken", graph=name, version=str(version), reason=str(error))
        else:
            await self._drop(pending, "the node that coordinates it has dropped it, or is gone")

    # -- what was missed --------------------------------------------------------------------------------

    async def take(self, state: GraphState) -> None:
        """Make a graph what it is on another member. Raises what a deployment raises."""
        async with self._deployer.lock:
            mark = self._store.mark(state.name)
            if (mark is not None or state.name in self._deployer.live) and not state.version.replaces(
                self._head(state.name, mark).version
            ):
                return
            try:
                prepared, digest = await self._prepared(state)
            except PypesError:
                self._failed.add((state.name, state.version))
                raise
            await prepared.commit(mark_of(state, digest))

    async def _prepared(self, state: GraphState) -> tuple[Prepared, str]:
        """The change that makes a graph what ``state`` says, and the digest of what it is then."""
        deployer, name = self._deployer, state.name
        live = deployer.live.get(name)
        if state.graph is None:
            if live is None:
                return _Marking(self._store, name), ""
            return await deployer.switching.removal(name, state.cause, is_forced=state.is_forced), ""
        changes: list[Prepared] = []
        digest = self.digest(name)
        if state.is_paused != (name in deployer.paused):
            changes.append(deployer.switching.pausing(name, state.is_paused, state.cause))
        wanted = StoredGraph(name, 0, state.graph, 0.0, written=state.written, composites=state.composites)
        if live is None or (live.graph, live.written) != (wanted.graph, wanted.written) or name in deployer.failed:
            checked = deployer.checked_again(name, wanted)
            # another release may have another canonical form
            digest = digest_of(checked.graph)
            new = deployer.next_version(name, checked, state.author, state.note)
            is_recorded = (name, state.version) not in self._failed
            changes.append(await deployer.switching.version(new, state.cause, in_place=False, is_recorded=is_recorded))
        return (Together(changes) if changes else _Marking(self._store, name)), digest

    async def close(self) -> None:
        """Ask nobody any more."""
        await self._tasks.close()


class _Marking:
    """A graph that is as it should be."""

    def __init__(self, store: ControlStore, name: str) -> None:
        self._store = store
        self._name = name

    async def commit(self, mark: Mark | None) -> None:
        if mark is not None:
            self._store.set_mark(self._name, mark)

    async def abort(self, reason: str) -> None:
        """There is nothing to drop."""
