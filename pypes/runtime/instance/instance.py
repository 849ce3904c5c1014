"""Instance: one process that runs one copy of each deployed graph.

Ingest workers connect to its unix socket and send deliveries; it decodes them, runs the schedulers, and answers with
one acknowledgement frame per epoch. The supervisor talks to it over a pipe::

    instance → supervisor   ("setup", graph, filter)                        this filter's set-up begins
                            ("ready",)                                      set-up done, the socket accepts
                            ("failed", graph, filter, message, traceback)   set-up failed; the process then exits with 1
                            ("reconfigured", graph, version, error)         new parameters are in force, or why they are not
                            ("left", [graph, …])                            graphs are torn down, as it was told
                            ("resting", graph, {filter: (since, reason)})   which filters wait for a service; when it changes
                            ("counts", {graph: {filter: {name: n}}})        totals of filters that changed; each second at most
    supervisor → instance   ("reconfigure", graph, version, changes)        new parameters by filter; taken when nothing runs
                            ("leave", [graph, …])                           let go of graphs: finish what runs, teardown
                            ("stop", grace_s)                               drain: finish what runs, flush, teardown, exit 0

It ignores SIGTERM and SIGINT and dies with the supervisor (see :mod:`pypes.runtime.instance.entry`). How it ends in any
other way can be read from its exit code and its crash record (:mod:`pypes.runtime.instance.crash_record`).
"""

from __future__ import annotations

import gc
import logging
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pypes import logs
from pypes.component import Component, is_publisher
from pypes.core.nodetime import Clock, node_clock
from pypes.core.printed import clean_prints
from pypes.core.shown import Clean, shown, trace_of
from pypes.errors import ComponentError, InvalidInput, PypesError
from pypes.graph import codec
from pypes.graph.model import Graph
from pypes.graph.pools import pool_of
from pypes.graph.spec import ComponentSpec
from pypes.observe.tallies import Tallies
from pypes.placement import isolate
from pypes.runtime.file_store import STORES, FileStores
from pypes.runtime.instance.behind import Behind
from pypes.runtime.instance.counting import CountsReport
from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.exchange import BACKLOG, Exchange
from pypes.runtime.instance.leaving import free
from pypes.runtime.instance.runner import Runner
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.instance.watchdog import Watchdog, Watched, limit_memory, over_memory
from pypes.runtime.making import Site

log = logging.getLogger(__name__)


def main(spec: InstanceSpec, control: Any, lifeline: Any) -> None:
    """Run the instance until it is told to stop; ``control`` and ``lifeline`` are ``multiprocessing`` connections.

    ``control`` is duplex. ``lifeline`` is the reading end of a pipe that nobody writes to (its end means that the supervisor is
    gone); whoever starts the process watches it. Exits with 1 when set-up failed, with 0 after a stop.
    """
    stores = FileStores(Path(spec.data_dir) / STORES)
    site = Site(replace(spec.paths, data_dir=spec.data_dir), stores=stores, redact=spec.redact)
    lines = logs.configure(f"instance-{spec.id}", json=spec.log_json, level=spec.log_level, hiding=site.hiding)
    clean_prints(site.secrets.redact)
    logs.keep(Path(spec.socket).parent, spec.log_ring_bytes)
    logs.catch_uncaught()
    record = CrashRecord(spec.crash_record)
    if spec.max_memory_bytes:
        limit_memory(spec.max_memory_bytes)
    tallies, times = Tallies(spec.tallies), Tallies(spec.times)
    runners: dict[str, Runner] = {}
    behind: dict[str, Behind] = {}
    clock = node_clock(Path(spec.data_dir))
    try:
        for name, (version, obj) in spec.graphs.items():
            runners[name] = _set_up(spec, site, name, version, obj, control, clock, behind, (tallies, times))
    except _SetupFailed as failed:
        for runner in runners.values():
            runner.scheduler.teardown()
        control.send(("failed", failed.graph, failed.filter, failed.message, failed.traceback))
        sys.exit(1)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(spec.socket)
    listener.listen(BACKLOG)
    exchange = Exchange(runners, listener, record, clock, site.secrets, spec.redact)
    counts = CountsReport(control, {name: runner.scheduler.watch.counts for name, runner in runners.items()})
    exchange.tell = lambda: min((due for due in (counts.tell(), lines.flush_due()) if due is not None), default=None)

    def left(graphs: list[str]) -> None:
        watchdog.watch(*_watched(runners))
        free()
        counts.end(graphs)
        control.send(("left", graphs))

    def on_message() -> None:
        try:
            message = control.recv()
        except (EOFError, OSError):
            # the supervisor is gone, and nobody else may be told anything
            os._exit(70)
        if message[0] == "stop":
            exchange.stop(message[1])
        elif message[0] == "leave":
            exchange.leave(message[1])
        elif message[0] == "reconfigure":
            _, graph, version, changes = message
            answer = _answer(control, site, graph, version, partial(behind[graph].change, changes))
            try:
                params = {filter: site.checked(_spec_of(spec, graph, filter), given) for filter, given in changes.items()}
            except InvalidInput as error:  # a link has come since the graph was checked
                answer(error.message)
            else:
                runners[graph].change(version, params, answer)

    exchange.watch(control.fileno(), on_message)
    exchange.on_left = left
    _report_resting(control, runners)
    # what set-up left will not be collected: spare the collector from looking at it
    gc.collect()
    gc.freeze()
    watches, shortest_s = _watched(runners)
    watchdog = Watchdog(watches, record, shortest_s=shortest_s, max_memory_bytes=spec.max_memory_bytes)
    del watches
    watchdog.start()
    control.send(("ready",))
    try:
        exchange.run()
    except BaseException as error:
        # at once: whoever saw the sockets close would have this process killed, and nobody could tell why it ended
        if isinstance(error, MemoryError):
            record.end(over_memory(spec.max_memory_bytes), "")
        _exit(error)
    watchdog.stop()
    for runner in runners.values():
        runner.end()
    counts.end_all()


