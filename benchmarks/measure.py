"""What the benchmarks share: a load generator, and servers to point it at."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from pydoc_data import topics
from typing import Any

from pypes.testing.node import Node, free_port, until

#: Real prose, so that it compresses as documents do (about 3 to 1): the help texts of the language reference.
PROSE = " ".join(topics.topics[name] for name in sorted(topics.topics))


def document(n: int, size: int = 900) -> bytes:
    """A JSON document of about 1 KB."""
    start = n * 613 % (len(PROSE) - size)
    title = PROSE[start : start + 40]
    return json.dumps(
        {"id": f"doc-{n}", "title": title, "n": n, "tags": ["a", "b"], "body": PROSE[start : start + size]}
    ).encode()


SINGLE = document(0)
BATCH = gzip.compress(b"\n".join(document(n) for n in range(1000)), compresslevel=6)


class Skipped(Exception):
    """This side of a comparison cannot be run here; the message says why."""


_COUNTED = """
local at = wrk.body:find("{counter}", 1, true)
local head, tail = wrk.body:sub(1, at - 1) .. "{first}-", wrk.body:sub(at + 1)
local number = 0
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, head .. number .. tail)
end
"""


def needs(tool: str, package: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise Skipped(f"{tool} is not installed: apt-get install {package}")
    return found


def wrk(url: str, body: bytes, headers: dict[str, str], *, connections: int, seconds: float, counter: str = "") -> float:
    """Requests per second that were answered with 2xx. Raises if any was answered otherwise.

    ``counter`` occurs once in the body: in its place stands the number of the request, never the same twice.
    """
    tool = needs("wrk", "wrk")
    with tempfile.TemporaryDirectory() as folder:
        payload = Path(folder) / "body"
        payload.write_bytes(body)
        script = Path(folder) / "post.lua"
        lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
        lines = ['wrk.method = "POST"', f'wrk.body = io.open("{payload}", "rb"):read("*a")', *lines]
        if counter:
            lines += _COUNTED.format(counter=counter, first=time.time_ns()).splitlines()
        script.write_text("\n".join(lines) + "\n")
        command = [tool, "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "-s", str(script), url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: .*", out)
    if refused or broken:
        raise RuntimeError(f"the load was not accepted: {(refused or broken).group(0)}")  # type: ignore[union-attr]
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", out)
    assert found is not None, out
    return int(found[1]) / (float(found[2]) / (1000 if found[3] == "ms" else 1))


def five_filters(publisher: dict[str, Any] | None = None) -> dict[str, Any]:
    """A graph of a JSON adapter, five filters and a publisher that does nothing."""
    names = [f"set{n}" for n in range(5)]
    nodes: dict[str, Any] = {"json": {"component": "JSON", "params": {}}}
    nodes |= {name: {"component": "SetField", "params": {"field": name, "value": "x"}} for name in names}
    nodes["end"] = publisher or {"component": "Null", "params": {}}
    chain = list(nodes)
    wires = [[f"{a}.out", f"{b}.in"] for a, b in pairwise(chain)]
    return {"pypes": 1, "name": "bench", "nodes": nodes, "wires": wires}


@contextmanager
def node(graph: dict[str, Any], *flags: str, workers: int = 1, instances: int = 1) -> Iterator[Node]:
    with tempfile.TemporaryDirectory() as folder:
        running = Node(Path(folder), graph, *flags, workers=workers, instances=instances)
        try:
            running.start()
            running.wait_ready()
            yield running
        finally:
            running.close()


@contextmanager
def bare(*flags: str) -> Iterator[str]:
    """The accept-and-sync endpoint that ingest is compared with; yields its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.bare_endpoint", "--bind", f"127.0.0.1:{port}"]
        command += ["--file", str(Path(folder) / "bare.log"), *flags]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _answers(port), 20, "the bare endpoint answers")
            yield f"http://127.0.0.1:{port}/docs"
        finally:
            process.terminate()
            process.wait(10)


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def settle(running: Node) -> None:
    """Wait until everything posted before is published: one more document, whose receipt is followed to its end."""
    receipt = running.post(b'{"id": "last"}').json()["receipt"]
    until(lambda: running.get(f"/receipts/{receipt}?wait=10").json()["state"] == "done", 120, "the backlog is worked off")


def median_of(measure: Callable[[], float], rounds: int) -> float:
    return statistics.median(measure() for _ in range(rounds))


def timed(fn: Callable[[], Any]) -> float:
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start
