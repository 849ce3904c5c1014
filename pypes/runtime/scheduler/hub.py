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
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from pypes.component import Component
from pypes.core.clock import wall
from pypes.core.limits import Limits
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.graph.model import Graph
from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.commits import Commits
from pypes.runtime.scheduler.epoch import Epoch, Feed
from pypes.runtime.scheduler.failing import Ended, Failing, is_no_failure
from pypes.runtime.scheduler.feeds import Feeds
from pypes.runtime.scheduler.jams import Jams
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.standstill import Standstill
from pypes.runtime.scheduler.tasklet import Tasklet
from pypes.runtime.scheduler.waiting import Calls, Timers
from pypes.runtime.scheduler.watching import Watched
from pypes.runtime.scheduler.wire import Wire
from pypes.runtime.scheduler.wiring import attach, build, set_up, tear_down

T = TypeVar("T")

_PARKED = object()

#: How long :meth:`Scheduler.run` works before it lets its caller look at sockets, in seconds.
SLICE_S = 0.005


class Scheduler(Watched):
    """One running copy of a graph. Not thread-safe: one thread owns it.

    ``on_done`` is called once per epoch, from within ``run``, when everything derived from it has been
    published, dropped or dead-lettered.

    ``on_committed`` is called with an epoch, a publisher and documents that it will not see again in this run, unless the
    epoch is done with that commit: before the next wave, in a lone run (see :attr:`note`) before the next turn. Publishers
    take their turn after all other filters of a wave, so that little is published of what a filter ends the process over.
    Documents of which a packet failed in the publisher are not reported, nor is anything of publishers that send on.

    A filter whose service, or destination, cannot be reached rests and tries again until it can (see :class:`Breakers`); with
    ``has_breakers = False`` it fails its packets instead.
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
    ) -> None:
        self.limits = limits or Limits()
        #: Taken out of what is told of packets that fail.
        self.secrets = secrets or Secrets()
        self.clock = clock
        self.wall_clock = wall_clock
        self.on_done = on_done
        self.graph = graph
        self.commits = Commits(on_committed) if on_committed is not None else None
        #: Epochs in flight of which publishers have committed something in an earlier run.
        self.reruns = 0
        self.epochs = set()
        #: The last slice ended because its time was over: whether there is a jam to resolve is not known.
        self._is_cut = False
        self.turns = 0
        self.running = None
        self.ready = Ready()
        self.components = components
        self.rng = rng or random.Random()
        self.timers = Timers(clock)
        #: Who called ``run``; the greenlet that runs the waves for it; see ``park``.
        self._caller = getcurrent()
        self.runner: greenlet | None = None
        self.jams = Jams(self)
        self.has_breakers = has_breakers
        self.resting = Breakers(self, self.rng)
        self.broken = self.resting.open
        self._note: Callable[[str, int], None] | None = None
        self.tasks, self.wires, by_name, self.roster = build(self, graph, components)
        self._joins = attach(self.tasks, graph.name)
        self.feeds = Feeds(self, by_name, self._joins)
        self.standstill = Standstill(self)
        self._calls = Calls(clock)  # last: it has sockets to close

    # -- building and ending ------------------------------------------------------------------------------

    def setup(self) -> None:
        """Set up all components in topological order. Raises ``ComponentError`` naming the filter; then all are torn down."""
        try:
            for task in self.tasks:
                set_up(task)
        except BaseException:
            self.teardown()
            raise

    def teardown(self) -> None:
        """End the greenlets and tear the components down; one that raises is logged and does not keep the others."""
        for task in self.tasks:
            tear_down(task)
        self._calls.close()

    def task_of(self, wire: Wire) -> Tasklet:
        """The filter that a wire leads to."""
        return self.tasks[wire.bit.bit_length() - 1]

    # -- input ------------------------------------------------------------------------------------------

    def submit(self, feed: Feed) -> Epoch:
        """Take a feed; it is pulled as there is room. Call :meth:`run` afterwards."""
        epoch = Epoch(feed, self.roster, self._ended, holds=1)
        epoch.feeding = True
        self.epochs.add(epoch)
        if feed.committed:
            self.reruns += 1
        self.feeds.waiting.append(epoch)
        return epoch

    def trigger(self) -> Epoch:
        """Run the sources once: filters that no wire leads to, with an epoch of no documents."""
        epoch = Epoch(Feed(iter(()), 0), self.roster, self._ended)
        self.epochs.add(epoch)
        sources = [task for task in self.tasks if not task.ancestors]
        for task in sources:
            task.triggers.append(epoch)
            epoch.acquire()
            self.ready.waiting |= task.bit
        return epoch

    def _ended(self, epoch: Epoch) -> None:
        """Nobody has a hold on an epoch any more: report it, or hand a carrier's outcome to its parents."""
        if self.jams.grown:
            self.jams.shrink(epoch)
        if epoch.parents:
            epoch.settle_parents()
            return
        self.epochs.discard(epoch)
        if self.commits is not None and self.commits.open:
            self.commits.forget(epoch)
        if epoch.feed.committed:
            self.reruns -= 1
        self.on_done(epoch)

    # -- lone runs --------------------------------------------------------------------------------------

    @property
    def note(self) -> Callable[[str, int], None] | None:
        """Called before each turn with the filter and the document that was fed last; set for lone runs only.

        The document is right where a feed has a ``BARRIER`` after each.
        """
        return self._note

    @note.setter
    def note(self, note: Callable[[str, int], None] | None) -> None:
        self._note = note
        for task in self.tasks:
            task.wired()  # what is noted takes no short cuts

    # -- running ----------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """True if ``run`` would find nothing to do now."""
        ready = self.ready.waiting & ~self.ready.blocked
        if self._is_cut or ready & ~self._joins or self._calls.has_ended:
            return False
        # a join that waits for its ancestors, and a feed whose last wave waits for a blocked filter, move only after those
        if ready and any(task.bit & ready and task.find_ready_epoch() for task in self.tasks):
            return False
        return not any(map(self.feeds.can_pull, self.feeds.waiting))

    def run(self) -> None:
        """Run waves until nothing is ready, or a slice of time is used up; never blocks."""
        self._caller = getcurrent()
        while True:
            if self.runner is None:
                self.runner = greenlet(self._loop)
            # a runner in which a filter was parked belongs to that filter from then on: go on with another one
            if self.runner.switch() is not _PARKED:
                break
        if self.epochs and self.clock() >= self.standstill.look_at:
            self.standstill.look()

    def _loop(self) -> None:
        """What a runner does: slice after slice, until a filter is parked in it."""
        me = getcurrent()
        while self._run_slice(me):
            self._caller.switch()

    def _run_slice(self, me: greenlet) -> bool:
        """False if the runner was parked meanwhile, so that another one runs now."""
        until = self.clock() + SLICE_S
        # PERF: looked at before every wave, so as they are rather than asked
        ended, timers, feeds, commits = self._calls.done, self.timers.heap, self.feeds, self.commits
        fed, tasks, joins = feeds.waiting, self.tasks, self._joins
        while True:
            if ended:
                for task in self._calls.ended():
                    self.ready.unblock(task)
                    self.ready.waiting |= task.bit
            if timers:
                self.timers.fire()
            moved = False
            position = 0
            # a wave: every filter that has something to do, once, in topological order
            while ready := (self.ready.waiting & ~self.ready.blocked) >> position:
                position += (ready & -ready).bit_length()
                task = tasks[position - 1]
                if joins and task.is_join and not task.find_ready_epoch():
                    continue
                moved = True
                self.turns += 1
                self.running = task
                if self._note is not None:
                    self._begin_noted(task)
                try:
                    task.step()
                except BaseException as error:
                    if isinstance(error, Ended):
                        raise
                    self._recover(me, error)
                    if is_no_failure(error):  # whoever called `run` is interrupted; another runner goes on if it is called again
                        self.runner = None
                        raise
                if self.runner is not me:
                    return False
                if joins and task.is_join and task.has_more:
                    position -= 1  # a turn for each document
            self.running = None
            if fed and feeds.pull():
                moved = True
            if commits is not None and (commits.fresh or commits.open):
                # after the feeds, because most epochs are done once theirs is found exhausted
                commits.report()
            if not (self.ready.waiting or fed or ended or timers or self.ready.blocked):
                self._is_cut = False  # PERF: it need not be found out in another round that there is nothing
                return True
            if not moved and not ended and not (self.ready.blocked and self.jams.resolve()):
                self._is_cut = False
                return True
            if self.clock() >= until:
                self._is_cut = True
                return True

    def _begin_noted(self, task: Tasklet) -> None:
        """A turn of a lone run begins: whatever it does, it is known what was committed before, and who it was."""
        if self.commits is not None:
            self.commits.report()
        assert self._note is not None
        self._note(task.name, self.feeds.fed - 1)

    def _recover(self, me: greenlet, error: BaseException) -> None:
        """Our own bug: whoever had something in hand here gives it to the dead letters, and the others go on."""
        for task in self.tasks:
            if task.epoch is not None and (task.greenlet is None or task.greenlet is me or task.greenlet.dead):
                task.failed_step(error)

    def park(self, task: Tasklet) -> None:
        """Leave a filter where it stands, in the middle of its turn, until it is run again.

        The greenlet it stands in becomes the filter's own. If that is the runner, a new one takes its place: filters that
        never wait cost no switch at all.
        """
        self.ready.waiting |= task.bit
        me = task.greenlet = getcurrent()
        runner = self.runner
        try:
            if runner is me:
                self.runner = None
                self._caller.switch(_PARKED)
            else:
                assert runner is not None
                runner.switch()
        except GreenletExit as error:
            raise Ended from error

    def resume(self, task: Tasklet) -> None:
        """Go on where a filter was parked in a runner; comes back when it is parked again or has ended its turn."""
        parked = task.greenlet
        assert parked is not None
        task.greenlet = None
        parked.parent = self.runner  # type: ignore[assignment]
        parked.switch()

    def drain(self) -> None:
        """Run until every epoch is done, waiting as needed; held packets are let go when nothing else moves. Blocks.

        Raises ``ComponentError`` if nothing would ever move again; then what was in flight has failed.
        """
        while self.epochs:
            self.run()
            if self.epochs and self.is_idle:
                if not self._calls.running and self.flush_holds():
                    continue
                if self.stands_still:
                    count = self.in_flight
                    self.standstill.end_all()
                    raise ComponentError(f"{count} epochs stood still and nothing would wake them", code="scheduler.stuck")
                self.wait(None)

    def wait(self, timeout_s: float | None) -> None:
        """Block until an offloaded call is done, a deadline has come, or ``timeout_s`` is over."""
        deadline = self.runs_at()
        if deadline is not None:
            left = max(0.0, deadline - self.clock())
            timeout_s = left if timeout_s is None else min(timeout_s, left)
        self._calls.wait(timeout_s)

    def flush_holds(self) -> bool:
        """Ask every component that holds packets to let them go; True if one can do so now."""
        found = False
        for task in self.tasks:
            if task.holding is not None and task.holding.held:
                task.holding.flush_asked = True
                self.ready.waiting |= task.bit
                found = found or not task.blocks
        return found

    # -- blocking and waking --------------------------------------------------------------------------------

    def pause(self, task: Failing, delay_s: float, then: Callable[[], None] = lambda: None) -> None:
        """Do not run a filter for a while; ``then`` is called when it may again."""
        self.ready.block(task)

        def due() -> None:
            self.ready.unblock(task)
            then()

        self.timers.after(delay_s, due)

    def hold_until(self, task: Tasklet, max_hold_s: float) -> None:
        """A component began to hold packets: it must let go of them in time."""

        def due() -> None:
            if task.holding is not None and task.holding.held:
                task.holding.flush_asked = True
                self.ready.waiting |= task.bit

        self.timers.after(max_hold_s, due)

    def offload(self, task: Tasklet, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        """Run a call in a thread and park the filter until it has ended."""
        future = self._calls.start(task, fn, args, kwargs)
        self.ready.block(task)
        while not future.done():
            self.park(task)
        return future.result()
