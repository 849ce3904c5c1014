"""The core of the scheduler: what its filters, policies and drivers share, and nothing of how they do their work.

*Policies* decide what becomes of packets (retries, resting, holding, joining, relief of jams, reports of published documents);
*drivers* run components (packet by packet, in batches, as loops). Both depend on this module, and it on neither.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.core.raised import is_interruption
from pypes.core.secrets import Secrets
from pypes.runtime.scheduler.attempt import Attempt
from pypes.runtime.scheduler.calls import Calls
from pypes.runtime.scheduler.carrying import Carried
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.meter import Meter
from pypes.runtime.scheduler.observing import Observation
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.timers import Timers
from pypes.runtime.scheduler.tracing import TurnTimes
from pypes.runtime.scheduler.wire import Wire

T = TypeVar("T")

PARKED = object()


class Ended(GreenletExit):
    """A filter's greenlet is ended where it is parked; ``GreenletExit`` itself may be raised by a component like any other."""


def is_no_failure(error: BaseException) -> bool:
    """True for what goes through a component and is not its doing: its greenlet is ended, or the user interrupts the program."""
    return isinstance(error, Ended) or is_interruption(error)


class Core:
    """The state that the parts of one running graph share. One thread owns it."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
        secrets: Secrets,
        observation: Observation | None = None,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.wall_clock = wall_clock
        self.rng = rng
        #: Taken out of what is told of packets that fail.
        self.secrets = secrets
        #: Told of what happens, if anybody wants to know.
        self.observation = observation
        self.ready = Ready(clock)
        self.timers = Timers(clock)
        self.calls: Calls
        #: The filters in the order in which they run, and the wires between them.
        self.filters: Sequence[Filter] = ()
        self.wires: Sequence[Wire] = ()
        #: Meters of filters to which something happened that seldom does, for whoever shows it.
        self.news: set[Meter] = set()
        #: Turns begun, and how often a feed has put something on a wire or ended.
        self.turns = 0
        self.pulls = 0
        #: The filter whose code runs now, and since when.
        self.running: Filter | None = None
        self.since_s = 0.0
        #: Epochs in flight of which publishers have committed something in an earlier run.
        self.reruns = 0
        #: Epochs in flight that take no short cuts: these, and those that are traced.
        self.special = 0
        #: The time of turns in which something of traced epochs is worked on.
        self.turn_times = TurnTimes(clock)
        #: By receipt, the traces that deliveries in flight belong to.
        self.carried: dict[str, Carried] = {}
        #: Called before each turn of a lone run with the filter and the document that was fed last.
        self.record_turn: Callable[[str, int], None] | None = None
        #: True if failures have their packet and exception with them, for somebody in this process.
        self.keeps_causes = False
        #: The greenlet that called ``run``, and the one that runs the filters for it; see :meth:`park`.
        self.caller: greenlet | None = getcurrent()
        self.runner: greenlet | None = None

    def target_of(self, wire: Wire) -> Filter:
        """The filter that a wire leads to."""
        return self.filters[wire.bit.bit_length() - 1]

    # -- whose time it is -----------------------------------------------------------------------------------

    def begin_turn(self, filter: Filter) -> None:
        """The turn of a filter begins or goes on; the one before is over or parked."""
        self.end_turn()
        self.running = filter
        self.since_s = self.clock()
        if self.observation is not None:
            self.observation.take_hooks_s()
        if self.turn_times.epochs:
            self.turn_times.begin_turn(filter.name, filter.epoch.traces if filter.epoch is not None else ())

    def end_turn(self) -> None:
        """No filter runs until the next turn."""
        running, self.running = self.running, None
        if running is None:
            return
        self.turn_times.end_turn()
        seconds = self.clock() - self.since_s
        if self.observation is not None:
            seconds -= self.observation.take_hooks_s()
            self.observation.ran(running.name, seconds)
        running.meter.seconds += seconds

    # -- parking ------------------------------------------------------------------------------------------

    def end_runner(self) -> None:
        """End the greenlet that runs the filters, in its own thread; the next run begins with another."""
        runner, self.runner = self.runner, None
        if runner is not None and not runner.dead:
            # what a greenlet that is parked refers to would never be collected
            runner.parent = getcurrent()
            runner.throw(GreenletExit)
        # the main greenlet of a thread must not outlive it: what another thread collects of it may crash the process
        self.caller = None

    def park(self, filter: Filter) -> None:
        """Leave a filter where it stands, in the middle of its turn, until it is run again.

        The greenlet it stands in becomes the filter's own. If that is the runner, a new one takes its place: filters that
        never wait cost no switch at all.
        """
        self.end_turn()
        self.ready.waiting |= filter.bit
        me = filter.greenlet = getcurrent()
        try:
            if self.runner is me:
                self.runner = None
                assert self.caller is not None
                self.caller.switch(PARKED)
            else:
                assert self.runner is not None
                self.runner.switch()
        except GreenletExit as error:
            raise Ended from error

    def resume(self, filter: Filter) -> None:
        """Go on where a filter was parked in a runner; comes back when it is parked again or has ended its turn."""
        parked, filter.greenlet = filter.greenlet, None
        assert parked is not None
        parked.parent = self.runner  # type: ignore[assignment]
        parked.switch()

    # -- what keeps a filter from running, and ends by itself ------------------------------------------------

    def pause(self, filter: Filter, delay_s: float, then: Callable[[], None] = lambda: None) -> None:
        """Do not run a filter for a while; ``then`` is called when it may again."""
        self.ready.hold_up(filter)

        def due() -> None:
            self.ready.let_on(filter)
            then()

        self.timers.after(delay_s, due)

    def offload(self, filter: Filter, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        """Run a call in a thread and park the filter until it has ended."""
        began_s = self.clock()
        return self._parked_until(filter, self.calls.start(filter, fn, args, kwargs), began_s)

    def wait_for(self, filter: Filter, future: Future[T]) -> T:
        """Park the filter until somebody else is done with a future: no thread waits for it."""
        self.calls.follow(filter, future, is_timed=False)
        return self._parked_until(filter, future, self.clock())

    def _parked_until(self, filter: Filter, future: Future[T], began_s: float) -> T:
        self.ready.block(filter)
        while not future.done():
            self.park(filter)
        self.waited(filter, self.clock() - began_s)
        return future.result()

    def waited(self, filter: Filter, seconds: float) -> None:
        """A call of a filter that ran beside the graph has ended, so long after it was asked for."""
        filter.meter.waited(seconds)
        if self.observation is not None:
            self.observation.waited(filter.name, seconds)
        for trace in filter.epoch.traces if filter.epoch is not None else ():
            trace.of(filter.name).waited_s += seconds

    @property
    def awaits_something(self) -> bool:
        """True while something may still happen by itself: a call under way, a time to come."""
        return bool(self.calls.running or self.timers)

    # -- holding --------------------------------------------------------------------------------------------

    def flush_holds(self) -> bool:
        """Ask every filter that holds or gathers packets to let them go; True if one can do so now."""
        found = self.flush_batches()
        for filter in self.filters:
            if filter.held and filter.ask_flush():
                found = True
        return found

    def flush_batches(self) -> bool:
        """The same of those that gather packets only."""
        found = False
        for filter in self.filters if self.ready.gathering else ():
            if self.ready.gathering & filter.bit and filter.ask_flush():
                found = True
        return found


class Hearing(Protocol):
    """A filter that is told of complete documents, as its turns know it; ``open`` are those of which it has yet to be told."""

    @property
    def open(self) -> Mapping[Epoch, Mapping[int, Any]]: ...
    def tell_with(self, epoch: Epoch, lineages: Sequence[Lineage]) -> Any: ...
    def settle(self, told: Any) -> None: ...
    def despair(self, epoch: Epoch, lineage: Lineage) -> None: ...


class Narrows(Protocol):
    """Finds the packets that a publisher can never take."""

    def got_through(self) -> None: ...
    def end_turn(self) -> None: ...
    def end_alone(self, value: Any) -> None: ...


class Filter:
    """One filter of a running graph, as the policies know it: its wires, and what it has in hand.

    The drivers (:mod:`pypes.runtime.scheduler.driver` and its subclasses) say how its component is run.
    """

    # PERF: there are too many attributes for what an object is quick to look up in its dictionary
    __slots__ = (
        "alone",
        "ancestors",
        "attempts",
        "bit",
        "blocks",
        "component",
        "core",
        "entry",
        "epoch",
        "full_wires",
        "greenlet",
        "index",
        "inputs",
        "is_join",
        "is_publisher",
        "listener",
        "lone",
        "max_attempts",
        "meter",
        "name",
        "narrowing",
        "outs",
        "reach",
        "reach_beside_error",
        "rests",
        "triggers",
        "wires",
    )

    core: Core
    name: str
    component: Component
    #: Counts of what it has done.
    meter: Meter
    #: Its place in the order in which filters run, and its bit in the masks.
    index: int
    bit: int
    #: For how many reasons it must not run, and how many of them are full wires; see :class:`Ready` and :class:`Wire`.
    blocks: int
    full_wires: int
    inputs: dict[str, list[Wire]]
    #: All wires that lead here, and the one on which a feed puts its packets.
    wires: list[Wire]
    entry: Wire
    outs: dict[str, OutPort]
    ancestors: tuple[Filter, ...]
    #: The bits of this filter and of all those behind it; and without those that lie behind its error port alone.
    reach: int
    reach_beside_error: int
    is_join: bool
    is_publisher: bool
    #: True if it waits for a service that cannot be reached; a filter without inputs is only triggered again.
    rests: bool
    #: Set if its component is told of complete documents.
    listener: Hearing | None
    #: As the graph says, before what the component says.
    max_attempts: int | None
    #: The pinned epoch: all that the present turn takes and sends belongs to it.
    epoch: Epoch | None
    #: Epochs of triggers that a source has yet to answer.
    triggers: list[Epoch]
    #: Packets that are tried again, by identity (the packet is kept, so that its id stays its own).
    attempts: dict[int, Attempt]
    #: The greenlet to go on in when it was parked in the middle of a turn.
    greenlet: greenlet | None
    #: So many packets in front are given to it one by one, since it is not known over which of them it failed to reach a service.
    alone: int
    #: The packet that was given to it alone in this turn.
    lone: Any
    #: Set while a publisher cannot reach its destination, and until it is known which packets are to blame.
    narrowing: Narrows | None

    def take_alone(self, values: list[Any], lineages: Sequence[Lineage]) -> tuple[list[Any], Sequence[Lineage]]:
        """Of packets that were taken, keep the first for this turn, and put the others back."""
        self.alone -= 1
        self.lone = values[0]
        self.put_back(values[1:], lineages[1:])
        return values[:1], lineages[:1]

    def end_alone(self) -> None:
        """The turn of a packet that was given to it alone is over."""
        lone, self.lone = self.lone, None
        if self.narrowing is not None:
            self.narrowing.end_alone(lone)

    def take_together(self) -> None:
        """Give it packets together again, whatever was in doubt."""
        self.alone, self.lone, self.narrowing = 0, None, None

    def note_dropped(self, epoch: Epoch, lineages: Sequence[Lineage]) -> None:
        """Note that nothing of these packets goes on from here."""
        epoch.drop(self.index, lineages)
        for trace in epoch.traces:
            trace.dropped(epoch, self.name, lineages)
        if not lineages:
            return
        self.meter.drop(len(lineages))
        if self.core.observation is not None:
            self.core.observation.dropped(self.name, len(lineages))

    def call_ended(self) -> None:
        """A call that it waited for has ended."""
        self.core.ready.unblock(self)
        self.core.ready.waiting |= self.bit

    # -- what it has ----------------------------------------------------------------------------------------

    @abstractmethod
    def carried(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        """The documents of what this filter has in hand, of what waits for it and of what is to be retried."""

    @property
    @abstractmethod
    def held(self) -> Mapping[Epoch, Sequence[tuple[Any, Lineage]]]:
        """The packets that its component keeps beyond its turn, by epoch."""

    @abstractmethod
    def is_derived_open(self, epoch: Epoch) -> bool:
        """True for an epoch in which this filter may still send what it holds."""

    @abstractmethod
    def has(self, epoch: Epoch) -> bool:
        """True if this filter has anything of ``epoch``: in hand, waiting, held or to be retried."""

    @abstractmethod
    def unloaded_bytes(self, wire: Wire) -> int:
        """Estimated bytes of what came by a wire and waits here, off it."""

    @abstractmethod
    def largest(self, wire: Wire) -> tuple[Epoch, list[int]] | None:
        """The documents, with their epoch, of which most waits here and more may still come by a wire."""

    # -- what policies have it do -----------------------------------------------------------------------------

    @abstractmethod
    def ask_flush(self) -> bool:
        """Have the filter let go of what it holds or gathers in its next turn; True if that can be now."""

    @abstractmethod
    def fan_out(self, out: OutPort, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets on all wires of a port; clones on all but the last."""

    @abstractmethod
    def put_back(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets of this turn back in front of what waits."""

    @abstractmethod
    def give_back(self, wire: Wire, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets back in front of what waits on a wire."""
