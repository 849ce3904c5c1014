"""A server with the protocol of S3, from the package ``moto``: see ``s3_server.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypes.testing.node import free_port
from tests.servers.process import home_of, running

ROOT = Path(__file__).parents[2]


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of a server while it runs; it keeps its buckets in memory."""
    home_of("moto")
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "tests.servers.s3_server", str(port)]
    with running(command, port, folder / "log", cwd=ROOT):
        yield f"http://127.0.0.1:{port}"