def _exit(error: BaseException) -> NoReturn:
    """End the process as the interpreter would, without the clean-up."""
    status: Any = 1
    if isinstance(error, SystemExit):
        status = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
    else:
        log.critical("instance failed", exc_info=error)
    logging.shutdown()
    os._exit(status & 0xFF)


def _watched(runners: Mapping[str, Runner]) -> tuple[list[Watched], float]:
    """Schedulers for the watchdog, and the shortest time that a filter has."""
    schedulers = [runner.scheduler for runner in runners.values()]
    watches: list[Watched] = [scheduler.watch for scheduler in schedulers]
    timeouts_s = [scheduler.watch.timeout_s(filter) for scheduler in schedulers for filter in scheduler.graph.nodes]
    # nobody can see from outside which filter keeps the interpreter to itself: the least patient one decides. If that was
    # another one's right, no harm is done: what was in flight runs again alone, where each turn is recorded with its own time
    return watches, min(timeouts_s, default=0.0)


class _SetupFailed(Exception):
    """A filter, or a whole graph (``filter`` is empty), could not be set up."""

    def __init__(self, graph: str, filter: str, error: BaseException, clean: Clean) -> None:
        super().__init__(shown(error, clean))
        self.graph = graph
        self.filter = filter
        cause = error.__cause__ or error
        self.message = clean(error.message) if isinstance(error, PypesError) else shown(error, clean)
        self.traceback = trace_of(cause, clean)


def _answer(control: Any, site: Site, graph: str, version: int, in_force: Callable[[], None]) -> Callable[[str], None]:
    """Tells the supervisor what came of new parameters: an empty text, or why they are not in force."""

    def answer(error: str) -> None:
        if not error:
            in_force()
        control.send(("reconfigured", graph, version, site.secrets.redact(error)))

    return answer


def _report_resting(control: Any, runners: Mapping[str, Runner]) -> None:
    for name, runner in runners.items():
        runner.scheduler.resting.on_change = _resting_reporter(control, name, runner)


def _resting_reporter(control: Any, graph: str, runner: Runner) -> Callable[[], None]:
    """Tells the supervisor which filters of a graph rest, and why; not while it does not read, since nothing may wait for it."""

    def report() -> None:
        if select.select([], [control], [], 0.0)[1]:
            control.send(("resting", graph, runner.scheduler.resting.reasons()))

    return report


def _spec_of(spec: InstanceSpec, graph: str, filter: str) -> ComponentSpec:
    component = spec.graphs[graph][1]["nodes"][filter]["component"]
    return ComponentSpec.from_obj(spec.components[component])


def _component(spec: InstanceSpec, site: Site, graph: Graph, filter: str) -> Component:
    """The component of a filter, or what stands in for one that runs elsewhere. Raises what :meth:`Site.make` does."""
    node = graph.nodes[filter]
    source = ComponentSpec.from_obj(spec.components[node.component])
    pool = pool_of(graph, node, spec.named_pools)
    if pool is not None:
        # imported here because most instances have no pools, and start the faster the less they import
        from pypes.runtime.pools.placing import place_in_node

        use = spec.pools.get(graph.name, {}).get(filter)
        return place_in_node(graph, filter, source, site, pool, use, spec.pools_socket)
    component = site.make(source, node.params, filter)
    if component.isolated:
        timeout_s = component.timeout_s if node.timeout_s is None else node.timeout_s
        component = isolate(component, limits=spec.limits, timeout_s=timeout_s, spec=source, redact=spec.redact)
    return component


def _set_up(
    spec: InstanceSpec,
    site: Site,
    name: str,
    version: int,
    obj: Mapping[str, Any],
    control: Any,
    clock: Clock,
    behind: dict[str, Behind],
    tallies: tuple[Tallies, Tallies],
) -> Runner:
    """Import, make and configure the components of a graph, and set them up."""
    filter = ""
    try:
        graph = codec.from_obj(obj, is_expanded=True)
        components: dict[str, Component] = {}
        nodes = dict(graph.nodes)
        for filter, node in graph.nodes.items():
            control.send(("setup", name, filter))
            component = components[filter] = _component(spec, site, graph, filter)
            if component.isolated or filter in spec.pools.get(name, {}):
                # its time is kept where it runs
                nodes[filter] = replace(node, timeout_s=None)
            if is_publisher(component):
                component.durability = spec.durability  # type: ignore[attr-defined]
        filter = ""
        behind[name] = Behind(graph, spec.components, components)
        versions = {component: str(obj.get("version", "")) for component, obj in spec.components.items()}
        graph = replace(graph, nodes=nodes)
        runner = Runner(
            *(graph, version, components, spec.limits, clock, site.secrets, spec.redact, tallies, versions),
            trace_share=spec.trace_share,
            exports_spans=spec.exports_spans,
        )
        runner.scheduler.setup(lambda filter: control.send(("setup", name, filter)))
    except ComponentError as error:
        raise _SetupFailed(name, error.where or filter, error, site.secrets.redact) from error
    except BaseException as error:
        raise _SetupFailed(name, filter, error, site.secrets.redact) from error
    return runner
