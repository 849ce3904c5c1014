"""Trials: a graph run in this process over a few documents, with every packet on its way seen and nothing published.

``python -m pypes.runtime.trials.trial LIFELINE`` does one for the node, which imports no components itself: a JSON object on
standard input (a :class:`Job`), the report as one line on standard output. It ends with the node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from pypes import logs
from pypes.component import Component, is_publisher
from pypes.core.clock import wall
from pypes.core.lifeline import die_with, watch
from pypes.core.limits import Limits
from pypes.core.pools import NO_POOLS, Pool
from pypes.core.printed import clean_prints
from pypes.errors import PypesError
from pypes.graph import codec
from pypes.graph.cases import Post
from pypes.graph.model import Graph
from pypes.graph.plan import Plan
from pypes.graph.spec import ComponentSpec
from pypes.ingest.codecs import check
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Item
from pypes.ingest.receipt import ReceiptIds, commit_key
from pypes.observe.hiding import Hiding
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.instance.watchdog import limit_memory
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Failure, Feed, Scheduler
from pypes.runtime.scheduler.provenance import Marks, marks_of
from pypes.runtime.trials.dryrun_job import MAX_REPORT_BYTES, Job
from pypes.runtime.trials.sight import Probe, Sight


class Step(msgspec.Struct):
    """The work of one filter: packets (JSON form) that came in, and went out by port; how many it dropped; its error."""

    filter: str
    component: str
    taken: list[dict[str, Any]] = msgspec.field(name="in", default_factory=list)
    out: dict[str, list[dict[str, Any]]] = msgspec.field(default_factory=dict)
    dropped: int = 0
    error: dict[str, Any] | None = None
    ms: float = 0.0


class Report(msgspec.Struct):
    """The result of a trial; the numbers count documents. ``failures`` are ``{filter, code, error, traceback}``."""

    steps: list[Step]
    published: int
    dropped: int
    failures: list[dict[str, Any]]

    @property
    def arrived(self) -> dict[str, list[dict[str, Any]]]:
        """Packets that came in, by filter."""
        return {step.filter: step.taken for step in self.steps}

    def shown(self, hiding: Hiding) -> Report:
        """The report as people may read it."""
        show, secrets = hiding.packet, hiding.secrets
        steps = [
            msgspec.structs.replace(
                step,
                taken=[show(packet) for packet in step.taken],
                out={port: [show(packet) for packet in packets] for port, packets in step.out.items()},
                error=secrets.redacted(step.error),
            )
            for step in self.steps
        ]
        return msgspec.structs.replace(self, steps=steps, failures=secrets.redacted(self.failures))


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
    is the one that a node would run. Without ``has_wires``, only what arrives at publishers is kept.
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
        limits: Limits | None = None,
        pools: Mapping[str, Pool] = NO_POOLS,
    ) -> None:
        self._graph = graph
        self._limits = limits or Limits()
        self._site = site or Site()
        self._ends: list[str] = []
        components: dict[str, Component] = {}
        for name, node in graph.nodes.items():
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
            components[name] = component
        self._router = Router(graph, components)
        self._sight = Sight(graph, self._ends, has_wires)
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

    def run(self, posts: Sequence[Post]) -> Report:
        """Push what was posted through the graph, and wait until all of it is done. Blocks.

        Raises what a server would refuse a body with (:class:`BadRequest`, :class:`TooLarge`, …).
        """
        return self.push([self._delivery(position, post) for position, post in enumerate(posts)])

    def push(self, deliveries: Sequence[Arrived]) -> Report:
        """Push deliveries through the graph together; as :meth:`run`. Meant for a trial that has wires in sight."""
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
        return Passage(self._sight.arrived, fate, _failures(letters))

    def _delivery(self, position: int, post: Post) -> Arrived:
        header = Header(
            self._graph.name, post.method, post.content_type, post.encoding, post.route, post.id, post.filename,
            length=len(post.body),
        )  # fmt: skip
        count, decoded = check(header, post.body, self._limits)
        header = msgspec.structs.replace(header, documents=count)
        receipt = ReceiptIds(0, 0, commit_key(wall(), 0), 0)[position]
        body = post.body if decoded is None else decoded
        return Arrived(None, Item(position, receipt, header, len(body), is_decoded=decoded is not None), body)

    def _report(self, epoch: Epoch) -> Report:
        failures = _failures(epoch.dead_letters)
        dropped = [flag & (PUBLISHED | FAILED) for flag in epoch.flags].count(0)
        published = sum(1 for flag in epoch.flags if flag & PUBLISHED and not flag & FAILED)
        steps = [self._step(name, failures) for name in Plan(self._graph).order]
        return Report(steps, published, dropped, failures)

    def _step(self, name: str, failures: list[dict[str, Any]]) -> Step:
        sight = self._sight
        outs = {port: packets for (source, port), packets in sight.sent.items() if source == name}
        if name in self._ends:
            taken = sight.arrived[name]
        else:
            sources = [(wire.source, wire.output) for wire in self._graph.wires if wire.target == name]
            taken = [packet for source in sources for packet in sight.sent[source]] + sight.entered.get(name, [])
        error = next((f for f in failures if f["filter"] == name), None)
        ms = round(sight.spent_s[name] * 1000, 3)
        failed = sum(f["filter"] == name for f in failures)
        is_end = name in self._ends or not outs
        dropped = 0 if is_end else max(0, len(taken) - sum(map(len, outs.values())) - failed)
        return Step(name, self._graph.nodes[name].component, taken, outs, dropped, error, ms)


def _failures(letters: Iterable[Failure]) -> list[dict[str, Any]]:
    return [{"filter": f.filter, "code": f.code, "error": f.error, "traceback": f.traceback} for f in letters]


def main(lifeline: int) -> None:
    """One trial for the node: reads the job, writes the report or ``{"error": …}``."""
    die_with(lifeline)
    watch([lifeline])
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    if job.max_memory_bytes:
        limit_memory(job.max_memory_bytes)
    # what components print must not get between the lines of the report
    report_fd = os.dup(1)
    os.dup2(2, 1)
    graph = codec.from_obj(job.graph)
    specs = {name: ComponentSpec.from_obj(obj) for name, obj in job.components.items()}
    site = Site(job.paths, redact=job.hides)
    logs.configure(f"trial-{os.getpid()}", json=False, hiding=site.hiding)
    clean_prints(site.secrets.redact)
    answer: Any
    try:
        with Trial(graph, specs, site=site, pools=job.pools) as trial:
            answer = trial.run([msgspec.convert(post, Post) for post in job.posts]).shown(site.hiding)
    except PypesError as error:
        answer = {"error": {"code": error.code, "message": site.secrets.redact(error.message), "where": error.where}}
    line = msgspec.json.encode(answer)
    if len(line) >= MAX_REPORT_BYTES:
        message = f"the report has {len(line)} bytes, at most {MAX_REPORT_BYTES} can be shown; try with a smaller document"
        line = msgspec.json.encode({"error": {"code": "dryrun.too_large", "message": message, "where": graph.name}})
    with os.fdopen(report_fd, "wb") as out:
        out.write(line + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
