"""Redis, the package of Debian."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypes.testing.node import free_port
from tests.needed import missing
from tests.servers.process import running

INSTALL = "apt-get install --no-install-recommends redis-server"


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[str]:
    """The address of a server while it runs; it keeps all in memory."""
    found = shutil.which("redis-server")
    if found is None:
        missing(f"redis-server is not installed: {INSTALL}")
        raise AssertionError
    port = free_port()
    command = [found, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *options]
    with running(command, port, folder / "log"):
        yield f"redis://127.0.0.1:{port}/0"
