"""The gunicorn worker: uvicorn around one ingest worker, imported by the arbiter, once for all workers that it forks."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]

from pypes import logs
from pypes.api.app import create_app
from pypes.api.door import Door
from pypes.api.encrypted import Encrypted
from pypes.api.links import links_of
from pypes.api.protocol import Protocol
from pypes.core.lifeline import die_with_parent, watch
from pypes.errors import PypesError
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.ending import end_process
from pypes.runtime.worker.worker import IngestWorker

log = logging.getLogger(__name__)

#: Seconds between two signs of a worker that its loop runs.
HEARTBEAT_S = 1.0

#: PERF: objects that may be made, less those that went, before the collector looks at those made since. Nearly all of them are
#: part of deliveries on their way, in no cycle; at the default of 700, each commit had them looked at.
GC_OBJECTS = 20_000

#: Seconds for which a worker that ends still answers on open connections.
LINGER_S = 0.5


class StoppableServer(Server):
    """A server that tells when it is asked to stop, so that nobody is kept waiting. Made while its loop runs."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self.stopping.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what comes on open connections with "Connection: close" for a moment, before those that are silent are cut.

        A connection that is closed just as its client writes is reset, which the client cannot tell from a lost request.
        """
        for server in self.servers:
            server.close()
        self.server_state.is_ending = True  # type: ignore[attr-defined]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None:
                cycle.keep_alive = False
        until = self._loop.time() + LINGER_S
        # uvicorn tells nobody when a connection ends
        while self.server_state.connections and self._loop.time() < until and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(LINGER_S / 10)
        await super().shutdown(sockets)


def encrypted(worker: IngestWorker, make: Callable[..., Protocol], **uvicorn: Any) -> Encrypted:
    """The protocol of a connection that is encrypted, with the certificate that holds now."""
    assert worker.tls is not None
    return Encrypted(worker.tls, make(**uvicorn))


class GunicornWorker(UvicornWorker):  # type: ignore[misc]
    """Runs the application; stops on request of the arbiter, and at once when arbiter or supervisor are gone.

    What is not finished when it stops stays in its shard, and goes to whoever opens that next.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_stopping = False
        self._server: StoppableServer | None = None
        config: WorkerConfig = self.app.config
        self._grace_s = config.grace_s
        self.config = Config(
            # the application is built when the loop runs
            app="",
            interface="asgi3",
            loop="uvloop",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=self.cfg.backlog,
            timeout_graceful_shutdown=max(1, math.ceil(config.grace_s)),
        )

    def init_process(self) -> None:
        config: WorkerConfig = self.app.config
        self.app.forked()
        die_with_parent(self.ppid)
        watch([config.lifeline_fd, self.app.lifeline_fd])
        self._lines = logs.configure(
            f"ingest-{os.getpid()}", json=config.log_json, level=config.log_level, hiding=config.hiding()
        )
        logs.keep(Path(config.runtime_dir), config.log_ring_bytes)
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.handlers.clear()
        uvicorn_log.propagate = True
        uvicorn_log.setLevel(logging.DEBUG if config.log_level == "DEBUG" else logging.WARNING)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # uvicorn takes these over while it serves and raises them once more at its end, which must not kill us then
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        if self._server is not None:
            self._server.handle_exit(number, frame)
            # gunicorn's "quickly"
            self._server.force_exit = number == signal.SIGQUIT

    async def _serve(self) -> None:
        heartbeat = asyncio.create_task(self._show_life())
        try:
            worker = await IngestWorker.start(self.app.config, partial(end_process, self.app.config))
        except (PypesError, OSError) as error:
            log.error("ingest worker cannot start", extra={"error": str(error)})
            # gunicorn gives up then; the supervisor starts it again after a while
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        # from now on it learns the secrets of graphs
        self._lines.hiding = worker.hiding
        try:
            if not self._is_stopping:
                # it comes before the answer to hello: nothing is spoken in plain for want of it
                assert worker.tls is not None or not self.app.config.is_tls
                self._server = StoppableServer(self.config)
                self.config.app, short_path = create_app(worker, self.app.config, self._server.stopping)
                # what is there now stays: the collector need not look at it again
                gc.freeze()
                gc.set_threshold(GC_OBJECTS)
                links = links_of(self.app.config.fleet, worker.desk.handle, worker.desk.gone)
                make = partial(Protocol, Door(self.app.config.limits), short_path, links)
                self.config.http = partial(encrypted, worker, make) if self.app.config.is_tls else make  # type: ignore[assignment]
                await self._server.serve(sockets=self.sockets)
        finally:
            await worker.stop()
            heartbeat.cancel()

    async def _show_life(self) -> None:
        """Tell the arbiter that the loop runs, from the first moment to the last; and the log, of lines that were folded."""
        while True:
            self.notify()
            self._lines.flush_due()
            await asyncio.sleep(HEARTBEAT_S)
