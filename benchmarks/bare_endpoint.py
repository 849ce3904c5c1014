"""The least an endpoint can do that answers after its documents are durable: what the server's throughput is measured against.

The same HTTP stack (gunicorn, a uvicorn worker with httptools and uvloop, Falcon ASGI), and one thread that writes whatever
arrived during the last sync and calls fdatasync once for all of it. It looks at nothing: no token, no media type, no framing, no
limits. ``--gunzip`` makes it inflate gzip bodies, as any server must that refuses broken ones::

    python benchmarks/bare_endpoint.py --bind 127.0.0.1:8099 --file /somewhere/bare.log

It prints ``listening`` to standard error when it answers, and ends with SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import falcon.asgi
import uvicorn_worker  # type: ignore[import-untyped]
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from isal import igzip


class Committer:
    """Appends blobs to a file; blobs that come while one sync runs share the next."""

    def __init__(self, path: Path, *, is_synced: bool) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._is_synced = is_synced
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wakeup = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def append(self, blob: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((blob, future))
        self._wakeup.set()
        return future

    def _run(self) -> None:
        while True:
            self._wakeup.wait()
            self._wakeup.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            view = memoryview(b"".join([len(blob).to_bytes(4, "little") + blob for blob, _ in batch]))
            while view:
                view = view[os.write(self._fd, view) :]
            if self._is_synced:
                getattr(os, "fdatasync", os.fsync)(self._fd)
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in batch])


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


class Documents:
    def __init__(self, path: Path, *, is_synced: bool, is_inflated: bool) -> None:
        self._path = path
        self._is_synced = is_synced
        self._is_inflated = is_inflated
        self._committer: Committer | None = None

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if self._committer is None:
            path = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            self._committer = Committer(path, is_synced=self._is_synced)
        body = await req.stream.readall()
        if self._is_inflated and req.get_header("Content-Encoding") == "gzip":
            igzip.decompress(body)  # type: ignore[no-untyped-call]
        await self._committer.append(body)
        resp.status = 202
        resp.data = b'{"accepted":true}'


class Worker(uvicorn_worker.UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS = {"loop": "uvloop", "http": "httptools", "access_log": False, "proxy_headers": False, "lifespan": "off"}


class Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": self.options.bind,
            "workers": self.options.workers,
            "worker_class": Worker,
            "keepalive": 75,
            "control_socket_disable": True,
            "loglevel": "warning",
            "when_ready": lambda server: sys.stderr.write("listening\n"),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        app = falcon.asgi.App()
        resource = Documents(self.options.file, is_synced=not self.options.no_sync, is_inflated=self.options.gunzip)
        app.add_route("/docs", resource)
        return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bind", default="127.0.0.1:8099")
    parser.add_argument("--file", type=Path, required=True, help="where to append; each worker adds its pid")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-sync", action="store_true", help="answer once the page cache has it")
    parser.add_argument("--gunzip", action="store_true", help="inflate gzip bodies before they are accepted")
    Application(parser.parse_args()).run()


if __name__ == "__main__":
    main()
