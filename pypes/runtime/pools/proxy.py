"""Proxy: stands in an instance for a component that runs in a pool."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final, Protocol, cast

from pypes.component import Adapter, Component, Extractor, Filter, Operator, Transformer
from pypes.core.pools import Pool
from pypes.graph.spec import ComponentSpec
from pypes.packet import Packet
from pypes.placement.executor import Executor, Outcome
from pypes.placement.keeper import Keeper
from pypes.placement.process_executor import ProcessExecutor
from pypes.placement.retold import Told, heard
from pypes.placement.thread_executor import ThreadExecutor
from pypes.runtime.making import Site
from pypes.runtime.pools.order import PooledFilter
from pypes.runtime.pools.work import Answer, FilterWork

#: Kinds of components that run in pools.
_KINDS: Final[Mapping[str, type[Component]]] = {
    kind.__metatype__: kind for kind in (Adapter, Filter, Transformer, Extractor, Operator)
}


class InPool(Protocol):
    """The part of a running filter that has its pool work on something."""

    def run_in_pool(self, value: Any) -> Outcome: ...
    def worked_in_pool(self, seconds: float) -> None: ...
    def made_together(self) -> None: ...
    def send_of_all(self, port: str, data: Any) -> bool: ...


class PoolProxy(Component):
    """Has the pool work on each packet, and sends on what comes of it; made by :func:`in_processes` and its neighbours.

    Its ports, kind, name and attempts are those of the component, which is never imported here.
    """

    is_pooled = True
    #: The number of the filter among those of its pool.
    number: int = 0
    executor: Executor
    most_together: int
    most_bytes: int
    is_timed = False
    takes_batches: bool
    keeps_order = True

    def setup(self) -> None:
        self.executor.setup()

    def process(self, packet: Any) -> Any:
        running = cast(InPool, self._run_context)
        outcome = running.run_in_pool((self.number, packet))
        answer: Answer = outcome.value
        if answer.seconds:
            running.worked_in_pool(answer.seconds)
        for name, n in answer.counts.items():
            self.count(name, n)
        if answer.failure is not None:
            raise heard(answer.failure) if isinstance(answer.failure, Told) else answer.failure
        if answer.own is not packet and isinstance(answer.own, Packet) and isinstance(packet, Packet):
            packet.take_over(answer.own)  # whoever asks which packet it is finds the same one
        send = self.send
        if answer.is_of_all:
            running.made_together()
            send = running.send_of_all
        for part in chain(outcome.parts, (answer.sent,)):
            for port, is_own, value in part:
                send(port, packet if is_own else value)
        if answer.is_kept:
            self.keep(packet)
        return packet if answer.is_own else answer.result

    def teardown(self) -> None:
        self.executor.close()


def in_processes(spec: ComponentSpec, filter: str, site: Site, pool: Pool, keeper: Keeper, number: int = 0) -> PoolProxy:
    """The proxy of a filter whose pool workers a keeper has, where it has this number. Its time is kept where it runs."""
    made = _proxy(spec, filter, site, pool, ProcessExecutor(keeper, folder=site.paths.data_dir))
    made.number, made.timeout_s = number, math.inf
    return made


def in_threads(spec: ComponentSpec, filter: PooledFilter, site: Site, pool: Pool, width: int) -> PoolProxy:
    """The proxy of a filter with ``width`` threads in this process, each of which has its own component."""

    def make() -> FilterWork:
        return FilterWork((filter,), site, is_own_process=False)

    made = _proxy(spec, filter.name, site, pool, ThreadExecutor(make, width, folder=site.paths.data_dir))
    made.is_timed, made.timeout_s = True, spec.timeout_s
    return made


def _proxy(spec: ComponentSpec, filter: str, site: Site, pool: Pool, executor: Executor) -> PoolProxy:
    # under the same name, because that is what logs and dead letters call it
    name = spec.attr.rpartition(".")[2] or spec.name
    own = {"__doc__": spec.doc, "inputs": dict(spec.inputs), "outputs": dict(spec.outputs)}
    if spec.accepts:
        own["accepts"] = spec.accepts
    made: PoolProxy = type(name, (PoolProxy, _KINDS[spec.kind]), own)()
    made.name, made.max_attempts, made.executor = filter, spec.max_attempts, executor
    made.takes_batches = spec.batches
    made.most_together = pool.most_together(batches=spec.batches, batch_size=spec.batch_size)
    made.most_bytes = spec.batch_bytes or 0
    made.data_dir, made.paths, made.secrets = site.paths.data_dir, site.paths, site.secrets
    return made
