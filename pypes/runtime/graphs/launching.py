"""Launching: generations of instances for graphs that are to run, and which graphs run already as they should."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from pypes import logs
from pypes.errors import PypesError
from pypes.observe import Observer
from pypes.runtime.generations.generation import Generation, SetupFailed, SetupFailure
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.ordering import orders_of
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.stores import GraphStores
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.pools.node_pools import Held, NodePools, PoolFailed

#: Generations that may serve at a time: the next one takes over all graphs, however soon it comes.
MOST_GENERATIONS = 8


class Launcher:
    """Starts generations for the graphs of ``deployed`` and lets them take over. ``changed_at`` is when one did last."""

    def __init__(
        self, deployed: DeployedGraphs, store: ControlStore, generations: Generations, pools: NodePools, observer: Observer
    ) -> None:
        self._deployed = deployed
        self._store = store
        self._generations = generations
        self._pools = pools
        self._observer = observer
        #: The entries that filters keep on disk; they are deleted with these.
        self.stores = GraphStores(deployed.settings.server.data, store)
        self._log = logs.get("pypes.deployments")
        self.changed_at = time.monotonic()

    def running(self) -> dict[str, StoredGraph]:
        """The graphs that run, or should."""
        return {name: graph for name, graph in self._deployed.live.items() if name not in self._deployed.failed}

    def wanted_for(self, changed: StoredGraph) -> dict[str, StoredGraph]:
        """The graphs to be started when one has changed: that one, unless others have to move with it."""
        return (self.running() if self.has_to_move else {}) | {changed.name: changed}

    @property
    def has_to_move(self) -> bool:
        """True if what runs has to move with whatever is started: there is room for no more generations, or instances."""
        return self._deployed.settings.server.rolling or len(self._generations.live) >= MOST_GENERATIONS

    def is_current(self, graph: StoredGraph) -> bool:
        """True if a graph runs as it would if it were started now: same definition, settings, components and code."""
        generation = self._generations.hosting(graph.name)
        if generation is None or generation.count != self._deployed.settings.server.instances:
            return False
        now, then = self._template({graph.name: graph}), generation.template
        if _settings(now) != _settings(then):
            return False
        code = self._deployed.code_of(graph.graph)
        return (
            now.graphs[graph.name] == then.graphs[graph.name]
            and all(then.components.get(name) == found for name, found in now.components.items())
            and code == graph.code
            and all(each.digest for each in code)
        )

    async def start(self, wanted: Mapping[str, StoredGraph]) -> Generation:
        """Start a generation with these graphs and no others. Raises :class:`SetupFailed`, and nothing has changed then.

        Call :meth:`go_live` or :meth:`give_up` with what it returns.
        """
        versions = {name: graph.version for name, graph in wanted.items()}
        self._observer.deployment_began(versions)
        for name, graph in wanted.items():
            live = self._deployed.live.get(name)
            self.stores.prepare(name, None if live is None else live.graph, graph.graph)
        try:
            return await self._start(wanted)
        except SetupFailed as error:
            self._observer.deployment_failed(versions, str(error))
            raise

    async def _start(self, wanted: Mapping[str, StoredGraph]) -> Generation:
        for graph in wanted.values():
            if (missing := self._deployed.missing(graph)) is not None:
                raise SetupFailed(missing)
        s = self._deployed.settings
        held = Held()
        try:
            held = await self._hold(wanted)
            template = replace(self._template(wanted), pools=held.uses)
            if s.server.rolling:
                return await self._generations.roll(template, s.server.instances, s.server.setup_s, s.limits.grace_s)
            return await self._generations.start(template, s.server.instances, s.server.setup_s)
        except SetupFailed as error:
            f = error.failure
            graphs = [graph.graph for graph in wanted.values()]
            if f.traceback:
                self._log.warning("set-up failed", graph=f.graph, filter=f.filter, traceback=scrub(f.traceback, graphs))
            raise SetupFailed(SetupFailure(f.graph, f.filter, scrub(f.message, graphs), scrub(f.traceback, graphs))) from None
        finally:
            self._pools.release(held)

    async def _hold(self, wanted: Mapping[str, StoredGraph]) -> Held:
        """The pools of graphs, set up. Raises :class:`SetupFailed`."""
        s = self._deployed.settings
        orders = orders_of([graph.graph for graph in wanted.values()], self._deployed, self._deployed.paths)
        try:
            return await self._pools.hold(orders, s.server.setup_s)
        except PoolFailed as error:
            raise SetupFailed(SetupFailure(error.graph, error.filter, error.message, error.traceback)) from error

    def go_live(self, generation: Generation | None, gone: Collection[str] = ()) -> None:
        """Let a generation take over its graphs, and what is ``gone`` end; remember with which code it runs."""
        self.changed_at = time.monotonic()
        self._generations.switch(generation, self._deployed.settings.limits.grace_s, gone)
        for graph in gone:
            self._observer.graph_undeployed(graph)
            self.stores.tidy(graph, None)
        if generation is None:
            return
        self._observer.deployment_switched(_versions(generation), time.monotonic() - generation.began)
        for name in generation.graphs:
            self.stores.tidy(name, self._deployed.live[name].graph)
        try:
            self._deployed.note_code(self._store, generation.graphs)
        except PypesError as error:  # it runs all the same
            self._log.warning("the code of graphs is not recorded", graphs=sorted(generation.graphs), reason=str(error))

    async def give_up(self, generation: Generation, reason: str) -> None:
        """End a generation that is not to take over after all."""
        await self._generations.discard(generation)
        self._observer.deployment_failed(_versions(generation), reason)

    def _template(self, graphs: Mapping[str, StoredGraph]) -> InstanceSpec:
        s = self._deployed.settings
        return InstanceSpec(
            id=0,
            generation=0,
            socket="",
            graphs={name: (graph.version, graph.graph) for name, graph in graphs.items()},
            components=self._deployed.components_of(*(graph.graph for graph in graphs.values())),
            limits=s.limits,
            durability=s.queue.durability,
            data_dir=str(s.server.data),
            paths=self._deployed.paths,
            named_pools=s.pools,
            pools_socket=str(self._pools.socket),
            load_files=tuple(str(path) for path in s.server.load),
            log_json=logs.is_json(s.log.format),
            log_level=s.log.level,
            log_ring_bytes=s.observe.log_ring_bytes,
            redact=s.observe.redact,
            trace_share=s.observe.trace_share,
            exports_spans=s.otlp is not None,
            max_memory_bytes=s.server.max_memory_bytes,
        )


def _settings(template: InstanceSpec) -> InstanceSpec:
    """The part of a template that does not depend on its graphs."""
    return replace(template, graphs={}, components={}, pools={})


def _versions(generation: Generation) -> dict[str, int]:
    return {name: version for name, (version, _) in generation.template.graphs.items()}
