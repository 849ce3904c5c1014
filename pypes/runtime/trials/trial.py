"""Trials: a graph run in this process over a few documents, with every packet on its way seen and nothing published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from pypes.component import Component, is_publisher
from pypes.core.clock import wall
from pypes.core.limits import Limits
from pypes.core.pools import NO_POOLS, Pool
from pypes.graph.cases import Post
from pypes.graph.model import Graph
from pypes.graph.plan import Plan
from pypes.graph.spec import ComponentSpec
from pypes.ingest.codecs import check
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Item
from pypes.ingest.receipt import ReceiptIds, commit_key
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Failure, Feed, Scheduler
from pypes.runtime.scheduler.loop_driver import LoopDriver
from pypes.runtime.scheduler.process_driver import ProcessDriver
from pypes.runtime.scheduler.provenance import Marks, marks_of
from pypes.runtime.trials.report import Counts, Report, Step
from pypes.runtime.trials.sight import MAX_SHOWN, Probe, Sight
from pypes.runtime.trials.stage import Stage

#: The time at which documents run in a trial, in ms: the same in all, so that what comes of them can be compared.
_RUN: Final = 1


class Passage(NamedTuple):
    """The result for one document: packets (JSON form) that reached publishers, its fate, its dead letters as in a report."""

    arrived: dict[str, list[dict[str, Any]]]
    fate: str
    failures: list[dict[str, Any]]


class Trial:
    """One running copy of a graph whose publishers are probes (unless ``publishes``). Use it as a context manager.

    Set-up runs at once; raises :class:`ComponentError` naming the filter. The packets are seen by an observer, so that the graph
    is the one that a node would run. Without ``has_wires``, only what arrives at publishers is kept. ``is_stepped``: filters get
    packets one by one, as far as they are made for single ones, and what goes to an output without a wire is seen, too, so that
    each step can be shown; ``left_out`` are then filters that nothing reaches, which are not set up. ``at`` are the inputs, as
    ``filter.port``, at which posts may enter.
    ``pools`` are those of the node; whatever runs in one runs in a process, or thread, of this trial.
    """

    def __init__(
        self,
        graph: Graph,
        specs: Mapping[str, ComponentSpec],
        *,
        site: Site | None = None,
        publishes: bool = False,
        has_wires: bool = True,
        is_stepped: bool = False,
        left_out: Collection[str] = (),
        at: Iterable[str] = (),
        limits: Limits | None = None,
        pools: Mapping[str, Pool] = NO_POOLS,
    ) -> None:
        self._limits = limits or Limits()
        self._site = site or Site()
        self._ends: list[str] = []
        #: The filters of the graph that are in the trial, in their order.
        self._filters = [name for name in Plan(graph).order if name not in left_out]
        components: dict[str, Component] = {}
        for name in self._filters:
            node = graph.nodes[name]
            spec = specs[node.component]
            # what is isolated needs no process of its own here: the trial is one, with bounds
            component = (
                self._site.make(spec, node.params, name)
                if node.pool is None
                else place(graph, name, spec, self._site, self._limits, pools, width=1)
            )
            if is_publisher(component) and not publishes:
                component = Probe(component.get_in_ports(), is_told=component.complete is not None)
                self._ends.append(name)
            if is_stepped and node.pool is None and component.concurrency > 1:
                component.concurrency = 1
            components[name] = component
        stage = Stage(graph, components)
        stage.leave_out(left_out)
        self._starts = {input: stage.entry(input) for input in at}
        if is_stepped:
            stage.catch_loose_ends()
        self._graph = graph = stage.graph
        self._router = Router(graph, components)
        holding = [name for name, component in components.items() if component.holds]
        self._sight = Sight(graph, self._ends, has_wires, stage.hidden, holding)
        self._done: list[Epoch] = []
        self._scheduler = Scheduler(
            graph,
            components,
            limits=self._limits,
            on_done=self._done.append,
            # what cannot be reached is found out here, not waited for
            has_breakers=publishes,
            secrets=self._site.secrets,
            observer=self._sight,
            marks=Marks(marks_of(graph, 0, {name: spec.version for name, spec in specs.items()})) if graph.provenance else None,
        )
        self._scheduler.core.keeps_causes = has_wires
        self._is_stepped = is_stepped
        self._scheduler.setup()

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *exception: object) -> None:
        self._scheduler.teardown()

    @property
    def publishers(self) -> list[str]:
        """The filters that are publishers, which publish nothing."""
        return self._ends

    @property
    def spent_s(self) -> Mapping[str, float]:
        """Seconds that each filter took during the last run."""
        return self._sight.spent_s

    def _go_apart(self) -> None:
        """Have filters that are made for single packets take them one by one in the next run, so that each can be told of."""
        for driver in self._scheduler.drivers if self._is_stepped else ():
            if type(driver) in (ProcessDriver, LoopDriver) and not driver.is_join and driver.holding is None:
                driver.alone = MAX_SHOWN

    def run(self, posts: Sequence[Post]) -> Report:
        """Push what was posted through the graph, and wait until all of it is done. Blocks.

        Raises what a server would refuse a body with (:class:`BadRequest`, :class:`TooLarge`, …).
        """
        return self.push([self._delivery(position, post) for position, post in enumerate(posts)])

    def push(self, deliveries: Sequence[Arrived]) -> Report:
        """Push deliveries through the graph together; as :meth:`run`. Meant for a trial that has wires in sight."""
        self._go_apart()
        self._sight.clear()
        intake = Intake(deliveries, self._router, self._limits, run=_RUN)
        intake.epoch = self._scheduler.submit(intake.feed())
        self._scheduler.drain()
        intake.epoch = None
        return self._report(self._done.pop())

    def each(self, delivery: Arrived) -> list[Passage]:
        """Push the documents of a delivery through the graph one by one, so that what arrives can be told apart. Blocks."""
        intake = Intake([delivery], self._router, self._limits, run=_RUN)
        feed = intake.feed()
        # what cannot be read fails in it; it never runs
        reading = intake.epoch = Epoch(feed)
        entering: list[list[tuple[str, Any]]] = [[] for _ in range(intake.documents)]
        for batch in feed.batches:
            if isinstance(batch, tuple):
                filter, packets, numbers = batch
                for packet, number in zip(packets, numbers, strict=True):
                    entering[number].append((filter, packet))
        self._sight.clear()
        return [self._passage(number, packets, reading) for number, packets in enumerate(entering)]

    def _passage(self, number: int, packets: list[tuple[str, Any]], reading: Epoch) -> Passage:
        self._sight.clear_ends()
        flags, letters = reading.flags[number], [f for f in reading.dead_letters if number in f.documents]
        if packets:
            self._scheduler.submit(Feed(iter([(filter, [packet], [0]) for filter, packet in packets]), 1))
            self._scheduler.drain()
            epoch = self._done.pop()
            flags |= epoch.flags[0]
            letters += epoch.dead_letters
        fate = "failed" if flags & FAILED else "published" if flags & PUBLISHED else "dropped"
        return Passage(self._sight.arrived, fate, [_told(letter) for letter in letters])

    def _delivery(self, position: int, post: Post) -> Arrived:
        header = Header(
            self._graph.name, post.method, post.content_type, post.encoding, post.route, post.id, post.filename,
            length=len(post.body), start=self._starts.get(post.at, post.at),
        )  # fmt: skip
        count, decoded = check(header, post.body, self._limits)
        header = msgspec.structs.replace(header, documents=count)
        receipt = ReceiptIds(0, 0, commit_key(wall(), 0), 0)[position]
        body = post.body if decoded is None else decoded
        return Arrived(None, Item(position, receipt, header, len(body), is_decoded=decoded is not None), body)

    def _report(self, epoch: Epoch) -> Report:
        failures = [self._failure(failure) for failure in epoch.dead_letters]
        dropped = [flag & (PUBLISHED | FAILED) for flag in epoch.flags].count(0)
        published = sum(1 for flag in epoch.flags if flag & PUBLISHED and not flag & FAILED)
        steps = [self._step(name, failures) for name in self._filters]
        return Report(steps, published, dropped, failures, sum(1 for flag in epoch.flags if flag & FAILED))

    def _failure(self, failure: Failure) -> dict[str, Any]:
        passing = self._sight.passings.get(failure.filter)
        place = None if passing is None or failure.cause is None else passing.fail(failure.cause[0])
        return {**_told(failure), "attempts": failure.attempts, "in": place}

    def _step(self, name: str, failures: list[dict[str, Any]]) -> Step:
        passing = self._sight.passings[name]
        return Step(
            name,
            self._graph.nodes[name].component,
            passing.arrived,
            passing.sent,
            passing.dropped,
            next((f for f in failures if f["filter"] == name), None),
            round(passing.spent_s * 1000, 3),
            round(passing.waited_s * 1000, 3),
            Counts(passing.arrivals, passing.sendings),
            passing.origins,
            passing.parents,
            passing.calls,
        )


def _told(failure: Failure) -> dict[str, Any]:
    return {"filter": failure.filter, "code": failure.code, "error": failure.error, "traceback": failure.traceback}
