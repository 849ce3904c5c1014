"""gunicorn and its workers without a supervisor: the test plays its part on the control socket. No instance runs anything."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import urllib3

from pypes.core.certificate import Certificate
from pypes.runtime.rpc import Peer, RpcServer
from pypes.runtime.worker.config import WorkerConfig
from pypes.testing.node import until
from tests.api.config import worker_config
from tests.certificates import Files


class Harness:
    """A running ``python -m pypes.api.server``. ``topology`` is what its workers are told when they say hello.

    With ``files`` of a certificate it speaks TLS; those who ask it trust ``ca_file``.
    """

    def __init__(
        self,
        base: Path,
        *,
        graph: str | None = "forms",
        is_ordered: bool = False,
        files: Files | None = None,
        ca_file: Path | None = None,
        **config: Any,
    ) -> None:
        self.base = base
        self.topology: dict[str, Any] = {
            "generation": 1,
            "instances": {},
            "graphs": {graph: 1} if graph else {},
            "routes": {},
            "default": graph,
            "ordered": [graph] if is_ordered else [],
        }
        self.answers: dict[str, Any] = {"audit.note": None}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.pids: list[int] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.url = f"{'https' if files else 'http'}://127.0.0.1:{self.port}"
        self.certificate = Certificate.read(*files) if files else None
        self.lifeline, self.lifeline_writer = os.pipe()
        # the paths of unix sockets are short
        self.runtime = tempfile.TemporaryDirectory(prefix="pypes-")
        self.config: WorkerConfig = worker_config(
            **{
                "data_dir": str(base / "data"),
                "runtime_dir": self.runtime.name,
                "control_socket": f"{self.runtime.name}/control.sock",
                "listen_fd": self.listener.fileno(),
                "lifeline_fd": self.lifeline,
                "port": self.port,
                "is_tls": files is not None,
                **config,
            }
        )
        self.ca_file = ca_file
        trust: dict[str, Any] = {"ca_certs": str(ca_file)} if ca_file else {}
        self.http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(20.0), **trust)
        self.loop = asyncio.new_event_loop()
        self.control = RpcServer(self._handle)
        self.thread = threading.Thread(target=self.loop.run_forever)

    async def _handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        if method == "hello":
            self.pids.append(params["pid"])
            if self.certificate is not None:
                peer.notify("certificate", certificate=msgspec.to_builtins(self.certificate))
            return self.topology
        if method in ("ready", "drained"):
            return None
        self.asked.append((method, params))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def push(self, event: str, **params: Any) -> None:
        """Tell the workers something."""
        self.loop.call_soon_threadsafe(lambda: self.control.broadcast(event, **params))

    def present(self, files: Files) -> None:
        """Give the workers another certificate."""
        self.certificate = Certificate.read(*files)
        self.push("certificate", certificate=msgspec.to_builtins(self.certificate))

    def start(self) -> None:
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.control.start(self.config.control_socket), self.loop).result(10)
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as stream:
            stream.write(self.config.encode())
        with (self.base / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pypes.api.server", str(reader)],
                pass_fds=(reader, self.config.listen_fd, self.lifeline),
                stdout=log,
                stderr=log,
                process_group=0,
            )
        os.close(reader)
        until(lambda: len(self.pids) >= self.config.workers and self.get("/healthz").status == 200, 20, "served")

    def encrypted(self, link: socket.socket) -> socket.socket:
        """A connection to it as it speaks; one that ends without a word about that raises where it is read."""
        if self.ca_file is None:
            return link
        context = ssl.create_default_context(cafile=self.ca_file)
        return context.wrap_socket(link, server_hostname="127.0.0.1", suppress_ragged_eofs=False)

    def log(self) -> str:
        return (self.base / "server.log").read_text(errors="replace")

    def workers(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def get(self, path: str, **headers: str) -> Any:
        return self.http.request("GET", self.url + path, headers=headers)

    def post(self, body: bytes = b'{"a": 1}', path: str = "/docs", **headers: str) -> Any:
        return self.http.request("POST", self.url + path, body=body, headers={"Content-Type": "application/json", **headers})

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        asyncio.run_coroutine_threadsafe(self.control.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        self.http.clear()
        self.listener.close()
        for fd in (self.lifeline, self.lifeline_writer):
            if fd >= 0:
                os.close(fd)
        self.runtime.cleanup()

    def end_lifeline(self) -> None:
        """What the kernel does when the supervisor dies."""
        os.close(self.lifeline_writer)
        self.lifeline_writer = -1


@contextmanager
def serving(base: Path, **options: Any) -> Iterator[Harness]:
    """Start it, and end it whatever happens."""
    harness = Harness(base, **options)
    try:
        harness.start()
        yield harness
    finally:
        harness.close()
