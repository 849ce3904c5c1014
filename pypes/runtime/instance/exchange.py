"""The exchange of an instance: a selector loop between the sockets of the ingest workers and the graphs.

Each round reads what the workers sent, lets the graphs take it, runs them for a slice of time, and writes the acknowledgements.
A delivery that must run alone waits until nothing else is in flight, but for what waits in graphs that rest, which do not run
then. Then all workers are told, and only when they can know it (the frames are in the kernel's hands, which outlive this
process) does it start; in the same way they learn of its end before anything else starts. If it comes to rest itself, it is
one of many from then on: an outage that one graph meets must not stop the others. What a publisher has committed of a
delivery that is not done yet is told at once, before anything can end the process.

A worker that is gone leaves behind what is in the graphs, and its successor has the same deliveries in its queue. In an
ordered graph they may run again only when that is finished, wherever it is: every worker that connects is told which graphs
are held by it.
"""

from __future__ import annotations

import logging
import os
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from pypes.core.nodetime import Clock
from pypes.core.secrets import Secrets
from pypes.ingest import protocol
from pypes.ingest.protocol import Item
from pypes.observe import Hiding
from pypes.runtime.instance.acknowledging import no_graph
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.connection import Connection
from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.fetching import Fetching
from pypes.runtime.instance.leaving import Leaving
from pypes.runtime.instance.runner import Runner
from pypes.runtime.instance.tapped import Taps

log = logging.getLogger(__name__)

BACKLOG = 128


