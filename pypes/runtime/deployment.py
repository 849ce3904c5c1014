"""Deployments: which graphs run, in which version, and how that changes on a live node.

The stored versions are the truth. A change is tried out before it is stored: a new generation of instances is started with it
beside the running one; when all of them are ready the version is stored and the new generation takes over, otherwise
nothing has changed. Secrets (``${ENV}``) are stored and shown unexpanded and never appear in a message.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pypes import logs
from pypes.config import Settings
from pypes.errors import Changed, InvalidGraph, NotFound, Problem, PypesError
from pypes.graph import codec
from pypes.graph.diff import only_parameters
from pypes.graph.schedule import sources
from pypes.registry import Catalogue
from pypes.runtime.backoff import Backoff
from pypes.runtime.check import check, scrub
from pypes.runtime.generation import Generation, SetupFailed, SetupFailure
from pypes.runtime.graph_files import GraphFile, GraphFiles
from pypes.runtime.instance import InstanceSpec
from pypes.runtime.pool import Pool
from pypes.runtime.store import ControlStore, StoredGraph

#: Longest pause between two attempts to bring up a graph that was deployed once but cannot be set up now.
RETRY_S = 60.0


class Deployments:
    """The graphs of this node. Changes run one at a time, in the order in which they were asked for."""

    def __init__(self, store: ControlStore, pool: Pool, settings: Settings, on_change: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.catalogue: Catalogue | None = None
        #: Deployed graphs by name; those in ``failed`` are deployed but could not be set up when the node started.
        self.live: dict[str, StoredGraph] = store.live()
        self.failed: dict[str, SetupFailure] = {}
        #: Graphs whose deliveries are accepted and kept, and not run.
        self.paused: set[str] = store.paused()
        self._store = store
        self._pool = pool
        self._on_change = on_change
        self._files = GraphFiles(store)
        self._lock = asyncio.Lock()
        self._retry: asyncio.Task[None] | None = None
        self._log = logs.get("pypes.deployments")

    # -- what is asked ----------------------------------------------------------------------------------

    def topology(self) -> dict[str, Any]:
        """What ingest workers must know: ``{generation, instances, retiring, graphs, routes, default, …}``.

        ``instances``, and those ``retiring``, are ``{id, socket}`` each, the former with their ``graphs``.
        ``graphs`` is name → version of those that the instances run, ``routes`` route → graph. Deliveries for a graph in
        ``failed`` (name → reason; not in ``graphs``) are accepted and wait. ``ordered`` are graphs with ``order_by``, ``paused``
        those whose deliveries stay in the queues, ``weights`` is graph → ``weight``, ``sources`` graph → the filters that a
        trigger runs (see :func:`pypes.graph.schedule.sources`).
        """
        return {
            "generation": self._pool.live.number if self._pool.live else 0,
            "instances": [
                {"id": i.spec.id, "socket": i.spec.socket, "graphs": sorted(i.spec.graphs)} for i in self._pool.ready()
            ],
            "retiring": [{"id": i.spec.id, "socket": i.spec.socket} for i in self._pool.retiring()],
            "graphs": {name: graph.version for name, graph in self.live.items() if name not in self.failed},
            "routes": {route: name for name, graph in self.live.items() for route in graph.graph.get("routes", ())},
            "default": self.default(),
            "paused": sorted(self.paused & self.live.keys()),
            "failed": {name: scrub(failure.message, [self.live[name].graph]) for name, failure in self.failed.items()},
            "weights": {name: weight for name, graph in self.live.items() if (weight := graph.graph.get("weight", 1)) != 1},
            "sources": self._sources(),
            "ordered": [name for name, graph in self.live.items() if graph.graph.get("order_by")],
        }

    def _sources(self) -> dict[str, list[str]]:
        if self.catalogue is None:
            return {}
        found = {name: sources(codec.from_obj(graph.graph), self.catalogue) for name, graph in self.live.items()}
        return {name: nodes for name, nodes in found.items() if nodes}

    def default(self) -> str | None:
        """The graph for documents whose route no graph names; ``None`` if there is none."""
        if self.settings.server.default:
            return self.settings.server.default if self.settings.server.default in self.live else None
        names = list(self.live) if len(self.live) == 1 else [n for n, g in self.live.items() if not g.graph.get("routes")]
        return names[0] if len(names) == 1 else None

    def summaries(self) -> list[dict[str, Any]]:
        """All deployed graphs: ``{name, version, state, filters, routes}`` each, ``filters`` being the names of its nodes."""
        return [
            {
                "name": g.name,
                "version": g.version,
                "state": self._state(g.name),
                "filters": sorted(g.graph["nodes"]),
                "routes": list(g.graph.get("routes", ())),
            }
            for _, g in sorted(self.live.items())
        ]

    def get(self, name: str) -> dict[str, Any]:
        """One deployed graph: ``{name, version, state, graph}``, and ``error`` if it could not be set up."""
        graph = self.live.get(name)
        if graph is None:
            raise NotFound(f"there is no graph {name!r}; GET /graphs lists them", code="graph.not_found", where=name)
        shown = {"name": name, "version": graph.version, "state": self._state(name), "graph": graph.graph}
        if name in self.failed:
            shown["error"] = scrub(str(self.failed[name].error()), [graph.graph])
        return shown

    def _state(self, name: str) -> str:
        if name in self.failed:
            return "failed"
        if name in self.paused:
            return "paused"
        return "live" if self._pool.live is not None else "starting"

    # -- what is changed --------------------------------------------------------------------------------

    async def put(self, name: str, obj: Any, by: str = "", note: str = "", expected: list[int] | None = None) -> dict[str, Any]:
        """Validate a graph and deploy it; as :meth:`get`, with ``created`` telling whether the name is new.

        ``expected``: the live version must be one of these (0: there must be none). Returns when it is live. Raises
        :class:`Changed`, :class:`InvalidGraph` with all problems, or :class:`ComponentError` (code ``graph.setup_failed``)
        naming the filter that could not be set up: what ran before still runs then, and the version is kept as failed.
        """
        async with self._lock:
            old = self.live.get(name)
            self._expect(name, expected)
            graph = self.checked(name, obj)
            if old is None or old.graph != graph or name in self.failed:
                new = StoredGraph(name, self._store.next_version(name), graph, time.time(), by, note)
                await self._deploy(new)
            return {**self.get(name), "created": old is None}

    async def rollback(self, name: str, version: int, by: str = "", note: str = "") -> dict[str, Any]:
        """Deploy an earlier version again, as a new one; as :meth:`put`. It must be valid here and now."""
        async with self._lock:
            self.get(name)
            wanted = self._store.version(name, version)
            graph = self.checked(name, wanted.graph)
            new = StoredGraph(
                name, self._store.next_version(name), graph, time.time(), by, note or f"rollback to version {version}"
            )
            await self._deploy(new)
            return self.get(name)

    async def _deploy(self, new: StoredGraph) -> None:
        if await self._reconfigured(new):
            return
        await self._replace(new)

    async def _replace(self, new: StoredGraph) -> None:
        """Deploy a version by a new generation of instances."""
        wanted = {n: g for n, g in self.live.items() if n not in self.failed} | {new.name: new}
        try:
            generation = await self._start(wanted)
        except SetupFailed as error:
            if error.failure.graph in (new.name, ""):
                self._store.record_failed(replace(new, error=str(error)))
            raise
        try:
            self._store.deploy(new)
        except PypesError:
            await self._pool.discard(generation)
            raise
        self.live[new.name] = new
        self.failed.pop(new.name, None)
        self._go_live(generation)
        self._log.info("graph deployed", graph=new.name, version=new.version, by=new.author)

    async def _reconfigured(self, new: StoredGraph) -> bool:
        """Deploy a version by giving running filters their new parameters, if that is all there is to it; False if it is not.

        If an instance cannot take them up, a new generation is started, which has them from its set-up.
        """
        old = self.live.get(new.name)
        if old is None or new.name in self.failed or self._pool.live is None:
            return False
        changed = only_parameters(codec.from_obj(old.graph), codec.from_obj(new.graph))
        assert self.catalogue is not None
        nodes = new.graph["nodes"]
        if changed is None or not all(self.catalogue[nodes[node]["component"]].reconfigures for node in changed):
            return False
        params = {node: nodes[node].get("params", {}) for node in changed}
        reason = await self._pool.reconfigure(new.name, new.version, new.graph, params, self.settings.server.setup_s)
        try:
            if not reason:
                self._store.deploy(new)
        except PypesError:
            await self._restore()
            raise
        if reason:
            self._log.warning("parameters not changed in place", graph=new.name, version=new.version, reason=reason)
            try:
                await self._replace(new)
            except PypesError:
                await self._restore()
                raise
            return True
        self.live[new.name] = new
        self._on_change()
        self._log.info("parameters changed", graph=new.name, version=new.version, filters=sorted(changed), by=new.author)
        return True

    async def _restore(self) -> None:
        """Some instances may have parameters that are not in force: start new ones with what is."""
        self._go_live(await self._start({n: g for n, g in self.live.items() if n not in self.failed}))

    def _expect(self, name: str, expected: list[int] | None) -> None:
        live = self.live[name].version if name in self.live else 0
        if expected is not None and live not in expected:
            now = f"version {live} is live" if live else "there is no such graph"
            raise Changed(f"the graph is not what it was expected to be: {now}; read it again", code="graph.changed", where=name)

    async def pause(self, name: str, is_paused: bool) -> dict[str, Any]:
        """Stop handing deliveries of a graph to the instances, or go on; they are accepted and kept all the same."""
        async with self._lock:
            self.get(name)
            self._store.pause(name, is_paused)
            self.paused = self._store.paused()
            self._on_change()
            self._log.info("graph paused" if is_paused else "graph resumed", graph=name)
            return self.get(name)

    async def delete(self, name: str) -> None:
        """Undeploy a graph; what is queued for it goes to the dead letters. Raises :class:`NotFound`."""
        async with self._lock:
            self.get(name)
            wanted = {n: g for n, g in self.live.items() if n not in self.failed and n != name}
            generation = await self._start(wanted) if wanted else None
            self._store.undeploy(name)
            del self.live[name]
            self.paused.discard(name)
            self.failed.pop(name, None)
            self._go_live(generation)
            self._log.info("graph undeployed", graph=name)

    async def bring_up(self, catalogue: Catalogue, settings: Settings) -> None:
        """At start and on SIGHUP: start a generation with the stored graphs and those of new files, and let it take over.

        A file that cannot be deployed is logged and left for the next time. A stored graph that cannot be set up is logged;
        at start the others run without it while it is tried again and again, on SIGHUP everything stays as it was.
        """
        async with self._lock:
            previous = (self.catalogue, self.settings)
            self.catalogue, self.settings = catalogue, settings
            try:
                await self._bring_up(self._files.fresh(settings.server.graphs, self.checked), is_start=self._pool.live is None)
            except SetupFailed as error:
                self.catalogue, self.settings = previous
                self._log.error(
                    "reload failed, everything stays as it was", reason=self._scrubbed(error.failure), where=error.where
                )
        if settings.server.default and self.default() is None:
            self._log.warning("the default graph is not deployed", graph=settings.server.default)
        if self.failed and self._retry is None:
            self._retry = asyncio.create_task(self._retry_failed())

    async def load_files(self) -> None:
        """Deploy the graph files that are new or changed; what is wrong with one is logged, and it stays as it was."""
        async with self._lock:
            fresh = self._files.fresh(self.settings.server.graphs, self.checked)
            if fresh:
                try:
                    await self._bring_up(fresh, is_start=False)
                except SetupFailed as error:
                    self._log.error("graph files not deployed", reason=self._scrubbed(error.failure), where=error.where)

    async def _bring_up(self, fresh: dict[str, GraphFile], is_start: bool) -> None:
        failed = {name: f for name, g in self.live.items() if name not in fresh and (f := self._missing(g)) is not None}
        backoff = Backoff()
        while True:
            wanted = {n: g for n, g in self.live.items() if n not in failed} | {n: f.graph for n, f in fresh.items()}
            try:
                for failure in failed.values():
                    if not is_start:
                        raise SetupFailed(failure)
                generation = await self._start(wanted) if wanted else None
                break
            except SetupFailed as error:
                name = error.failure.graph or (next(iter(wanted)) if len(wanted) == 1 else "")
                if name in fresh:
                    file = fresh.pop(name)
                    reason = self._scrubbed(error.failure, file.graph)
                    self._log.error("graph file not deployed", file=file.path, where=error.where, reason=reason)
                elif name in self.live and is_start:
                    failed[name] = error.failure
                    self._log.error("graph not set up", graph=name, where=error.where, reason=self._scrubbed(error.failure))
                elif not is_start:
                    raise
                else:
                    # nobody knows which graph is to blame: all of them are needed, so keep trying
                    self._log.error("instances do not start", reason=self._scrubbed(error.failure))
                    await asyncio.sleep(backoff.delay_s(0.0))
        for name, file in fresh.items():
            self._store.deploy(file.graph)
            self._store.loaded(file.path, file.digest)
            self.live[name] = file.graph
            self._log.info("graph deployed", graph=name, version=file.graph.version, file=file.path)
        self.failed = failed
        self._go_live(generation)

    async def _retry_failed(self) -> None:
        """Try graphs that could not be set up at start again: their database may be back."""
        delay_s = 1.0
        while self.failed:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_S)
            async with self._lock:
                for name in list(self.failed):
                    if (failure := self._missing(self.live[name])) is not None:
                        self.failed[name] = failure
                        continue
                    wanted = {n: g for n, g in self.live.items() if n not in self.failed or n == name}
                    try:
                        generation = await self._start(wanted)
                    except SetupFailed as error:
                        self.failed[name] = error.failure
                        continue
                    del self.failed[name]
                    self._go_live(generation)
                    self._log.info("graph set up", graph=name)
        self._retry = None

    async def close(self) -> None:
        """Stop trying to bring up what failed."""
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)

    # -- parts ------------------------------------------------------------------------------------------

    def checked(self, name: str, obj: Any) -> dict[str, Any]:
        """The graph in canonical form; raises :class:`InvalidGraph` with everything that is wrong with it."""
        if not isinstance(obj, dict):
            raise InvalidGraph("a graph is a JSON object", where=name)
        if obj.get("name", name) != name:
            problem = Problem(
                "name", f"is {obj['name']!r}, but the graph is deployed as {name!r}; make them the same", "graph.name"
            )
            raise InvalidGraph("the graph is not valid", where=name, problems=[problem])
        graph = codec.from_obj({"pypes": 1, **obj, "name": name})
        assert self.catalogue is not None
        problems = check(graph, self.catalogue, os.environ)
        taken = {route: n for n, g in self.live.items() if n != name for route in g.graph.get("routes", ())}
        problems += [
            Problem(
                f"routes.{i}",
                f"route {route!r} belongs to graph {taken[route]!r}; remove it from one of them",
                "graph.route_taken",
            )
            for i, route in enumerate(graph.routes)
            if route in taken
        ]
        if problems:
            raise InvalidGraph("the graph is not valid", where=name, problems=problems)
        canonical: dict[str, Any] = codec.to_obj(graph)
        return canonical

    def components_of(self, *graphs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What the catalogue has of the components that graphs use, as JSON values, by name."""
        assert self.catalogue is not None
        used = {node["component"] for graph in graphs for node in graph["nodes"].values()}
        return {name: self.catalogue[name].to_obj() for name in sorted(used)}

    def _missing(self, graph: StoredGraph) -> SetupFailure | None:
        """A stored graph was valid once; what it needs may be gone since."""
        assert self.catalogue is not None
        for node, filter_ in graph.graph["nodes"].items():
            spec = self.catalogue.get(filter_["component"])
            if spec is None:
                return SetupFailure(graph.name, node, f"component {filter_['component']!r} is not installed any more")
            if spec.error:
                return SetupFailure(graph.name, node, f"component {filter_['component']!r} is broken: {spec.error}")
        return None

    async def _start(self, wanted: Mapping[str, StoredGraph]) -> Generation:
        s = self.settings
        template = InstanceSpec(
            id=0,
            generation=0,
            socket="",
            graphs={name: (graph.version, graph.graph) for name, graph in wanted.items()},
            components=self.components_of(*(graph.graph for graph in wanted.values())),
            limits=s.limits,
            durability=s.queue.durability,
            data_dir=str(s.server.data),
            load_files=tuple(str(path) for path in s.server.load),
            log_json=logs.is_json(s.log.format),
            log_level=s.log.level,
            max_memory_bytes=s.server.max_memory_bytes,
        )
        try:
            return await self._pool.start(template, s.server.instances, s.server.setup_s)
        except SetupFailed as error:
            f = error.failure
            graphs = [graph.graph for graph in wanted.values()]
            if f.traceback:
                self._log.warning("set-up failed", graph=f.graph, filter=f.node, traceback=scrub(f.traceback, graphs))
            raise SetupFailed(SetupFailure(f.graph, f.node, scrub(f.message, graphs), scrub(f.traceback, graphs))) from None

    def _go_live(self, generation: Generation | None) -> None:
        self._pool.switch(generation, self.settings.limits.grace_s)

    def _scrubbed(self, failure: SetupFailure, *more: StoredGraph) -> str:
        return scrub(failure.message, [graph.graph for graph in (*self.live.values(), *more)])
