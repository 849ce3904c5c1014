"""The protocols of OpenSearch and Elasticsearch, spoken by small emulators: real servers cannot be had as packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypes.testing.node import free_port
from tests.servers.process import home_of, running


@contextmanager
def opensearch(folder: Path) -> Iterator[str]:
    """The address of ``osmem-server``, which says that it is OpenSearch 3.8, while it runs."""
    port = free_port()
    with running([home_of("osmem_server") / "bin" / "osmem-server", "-addr", f"127.0.0.1:{port}"], port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def elasticsearch(folder: Path) -> Iterator[str]:
    """The address of ``noida-db``, which says that it is Elasticsearch 8.15, while it runs."""
    port = free_port()
    options = ["--only", "elasticsearch", "--data-dir", folder / "data", "--elasticsearch-port", str(port)]
    with running([home_of("noida_db") / "noida-db", "start", *options], port, folder / "log"):
        yield f"http://127.0.0.1:{port}"
