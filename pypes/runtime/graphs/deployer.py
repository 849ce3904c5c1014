"""The deployer: changes which graphs run, and in which version, on a live node.

The stored versions are the truth. A change is tried out before it is stored: a new generation of instances is started with the
graph that changed, beside those that run. When all of them are ready the version is stored and the new generation takes the
graph over, otherwise nothing has changed. The other graphs stay where they are. Secrets (``${ENV}``) are stored and shown
unexpanded and never appear in a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pypes import logs
from pypes.access.audit import ITSELF, Cause
from pypes.config import Settings
from pypes.core.watched_tasks import OnFailed
from pypes.errors import Changed, PypesError
from pypes.graph.composite_files import FOLDER
from pypes.graph.digest import digest_of
from pypes.observe import Observer, guarded
from pypes.registry import Catalogue
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.contracts.fleet import FleetVersion, Mark
from pypes.runtime.generations.backoff import Backoff
from pypes.runtime.generations.generation import SetupFailed, SetupFailure
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.agreeing import Alone, OtherMembers, mark_of, state_of
from pypes.runtime.graphs.checking import Checked
from pypes.runtime.graphs.composites import Composites
from pypes.runtime.graphs.consolidation import Consolidation
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.files import GraphFile, GraphFiles, Undeployed
from pypes.runtime.graphs.folder import GraphFolder
from pypes.runtime.graphs.launching import Launcher
from pypes.runtime.graphs.retrying import Retries
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.switching import Prepared, Switching
from pypes.runtime.pools.node_pools import NodePools


class Deployer(DeployedGraphs):
    """Changes what is deployed: one thing at a time, in the order in which it was asked for.

    ``unfinished(graph)`` gives how many deliveries of a graph in ``closing`` are not done yet, ``None`` if nobody knows; it
    raises :class:`Unavailable`. ``discover`` finds the components there are now, for graphs that cannot do without some.
    An ``observer`` is told of each deployment.
    """

    def __init__(
        self,
        store: ControlStore,
        generations: Generations,
        pools: NodePools,
        settings: Settings,
        unfinished: Callable[[str], Awaitable[int | None]],
        on_change: Callable[[], None],
        on_failed: OnFailed,
        discover: Callable[[Settings], Awaitable[Catalogue]],
        observer: Observer | None = None,
    ) -> None:
        super().__init__(store, generations, pools, settings)
        self._store = store
        self._observer = guarded(observer) or Observer()
        self.launcher = Launcher(self, store, generations, pools, self._observer)
        self._files = GraphFiles(store)
        self.composites = Composites(store, self)
        self.folder = GraphFolder(store, lambda: self.settings.server.graphs, lambda: self._files.undeployed)
        #: Held by whoever changes what is deployed.
        self.lock = self._lock = asyncio.Lock()
        self.switching = Switching(self, store, generations, self.launcher, unfinished, on_change, self._observer)
        #: The other members of the fleet.
        self.others: OtherMembers = Alone()
        self._retries = Retries(self, self.launcher, self._lock, discover, on_change, on_failed)
        self.consolidation = Consolidation(self, self.launcher, generations, self._lock)
        self._log = logs.get("pypes.deployments")

    # -- what is shown ----------------------------------------------------------------------------------

    def summaries(self) -> list[dict[str, Any]]:
        """As the deployed graphs tell it, with ``draft`` where there is one, and ``file`` of a graph that has one."""
        self.folder.look()
        drafted = {draft.name for draft in self._store.drafts.all()}
        return [{**each, "draft": True} if each["name"] in drafted else each for each in super().summaries()]

    def get(self, name: str) -> dict[str, Any]:
        """As the deployed graphs tell it, with ``draft`` and ``file``."""
        self.folder.look()
        found = super().get(name)
        return {**found, "draft": True} if any(draft.name == name for draft in self._store.drafts.all()) else found

    def _told(self, graph: StoredGraph) -> dict[str, Any]:
        file = self.folder.state_of(graph)
        return super()._told(graph) | ({} if file is None else {"file": file}) | {**self.others.told(graph.name)}

    # -- what is changed --------------------------------------------------------------------------------

    async def put(self, name: str, obj: Any, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Validate a graph and deploy it; as :meth:`get`, with ``created`` telling whether the name is new.

        Returns when it is live. Raises :class:`Changed`, :class:`InvalidGraph` with all problems, or :class:`ComponentError`
        (``graph.setup_failed``) naming the filter that could not be set up: what ran before still runs then, and the version is
        kept as failed. :class:`Forbidden` as :meth:`checked`.
        """
        async with self.others.turn(name), self._lock:
            old, told = self.live.get(name), {}
            self._expect(name, edit.expected)
            graph = self.checked(name, obj, edit.rights)
            # deployed anew where other members have something else
            if old is None or not graph.is_of(old) or name in self.failed or self.others.told(name):
                told = await self._deploy(name, graph, edit, edit.note)
            return {**self.get(name), **told, "created": old is None}

    async def rollback(self, name: str, version: int, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Deploy an earlier version again, as a new one; as :meth:`put`, with ``other_code`` where that has changed since."""
        async with self.others.turn(name), self._lock:
            self.get(name)
            self._expect(name, edit.expected)
            wanted = self._store.version(name, version)
            graph = self.checked_again(name, wanted, edit.rights)
            told = await self._deploy(name, graph, edit, edit.note or f"rollback to version {version}")
            return self.get(name) | told | self.other_code(wanted)

    async def _deploy(self, name: str, graph: Checked, edit: Edit, note: str) -> dict[str, Any]:
        new = self.next_version(name, graph, edit.author, note)
        preparing = self.switching.version(new, edit.cause, in_place=self.others.is_alone)
        told = await self._change(name, new, name in self.paused, preparing, edit.cause)
        self._files.forget(name)
        return told

    def next_version(self, name: str, graph: Checked, author: str, note: str) -> StoredGraph:
        """The version that a graph would become on this node."""
        return graph.stored(name, self._store.next_version(name), self._store.clock.now(), author, note)

    async def _change(
        self,
        name: str,
        graph: StoredGraph | None,
        is_paused: bool,
        preparing: Awaitable[Prepared],
        cause: Cause,
        *,
        is_forced: bool = False,
    ) -> dict[str, Any]:
        """Prepare a change, here and on all members at once; then switch on all of them, or on none.

        It is decided when it is stored here. Gives what is shown of it.
        """
        version = self.others.next(name)
        state = state_of(name, version or FleetVersion(), graph, is_paused=is_paused, is_forced=is_forced, cause=cause)
        asking = asyncio.ensure_future(self.others.prepare(state))
        try:
            own = await preparing
            try:
                await asking
            except BaseException as error:
                await own.abort(str(error))
                raise
            await own.commit(None if version is None else mark_of(state))
        except BaseException:
            asking.cancel()
            self.others.abort(state)
            await asyncio.gather(asking, return_exceptions=True)
            raise
        return {**await self.others.commit(state)}

    def _expect(self, name: str, expected: list[int] | None) -> None:
        live = self.live[name].version if name in self.live else 0
        is_expected = expected is None or live in expected or (live > 0 and not expected)
        if not is_expected:
            now = f"version {live} is live" if live else "there is no such graph"
            raise Changed(f"the graph is not what it was expected to be: {now}; read it again", code="graph.changed", where=name)

    async def pause(self, name: str, is_paused: bool, cause: Cause = ITSELF) -> dict[str, Any]:
        """Stop handing deliveries of a graph to the instances, or go on; they are accepted and kept all the same."""
        async with self.others.turn(name), self._lock:
            graph = self._graph(name)
            told = await self._change(name, graph, is_paused, _at_once(self.switching.pausing(name, is_paused, cause)), cause)
            return self.get(name) | told

    async def delete(self, name: str, force: bool = False, expected: list[int] | None = None, cause: Cause = ITSELF) -> None:
        """Undeploy a graph when all that was accepted for it is done; it takes no more from now on.

        Raises :class:`NotFound`, or :class:`Conflict` (``graph.not_drained``) if that takes longer than ``grace_s``: the graph is
        as it was then. With ``force`` nothing is waited for, and what is queued goes to the dead letters. ``expected`` as that of
        an :class:`Edit`.
        """
        async with self.others.turn(name), self._lock:
            self.get(name)
            self._expect(name, expected)
            removing = self.switching.removal(name, cause, is_forced=force)
            await self._change(name, None, False, removing, cause, is_forced=force)

    async def bring_up(self, catalogue: Catalogue, settings: Settings) -> None:
        """At start and on SIGHUP: start a generation with the stored graphs and those of new files, and let it take over.

        What runs already as it should stays where it is: same definition, settings, components and code.

        A file that cannot be deployed is logged and left for the next time. A stored graph that cannot be set up is logged;
        at start the others run without it while it is tried again and again, on SIGHUP everything stays as it was. The graph of
        a new file is treated likewise at start, if there is no earlier version that can run.
        """
        async with self._lock:
            previous = (self.catalogue, self.settings)
            self.catalogue, self.settings = catalogue, settings
            try:
                fresh = self._fresh()
                is_start = not self._generations.live
                if is_start:
                    await self.launcher.stores.finish()
                    self.launcher.stores.tidy_all({name: graph.graph for name, graph in self.live.items()})
                stored = {n: g for n, g in self.live.items() if is_start or self.missing(g) or not self.launcher.is_current(g)}
                if settings.server.rolling and (stored or fresh):
                    stored = dict(self.live)
                await self._bring_up(fresh, stored, {}, is_start=is_start)
            except SetupFailed as error:
                self.catalogue, self.settings = previous
                self._log.error(
                    "reload failed, everything stays as it was", reason=self.scrubbed(error.failure), **error.failure.names
                )
        if settings.server.default and self.default() is None:
            self._log.warning("the default graph is not deployed", graph=settings.server.default)
        self._retries.begin()

    async def load_files(self) -> None:
        """Deploy the graph files that are new or changed; what is wrong with one is logged, and it stays as it was."""
        async with self._lock:
            fresh = self._fresh()
            if fresh:
                # what could not be set up is tried again apart from this, and does not keep these from being deployed
                failed = {name: failure for name, failure in self.failed.items() if name not in fresh}
                stored = self.launcher.running() if self.launcher.has_to_move else {}
                try:
                    await self._bring_up(fresh, stored, failed, is_start=False)
                except SetupFailed as error:
                    reason = self.scrubbed(error.failure, *(file.graph for file in fresh.values()))
                    self._log.error("graph files not deployed", reason=reason, **error.failure.names)
                    for file in fresh.values():
                        self._files.not_deployed(file, reason)

    def _fresh(self) -> dict[str, GraphFile]:
        """The graph files that are new or changed. Composites of files come first, as graphs may be made of them."""
        folder = self.settings.server.graphs
        self.composites.load_files(folder / FOLDER)
        return self._files.fresh(folder, self.checked)

    @property
    def undeployed(self) -> list[Undeployed]:
        """The graph files that are not deployed."""
        return list(self._files.undeployed.values())

    async def _bring_up(
        self, fresh: dict[str, GraphFile], stored: dict[str, StoredGraph], failed: dict[str, SetupFailure], *, is_start: bool
    ) -> None:
        """Start what is ``stored`` and what is fresh; without ``failed``, and what turns out to have failed, if it may."""
        failed = failed | {n: f for n, g in stored.items() if n not in fresh and (f := self.missing(g)) is not None}
        # at start the others run without it; later on it would have to be taken out of what runs
        may_fail = set(self.live if is_start else self.failed)
        waiting: dict[str, GraphFile] = {}
        backoff = Backoff()
        while True:
            wanted = {n: g for n, g in stored.items() if n not in failed} | {n: f.graph for n, f in fresh.items()}
            try:
                for name, failure in failed.items():
                    if name not in may_fail:
                        raise SetupFailed(failure)
                generation = await self.launcher.start(wanted) if wanted else None
                break
            except SetupFailed as error:
                name = error.failure.graph or (next(iter(wanted)) if len(wanted) == 1 else "")
                if name in fresh:
                    file = fresh.pop(name)
                    reason = self.scrubbed(error.failure, file.graph)
                    if is_start and name not in self.live:
                        # no version to fall back on: it waits as one that ran before does, and so do its documents
                        failed[name] = error.failure
                        may_fail.add(name)
                        waiting[name] = file
                        about = {**error.failure.names, "graph": name}
                        self._log.error("graph not set up", file=file.path, reason=reason, **about)
                    else:
                        about = {**error.failure.names, "graph": name}
                        self._log.error("graph file not deployed", file=file.path, reason=reason, **about)
                        self._files.not_deployed(file, reason)
                elif name in may_fail and name in wanted:
                    failed[name] = error.failure
                    about = {**error.failure.names, "graph": name}
                    self._log.error("graph not set up", reason=self.scrubbed(error.failure), **about)
                elif not is_start:
                    raise
                else:
                    # nobody knows which graph is to blame: all of them are needed, so keep trying
                    self._log.error("instances do not start", reason=self.scrubbed(error.failure), **error.failure.names)
                    await asyncio.sleep(backoff.delay_s(0.0))
        taken = fresh | waiting
        try:
            self._store.load((file.graph, file.path, file.digest, self._mark_of(file)) for file in taken.values())
        except PypesError as error:
            if generation is not None:
                await self.launcher.give_up(generation, str(error))
            raise
        self.live |= {name: file.graph for name, file in taken.items()}
        for name, file in fresh.items():
            self._log.info("graph deployed", graph=name, version=file.graph.version, file=file.path)
        self.failed = {name: failure for name, failure in self.failed.items() if name not in wanted} | failed
        self.launcher.go_live(generation)

    def _mark_of(self, file: GraphFile) -> Mark | None:
        """The mark of a file's graph: the next version of the fleet, or none that anybody has agreed to if the name is new."""
        graph, version = file.graph, self.others.next(file.graph.name)
        if version is None:
            return None
        if graph.name not in self.live:
            version = FleetVersion(0, version.node)
        return Mark(version, digest_of(graph.graph), graph.author)

    async def close(self) -> None:
        """Stop trying to bring up what failed."""
        await self._retries.close()


async def _at_once(prepared: Prepared) -> Prepared:
    return prepared
