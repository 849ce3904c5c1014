"""The supervisor: what ``pypes serve`` runs. It owns the port, the data directory, all processes and the deployments.

Nothing of it is on the data path. Its children are the gunicorn arbiter (with the ingest workers) and the graph instances; all
of them hold its lifeline and die with it. Signals: TERM and INT drain and exit 0 (a second one stops at once), HUP rereads
configuration, components and graphs, USR2 rolls the ingest workers.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from pypes import __version__, logs
from pypes.access.audit import Cause, line_of
from pypes.access.issuing import Issuer
from pypes.access.spending import Spending
from pypes.access.store import TokenStore
from pypes.config import Settings
from pypes.core.lifeline import Lifeline, adopt_orphans
from pypes.core.watched_tasks import WatchedTasks, in_own_thread, watch_callbacks
from pypes.errors import InternalError, PypesError
from pypes.ingest.dispatch.topology import Topology, cannot_serve
from pypes.ingest.outcome import ExitReason
from pypes.observe import Observer, together
from pypes.observe.loop_delay import observe_delay
from pypes.registry import Catalogue, discover
from pypes.runtime.contracts.fleet import Greeting
from pypes.runtime.contracts.supervisor import NodeStatus
from pypes.runtime.data_dir import DataDir
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.drafts import GraphDrafts
from pypes.runtime.graphs.dryrun import DryRuns
from pypes.runtime.graphs.files import all_stamps_of
from pypes.runtime.graphs.filters import Filters
from pypes.runtime.graphs.shadows import Shadows
from pypes.runtime.graphs.stepwise import Steps
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.graphs.versions import Versions
from pypes.runtime.own_secrets import configure_logs
from pypes.runtime.pools.node_pools import NodePools
from pypes.runtime.rpc import MAX_CONTROL_BYTES, RpcServer
from pypes.runtime.supervisor.arbiter import Arbiter, config_of
from pypes.runtime.supervisor.auditing import AuditDesk, forget_lines
from pypes.runtime.supervisor.clockkeeper import ClockKeeper
from pypes.runtime.supervisor.closing import let_in_no_more
from pypes.runtime.supervisor.control import Control
from pypes.runtime.supervisor.draining import Draining, refuse_handed_over
from pypes.runtime.supervisor.fleet import NodeFleet
from pypes.runtime.supervisor.happening import EventDesk, Happenings, LogNews, log_of, rates_of
from pypes.runtime.supervisor.lately import LatelySeen
from pypes.runtime.supervisor.locks import listen, lock_runtime_dir, release_runtime_dir, url_of
from pypes.runtime.supervisor.logbook import LogBook
from pypes.runtime.supervisor.owners import Owners
from pypes.runtime.supervisor.picture import picture, processes_of, with_counts
from pypes.runtime.supervisor.schedules import Schedules
from pypes.runtime.supervisor.starting import check_start, warn_of_settings
from pypes.runtime.supervisor.tallying import Tallying, Told
from pypes.runtime.supervisor.watching import watch
from pypes.runtime.supervisor.workers import Workers
from pypes.runtime.worker.config import WorkerConfig

#: Time for gunicorn to stop its workers after they have drained; they have only to close their stores.
CLOSE_S = 5.0

#: Settings that a running server cannot change.
_FIXED = ("bind", "data")


class Supervisor:
    """One node. ``load`` reads the settings anew (on SIGHUP). An ``observer`` is told of deployments and instances."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], *, observer: Observer | None = None) -> None:
        self.settings = settings
        self._load = load
        self._given_observer = observer
        self._tallying = Tallying()
        self._created = time.monotonic()
        #: Sessions of browsers outlive workers and their arbiter, and end with this process.
        self._session_key = secrets.token_bytes(32)
        #: Tells this node from a copy of it.
        self._boot = secrets.token_hex(8)
        self._log = logs.get("pypes.supervisor")
        self._state = "starting"
        self._stop = asyncio.Event()
        self._must_hurry = asyncio.Event()
        self._started = asyncio.Event()
        self._tasks = WatchedTasks(self._fail)
        #: Work that signals asked for: if it fails the log says so, and all else goes on.
        self._asked = WatchedTasks(lambda name: None)
        self._failure = ""
        self._reloading = asyncio.Lock()
        #: The last reports about components, so that each is logged once.
        self._reported: set[str] = set()
        self._has_said_failed = False

    async def run(self) -> None:
        """Serve until told to stop.

        Raises :class:`PypesError` when the server cannot start, or had to stop because something in it failed that it cannot
        do without: whoever looks after it starts another one.
        """
        data = DataDir(self.settings.server.data)
        try:
            await refuse_handed_over(data.path, self.settings)
            self._clock = ClockKeeper(data.path, lambda: self._schedules.wake())
            self._events = log_of(self._clock.time)
            self._store = ControlStore(data.path / "control.db", self._clock.time, self.settings.limits.audit_bytes)
            self._tokens = TokenStore(self._store.path, trail=self._store.trail)
            check_start(self.settings, self._store)
            self._joined = self._store.joined(is_member=bool(self.settings.fleet_secrets))
            warn_of_settings(self.settings, has_tokens=self._tokens.count() > 0)
            listener = await listen(self.settings.server.bind, may_wait=data.was_killed)
            with listener:
                await self._serve(listener, was_killed=data.was_killed)
            self._tokens.close()
            self._store.close()
        finally:
            data.release()
        if self._failure:
            raise InternalError(f"the server has stopped because of a bug in it ({self._failure}); its log has the traceback")

    async def _serve(self, listener: socket.socket, *, was_killed: bool) -> None:
        self._listener = listener
        self._runtime_dir = lock_runtime_dir(self.settings.server.data)
        Spending.create(self._runtime_dir)
        logs.keep(self._runtime_dir, self.settings.observe.log_ring_bytes)
        self._logbook = LogBook(self._runtime_dir, self.settings.observe.log_bytes)
        self._lifeline = Lifeline()
        adopt_orphans()
        watch_callbacks(asyncio.get_running_loop(), self._fail)
        observer = together(happenings := Happenings(self._events), self._tallying, self._given_observer)
        gathering = self._tallying.gathering
        self._generations = Generations(
            self._runtime_dir, self._lifeline.fd, self._announce, self._instance_gone, self._fail, observer, gathering
        )
        self._lately = LatelySeen(
            gathering, self._runtime_dir, lambda: processes_of(self._picture()), lambda: self._picture().pools
        )
        self._pools = NodePools(self._runtime_dir, lambda: self._generations.pools, self._fail, self._announce)
        self._pools.start()
        owners = Owners(self.settings.server.data, self._runtime_dir, self.settings.server.workers)
        self._deployer = Deployer(
            self._store,
            self._generations,
            self._pools,
            self.settings,
            owners.unfinished,
            self._announce,
            self._fail,
            self._discover,
            observer,
        )
        self._workers = Workers(self._topology, self._look_ready, self._fail)
        self._workers.present(self.settings.tls)
        self._arbiter = Arbiter(self._worker_config)
        told = (self._greeting, self._workers.announce_members, self._started.is_set, self._announce, self._fail)
        is_member = bool(self.settings.fleet_secrets)
        self._fleet = NodeFleet(lambda: self.settings, self._store, self._deployer, *told, self.url) if is_member else None
        self._schedules = Schedules(self._store, self._deployer, owners.fire)
        steps = Steps(GraphDrafts(self._store, self._deployer, happenings.draft_changed), self._deployer)
        self._shadows = Shadows(self._store, self._deployer, self._runtime_dir, self._lifeline.fd, self._announce, self._fail)
        control = Control(
            self._deployer,
            Versions(self._store, self._deployer),
            steps,
            DryRuns(self._deployer, self._lifeline.fd),
            self._shadows,
            Filters(steps, self._deployer),
            self._workers,
            EventDesk(
                self._events, rates_of(gathering, self._clock.time), LogNews(self._events, self._logbook.since), self._tasks
            ),
            self._logbook,
            Issuer(self._tokens, lambda: self.settings.token is not None, self._workers.announce_tokens),
            AuditDesk(self._store),
            Draining(
                lambda: self.settings,
                self._store,
                None if self._fleet is None else self._fleet.members,
                owners,
                self._workers,
                self._arbiter,
                self._listener,
                self._generations.kill,
                self._stop.set,
                self._tasks,
            ),
            self._status,
            self._metrics,
            self._generations.lost,
            self._rescan,
            self._started.wait,
            self._stop.wait,
            self._fleet,
        )
        self._server = RpcServer(control.handle, self._workers.gone, MAX_CONTROL_BYTES)
        await self._server.start(str(self._runtime_dir / "control.sock"))
        self._handle_signals()
        self._log.info("starting", url=self.url, data=str(self.settings.server.data), pid=os.getpid())
        if was_killed:
            self._log.warning("the node was killed, or its machine; going on with what it had accepted")
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stop
        finally:
            for task in (start, stop):
                task.cancel()
            await asyncio.gather(start, stop, return_exceptions=True)
            await self._shut_down()

    # -- start and reload -------------------------------------------------------------------------------

    async def _start(self) -> None:
        # gunicorn first: it imports and forks while components are discovered and instances start
        self._arbiter.start()
        self._tasks.keep(self._clock.run(), "clock")
        self._tasks.keep(observe_delay(self._tallying.gathering.own, "supervisor"), "delay of the event loop")
        self._tasks.keep(self._logbook.run(), "log book")
        self._tasks.keep(forget_lines(self._store, self.settings.limits), "audit log")
        self._tasks.keep(self._lately.run(), "looks at the last minute")
        if self._fleet is not None:
            self._tasks.keep(self._fleet.members.run(), "members of the fleet")
        catalogue = await self._discover(self.settings)
        files = all_stamps_of(self.settings.server.graphs)
        await self._deployer.bring_up(catalogue, self.settings)
        self._started.set()
        if self._fleet is not None:
            self._tasks.keep(self._fleet.follower.run(), "graphs of the fleet")
        self._announce()
        self._tasks.keep(self._schedules.run(), "schedules")
        self._tasks.keep(self._deployer.consolidation.run(), "consolidation")
        if self.settings.server.watch:
            self._tasks.keep(watch(self.settings.server.graphs, files, self._files_changed), "graph files")

    async def _discover(self, settings: Settings) -> Catalogue:
        cache = settings.server.data / "cache"
        cache.mkdir(exist_ok=True)
        # an import may hang, and shall hold up nothing but itself
        catalogue = await in_own_thread(partial(discover, settings.server.load, cache), "discovery")
        found = {f"{one}: {one.error}" for one in catalogue.broken} | set(catalogue.overridden)
        for broken in catalogue.broken:
            if f"{broken}: {broken.error}" not in self._reported:
                self._log.warning("components cannot be used", distribution=broken.distribution, reason=broken.error)
        for overridden in catalogue.overridden:
            if overridden not in self._reported:
                self._log.warning("a load file replaces an installed component", reason=overridden)
        self._reported = found
        return catalogue

    async def _rescan(self, cause: Cause) -> dict[str, list[str]]:
        """Discover components anew; graphs that run keep what they have imported until they are deployed again."""
        async with self._reloading:
            before, after = {*(self._deployer.catalogue or ())}, await self._discover(self.settings)
            found = {"added": sorted(after.keys() - before), "removed": sorted(before - after.keys())}
            self._store.note(line_of(cause, "components.rescan", detail=found))
            self._deployer.catalogue = after
            self._log.info("components rescanned", **found)
            return found

    async def _files_changed(self) -> None:
        async with self._reloading:
            await self._deployer.load_files()

    async def _reload(self) -> None:
        """SIGHUP: nothing changes unless all of it is valid and the graphs can be set up."""
        async with self._reloading:
            await self._started.wait()
            try:
                settings = self._load()
                self._workers.present(settings.tls)  # first: a graph that cannot be set up must not have it expire
                fixed = {key: getattr(self.settings.server, key) for key in _FIXED}
                for key in _FIXED:
                    if getattr(settings.server, key) != fixed[key]:
                        self._log.warning("setting not changed", key=key, reason="changing this setting takes a restart")
                settings = replace(settings, server=replace(settings.server, **fixed))
                if (settings.fleet, bool(settings.fleet_secrets)) != (self.settings.fleet, bool(self.settings.fleet_secrets)):
                    self._log.warning("setting not changed", key="fleet", reason="changing this section takes a restart")
                    settings = replace(settings, fleet=self.settings.fleet, fleet_secrets=self.settings.fleet_secrets)
                catalogue = await self._discover(settings)
                before = self._worker_config()
                await self._deployer.bring_up(catalogue, settings)
            except PypesError as error:
                self._log.error("reload failed, everything stays as it was", reason=str(error))
                return
            if self._deployer.settings is not settings:
                return  # bring_up has said why
            self.settings = settings
            configure_logs(settings)
            if self._worker_config() != before:
                # new connections wait in the backlog of the socket meanwhile: it stays open
                await self._arbiter.stop(settings.limits.grace_s + CLOSE_S)
                self._arbiter.start()
            self._announce()
            self._log.info("reloaded", graphs=sorted(self._deployer.live))

    def _worker_config(self) -> WorkerConfig:
        fd, node = self._lifeline.fd, self._store.node
        return config_of(self.settings, self._runtime_dir, self._listener, fd, node, self._session_key, self._boot, self._joined)

    def _greeting(self) -> Greeting:
        return Greeting(self._store.node, self._boot, __version__)

    # -- reports of children -----------------------------------------------------------------------------

    def _topology(self) -> Topology:
        return replace(self._deployer.topology(), shadows=self._shadows.sockets(), is_complete=self._is_up())

    def _announce(self) -> None:
        self._workers.announce()
        self._schedules.wake()
        self._look_ready()

    def _instance_gone(self, id: int, reason: ExitReason) -> None:
        self._workers.announce_gone(id, reason)
        self._pools.sweep()

    def _is_up(self) -> bool:
        has_graphs = self._started.is_set() and (self._fleet is None or self._fleet.follower.has_caught_up)
        return has_graphs and (not self._generations.live or bool(self._generations.ready()))

    def _look_ready(self) -> None:
        if self._state != "starting" or not (self._is_up() and self._workers.is_ready):
            return
        failed = self._deployer.reasons()
        if cannot_serve(self._deployer.live, failed, self._deployer.default()):
            if not self._has_said_failed:
                self._has_said_failed = True
                self._log.error(
                    "not ready", url=self.url, failed=failed, reason="graphs that failed are tried again until they can be set up"
                )
            return
        self._state = "ready"
        self._log.info(
            "ready",
            url=self.url,
            seconds=round(time.monotonic() - self._created, 3),
            workers=self.settings.server.workers,
            instances=len(self._generations.ready()),
            graphs=sorted(self._deployer.live.keys() - failed.keys()),
            **({"failed": failed} if failed else {}),
        )

    @property
    def url(self) -> str:
        return url_of(self._listener, is_tls=self.settings.tls is not None)

    def _picture(self) -> NodeStatus:
        parts = (self._generations, self._arbiter, self._workers, self._pools, self._deployer)
        return picture(self._state, self.url, self._created, *parts, self.settings)

    def _graphs(self) -> dict[str, Mapping[str, object]]:
        return {name: graph.graph for name, graph in self._deployer.live.items()}

    def _status(self) -> NodeStatus:
        return self._lately.add_to(with_counts(self._picture(), self._tallying.gathering, self._graphs()))

    def _metrics(self, is_openmetrics: bool) -> str:
        told = Told(self._graphs(), self._pools.deaths(), self._generations.counts)
        return self._tallying.text(self._runtime_dir, self._picture(), told, is_openmetrics=is_openmetrics)

    # -- signals and the end ----------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._asked.start(self._reload(), "reload"))
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._asked.start(self._workers.roll(), "rolling the workers"))
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def _reap(self) -> None:
        self._generations.reap()
        self._arbiter.reap()
        self._logbook.collect()  # of those that have ended

    def _asked_to_stop(self, number: int) -> None:
        if self._stop.is_set():
            self._must_hurry.set()
        self._log.info("stopping", signal=signal.Signals(number).name, at_once=self._must_hurry.is_set())
        self._stop.set()

    def _fail(self, name: str) -> None:
        """Something that the server cannot do without has failed: stop in order, so that another one takes its place."""
        if not self._stop.is_set():
            self._failure = name
            self._log.critical("stopping", reason=f"{name} failed; a new process takes over")
            self._stop.set()

    async def _shut_down(self) -> None:
        """Drain within the grace, then end every child; a second signal skips to the end."""
        self._state = "draining"
        await self._asked.close()
        await self._tasks.close()
        if self._fleet is not None:
            await self._fleet.close()
        await self._deployer.close()
        await self._shadows.close()
        orderly = asyncio.create_task(self._drain())
        hurry = asyncio.ensure_future(self._must_hurry.wait())
        await asyncio.wait([orderly, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        orderly.cancel()
        results = await asyncio.gather(orderly, return_exceptions=True)
        for error in results:
            if isinstance(error, Exception):
                self._log.error("draining failed", exc_info=error)
        self._arbiter.kill()
        await self._generations.kill()
        await self._pools.close()
        await self._arbiter.stop(0.0)
        await self._server.close()
        self._lifeline.close()
        release_runtime_dir(self._runtime_dir)
        self._log.info("stopped")

    async def _drain(self) -> None:
        deadline = time.monotonic() + self.settings.limits.grace_s
        await self._workers.drain(self.settings.limits.grace_s)
        await self._generations.stop(max(deadline - time.monotonic(), 0.0))
        queued = self._workers.queued()
        if queued:
            self._log.warning("deliveries stay queued until the next start", queued=queued)
        await let_in_no_more(self._listener)
        await self._arbiter.stop(CLOSE_S)
