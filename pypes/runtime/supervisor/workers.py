"""The ingest workers as the supervisor knows them: those that are connected to its control socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from pypes import logs
from pypes.core.certificate import Certificate
from pypes.core.clock import wall
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.errors import BadRequest
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.outcome import ExitReason
from pypes.ingest.receipt import rfc3339
from pypes.runtime.contracts.fleet import Member
from pypes.runtime.contracts.supervisor import WorkerEvents, WorkerStatus
from pypes.runtime.rpc import Peer
from pypes.runtime.rpc.contract import events

#: Longest wait for the successor of a worker that is rolled.
ROLL_S = 30.0


@dataclass(slots=True)
class WorkerConnection:
    """The connection of a worker: ``events`` pushes events to it, ``queued`` is what it reported when it had drained."""

    pid: int
    slot: int
    events: WorkerEvents
    is_ready: bool = False
    queued: int | None = None


class Workers:
    """Keeps track of the ingest workers. ``on_change()`` is called when one comes, is ready, or goes."""

    def __init__(self, topology: Callable[[], Topology], on_change: Callable[[], None], on_failed: OnFailed) -> None:
        self._topology = topology
        self._on_change = on_change
        self._known: dict[Peer, WorkerConnection] = {}
        self._changed = asyncio.Condition()
        self._grace_s: float | None = None
        self._rolling = asyncio.Lock()
        self._tasks = WatchedTasks(on_failed)
        self._log = logs.get("pypes.workers")
        #: Shown to clients, if the node speaks TLS.
        self.certificate: Certificate | None = None
        self._members: list[Member] = []

    def hello(self, peer: Peer, pid: int, slot: int) -> Topology:
        """A worker introduces itself; the answer is the topology."""
        worker = self._known[peer] = WorkerConnection(pid, slot, events(WorkerEvents, peer.notify))
        if self.certificate is not None:
            worker.events.certificate(self.certificate)
        if self._members:
            worker.events.members(self._members)
        if self._grace_s is not None:
            worker.events.drain(self._grace_s)
        self._notify()
        return self._topology()

    def ready(self, peer: Peer) -> None:
        """A worker serves."""
        worker = self._worker(peer)
        worker.is_ready = True
        self._log.debug("worker ready", pid=worker.pid, slot=worker.slot)
        self._notify()

    def drained(self, peer: Peer, queued: int) -> None:
        """A worker has finished what it could."""
        self._worker(peer).queued = queued
        self._notify()

    def gone(self, peer: Peer) -> None:
        """A worker's connection ended."""
        if self._known.pop(peer, None) is not None:
            self._notify()

    def announce(self) -> None:
        """Tell all workers the topology."""
        topology = self._topology()
        for worker in self._known.values():
            worker.events.topology(topology)

    def announce_gone(self, instance: int, reason: ExitReason) -> None:
        """Tell all workers that an instance is dead and reaped, and of what it died."""
        for worker in self._known.values():
            worker.events.gone(instance, reason)

    def announce_tokens(self) -> None:
        """Tell all workers that tokens have changed."""
        for worker in self._known.values():
            worker.events.tokens()

    def announce_members(self, members: list[Member]) -> None:
        """Tell all workers which nodes there are in the fleet."""
        self._members = members
        for worker in self._known.values():
            worker.events.members(members)

    def present(self, certificate: Certificate | None) -> None:
        """Have all workers present a certificate to clients that come from now on; connections that are there go on.

        One that has expired does not take the place of one that has not.
        """
        before, now = self.certificate, wall()
        if certificate is None or certificate == before:
            return
        if before is not None and certificate.expires <= now < before.expires:
            expires = rfc3339(certificate.expires)
            self._log.error("the new certificate has expired and is not taken, the one before goes on", expires=expires)
            return
        self.certificate = certificate
        for worker in self._known.values():
            worker.events.certificate(certificate)
        if before is not None:
            self._log.info("the certificate was replaced", expires=rfc3339(certificate.expires))
        if certificate.expires <= now:
            self._log.warning("the certificate has expired, and clients refuse it", expires=rfc3339(certificate.expires))

    @property
    def is_ready(self) -> bool:
        """True if at least one worker serves."""
        return any(worker.is_ready for worker in self._known.values())

    def status(self) -> list[WorkerStatus]:
        """All connected workers, for ``status``."""
        return [WorkerStatus(w.pid, w.slot, "ready" if w.is_ready else "starting") for w in self._known.values()]

    async def drain(self, grace_s: float) -> None:
        """Have all workers refuse documents and finish their queues; returns when they have, or after ``grace_s``."""
        self._grace_s = grace_s
        for worker in self._known.values():
            worker.events.drain(grace_s)
        # a little longer than the workers themselves wait: they report what stays queued
        await self._until(lambda: all(worker.queued is not None for worker in self._known.values()), grace_s + 1.0)

    def resume(self) -> None:
        """After :meth:`drain`: workers that come from now on take documents."""
        self._grace_s = None

    def queued(self) -> int | None:
        """Deliveries that stayed queued after :meth:`drain`; ``None`` if a worker did not say."""
        counts = [worker.queued for worker in self._known.values()]
        return None if None in counts else sum(count for count in counts if count is not None)

    async def roll(self) -> None:
        """End the workers one by one; gunicorn starts a new one for each, and the next goes when that serves.

        Who asks while workers are rolled has those rolled, too, that were started meanwhile.
        """
        async with self._rolling:
            await self._roll()

    async def _roll(self) -> None:
        for old in list(self._known.values()):
            known = {worker.pid for worker in self._known.values()}
            if old.pid not in known:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(old.pid, signal.SIGTERM)
            if not await self._until(lambda k=known: any(w.is_ready and w.pid not in k for w in self._known.values()), ROLL_S):  # type: ignore[misc]
                self._log.error("rolling stopped", reason=f"no new worker within {ROLL_S:g} s", pid=old.pid)
                return
            self._log.info("worker rolled", pid=old.pid)

    def _worker(self, peer: Peer) -> WorkerConnection:
        if peer not in self._known:
            raise BadRequest("say hello first", code="control.no_hello")
        return self._known[peer]

    def _notify(self) -> None:
        self._on_change()
        self._tasks.start(self._wake(), "news of workers")

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, predicate: Callable[[], bool], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(predicate)
        except TimeoutError:
            return False
        return True