class Exchange:
    """Serves until it is told to stop. ``read_control()`` is called when the supervisor said something."""

    def __init__(
        self,
        runners: dict[str, Runner],
        listener: socket.socket,
        record: CrashRecord | None = None,
        clock: Clock | None = None,
        secrets: Secrets | None = None,
        redact: Iterable[str] = (),
    ) -> None:
        self._clock = clock or Clock()
        self._runners = runners
        self._record = record or CrashRecord()
        self._all = list(runners.values())
        self._leaving = Leaving()
        self.on_left: Callable[[list[str]], None] = lambda graphs: None
        #: Called in each round; returns when it must be called again at the latest, by the monotonic clock.
        self.tell: Callable[[], float | None] = lambda: None
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}
        self._alone: deque[Arrived] = deque()
        #: The delivery that runs alone now, or is about to once everyone knows.
        self._lone: Arrived | None = None
        self._lone_started = False
        #: Connections that were not told yet that no graph is held.
        self._newcomers: set[Connection] = set()
        #: True while workers are still to be told that a lone run is over.
        self._has_unsent = False
        self._is_flush_requested = False
        self._stop_at: float | None = None
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._fetching = Fetching(runners, self._send, secrets)
        self._selector.register(self._fetching.wakeup_fd, selectors.EVENT_READ, self._fetching.report)
        self._taps = Taps(runners, self._send, Hiding(redact, secrets))
        for runner in self._all:
            fd = runner.scheduler.wakeup_fd
            self._selector.register(fd, selectors.EVENT_READ, lambda fd=fd: _empty(fd))

    def watch(self, fd: int, call: Callable[[], None]) -> None:
        """Call ``call`` whenever ``fd`` is readable."""
        self._selector.register(fd, selectors.EVENT_READ, call)

    def stop(self, grace_s: float) -> None:
        """Finish what is in the graphs, for ``grace_s`` at most, and return from :meth:`run`; what only waits goes back."""
        self._stop_at = time.monotonic() + grace_s
        # another instance goes on where this one stopped
        self._fetching.close()

    def leave(self, graphs: Iterable[str]) -> None:
        """Let go of graphs that run elsewhere by now: finish what is in them, give back what only waits.

        ``on_left`` is called with those that are torn down and gone from the runners.
        """
        for graph in graphs:
            runner = self._runners[graph]
            self._leaving.begin(runner)
            self._fetching.leave(graph)
            for waiting in [waiting for waiting in self._alone if self._runner_of(waiting) is runner]:
                self._alone.remove(waiting)
                runner.take(waiting)

    # -- the loop ---------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Serve; returns after :meth:`stop`, False if something in the graphs was not finished in time."""
        while True:
            self._start()
            self._run_some()
            self._acknowledge()
            self._resolve_changes()
            if self._leaving and (left := self._leave()):
                self.on_left(left)
            if all(runner.scheduler.is_idle for runner in self._all):
                self._let_go()
            if self._stop_at is not None and self._has_stopped():
                return not self._in_flight
            for key, _ in self._selector.select(self._timeout_s(self.tell())):
                key.data()

    def _run_some(self) -> None:
        """A slice for each graph with something to do; where weights differ, the lighter ones leave out rounds."""
        busy = [runner for runner in self._running if not runner.scheduler.is_idle or runner.is_due]
        most = max((runner.weight for runner in busy), default=1)
        for runner in busy:
            runner.credit += runner.weight / most
            if runner.credit >= 1.0:
                runner.credit -= 1.0
                runner.run()

    @property
    def _in_flight(self) -> int:
        return sum(runner.scheduler.in_flight for runner in self._all)

    @property
    def _running(self) -> list[Runner]:
        """The graphs that may run now."""
        if self._lone is not None:
            return [self._runner_of(self._lone)]
        return [] if self._has_unsent else self._all

    def _next_alone(self) -> Arrived | None:
        """A delivery that may begin to run alone now, because nothing else moves and nothing is in its graph."""
        if not self._alone or self._lone is not None or self._stop_at is not None:
            return None
        if any(runner.scheduler.in_flight and not runner.scheduler.is_resting for runner in self._all):
            return None
        return next((waiting for waiting in self._alone if not self._runner_of(waiting).scheduler.in_flight), None)

    def _timeout_s(self, deadline: float | None) -> float | None:
        """The longest wait for sockets: none while there is something to do."""
        if self._stop_at is not None and (deadline is None or self._stop_at < deadline):
            deadline = self._stop_at
        if self._may_start and any(runner.can_start for runner in self._all):
            return 0.0
        for runner in self._running:
            if not runner.scheduler.is_idle:
                return 0.0
            due = runner.scheduler.runs_at()
            if due is not None and (deadline is None or due < deadline):
                deadline = due
        if not self._has_unsent and self._next_alone() is not None:
            return 0.0
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def _may_start(self) -> bool:
        if self._lone is not None or self._has_unsent or self._stop_at is not None:
            return False
        # what must run alone in a graph that rests keeps nobody waiting
        return all(self._runner_of(waiting).scheduler.is_resting for waiting in self._alone)

    def _start(self) -> None:
        if self._may_start:
            for runner in self._all:
                if runner.can_start:
                    runner.start_next()
            return
        if self._has_unsent:
            self._has_unsent = any(connection.unsent for connection in self._connections.values())
            return
        if self._lone is not None:
            if not self._lone_started and not any(connection.unsent for connection in self._connections.values()):
                self._lone_started = True
                self._runner_of(self._lone).start_alone(self._lone, self._record)
        elif (waiting := self._next_alone()) is not None:
            self._begin(waiting)

    def _begin(self, waiting: Arrived) -> None:
        self._alone.remove(waiting)
        self._lone, self._lone_started = waiting, False
        for connection in self._connections.values():
            connection.unsent += protocol.begin(waiting.item.number if connection is waiting.connection else -1)
            self._write(connection)
        self._start()

    def _send_held(self) -> None:
        """Tell those that came what is held for them, and that it is not any more."""
        # whoever had their queues before is gone, though its end may not have been read yet
        poll = select.poll()
        for connection in self._connections.values():
            poll.register(connection.socket, 0)
        for fd, _ in poll.poll(0):
            self._drop(self._connections[fd])
        held = frozenset(runner.name for runner in self._all if runner.is_held)
        if self._lone is not None and not self._lone.connection.is_open:
            held |= {self._lone.item.header.graph}
        for connection in list(self._newcomers):
            if connection.held is None or connection.held & held != connection.held:
                connection.held = held if connection.held is None else connection.held & held
                connection.unsent += protocol.held(connection.held)
                self._write(connection)
            if not connection.held:
                self._newcomers.discard(connection)

    def _acknowledge(self) -> None:
        if self._newcomers:
            self._send_held()
        for connection in self._connections.values():
            if connection.published or connection.outcomes or connection.unsent:
                connection.gather()
                self._write(connection)
        if self._lone is None or not self._lone_started:
            return
        runner = self._runner_of(self._lone)
        if runner.scheduler.in_flight and not runner.scheduler.is_resting:
            return
        runner.end_alone(self._record)
        self._lone = None
        waiting = self._next_alone()
        if waiting is not None:
            self._begin(waiting)
            return
        for connection in self._connections.values():
            connection.unsent += protocol.signal(protocol.END)
            self._write(connection)
        self._has_unsent = any(connection.unsent for connection in self._connections.values())

    def _runner_of(self, waiting: Arrived) -> Runner:
        return self._runners[waiting.item.header.graph]

    def _let_go(self) -> None:
        """Nothing moves: if somebody waits for the epochs in flight to end, components must not hold packets any longer."""
        is_changing = any(runner.is_changing for runner in self._all)
        if is_changing or self._is_flush_requested or self._alone or self._lone is not None or self._stop_at is not None:
            for runner in self._all:
                if runner.scheduler.in_flight:
                    runner.scheduler.flush_holds()
            if not any(runner.has_waiting for runner in self._all):
                self._is_flush_requested = False

    def _resolve_changes(self) -> None:
        for runner in self._all:
            runner.resolve_change()

    def _leave(self) -> list[str]:
        """Part with the graphs of which nothing is in flight any more; returns their names. Nothing refers to them then."""
        left = []
        lone = None if self._lone is None else self._runner_of(self._lone)
        for runner in self._leaving.ended(lone):
            del self._runners[runner.name]
            self._all.remove(runner)
            self._selector.unregister(runner.scheduler.wakeup_fd)
            for connection in self._connections.values():
                self._send(connection, protocol.left(runner.name, runner.numbers_of(connection)))
            self._taps.leave(runner.name)
            self._leaving.part(runner)
            left.append(runner.name)
        return left

    def _has_stopped(self) -> bool:
        assert self._stop_at is not None
        if self._in_flight and time.monotonic() < self._stop_at:
            return False
        for connection in list(self._connections.values()):
            if not self._in_flight:
                connection.unsent += protocol.signal(protocol.GOODBYE)
            connection.socket.settimeout(max(0.1, self._stop_at - time.monotonic()))
            with suppress(OSError):  # a worker that is gone needs no goodbye
                connection.socket.sendall(connection.unsent)
            self._drop(connection)
        self._selector.unregister(self._listener)
        self._listener.close()
        return True

    # -- sockets ----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        connection = Connection(sock)
        self._connections[sock.fileno()] = connection
        self._newcomers.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._ready(connection))
        if self._lone is not None:
            connection.unsent += protocol.begin(-1)
            self._write(connection)

    def _ready(self, connection: Connection) -> None:
        if connection.unsent:
            self._write(connection)
        try:
            data = connection.socket.recv(protocol.READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        for kind, head, body in connection.reader.feed(data):
            if kind == protocol.DELIVER:
                self._is_flush_requested = False
                for item, own in protocol.read_items(head, body):
                    runner = self._runners.get(item.header.graph)
                    if runner is None or item.is_alone:
                        self._take(connection, item, own)
                    else:
                        runner.take(Arrived(connection, item, own))
            elif kind == protocol.FLUSH:
                self._is_flush_requested = True
            elif kind == protocol.TRIGGER:
                trigger = protocol.read_trigger(head)
                if trigger.graph in self._leaving.left:
                    self._send(connection, protocol.left(trigger.graph, []))
                else:
                    self._fetching.start(connection, trigger)
            elif kind == protocol.MORE:
                self._fetching.go_on(connection, protocol.read_more(head))
            elif kind == protocol.ENOUGH:
                self._fetching.stop(connection, protocol.read_more(head))
            elif kind == protocol.TAP:
                self._taps.begin(connection, protocol.read_tap(head))
            elif kind == protocol.UNTAP:
                self._taps.end(connection, protocol.read_untap(head))

    def _take(self, connection: Connection, item: Item, body: bytes) -> None:
        """Take a delivery that is to run alone, or of a graph that does not run here (any more)."""
        runner = self._runners.get(item.header.graph)
        waiting = Arrived(connection, item, body)
        if runner is None and item.header.graph in self._leaving.left:
            # it was under way when the graph left
            self._send(connection, protocol.left(item.header.graph, [item.number]))
        elif runner is None:
            connection.outcomes.append((item.number, no_graph(item, self._clock.now())))
        elif item.is_alone and not runner.is_leaving:
            self._alone.append(waiting)
        else:
            runner.take(waiting)

    def _send(self, connection: Connection, frame: bytes) -> None:
        if connection.is_open:
            connection.unsent += frame
            self._write(connection)

    def _write(self, connection: Connection) -> None:
        had_rest = bool(connection.unsent)
        connection.flush()
        if connection.is_open and had_rest:
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
            key = self._selector.get_key(connection.socket)
            if key.events != mask:
                self._selector.modify(connection.socket, mask, key.data)

    def _drop(self, connection: Connection) -> None:
        """A worker is gone: what it sent and was not begun is for whoever takes over its queue."""
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.close()
        self._newcomers.discard(connection)
        self._fetching.drop(connection)
        self._taps.drop(connection)
        for runner in self._all:
            runner.drop(lambda waiting: waiting.connection is connection)
        self._alone = deque(w for w in self._alone if w.connection is not connection)


def _empty(fd: int) -> None:
    """Take a wake-up that came after what it announced."""
    with suppress(BlockingIOError):
        os.read(fd, 4096)
