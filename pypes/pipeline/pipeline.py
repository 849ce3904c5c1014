"""Pipeline: functions and components composed into a graph that runs in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, get_args

from pypes.core.limits import Limits
from pypes.errors import InvalidGraph
from pypes.ingest.outcome import Fate
from pypes.observe import Observer
from pypes.pipeline.building import build, given
from pypes.pipeline.flow import ChainFlow, DeadLetters, Errors, GraphFlow, Settling
from pypes.pipeline.inflow import Held, inflow, together
from pypes.pipeline.results import Flow, Results, check_buffer
from pypes.runtime.local import LocalGraph

#: Batches that may be done and wait for one before them, for each that a pool may have: it goes on while one item takes long.
AHEAD = 4
#: Items between input and output at most, where the user does not say.
BUFFER = 1000


class Pipeline:
    """Functions, components and other pipelines as one graph: what is put in comes out at its end.

    ``Pipeline(load, clean, str.upper)`` has them follow one another; ``nodes`` and ``wires`` (``("a.out", "b.in")``) make any
    graph. A function is called with one value and returns the result: ``None`` drops the item, :class:`~pypes.pipeline.Done` has
    it pass over what is left, and each value of a generator function is a result. A function of several parameters whose names
    are ports of wires gets what these carry of one item. :func:`~pypes.pipeline.node` says where a function runs.

    :meth:`run` is lazy: items are taken and worked on as results are asked for, at most ``buffer`` of them between input and
    output. Results come in the order of their items, unless ``ordered`` is False. An item that failed is left out and kept in
    :attr:`dead_letters`, with ``errors="return"`` a :class:`~pypes.pipeline.Failed` stands in its place, with ``"raise"`` the run
    ends with its exception.

    Where components are among the nodes, items are their packets (:class:`pypes.Packet`), which are cloned where several wires
    lead from a port; other values are not. ``pools`` has components work in pools, by name, with the keys that pools have in
    graphs. A publisher whose destination cannot be reached keeps its packets until it can, and :meth:`run` waits for that; the
    log says so. Components that override ``complete`` are told of packets with an identity; the versions of these are in their
    metadata ``receipt`` (or ``origin``), ``index`` and ``run``, as in a node.

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
        limits: Limits | None = None,
        observer: Observer | None = None,
        pools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        check_buffer(buffer)
        if errors not in get_args(Errors):
            raise InvalidGraph(f"errors must be one of {', '.join(get_args(Errors))}, not {errors!r}", code="pipeline.errors")
        #: The nodes and wires that the user gave.
        self.given = given(chain, nodes, wires)
        self._buffer = buffer
        self._ordered = ordered
        self._settling = Settling(errors)
        built = build(self.given, track=track, ordered=ordered)
        self._steps = built.steps
        self._graph: GraphFlow | None = None
        self._chain: ChainFlow | None = None
        self._flow: Flow
        if built.chain is not None and observer is None:
            self._flow = self._chain = ChainFlow(built.chain, self._settling)
        else:
            pooled = [node for node in self.given.nodes.values() if node.pool is not None]
            is_bare = self.given.is_bare
            self._flow = self._graph = GraphFlow(
                lambda on_done: LocalGraph(
                    built.components,
                    built.ends,
                    limits=limits,
                    observer=observer,
                    pools={**built.pools, **pools},
                    on_done=on_done,
                ),
                self._settling,
                stride=0 if is_bare else max((node.stride for node in pooled), default=0),
                most_open=AHEAD * max((node.pool.capacity for node in pooled if node.pool is not None), default=0) or 1,
                is_bare=is_bare,
            )

    # -- running ------------------------------------------------------------------------------------------

    def run(self, items: Iterable[Any] | None = None, **inputs: Iterable[Any]) -> Results:
        """Put items into the filters that no wire leads to; the results, as they come. Nothing is done before they are asked for.

        ``inputs`` has items for each of these filters, by its name: the first of all belong together, then the second and so on.
        An iterator is asked by a thread of its own, so that what is done already can come out while it keeps that waiting.
        """
        if (items is None) == (not inputs):
            raise TypeError("run() takes the items, or those of each entry by its name")
        flow = self._flow
        if inputs:
            self._check_inputs(inputs)
            items = together(inputs)
        assert items is not None
        source = inflow(items, flow.wake)
        return Results(flow, source, buffer=self._buffer, ordered=self._ordered, is_split=bool(inputs))

    def push(self, items: Sequence[Any]) -> list[Any]:
        """Put some items in together, and return what came out of them.

        Raises ``ComponentError`` (``pipeline.busy``) from within a component or an observer of this pipeline.
        """
        if self._chain is not None and len(items) == 1:
            return self._chain.call(items[0])
        return [*Results(self._flow, Held(items), buffer=max(1, len(items)), ordered=True, wave=max(1, len(items)))]

    def trigger(self) -> list[Any]:
        """Run the sources once, as an empty trigger did in the original, and return what came out."""
        if self._graph is None:
            return []
        results = Results(self._flow, Held(()), buffer=1, ordered=True)
        batch = results.expect()
        with self._graph.graph.at_work():
            self._graph.trigger(batch)
        return [*results]

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
        """The results of functions that are kept, by name, in the order in which they were made."""
        return {name: step.kept for name, step in self._steps.items() if step.kept is not None}

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
        return {} if self._graph is None else self._graph.graph.counts

    def close(self) -> None:
        """End its workers, and tear its components down."""
        self._flow.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
