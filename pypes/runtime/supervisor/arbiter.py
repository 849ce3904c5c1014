"""The gunicorn arbiter as the supervisor's child: started, watched, restarted; its ingest workers never outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pypes import logs
from pypes.config import Settings
from pypes.core.lifeline import ProcessGroup
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.generations.backoff import FIRST_S, Backoff
from pypes.runtime.worker.config import WorkerConfig

#: The command line of the arbiter; the number of the descriptor with its configuration follows.
COMMAND = (sys.executable, "-P", "-m", "pypes.api.server")

#: Variables that would change gunicorn behind our back, and the token, which travels in the configuration.
_WITHHELD = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PYPES_TOKEN")

#: Settings of the memory allocator of glibc, in bytes; those of the environment win, other systems ignore them.
#: PERF: bodies of a megabyte come and go. By default their memory goes back to the system each time, and the next one takes 270
#: page faults: an eighth of the processor time of an ingest worker.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(32 << 20)}


class Arbiter:
    """Runs ``python -m pypes.api.server`` in a process group of its own, together with the workers it forks.

    A Ctrl-C at the terminal does not reach that group: the supervisor decides when and how it stops. ``config`` is asked anew
    at every start. :meth:`reap` is to be called on SIGCHLD.
    """

    def __init__(self, config: Callable[[], WorkerConfig], command: Sequence[str] = COMMAND) -> None:
        self._config = config
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._group: ProcessGroup | None = None
        self._backoff = Backoff()
        self._restart: asyncio.TimerHandle | None = None
        self._is_wanted = False
        self._started = 0.0
        self._log = logs.get("pypes.arbiter")
        #: Set while neither arbiter nor worker is left.
        self.ended = asyncio.Event()
        self.ended.set()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and keep it running until :meth:`stop`."""
        self._is_wanted = True
        self._launch()

    def _launch(self) -> None:
        self._restart = None
        try:
            self._spawn(self._config())
        except OSError as error:
            # no more processes or memory just now
            delay_s = self._backoff.delay_s(0.0) or FIRST_S
            self._log.error("gunicorn not started", reason=str(error), restart_s=delay_s)
            self._restart = asyncio.get_running_loop().call_later(delay_s, self._launch)

    def _spawn(self, config: WorkerConfig) -> None:
        reader, writer = os.pipe()
        try:
            with os.fdopen(writer, "wb") as stream:
                # a configuration is far smaller than a pipe holds, so nobody needs to read yet
                stream.write(config.encode())
            self._process = subprocess.Popen(
                [*self._command, str(reader)],
                stdin=subprocess.DEVNULL,
                pass_fds=(reader, config.listen_fd, config.lifeline_fd),
                env=_environ(os.environ),
                process_group=0,
            )
        finally:
            os.close(reader)
        self._group = ProcessGroup(self._process.pid)
        self._started = time.monotonic()
        self.ended.clear()

    def reap(self) -> None:
        """If it has ended, kill and collect the workers it left, then start it again unless it was stopped."""
        if self._process is not None and self._process.poll() is not None:
            status, self._process = self._process.returncode, None
            if self._is_wanted:
                self._log.warning("gunicorn died", status=status)
            assert self._group is not None
            self._group.signal(signal.SIGKILL)
        if self._process is None and self._group is not None and self._group.reap():
            self._group = None
            self.ended.set()
            if self._is_wanted:
                delay_s = self._backoff.delay_s(time.monotonic() - self._started)
                if delay_s:
                    self._restart = asyncio.get_running_loop().call_later(delay_s, self._launch)
                else:
                    self._launch()

    async def stop(self, grace_s: float) -> None:
        """Have gunicorn stop its workers in an orderly way; what is left after ``grace_s`` is killed."""
        self._is_wanted = False
        if self._restart is not None:
            self._restart.cancel()
        if self.ended.is_set():
            return
        if self._process is not None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self.ended.wait(), grace_s)
        except TimeoutError:
            self._log.warning("gunicorn killed", reason="did not stop in time")
            self.kill()
            await self.ended.wait()

    def kill(self) -> None:
        """Kill the arbiter and all its workers."""
        if self._group is not None:
            self._group.signal(signal.SIGKILL)


def config_of(
    settings: Settings,
    runtime_dir: Path,
    listener: socket.socket,
    lifeline_fd: int,
    node: int,
    session_key: bytes,
    boot: str = "",
    joined: float = 0.0,
) -> WorkerConfig:
    """The configuration of gunicorn and its workers; ``listener`` is the socket of the node, which they inherit."""
    s = settings
    host, port = listener.getsockname()[:2]
    return WorkerConfig(
        data_dir=str(s.server.data),
        runtime_dir=str(runtime_dir),
        control_socket=str(runtime_dir / "control.sock"),
        listen_fd=listener.fileno(),
        lifeline_fd=lifeline_fd,
        host=host,
        port=port,
        workers=s.server.workers,
        token=s.token,
        session_key=session_key,
        hosts=s.server.hosts,
        origins=s.server.origins,
        proxies=s.server.proxies,
        insecure=s.server.insecure,
        is_tls=s.tls is not None,
        open_addresses=s.access.open,
        session_s=s.access.session_s,
        session_idle_s=s.access.session_idle_s,
        budget=s.access.budget,
        callback_hosts=s.callbacks.hosts,
        callback_secret=s.callback_secret,
        durability=s.queue.durability,
        interval_s=s.queue.interval_s,
        limits=s.limits,
        node=node,
        boot=boot,
        joined=joined,
        fleet=fleet_access(s),
        is_key_owner_required=s.fleet.require_key_owner,
        patience_s=s.fleet.patience_s,
        fleet_dir=None if s.server.fleet is None else str(s.server.fleet),
        log_json=logs.is_json(s.log.format),
        log_level=s.log.level,
        log_ring_bytes=s.observe.log_ring_bytes,
        redact=s.observe.redact,
        otlp=None if s.otlp is None else s.otlp.of_node(node),
        caller_traces_per_s=0.0 if s.otlp is None else s.observe.caller_traces_per_s,
    )


def fleet_access(settings: Settings) -> FleetAccess | None:
    """The way in to the nodes of the fleet, ``None`` if the node is in none."""
    if not settings.fleet_secrets:
        return None
    name = urlsplit(settings.fleet.nodes).hostname or "" if settings.fleet.nodes.startswith("dns+") else ""
    return FleetAccess(settings.fleet_secrets, str(settings.fleet.ca_file or ""), name)


def _environ(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of ingest workers, made of that of the node."""
    return _ALLOCATOR | {name: value for name, value in given.items() if name not in _WITHHELD}
