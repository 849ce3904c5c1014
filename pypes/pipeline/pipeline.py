"""Pipeline: functions and components composed into a graph that runs in this process."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from types import MappingProxyType, TracebackType
from typing import Any, Self, get_args

from pypes.core.limits import Limits
from pypes.core.origin import Origin
from pypes.errors import ComponentError, InvalidGraph, InvalidInput
from pypes.graph.model import Graph
from pypes.ingest.outcome import Fate
from pypes.observe import Observer
from pypes.pipeline import saving
from pypes.pipeline.bucket import Bucket, BucketClosed, Fed
from pypes.pipeline.building import checked_pools, given, given_of
from pypes.pipeline.command import Command
from pypes.pipeline.flow import ChainFlow, DeadLetters, Errors, GraphFlow, Settling, busy
from pypes.pipeline.inflow import Held, Inflow, inflow, together
from pypes.pipeline.instances import CopiesFlow
from pypes.pipeline.making import FlowMaker
from pypes.pipeline.options import check_called, check_count, check_flag, check_instance, checked_names, seconds, wrong
from pypes.pipeline.pool_flow import PoolFlow
from pypes.pipeline.progress import Bar, total_of
from pypes.pipeline.results import Flow, Pull, Results
from pypes.pipeline.run import Gate, Run
from pypes.pipeline.stats import NodeStats, stats_of

#: Items between input and output at most, where the user does not say.
BUFFER = 1000


class Pipeline:
    """Functions, components and other pipelines as one graph: what is put in comes out at its end.

    ``Pipeline(load, clean, str.upper)`` has them follow one another; ``nodes`` and ``wires`` (``("a.out", "b.in")``) make any
    graph. The path of a graph file, and a :class:`pypes.Graph`, stand for all that is in them. A function is called with one
    value and returns the result: ``None`` drops the item, :class:`~pypes.pipeline.Done` has it pass over what is left, and
    each value of a generator function is a result. A function of several parameters whose names are ports of wires gets what
    these carry of one item. :func:`~pypes.pipeline.node` says where a function runs.

    :meth:`run` is lazy: items are taken and worked on as results are asked for, at most ``buffer`` of them between input and
    output. Results come in the order of their items, unless ``ordered`` is False. An item that failed is left out and kept in
    :attr:`dead_letters`, with ``errors="return"`` a :class:`~pypes.pipeline.Failed` stands in its place, with ``"raise"`` the run
    ends with its exception.

    Where components are among the nodes, items are their packets (:class:`pypes.Packet`), which are cloned where several wires
    lead from a port; other values are not. ``pools`` has components work in pools, by name, with the keys that pools have in
    graphs. A publisher whose destination cannot be reached keeps its packets until it can, and :meth:`run` waits for that; the
    log says so. Components that override ``complete`` are told of packets with an identity; the versions of these are in their
    metadata ``receipt`` (or ``origin``), ``index`` and ``run``, as in a node.

    ``progress`` shows a bar on standard error while results are taken, if that is a terminal: items that are done and have
    failed, how fast they are, and when all will be done where the input has a length.

    With ``instances`` the whole pipeline is copied to so many processes, and each item goes to one of them, some together. Order,
    failures and ``buffer`` are as ever; kept results, stats and counts come back. A publisher commits what came together. An item
    that ends its process twice has failed, and no other. Functions may be lambdas; threads work within each copy, and filters
    have no processes of their own. :attr:`fates` and :attr:`removed` are empty then.

    ``track`` are functions whose results are kept, in :attr:`tracked`. An ``observer`` (:mod:`pypes.observe`) sees the packets on
    their way and the time of each filter. Use it as a context manager, or call :meth:`close`. Raises ``InvalidGraph``.
    """

    def __init__(
        self,
        *chain: Any,
        nodes: Mapping[str, Any] | None = None,
        wires: Iterable[tuple[str, str]] = (),
        buffer: int = BUFFER,
        ordered: bool = True,
        errors: Errors = "skip",
        track: Sequence[str] = (),
        progress: bool = False,
        instances: int | None = None,
        limits: Limits | None = None,
        observer: Observer | None = None,
        pools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        check_count("buffer", buffer, "pipeline.buffer")
        check_flag("ordered", ordered, "pipeline.ordered")
        check_flag("progress", progress, "pipeline.progress")
        if errors not in get_args(Errors):
            raise wrong("errors", f"one of {', '.join(get_args(Errors))}", errors, "pipeline.errors")
        #: The nodes and wires that the user gave.
        self.given = given(chain, nodes, wires)
        self._buffer = buffer
        self._ordered = ordered
        self._shows_progress = progress
        check_instance("limits", limits, Limits)
        check_instance("observer", observer, Observer)
        self._settling = Settling(errors)
        #: Those of results that may be wanted still; each has a thread that waits.
        self._pulls: weakref.WeakSet[Pull] = weakref.WeakSet()
        #: The last run in the background.
        self._run: Run | None = None
        self._origin = Origin()
        make = FlowMaker(checked_names("track", track), ordered, limits, observer, checked_pools(self.given, pools))
        flow: ChainFlow | PoolFlow | GraphFlow | CopiesFlow
        if instances is None:
            self._steps, flow, self._ports, self._totals = make(self.given, self._settling)
        else:
            flow = CopiesFlow(self.given, make, instances, self._settling, buffer=buffer)
            self._steps, self._totals = flow.steps, flow.totals
        self._flow: Flow = flow
        self._graph = flow if isinstance(flow, GraphFlow) else None
        self._chain = flow if isinstance(flow, ChainFlow) else None
        self._copies = flow if isinstance(flow, CopiesFlow) else None

    @classmethod
    def load(
        cls, path: str | os.PathLike[str] | Graph, /, *, load: Sequence[str | os.PathLike[str]] = (), **options: Any
    ) -> Self:
        """The pipeline of a graph file, as :meth:`save` or anybody else has written it.

        Components are the installed ones, and those of the Python files in ``load``; filters ``Call`` are functions, which are
        imported: load what you trust. ``${NAME}`` in parameters is that environment variable, relative paths start in the working
        directory, and pools are those of the file. Routes, limits and schedules are for nodes. ``options`` are those of
        :class:`Pipeline`. Raises ``InvalidGraph``, ``InvalidComponent`` and ``InvalidInput``.
        """
        return cls(given_of(path, load), **options)

    def save(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Write it to a file as a graph in Pypes' JSON form, which :meth:`load`, ``pypes run`` and nodes read.

        ``name`` is that of the graph, by default the one it was loaded with, or that of the file. Raises ``InvalidGraph`` with
        everything in it that has no name: lambdas, functions within functions or in the program itself, objects. A component
        that is not installed is written by the name of its class: say in which file it is (``load=``, ``--load``) to whoever
        reads the graph.
        """
        saving.save(self.given, path, name)

    def deploy(
        self, url: str, *, name: str | None = None, routes: Sequence[str] | None = None, token: str | None = None
    ) -> dict[str, Any]:
        """Put it on a node, where it takes the documents of ``routes`` (by default, its name); what the node tells of it.

        On a node items are packets, so there are an adapter and a publisher, and functions take packets. The node must have the
        components, and allow the modules of functions (``modules`` in ``[components]``). ``token``: by default ``PYPES_TOKEN`` of
        the environment. Blocks until the graph runs there. Raises ``InvalidGraph`` with all that is wrong, ``InvalidInput`` for
        what else the node refuses, ``Unavailable``.
        """
        return saving.deploy(self.given, url, name, routes, token)

    # -- running ------------------------------------------------------------------------------------------

    def run(self, items: Iterable[Any] | None = None, **inputs: Iterable[Any]) -> Results:
        """Put items into the filters that no wire leads to; the results, as they come. Nothing is done before they are asked for.

        ``inputs`` has items for each of these filters, by its name: the first of all belong together, then the second and so on.
        An iterator is asked by a thread of its own, so that what is done already can come out while it keeps that waiting.
        """
        inflow = self._inflow(items, inputs)
        return self._results(inflow, is_split=len(inputs) > 1, total=total_of(items, inputs))

    def start(
        self, items: Iterable[Any] | None = None, *, to: Callable[[Any], object] | None = None, **inputs: Iterable[Any]
    ) -> Run:
        """Work on items in the background, as :meth:`run` does; the run can be paused, resumed, stopped and waited for.

        ``to`` is called with each result, in the thread of the run; what it raises ends the run. Without it the results are only
        counted, and kept where ``track`` says so: results that somebody would have to fetch would keep the run from its end, and
        so whoever waits for it before. Use :meth:`run` to fetch them.

        Until the run has ended, the pipeline is its own: other calls raise ``ComponentError`` (``pipeline.busy``), but
        :meth:`close` stops it. Waits for what is under way of a run before.
        """
        inflow = self._inflow(items, inputs)
        return self._start(inflow, to, is_split=len(inputs) > 1, total=total_of(items, inputs))

    def feed(self, feed: Callable[[Bucket], object], *, source: str = "stream", idle_s: float | None = 10.0) -> Results:
        """The results for the records that ``feed(bucket)`` puts, with ``bucket.put(record)``, in a thread of its own.

        In a ``"stream"`` records are worked on as they come. ``put`` waits while the buffer is full. Where nothing comes for
        ``idle_s`` seconds, while it is waited for, the stream has dried: the run ends, the log says so, and the next ``put``
        raises :class:`~pypes.pipeline.BucketClosed`; ``None``: it never dries. In a ``"batch"`` nothing is worked on before
        ``feed`` has returned, so that all records are in memory at once.

        What ``feed`` raises is raised after the results of what it has put. Its thread is started when the first result is asked
        for, and ends by itself alone: once the results or the pipeline are closed, the next ``put`` raises.
        """
        if source not in ("stream", "batch"):
            raise InvalidInput(f"source must be stream or batch, not {source!r}", code="pipeline.source")
        check_called("feed", feed, "a bucket")
        if idle_s is not None and seconds(idle_s) is None:
            text = f"idle_s must be a number of seconds greater than zero, or None, not {idle_s!r}"
            raise InvalidInput(text, code="pipeline.idle_s")
        bucket = Fed(feed, self._flow.wake, self._buffer, idle_s=idle_s, is_batch=source == "batch")
        results = self._results(bucket)
        _count_by(bucket, results)
        return results

    @contextmanager
    def bucket(self, *, to: Callable[[Any], object] | None = None) -> Iterator[Bucket]:
        """A bucket that records are put into from any thread: ``with pipeline.bucket(to=print) as bucket: bucket.put(record)``.

        They are worked on in the background, as by :meth:`start`: ``to`` is called with each result, and without it these are
        only counted, and kept where ``track`` says so. ``put`` waits while the buffer is full. Leaving the block waits until all
        is done, and raises the error that ended the run, if one did; leaving it by an exception stops the run.
        """
        bucket = Bucket(self._flow.wake, self._buffer)
        with self._start(bucket, to) as run:
            try:
                yield bucket
            except BucketClosed:
                if bucket.is_closed:
                    run.wait()  # the error that ended the run tells more
                raise
            bucket.end()

    def push(self, items: Sequence[Any]) -> list[Any]:
        """Put some items in together, and return what came out of them.

        Raises ``ComponentError`` (``pipeline.busy``) from within a component or an observer of this pipeline.
        """
        if self._chain is not None and len(items) == 1:
            return self._chain.call(items[0])
        return [*self._wave(items)]

    def push_by_port(self, items: Sequence[Any]) -> dict[str, list[Any]]:
        """Put some items in together, and return what came out of each output that no wire leads from: ``{"filter.out": […]}``.

        With ``errors="return"``, the failures of a filter are at its port ``error``.
        """
        self._check_here("push_by_port")
        results = self._wave(items)
        if self._graph is None:
            [port] = self._ports.names
            given = [*results]
            return self._ports.sort([(port, each) for each in given], given)
        found = results.pull.by_port = []
        given = [*results]
        return self._ports.sort([pair for _, pairs in sorted(found, key=itemgetter(0)) for pair in pairs], given)

    def trigger(self) -> list[Any]:
        """Run the sources once, as an empty trigger did in the original, and return what came out."""
        self._flow.check_free()
        self._check_here("trigger")
        if self._graph is None:
            return []
        pull = self._begun(Pull(self._flow, Held(()), buffer=1, ordered=True))
        batch = pull.expect()
        with self._graph.graph.at_work():
            self._graph.trigger(batch)
        return [*Results(pull, self)]

    def _inflow(self, items: Iterable[Any] | None, inputs: dict[str, Iterable[Any]]) -> Inflow:
        if (items is None) == (not inputs):
            raise TypeError("give the items, or those of each entry by its name")
        if inputs:
            self._check_inputs(inputs)
            items = together(inputs) if len(inputs) > 1 else next(iter(inputs.values()))
        assert items is not None
        return inflow(items, self._flow.wake)

    def _results(self, inflow: Inflow, *, is_split: bool = False, total: int | None = None) -> Results:
        shows = self._shows_progress
        pull = Pull(self._flow, inflow, buffer=self._buffer, ordered=self._ordered, is_split=is_split, is_counted=shows)
        bar = Bar(total) if shows else None
        return Results(self._begun(pull), self, bar)

    def _begun(self, pull: Pull) -> Pull:
        self._pulls.add(pull)
        return pull

    def _wave(self, items: Sequence[Any]) -> Results:
        count = max(1, len(items))
        return Results(self._begun(Pull(self._flow, Held(items), buffer=count, ordered=True, wave=count)), self)

    def _start(
        self, inflow: Inflow, to: Callable[[Any], object] | None, *, is_split: bool = False, total: int | None = None
    ) -> Run:
        self._flow.check_free()
        if to is not None:
            check_called("to", to, "each result")
        if self._run is not None:
            if not self._run.has_ended:
                raise busy()
            self._run.close()
        gate = Gate(inflow)
        results = self._results(gate, is_split=is_split, total=total)
        if isinstance(inflow, Bucket):
            _count_by(inflow, results)
        self._run = Run(self._flow, results, gate, to)
        return self._run

    def _check_here(self, method: str) -> None:
        if self._copies is not None:
            raise ComponentError(f"{method} works in one process: leave out instances= for it", code="pipeline.instances")

    def _check_inputs(self, inputs: Mapping[str, Any]) -> None:
        entries = self.given.entries
        if {*inputs} != {*entries} or self.given.is_bare:
            reason = "its filters are components: push packets" if self.given.is_bare else f"its entries are {', '.join(entries)}"
            raise InvalidGraph(f"run({'=…, '.join(inputs)}=…): {reason}", code="pipeline.inputs")

    # -- what it knows ------------------------------------------------------------------------------------

    @property
    def dead_letters(self) -> DeadLetters:
        """The items that failed and were skipped: the last 10,000, and in ``total`` how many there were."""
        return self._settling.dead_letters

    @property
    def tracked(self) -> dict[str, list[Any]]:
        """The results of functions that are kept, by name, in the order in which they were made.

        All of them are kept, without a bound: empty a list (``pipeline.tracked["clean"].clear()``) once it was read.
        """
        return {name: step.kept for name, step in self._steps.items() if step.kept is not None}

    @property
    def stats(self) -> dict[str, NodeStats]:
        """Items, failures, seconds and waiting of each node since the pipeline was made, also while a run is under way."""
        return stats_of(self.given.nodes, self._steps, self._totals.so_far)

    @property
    def entries(self) -> list[str]:
        """The filters that no wire leads to."""
        return self.given.entries

    @property
    def fates(self) -> list[Fate]:
        """Fates of the packets of the last wave: takers (publishers, open output ports), or the filter where they ended."""
        return [] if self._graph is None else self._graph.fates

    @property
    def removed(self) -> dict[str, int]:
        """Numbers of parts of older versions that publishers have removed for the last wave, by the name of the filter."""
        return {} if self._graph is None else self._graph.removed

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By filter and name, what the components have counted (:meth:`pypes.Component.count`) so far."""
        if self._copies is not None:
            return self._copies.counts
        return {} if self._graph is None else self._graph.graph.counts

    def close(self) -> None:
        """End its workers and the programs of its commands, and tear its components down.

        A run in the background is stopped, with what is under way. Results that are asked for later raise ``ComponentError``
        (``pipeline.closed``). A process that is a fork of the one where it was made only lets go of it, and ends nothing.
        """
        if not self._origin.is_here:
            if self._chain is not None:  # it has nothing of the parent
                self._chain.close()
            self._flow.is_closed = True
            return
        if self._run is not None:
            with suppress(TimeoutError):
                self._run.stop(timeout_s=0)
        for node in self.given.nodes.values():
            if isinstance(node.target, Command):  # a thread that waits for a program cannot be ended
                node.target.close()
        if self._run is not None:
            self._run.close()
        self._flow.close()
        self._flow.is_closed = True
        for pull in [*self._pulls]:
            pull.end()

    def __del__(self) -> None:
        flow: Flow | None = getattr(self, "_flow", None)
        if flow is None or flow.is_closed or sys.is_finalizing():  # it was not made, or all ends anyway
            return
        self.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _count_by(bucket: Bucket, results: Results) -> None:
    """Have a bucket know how much of it is under way; whoever feeds it does not keep results alive that nobody wants."""
    found = weakref.ref(results.pull)
    bucket.under_way = lambda: 0 if (alive := found()) is None else alive.under_way
