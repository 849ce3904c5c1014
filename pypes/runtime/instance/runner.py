"""A runner: one graph within an instance, its scheduler and what waits for it, in two lanes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from zlib import crc32

from pypes.component import Component
from pypes.core.limits import MIB, Limits
from pypes.core.nodetime import Clock
from pypes.core.returned import unrun
from pypes.core.secrets import Secrets
from pypes.core.shown import shown
from pypes.core.trace_context import TraceContext
from pypes.graph.model import Graph
from pypes.ingest.outcome import KeptTrace
from pypes.ingest.protocol import Item
from pypes.observe.hiding import Hiding
from pypes.observe.tallies import Tallies
from pypes.runtime.instance.acknowledging import committed
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.instance.tallying import Tallying
from pypes.runtime.instance.tracing import Traced, context_of, report_of, spans_of
from pypes.runtime.scheduler import Epoch, Scheduler
from pypes.runtime.scheduler.carrying import Carried
from pypes.runtime.scheduler.provenance import Marks, marks_of
from pypes.runtime.scheduler.scheduler import SLICE_S
from pypes.runtime.scheduler.tracing import Trace

#: Deliveries that wait together become one epoch of so much work at most, in seconds: nothing is acknowledged before its end.
EPOCH_S = 0.05
EPOCH_BYTES = 4 * MIB
#: The same in the bulk lane, and what is fed at once of a large delivery in it: a live document waits for no more than that.
BULK_S = 0.002
BULK_BYTES = MIB // 4
#: Documents that are bulk enough while nobody knows yet how long one takes.
BULK_FIRST = 16
#: While a large delivery runs, small ones are let in beside it this often.
BESIDE_LARGE_S = 0.02
#: A new measurement's weight in the running mean of the time that a document takes.
_WEIGHT = 0.2


class Runner:
    """Feeds deliveries of one graph into its scheduler, many small ones at a time; bulk ones only while no other waits."""

    def __init__(
        self,
        graph: Graph,
        version: int,
        components: Mapping[str, Component],
        limits: Limits,
        clock: Clock | None = None,
        secrets: Secrets | None = None,
        redact: Sequence[str] = (),
        tallies: tuple[Tallies, Tallies] | None = None,
        versions: Mapping[str, str] = MappingProxyType({}),
        *,
        trace_share: float = 0.0,
        exports_spans: bool = False,
    ) -> None:
        self.name = graph.name
        self.version = version
        self.weight = graph.weight
        #: Nothing is begun any more; what waits will be given back.
        self.is_leaving = False
        #: Share of a slice that it has saved up; see the exchange.
        self.credit = 0.0
        self._clock = clock or Clock()
        #: Versions of components, as far as they are known; where fields are marked, the marks of filters.
        self._versions = versions
        self._marks = Marks(marks_of(graph, version, versions)) if graph.provenance else None
        self.scheduler = Scheduler(
            graph,
            components,
            limits=limits,
            wall_clock=self._clock.now,
            on_done=self._done,
            on_committed=self._committed,
            secrets=secrets,
            marks=self._marks,
        )
        self._hiding = Hiding(redact, secrets)
        #: Deliveries are traced, whatever they say, whose receipts have a checksum below: the same ones in each of their runs.
        self._drawn_below = int(max(graph.trace, trace_share) * (1 << 32))
        #: Spans are made of traces, so that what follows from a delivery belongs to those.
        self._exports_spans = exports_spans
        self._tallying = None if tallies is None else Tallying(*tallies, self.scheduler)
        self._live: deque[Arrived] = deque()
        self._bulk: deque[Arrived] = deque()
        self.is_ordered = bool(graph.order_by)
        #: The intakes in the graph, if it is ordered.
        self._intakes: set[Intake] = set()
        self._router = Router(graph, components)
        self._limits = limits
        self._components = components
        #: New version and parameters that wait for the epochs in flight to end, and whom to tell.
        self._change: tuple[int, Mapping[str, Mapping[str, Any]], Callable[[str], None]] | None = None
        #: Whom to tell when the sources have run that take no documents: those that wait to, and those that do.
        self._triggers: deque[Callable[[str], None]] = deque()
        self._triggered: dict[Epoch, Callable[[str], None]] = {}
        self._large_in_flight = 0
        self._bulk_in_flight = 0
        self._let_in_at = 0.0
        #: True if the epoch that was started last is smaller than it could be, for what is traced has one of its own.
        self._is_cut = False
        #: Mean time in the scheduler per document, in seconds; what it waits for others does not count.
        self._document_s = 0.0
        self._busy_s = 0.0
        self._finished = 0

    # -- what waits -------------------------------------------------------------------------------------

    def take(self, waiting: Arrived) -> None:
        """Put a delivery at the end of its lane."""
        header = waiting.item.header
        # PERF: as _is_traced, for each of many small ones
        if header.is_traced or (self._drawn_below and crc32(waiting.item.receipt.encode()) < self._drawn_below):
            waiting = Traced(*waiting)
        (self._bulk if header.is_bulk else self._live).append(waiting)

    def _is_traced(self, item: Item) -> bool:
        return item.header.is_traced or crc32(item.receipt.encode()) < self._drawn_below

    def drop(self, is_void: Callable[[Arrived], bool]) -> None:
        """Forget what waits and is void."""
        if self.has_waiting:
            self._live = deque(waiting for waiting in self._live if not is_void(waiting))
            self._bulk = deque(waiting for waiting in self._bulk if not is_void(waiting))

    def numbers_of(self, connection: Any) -> list[int]:
        """The numbers of what waits and came from a connection, in the order in which it came."""
        return [waiting.item.number for lane in (self._live, self._bulk) for waiting in lane if waiting.connection is connection]

    @property
    def has_waiting(self) -> bool:
        return bool(self._live or self._bulk)

    @property
    def is_held(self) -> bool:
        """True while documents of an ordered graph are worked on whose ingest worker is gone."""
        return any(not waiting.connection.is_open for intake in self._intakes for waiting in intake.deliveries)

    @property
    def can_start(self) -> bool:
        """True if :meth:`start_next` would put something into the graph now."""
        if self._change is not None or self.is_leaving:
            return False
        if self._triggers:
            return True
        if self._live:
            if self.scheduler.is_idle:
                return True
            if self._is_large(self._live[0]):
                return False
            if self._bulk_in_flight and not self._large_in_flight:
                return True
            return self._large_in_flight > 0 and self._is_time()
        if not self._bulk or not self.scheduler.is_idle:
            return False
        # a filter that waits for more to take at once must not wait for what waits for it
        return not self._bulk_in_flight or self.scheduler.is_gathering

    @property
    def is_due(self) -> bool:
        """True if a deadline of the scheduler has come."""
        due = self.scheduler.runs_at()
        return due is not None and due <= time.monotonic()

    def _is_time(self) -> bool:
        return time.monotonic() - self._let_in_at >= BESIDE_LARGE_S

    def _is_large(self, waiting: Arrived) -> bool:
        return bool(waiting.item.path) or waiting.documents > self._limits.wave_packets

    # -- into the graph ---------------------------------------------------------------------------------

    def start_next(self) -> None:
        """Put the next deliveries into the graph: as many small ones as make a good epoch, or a large one."""
        self._let_in_at = time.monotonic()
        if self._triggers:
            on_done = self._triggers.popleft()
            self._triggered[self.scheduler.trigger()] = on_done
        elif self._live:
            room = self._limits.wave_packets
            if self._document_s * room > EPOCH_S:
                room = max(1, int(EPOCH_S / self._document_s))
            self._start_from(self._live, room, EPOCH_BYTES)
        else:
            self._start_from(self._bulk, self._bulk_room, BULK_BYTES)

    @property
    def _bulk_room(self) -> int:
        if not self._document_s:
            return BULK_FIRST
        return max(1, min(self._limits.wave_packets, int(BULK_S / self._document_s)))

    def _start_from(self, lane: deque[Arrived], room: int, room_bytes: int) -> None:
        most = self._limits.wave_packets
        taken: list[Arrived] = []
        is_cut = False
        for waiting in lane:
            _, item, body = waiting
            header = item.header
            documents = header.documents
            # PERF: as _is_large, for each of many small ones
            is_by_itself = item.path or documents > most or type(waiting) is Traced
            if taken and (is_by_itself or room <= 0 or room_bytes <= 0):
                is_cut = type(waiting) is Traced
                break
            taken.append(waiting)
            if header.context is not None:
                self._carry(item, header.context)
            if is_by_itself:
                is_cut = type(waiting) is Traced
                break
            room -= documents
            room_bytes -= len(body)
        for _ in taken:
            lane.popleft()
        self._is_cut = is_cut
        self._start(taken)

    def start_alone(self, waiting: Arrived, record: CrashRecord) -> None:
        """Put in a delivery by itself, one document after the other; the record says which filter is at which of them."""
        scheduler = self.scheduler
        self._is_cut = False  # what waits is not to run beside it
        record.decoding()
        scheduler.record_turn = lambda filter, document: record.turn(filter, document, scheduler.watch.timeout_s(filter))
        if waiting.item.header.context is not None:
            self._carry(waiting.item, waiting.item.header.context)
        self._start([Traced(*waiting) if self._is_traced(waiting.item) else waiting], record)

    def _carry(self, item: Item, context: TraceContext, trace: Trace | None = None) -> None:
        """Let filters know the trace that a delivery belongs to, until it is done."""
        self.scheduler.core.carried[item.receipt] = Carried(item.receipt, context, trace)

    def end_alone(self, record: CrashRecord) -> None:
        """End a lone run."""
        self.scheduler.record_turn = None
        record.rest()

    def _start(self, deliveries: list[Arrived], record: CrashRecord | None = None) -> None:
        is_bulk = deliveries[0].item.header.is_bulk
        if is_bulk:
            self._bulk_in_flight += 1
        elif self._is_large(deliveries[0]):
            self._large_in_flight += 1
        wave = self._bulk_room if is_bulk else 0
        intake = Intake(
            deliveries,
            self._router,
            self._limits,
            self._clock,
            wave=wave,
            is_ordered=self.is_ordered,
            record=record,
            version=self.version,
        )
        if self.is_ordered:
            self._intakes.add(intake)
        feed = intake.feed()
        if type(deliveries[0]) is Traced:
            feed.trace = Trace(self._hiding.excerpts(), self.scheduler.core.clock)
            if self._exports_spans:
                self._carry(deliveries[0].item, context_of(deliveries[0].item), feed.trace)
        intake.epoch = self.scheduler.submit(feed)

    def run(self) -> None:
        """Run for a slice of time."""
        begin = time.perf_counter()
        self.scheduler.run()
        # PERF: deliveries around a traced one came together, and are acknowledged together; one by one, they would bring
        # others one by one, and so on
        while self._is_cut and self._live and self.can_start and time.perf_counter() - begin < SLICE_S:
            self.start_next()
            self.scheduler.run()
        if self._tallying is not None:
            self._tallying.write()
        self._busy_s += time.perf_counter() - begin
        if self._finished:
            pace = self._busy_s / self._finished
            self._document_s += _WEIGHT * (pace - self._document_s) if self._document_s else pace
            self._busy_s, self._finished = 0.0, 0

    def end(self) -> None:
        """Tear the graph down."""
        self.scheduler.teardown()
        if self._tallying is not None:
            self._tallying.end()

    # -- sources ----------------------------------------------------------------------------------------

    def source(self, filter: str) -> tuple[Component, Limits] | None:
        """A filter that fetches, and what its packets are bounded by; ``None`` if there is none of that name."""
        component = self._components.get(filter)
        return None if component is None or getattr(component, "fetch", None) is None else (component, self._limits)

    def trigger(self, on_done: Callable[[str], None]) -> None:
        """Run the filters that no wire leads to once, as soon as that can be; ``on_done("")`` then, or ``on_done(reason)``."""
        self._triggers.append(on_done)

    # -- new parameters ---------------------------------------------------------------------------------

    def change(self, version: int, params: Mapping[str, Mapping[str, Any]], on_done: Callable[[str], None]) -> None:
        """Give filters new parameters as soon as nothing is in flight; ``on_done("")`` then, or ``on_done(reason)``."""
        self._change = version, params, on_done

    @property
    def is_changing(self) -> bool:
        return self._change is not None

    def resolve_change(self) -> None:
        """Take up the new parameters if nothing is in flight any more; a version that changes no filter, at once."""
        if self._change is None or (self.scheduler.in_flight and self._change[1]):
            return
        (version, params, on_done), self._change = self._change, None
        try:
            for name, given in params.items():
                component = self._components[name]
                component.configure(given)
                assert component.reconfigure is not None
                fault = unrun(component.reconfigure(component.params), "reconfigure")
                if fault is not None:
                    raise fault
        except BaseException as error:
            # some may have changed, some not: whoever asked has this instance replaced
            on_done(f"{name}: {shown(error, self.scheduler.core.secrets.redact)}")
            return
        self.version = version
        if self._marks is not None:
            self._marks.replace(marks_of(self.scheduler.graph, version, self._versions))
        on_done("")

    # -- out of it --------------------------------------------------------------------------------------

    def _done(self, epoch: Epoch) -> None:
        if not epoch.feed.deliveries:
            failed = epoch.dead_letters
            self._triggered.pop(epoch)(f"{failed[0].filter}: {failed[0].error}" if failed else "")
            return
        intake: Intake = epoch.feed.deliveries[0]
        self._finished += intake.documents
        first = intake.deliveries[0]
        if first.item.header.is_bulk:
            self._bulk_in_flight -= 1
        elif self._is_large(first):
            self._large_in_flight -= 1
        self._intakes.discard(intake)
        if carried := self.scheduler.core.carried:
            for waiting in intake.deliveries:
                carried.pop(waiting.item.receipt, None)
        intake.acknowledge(self.name, self.version, self._trace_of(epoch, first.item) if epoch.traces else None)
        intake.epoch = None  # or the two would keep each other alive until the next collection

    def _trace_of(self, epoch: Epoch, item: Item) -> KeptTrace:
        """The trace of the only delivery of an epoch."""
        (trace,) = epoch.traces
        components = {name: type(component).__name__ for name, component in self._components.items()}
        order = [driver.name for driver in self.scheduler.drivers]
        now_s = self.scheduler.core.clock()
        data = report_of(trace, epoch, item, self.name, self.version, components, order, (now_s - trace.began_s) * 1000)
        if not self._exports_spans:
            return KeptTrace(data)
        offset_s = self._clock.shown(self._clock.fresh()) - now_s
        return KeptTrace(data, spans=spans_of(trace, epoch, item, self.version, components, order, now_s, offset_s))

    def _committed(self, epoch: Epoch, publisher: str, documents: Sequence[int]) -> None:
        feed: Sequence[Any] = epoch.feed.deliveries
        if feed:
            committed(feed[0], publisher, documents, self.version)
