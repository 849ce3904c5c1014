"""A real node under test: started, its processes found by role, killed, and gone afterwards whatever happens.

Needs ``psutil`` (extra ``test``).
"""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import urllib3

from pypes.core.clock import wall

READY_S = 20.0


#: Below what systems give to outgoing connections (from 32768 on Linux): none of those can take a port while a node restarts.
_PORTS = range(20_000, 32_000)


#: Environment variable: a folder in which the nodes of a test session share what they have found out of installed components.
DESCRIPTIONS = "PYPES_TEST_DESCRIPTIONS"


def share_descriptions(data: Path) -> None:
    """Have the node that is to work on ``data`` use the folder that :data:`DESCRIPTIONS` names, if there is one."""
    shared = os.environ.get(DESCRIPTIONS)
    if shared and not (data / "cache").exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(shared).mkdir(parents=True, exist_ok=True)
        (data / "cache").symlink_to(shared)


def free_port() -> int:
    """A port on which nobody listens, and which nobody is given by chance."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(check: Callable[..., Any], timeout_s: float, what: str) -> Any:
    """Poll with a deadline; returns the first true answer. What arguments ``check`` has must have defaults."""
    deadline = time.monotonic() + timeout_s
    waiter = threading.Event()
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s} s still not: {what}")
        waiter.wait(0.02)


class Server:
    """A command that serves HTTP on ``port`` of 127.0.0.1, and the processes that came of it.

    It runs in ``folder``; ``environ`` is its whole environment. With ``ca_file`` it is asked over TLS, and known by the
    certificates in that.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        port: int,
        environ: Mapping[str, str],
        log_path: Path,
        ca_file: Path | None = None,
    ) -> None:
        self.command = command
        self.folder = folder
        self.environ = environ
        self.port = port
        self.url = f"{'http' if ca_file is None else 'https'}://127.0.0.1:{port}"
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        #: Options of clients that are to know it.
        self.trust: dict[str, Any] = {} if ca_file is None else {"ca_certs": str(ca_file)}
        self.http = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(30.0), **self.trust)
        #: Sent along with each request, such as a token.
        self.headers: dict[str, str] = {}
        #: Every process ever seen, so that none outlives the test.
        self.seen: dict[int, float] = {}

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder, env=self.environ)

    def is_ready(self) -> bool:
        try:
            return self.http.request("GET", f"{self.url}/readyz", timeout=2.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def wait_ready(self) -> None:
        until(self.is_ready, READY_S, f"ready; the log says:\n{self.log()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-6000:] if self.log_path.exists() else ""

    def roles(self) -> dict[str, list[psutil.Process]]:
        """The node's processes: supervisor, arbiter, worker, instance."""
        found: dict[str, list[psutil.Process]] = {"supervisor": [], "arbiter": [], "worker": [], "instance": [], "other": []}
        if self.process is None or self.process.poll() is not None:
            return found
        try:
            top = psutil.Process(self.process.pid)
            found["supervisor"].append(top)
            for child in top.children(recursive=True):
                found[_role(child, top)].append(child)
                self.seen[child.pid] = child.create_time()
            self.seen[top.pid] = top.create_time()
        except psutil.NoSuchProcess:
            pass  # it died while we looked: the next look sees what is there then
        return found

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this node that still run."""
        left = []
        for pid, created in self.seen.items():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.create_time() == created and runs(process):
                    left.append(process)
        return left

    def describe_leftovers(self) -> list[str]:
        """Pid, age in seconds and command of what still runs."""
        found = []
        for process in self.leftovers():
            with suppress(psutil.NoSuchProcess):
                age_s = wall() - process.create_time()
                found.append(f"{process.pid} ({age_s:.1f} s, {process.status()}): {' '.join(process.cmdline())}")
        return found

    def kill(self) -> None:
        """kill -9 the supervisor, and wait until it is gone."""
        assert self.process is not None
        self.roles()
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to drain and end; returns its exit code. Idle connections are closed first: it would wait for them."""
        assert self.process is not None
        self.roles()
        self._hang_up()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def _hang_up(self) -> None:
        """Close idle connections; the pool stays, for threads may be about to use it."""
        pool = self.http.connection_from_url(self.url)
        idle = []
        with suppress(queue.Empty):
            while True:
                idle.append(pool.pool.get_nowait())  # type: ignore[union-attr]
        for connection in idle:
            if connection is not None:
                connection.close()
            with suppress(queue.Full):
                pool.pool.put_nowait(connection)  # type: ignore[union-attr]

    def close(self) -> None:
        self.roles()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for process in self.leftovers():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        # those are nobody's children here, so there is nothing to wait on
        until(lambda: not self.leftovers(), 10.0, "killed: what the server left behind")
        self.http.clear()

    def post(self, body: bytes, path: str = "/docs", content_type: str = "application/json", **headers: str) -> Any:
        return self.http.request(
            "POST", self.url + path, body=body, headers={"Content-Type": content_type, **self.headers, **headers}
        )

    def get(self, path: str) -> Any:
        return self.http.request("GET", self.url + path, headers=self.headers)


class Node(Server):
    """One ``pypes serve`` with its processes; ``environ`` holds settings (``PYPES_LIMITS_GRACE_S``) over this process's own."""

    def __init__(
        self,
        base: Path,
        graph: dict[str, Any],
        *flags: str,
        workers: int = 2,
        instances: int = 2,
        environ: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
    ) -> None:
        port = free_port()
        self.base = base
        #: Ingest workers that it has once all have started; it is ready before.
        self.workers = workers
        self.graphs = base / "graphs"
        self.graphs.mkdir(parents=True, exist_ok=True)
        self.add(graph)
        share_descriptions(base / "data")
        command = [
            # as of the installed command, its folder is none to import from: what is known of components depends on those
            sys.executable, "-P", "-m", "pypes", "serve",
            "--bind", f"127.0.0.1:{port}",
            "--workers", str(workers), "--instances", str(instances),
            "--data", str(base / "data"), "--graphs", str(self.graphs), "--default", graph["name"], *flags,
        ]  # fmt: skip
        super().__init__(command, base, port, {**os.environ, **(environ or {})}, base / "node.log", ca_file)

    def add(self, graph: dict[str, Any]) -> None:
        """Put a graph where the node finds it at its next start."""
        (self.graphs / f"{graph['name']}.json").write_text(json.dumps(graph))


def runs(process: psutil.Process) -> bool:
    """False once a process has ended, collected or not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _role(process: psutil.Process, top: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline())
        if "pypes.api.server" in command:
            return "arbiter" if process.ppid() == top.pid else "worker"
        if "spawn_main" in command:
            return "instance"
        return "other"
    except psutil.NoSuchProcess:
        return "other"


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Start it, wait until it is ready, and have none of its processes left at the end, however the block ends."""
    try:
        server.start()
        server.wait_ready()
        yield
    finally:
        server.close()


@contextmanager
def running(base: Path, graph: dict[str, Any], *flags: str, **options: Any) -> Iterator[Node]:
    node = Node(base, graph, *flags, **options)
    with serving(node):
        yield node


def chaos_seconds(default: float) -> float:
    return float(os.environ.get("PYPES_CHAOS_S", default))
