"""Keeper: the owner of the pool workers of a process executor. It spawns, watches, reaps and replaces them.

No data pass through it, so it may be in another process than the users of the pool workers, of whom there may be several.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pypes.core.watched import watched_thread
from pypes.errors import Unreachable
from pypes.placement.executor import Make
from pypes.placement.pool_process import KILLED, NO_BOUNDS, Bounds, Loss, PoolProcess, order_of
from pypes.placement.progress import SeenProgress
from pypes.placement.respawner import WAIT_S, Respawner
from pypes.placement.speech import Pickled, Speech

#: Ends of pool workers that are remembered for users which ask later than others.
LOSSES = 256


class Connection(NamedTuple):
    """A user's way to a pool worker: the seat and number of that, the user's own number there, and a socket of its own."""

    seat: int
    worker: int
    user: int
    sock: socket.socket
    #: To be kept by a user that does not trust the pool worker.
    seen: SeenProgress | None = None


class Keeper(Protocol):
    """Has a pool worker on each of its *seats*, and another one there when that is lost."""

    @property
    def width(self) -> int:
        """Number of seats."""

    def setup(self) -> None:
        """Block until there is one on each seat. Raises why that cannot be; nothing is left then."""

    def connect(self, seat: int) -> Connection:
        """A new connection to the pool worker of a seat; blocks while there is none.

        Raises :class:`~pypes.errors.Unreachable` if none can be had for now, or ever, because the keeper is closed.
        """

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        """Cause of the end of a connection, after the pool worker was reaped: nothing runs there any more.

        With a ``fault``, the user gives it up because of that: it is killed.
        """

    def close(self) -> None:
        """Let go of the pool workers; the owner ends them. Blocks until that is done."""


class LocalKeeper:
    """The keeper in the process of the users, or of the one to which these are told the way.

    ``on_change()`` is called in any thread when :attr:`failure` has changed.
    """

    #: True if pool workers have process groups of their own; see :class:`~pypes.placement.spawned.Spawned`.
    leads_groups = False

    def __init__(
        self,
        make: Make,
        width: int,
        bounds: Bounds = NO_BOUNDS,
        name: str = "pool",
        *,
        place: str = "pool worker",
        speech: Speech | None = None,
        wait_s: float = WAIT_S,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.width = width
        self._wait_s = wait_s
        self._on_change = on_change
        self._speech = speech or Pickled()
        self._order = order_of(make, self._speech, bounds)
        self._bounds = bounds
        self._name = name
        self._place = place
        self._lock = threading.Lock()
        self._respawners: list[Respawner[PoolProcess]] = []
        #: Pool workers that somebody is connected to, by number, and the ends of the last ones that were lost.
        self._known: dict[int, PoolProcess] = {}
        self._losses: dict[int, Loss] = {}
        #: The latest pool worker of each seat.
        self._seated: dict[int, PoolProcess] = {}
        self._numbers = 0
        self._is_closed = threading.Event()

    def setup(self) -> None:
        """Start all pool workers; blocks until they are set up. Raises what the set-up of one raised, and ends the others."""
        self._is_closed.clear()
        try:
            # all have the name of the filter or the pool, by which their errors are told
            for _ in range(self.width):
                respawner = Respawner(self._name, self._start, self._wait_s, self._place, self._on_change)
                self._respawners.append(respawner)
            for respawner in self._respawners:
                respawner.first()
        except BaseException:
            self.close()
            raise
        if self._bounds.timeout_s is not None:
            watched_thread(lambda: self._watch(self._bounds.slice_s), f"pypes-keeper-{self._name}")

    def connect(self, seat: int) -> Connection:
        try:
            respawner = self._respawners[seat]
        except IndexError:
            raise Unreachable(0.0, f"pool {self._name} has ended") from None
        while True:
            process = respawner.take()
            try:
                user, sock = process.connect()
            except OSError:  # it has died meanwhile
                respawner.give_up(process)
                continue
            with self._lock:
                self._seated[seat] = self._known[process.number] = process
            return Connection(seat, process.number, user, sock, process.seen)

    @property
    def workers(self) -> list[PoolProcess]:
        """The pool workers that are set up."""
        found = [respawner.current for respawner in list(self._respawners)]
        return [process for process in found if process is not None]

    @property
    def failure(self) -> str:
        """The reason why a pool worker cannot be set up again, or empty."""
        return next((reason for respawner in list(self._respawners) if (reason := respawner.failure)), "")

    @property
    def is_stalled(self) -> bool:
        """True while there is no pool worker, and none can be set up again."""
        return bool(self.failure) and not self.workers

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        number = connection.worker
        with self._lock:
            process = self._known.get(number)
            if process is None:  # another user of it was told before
                return self._losses.get(number, Loss("it has ended", KILLED, None))
            respawners = [*self._respawners]
        loss = process.lost(fault)
        if connection.seat < len(respawners):  # else it was closed meanwhile
            respawners[connection.seat].give_up(process)
        with self._lock:
            self._known.pop(number, None)
            self._losses[number] = loss
            if len(self._losses) > LOSSES:
                del self._losses[min(self._losses)]
        return loss

    def close(self) -> None:
        """End the pool workers, the busy ones in the midst of an item. Blocks until nothing of them is left."""
        self._is_closed.set()
        _in_threads([self._closing(seat, respawner) for seat, respawner in enumerate(self._respawners)])
        self._respawners.clear()
        self._seated.clear()
        self._known.clear()

    def _closing(self, seat: int, respawner: Respawner[PoolProcess]) -> Callable[[], None]:
        process = self._seated.get(seat)
        return lambda: respawner.close(is_busy=process is not None and process.is_busy)

    def _start(self) -> PoolProcess:
        with self._lock:
            self._numbers += 1
            number = self._numbers
        return PoolProcess(number, self._order, self._bounds, self._speech, leads_group=self.leads_groups)

    def _watch(self, slice_s: float) -> None:
        """Kill what takes too long, whoever its user is, and whether that lives or not."""
        while not self._is_closed.wait(slice_s):
            with self._lock:
                known = [*self._known.values()]
            for process in known:
                process.watch(slice_s)


def _in_threads(calls: list[Callable[[], None]]) -> None:
    """Make these calls at the same time; blocks until all have returned."""
    threads = []
    for call in calls:
        thread = threading.Thread(target=call, name="pypes-keeper-close")
        try:
            thread.start()
        except RuntimeError:  # no thread is started any more while the interpreter ends (Python 3.12)
            call()
        else:
            threads.append(thread)
    for thread in threads:
        thread.join()
