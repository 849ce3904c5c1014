"""The scheduler: runs the filters of one graph in topological order, in one thread.

The scheduling greenlet (whoever calls :meth:`Scheduler.run`) runs waves: every filter that has input, in
topological order, again until no wire has anything left. It keeps two bit masks over the filters, those that
have something to do and those that must not run now (a full wire ahead, an offloaded call, back-off), so that finding the next
filter costs the same however many are idle.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenlet import getcurrent, greenlet

from pypes.component import Component, is_told
from pypes.core.clock import wall
from pypes.core.limits import Limits
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.graph.model import Graph
from pypes.observe import Observer, guarded
from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.calls import Calls
from pypes.runtime.scheduler.completing import completing_of
from pypes.runtime.scheduler.core import PARKED, Core, Ended, is_no_failure
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.feed import Feed
from pypes.runtime.scheduler.feeds import Feeds
from pypes.runtime.scheduler.jams import Jams
from pypes.runtime.scheduler.noting import count_special
from pypes.runtime.scheduler.observing import Observation
from pypes.runtime.scheduler.policies import Policies
from pypes.runtime.scheduler.provenance import Marks
from pypes.runtime.scheduler.published import Published
from pypes.runtime.scheduler.recovering import recover
from pypes.runtime.scheduler.standstill import Standstill
from pypes.runtime.scheduler.totals import totals_of
from pypes.runtime.scheduler.watching import Watch
from pypes.runtime.scheduler.wiring import attach, build, end_greenlet, set_up, tear_down

#: Seconds for which :meth:`Scheduler.run` works before it lets its caller look at sockets.
SLICE_S = 0.005


class Scheduler:
    """One running copy of a graph. Not thread-safe: one thread owns it.

    ``on_done`` is called once per epoch, from within ``run``, when everything derived from it has been
    published, dropped or dead-lettered.

    ``on_committed`` is called with an epoch, a publisher and documents that it will not see again in this run, unless the
    epoch is done with that commit: before the next wave, in a lone run (see :attr:`record_turn`) before the next turn. Publishers
    take their turn after all other filters of a wave, so that little is published of what a filter ends the process over.
    Documents of which a packet failed in the publisher are not reported, nor is anything of publishers that send on.

    A filter whose service, or destination, cannot be reached rests and tries again until it can (see :class:`Breakers`); with
    ``has_breakers = False`` it fails its packets instead. An ``observer`` sees what happens. ``marks``: see :class:`Policies`.
    """

    def __init__(
        self,
        graph: Graph,
        components: Mapping[str, Component],
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = wall,
        rng: random.Random | None = None,
        on_done: Callable[[Epoch], None] = lambda epoch: None,
        on_committed: Callable[[Epoch, str, Sequence[int]], None] | None = None,
        has_breakers: bool = True,
        secrets: Secrets | None = None,
        observer: Observer | None = None,
        marks: Marks | None = None,
    ) -> None:
        watching = guarded(observer)
        self._observation = Observation(watching, graph.name, clock) if watching is not None else None
        rng = rng or random.Random()
        core = self.core = Core(limits or Limits(), clock, wall_clock, rng, secrets or Secrets(), self._observation)
        #: True if an observer, or the crash record, is to know when a turn begins.
        self._is_watched = watching is not None
        self.on_done = on_done if self._observation is None else self._observation.before(on_done)
        self.graph = graph
        #: The epochs in flight, as they were fed.
        self.epochs: set[Epoch] = set()
        #: The last slice ended because its time was over: whether there is a jam to resolve is not known.
        self._is_cut = False
        self.jams = Jams(core)
        self.resting = Breakers(core, self.jams)
        self.published = Published(on_committed, self.resting) if on_committed is not None else None
        wants_names = bool(graph.inherit) or any(map(is_told, components.values()))
        policies = Policies(self.jams, self.resting, self.published, has_breakers, wants_names, graph.inherit, marks)
        self.drivers, self.wires, by_name, self.roster = build(core, policies, graph, components)
        core.filters, core.wires = self.drivers, self.wires
        self._joins = attach(self.drivers, graph)
        self.completing = completing_of(core, self.resting, self.drivers, self._record)
        self.feeds = Feeds(core, by_name, self._joins, graph.inherit, self.completing)
        self.standstill = Standstill(
            core, policies, self.feeds, self.drivers, self.epochs, graph.name, lambda: self.stands_still, self.completing
        )
        self.watch = Watch(core, self.resting, graph, components)
        self.totals = totals_of(self.drivers)
        # last: it has sockets to close
        core.calls = Calls(clock, sum(component.concurrency for component in components.values()))

    # -- building and ending ------------------------------------------------------------------------------

    def setup(self, on_filter: Callable[[str], None] = lambda filter: None) -> None:
        """Set up all components in topological order. Raises ``ComponentError`` naming the filter; then all are torn down.

        ``on_filter`` is called with the name of each filter before its set-up, so that one that hangs can be named.
        """
        try:
            for driver in self.drivers:
                on_filter(driver.name)
                set_up(driver)
        except BaseException:
            self.teardown()
            raise

    def teardown(self) -> None:
        """End the greenlets and tear the components down; one that raises is logged and does not keep the others."""
        if self.completing is not None:
            self.completing.clear()
        for driver in self.drivers:
            tear_down(driver)
        for driver in self.drivers:  # after all of them: what one shares another may use until its own end
            driver.component._shares.give_back_all()
        self.core.end_runner()
        self.core.calls.close()
        for driver in self.drivers:
            driver.let_go()

    def leave_thread(self) -> None:
        """End the greenlets, while no epoch is in flight, so that another thread may go on; loops of components begin anew."""
        for driver in self.drivers:
            end_greenlet(driver)
        self.core.end_runner()

    # -- input ------------------------------------------------------------------------------------------

    def submit(self, feed: Feed) -> Epoch:
        """Take a feed; it is pulled as there is room. Call :meth:`run` afterwards."""
        epoch = Epoch(feed, self.roster, self._ended, 1)
        epoch.feeding = True
        if self.completing is not None:
            self.completing.submit(epoch)
        if feed.committed or epoch.traces:
            count_special(self.core, epoch, 1)
        self.feeds.waiting.append(epoch)
        return self._begun(epoch)

    def submit_whole(self, packets: Mapping[str, Any], deliveries: Any = ()) -> Epoch:
        """Take one document, whose packets are all here, by the filter that takes each. Call :meth:`run` afterwards.

        PERF: they go on their wires at once, where a feed is looked at each time that there may be room.
        """
        epoch = Epoch(Feed(iter(()), 1, deliveries), self.roster, self._ended, 1)
        self.feeds.put_whole(epoch, packets)
        self._begun(epoch).release()
        return epoch

    def trigger(self) -> Epoch:
        """Run the sources once: filters that no wire leads to, with an epoch of no documents."""
        epoch = Epoch(Feed(iter(()), 0), self.roster, self._ended)
        sources = [driver for driver in self.drivers if not driver.ancestors]
        for driver in sources:
            driver.triggers.append(epoch)
            epoch.acquire()
            self.core.ready.waiting |= driver.bit
        return self._begun(epoch)

    def _begun(self, epoch: Epoch) -> Epoch:
        self.epochs.add(epoch)
        if self._observation is not None:
            self._observation.began(epoch)
        return epoch

    def _ended(self, epoch: Epoch) -> None:
        """The last hold on an epoch was released: report it, or hand a derived epoch's outcome to its parents."""
        if self.jams.grown:
            self.jams.shrink(epoch)
        if epoch.parents:
            epoch.report_to_parents()
            return
        self.epochs.discard(epoch)
        if self.published is not None and self.published.open:
            self.published.forget(epoch)
        if epoch.feed.committed or epoch.traces:
            count_special(self.core, epoch, -1)
        self.on_done(epoch)

    # -- lone runs --------------------------------------------------------------------------------------

    @property
    def record_turn(self) -> Callable[[str, int], None] | None:
        """Called before each turn with the filter and the document that was fed last; set for lone runs only.

        The document is right where a feed has a ``BARRIER`` after each.
        """
        return self.core.record_turn

    @record_turn.setter
    def record_turn(self, record_turn: Callable[[str, int], None] | None) -> None:
        self.core.record_turn = record_turn
        self._is_watched = record_turn is not None or self._observation is not None
        for driver in self.drivers:
            driver.wired()  # what is recorded takes no short cuts

    # -- running ----------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """True if ``run`` would find nothing to do now."""
        states = self.core.ready
        ready = states.waiting & ~states.blocked
        if self._is_cut or ready & ~self._joins or self.core.calls.has_ended:
            return False
        # a join that waits for its ancestors, and a feed whose last wave waits for a blocked filter, move only after those
        if ready and any(driver.bit & ready and driver.find_ready_epoch() for driver in self.drivers):
            return False
        return not self.feeds.can_any_pull

    def run(self) -> None:
        """Run waves until nothing is ready, or a slice of time is used up; never blocks."""
        core = self.core
        core.caller = getcurrent()
        while True:
            # one that was interrupted between two turns is dead, and would come back at once for ever
            if core.runner is None or core.runner.dead:
                core.runner = greenlet(self._loop)
            # a runner in which a filter was parked belongs to that filter from then on: go on with another one
            if core.runner.switch() is not PARKED:
                break
        if self.epochs and core.clock() >= self.standstill.look_at:
            self.standstill.look()

    def _loop(self) -> None:
        """The loop of a runner: slice after slice, until a filter is parked in it and another one runs."""
        # PERF: looked at before every wave, so as they are rather than asked
        me, core = getcurrent(), self.core
        states, timers, alarms, ended = core.ready, core.timers.heap, core.timers.alarms, core.calls.done
        feeds, fed, published, completing = self.feeds, self.feeds.waiting, self.published, self.completing
        drivers, joins = self.drivers, self._joins
        while True:
            clock, is_watched = core.clock, self._is_watched or core.turn_times.epochs > 0
            until = clock() + SLICE_S
            if fed and not states.waiting:
                feeds.pull()  # PERF: else the first wave is one of nothing
            while True:
                if ended:
                    for caller in core.calls.ended():
                        caller.call_ended()
                if timers or alarms:
                    core.timers.fire()
                moved = False
                position = 0
                # a wave: every filter that has something to do, once, in topological order
                while ready := (states.waiting & ~states.blocked) >> position:
                    position += (ready & -ready).bit_length()
                    driver = drivers[position - 1]
                    if joins and driver.is_join and not driver.find_ready_epoch():
                        continue
                    moved = True
                    core.turns += 1
                    if is_watched:
                        self._record(driver)
                        core.begin_turn(driver)
                    else:  # PERF: as begin_turn(), without the call
                        now_s = clock()
                        if (before := core.running) is not None:
                            before.meter.seconds += now_s - core.since_s
                        core.since_s = now_s
                        core.running = driver
                    try:
                        driver.step()
                    except BaseException as error:
                        if isinstance(error, Ended):
                            raise
                        recover(core, drivers, me, error)
                        # whoever called `run` is interrupted; another runner goes on if it is called again
                        if is_no_failure(error):
                            core.runner = core.running = None
                            raise
                    if core.runner is not me:
                        return
                    if joins and driver.is_join and driver.has_more:
                        position -= 1  # a turn for each document
                if (running := core.running) is not None:
                    if is_watched:
                        core.end_turn()
                    else:
                        running.meter.seconds += clock() - core.since_s
                        core.running = None
                if fed and feeds.pull():
                    moved = True
                if completing is not None and completing.open and completing.run():
                    moved = True
                if published is not None and (published.fresh or published.open):
                    # after the feeds, because most epochs are done once theirs is found exhausted
                    published.report()
                may_tell = moved and completing is not None and completing.open
                if not (states.waiting or fed or ended or timers or alarms or states.blocked or may_tell):
                    self._is_cut = False  # PERF: it need not be found out in another round that there is nothing
                    break
                if not moved and not ended and not self._relieve():
                    self._is_cut = False
                    break
                if clock() >= until:
                    self._is_cut = True
                    break
            assert core.caller is not None
            core.caller.switch()

    def _relieve(self) -> bool:
        """Nothing moves: let those go on for which a feed, or a join, waits; True if a filter can run now."""
        ready = self.core.ready
        if ready.gathering and self.feeds.are_at_barrier and self.core.flush_batches():
            return True
        return ready.blocked != 0 and self.jams.resolve()

    def _record(self, driver: Driver) -> None:
        """A turn begins: in a lone run, whatever it does, it is known what was committed before, and who it was."""
        if self.core.record_turn is not None:
            self.core.end_turn()
            if self.published is not None:
                self.published.report()
            self.core.record_turn(driver.name, self.feeds.fed - 1)

    def drain(self) -> None:
        """Run until every epoch is done, waiting as needed; held packets are let go when nothing else moves. Blocks.

        Raises ``ComponentError`` if nothing would ever move again; then what was in flight has failed.
        """
        while self.epochs:
            self.run()
            if self.epochs and self.is_idle:
                if not self.core.calls.running and self.flush_holds():
                    continue
                if self.stands_still:
                    count = self.in_flight
                    self.standstill.end_all()
                    raise ComponentError(f"{count} epochs stood still and nothing would wake them", code="scheduler.stuck")
                self.wait(None)

    def wait(self, timeout_s: float | None) -> None:
        """Block until an offloaded call is done, a deadline has come, or some time is over, ``timeout_s`` at most."""
        if (deadline := self.runs_at()) is not None:
            left = max(0.0, deadline - self.core.clock())
            timeout_s = left if timeout_s is None else min(timeout_s, left)
        self.core.calls.wait(timeout_s)

    def flush_holds(self) -> bool:
        """Ask every filter that holds or gathers packets to let them go; True if one can do so now."""
        return self.core.flush_holds()

    # -- state for the instance ---------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Number of epochs that are not done."""
        return len(self.epochs)

    @property
    def awaits_something(self) -> bool:
        """True while something may still happen by itself: a call under way, a time to come."""
        return self.core.awaits_something

    @property
    def stands_still(self) -> bool:
        """True if something is in flight and nothing but new input would ever have ``run`` do anything: a bug of our own."""
        return self.in_flight > 0 and self.is_idle and not self.core.awaits_something

    @property
    def is_gathering(self) -> bool:
        """True if a filter waits for more packets to take at once."""
        return self.core.ready.gathering != 0

    @property
    def is_resting(self) -> bool:
        """True if all that is in flight waits until a filter that rests is tried again."""
        if not self.epochs or not self.resting.open or self.core.calls.running or not self.is_idle:
            return False
        return any(breaker.until is not None for breaker in self.resting.open.values())

    @property
    def wakeup_fd(self) -> int:
        """Readable when an offloaded call has finished; call :meth:`run` then."""
        return self.core.calls.fd

    def runs_at(self) -> float | None:
        """Clock time at which ``run`` should be called without new input: the next deadline, or a look at what stands still."""
        due, look_at = self.core.timers.next_s, self.standstill.look_at
        if not self.epochs:
            return due
        return look_at if due is None or look_at < due else due
