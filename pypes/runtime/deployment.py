"""Deployments: which graphs run, in which version, and how that changes on a live node.

The stored versions are the truth. A change is tried out before it is stored: a new generation of instances is started with it
beside the running one; when all of them are ready the version is stored and the new generation takes over, otherwise
nothing has changed. Secrets (``${ENV}``) are stored and shown unexpanded and never appear in a message.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.config import Settings
from pypes.errors import InvalidGraph, NotFound, Problem, PypesError
from pypes.graph import codec
from pypes.registry import Catalogue
from pypes.runtime.backoff import Backoff
from pypes.runtime.check import check, scrub
from pypes.runtime.generation import Generation, SetupFailed, SetupFailure
from pypes.runtime.instance import InstanceSpec
from pypes.runtime.pool import Pool
from pypes.runtime.store import ControlStore, StoredGraph

#: Longest pause between two attempts to bring up a graph that was deployed once but cannot be set up now.
RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A file of the graphs folder whose content is new; ``graph`` is what it would deploy."""

    path: str
    digest: str
    graph: StoredGraph


class Deployments:
    """The graphs of this node. Changes run one at a time, in the order in which they were asked for."""

    def __init__(self, store: ControlStore, pool: Pool, settings: Settings) -> None:
        self.settings = settings
        self.catalogue: Catalogue | None = None
        #: Deployed graphs by name; those in ``failed`` are deployed but could not be set up when the node started.
        self.live: dict[str, StoredGraph] = store.live()
        self.failed: dict[str, SetupFailure] = {}
        self._store = store
        self._pool = pool
        self._lock = asyncio.Lock()
        self._retry: asyncio.Task[None] | None = None
        self._log = logs.get("pypes.deployments")

    # -- what is asked ----------------------------------------------------------------------------------

    def topology(self) -> dict[str, Any]:
        """What ingest workers must know: ``{generation, instances, retiring, graphs, routes, default, failed, ordered}``.

        ``instances``, and those ``retiring``, are ``{id, socket}`` each. ``graphs`` is name → version of those that the
        instances run, ``routes`` route → graph. Deliveries for a graph in ``failed`` (name → reason; not in ``graphs``) are
        accepted and wait. ``ordered`` are graphs with ``order_by``.
        """
        return {
            "generation": self._pool.live.number if self._pool.live else 0,
            "instances": [{"id": i.spec.id, "socket": i.spec.socket} for i in self._pool.ready()],
            "retiring": [{"id": i.spec.id, "socket": i.spec.socket} for i in self._pool.retiring()],
            "graphs": {name: graph.version for name, graph in self.live.items() if name not in self.failed},
            "routes": {route: name for name, graph in self.live.items() for route in graph.graph.get("routes", ())},
            "default": self.default(),
            "failed": {name: scrub(failure.message, [self.live[name].graph]) for name, failure in self.failed.items()},
            "ordered": [name for name, graph in self.live.items() if graph.graph.get("order_by")],
        }

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
        return "live" if self._pool.live is not None else "starting"

    # -- what is changed --------------------------------------------------------------------------------

    async def put(self, name: str, obj: Any) -> dict[str, Any]:
        """Validate a graph and deploy it; as :meth:`get`, with ``created`` telling whether the name is new.

        Returns when it is live. Raises :class:`InvalidGraph` with all problems, or :class:`ComponentError` (code
        ``graph.setup_failed``) naming the filter that could not be set up: what ran before still runs then.
        """
        async with self._lock:
            graph = self._checked(name, obj)
            old = self.live.get(name)
            if old is None or old.graph != graph or name in self.failed:
                new = StoredGraph(name, self._store.next_version(name), graph, time.time())
                wanted = {n: g for n, g in self.live.items() if n not in self.failed} | {name: new}
                generation = await self._start(wanted)
                try:
                    self._store.deploy(graph, name, new.version, "api")
                except PypesError:
                    await self._pool.discard(generation)
                    raise
                self.live[name] = new
                self.failed.pop(name, None)
                self._go_live(generation)
                self._log.info("graph deployed", graph=name, version=new.version)
            return {**self.get(name), "created": old is None}

    async def delete(self, name: str) -> None:
        """Undeploy a graph; what is queued for it goes to the dead letters. Raises :class:`NotFound`."""
        async with self._lock:
            self.get(name)
            wanted = {n: g for n, g in self.live.items() if n not in self.failed and n != name}
            generation = await self._start(wanted) if wanted else None
            self._store.undeploy(name)
            del self.live[name]
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
                await self._bring_up(self._new_files(settings.server.graphs), is_start=self._pool.live is None)
            except SetupFailed as error:
                self.catalogue, self.settings = previous
                self._log.error(
                    "reload failed, everything stays as it was", reason=self._scrubbed(error.failure), where=error.where
                )
        if settings.server.default and self.default() is None:
            self._log.warning("the default graph is not deployed", graph=settings.server.default)
        if self.failed and self._retry is None:
            self._retry = asyncio.create_task(self._retry_failed())

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
            self._store.deploy(file.graph.graph, name, file.graph.version, file.path)
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

    # -- files ------------------------------------------------------------------------------------------

    def _new_files(self, folder: Path) -> dict[str, GraphFile]:
        """Graph files, by graph, whose content changed since they were last deployed; what is wrong with others is logged."""
        found: dict[str, GraphFile] = {}
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            try:
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                if self._store.digest(str(path)) == digest:
                    continue
                parsed = codec.loads(data)
                if parsed.name in found:
                    raise InvalidGraph(
                        f"{found[parsed.name].path} has a graph of the same name {parsed.name!r}; rename one of them"
                    )
                graph = self._checked(parsed.name, codec.to_obj(parsed))
            except (OSError, PypesError) as error:
                self._log.error("graph file not deployed", file=str(path), reason=str(error))
                continue
            old = self.live.get(parsed.name)
            if old is not None and old.graph == graph:
                self._store.loaded(str(path), digest)
                continue
            version = self._store.next_version(parsed.name)
            found[parsed.name] = GraphFile(str(path), digest, StoredGraph(parsed.name, version, graph, time.time()))
        return found

    # -- parts ------------------------------------------------------------------------------------------

    def _checked(self, name: str, obj: Any) -> dict[str, Any]:
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
        assert self.catalogue is not None
        used = {node["component"] for graph in wanted.values() for node in graph.graph["nodes"].values()}
        s = self.settings
        template = InstanceSpec(
            id=0,
            generation=0,
            socket="",
            graphs={name: (graph.version, graph.graph) for name, graph in wanted.items()},
            components={name: self.catalogue[name].to_obj() for name in sorted(used)},
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
