"""What the benchmarks share: servers under load, and their rates beside the processor time of all their processes."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import psutil
import urllib3

from benchmarks.load import Load
from pypes.testing.node import Node, free_port, serving, until


def rounds(usual: int) -> int:
    """The number of rounds of each side; ``PYPES_BENCH_ROUNDS`` is for a quick look."""
    return int(os.environ.get("PYPES_BENCH_ROUNDS", usual))


ROUNDS = rounds(5)
JSON = {"Content-Type": "application/json"}
NDJSON_GZIP = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}


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
def node(
    graph: dict[str, Any],
    *flags: str,
    workers: int = 1,
    instances: int = 1,
    others: Iterable[dict[str, Any]] = (),
    environ: Mapping[str, str] | None = None,
    ca_file: Path | None = None,
) -> Iterator[Node]:
    """A node with a graph, the default one, and others."""
    with tempfile.TemporaryDirectory() as folder:
        running = Node(Path(folder), graph, *flags, workers=workers, instances=instances, environ=environ, ca_file=ca_file)
        for other in others:
            running.add(other)
        with serving(running):
            yield running


def settle(running: Node, path: str = "/docs") -> None:
    """Wait until everything posted there before is published: one more document, whose receipt is followed to its end."""
    receipt = running.post(b'{"id": "last"}', path).json()["receipt"]
    until(lambda: running.get(f"/receipts/{receipt}?wait=10").json()["state"] == "done", 120, "the backlog is worked off")


@dataclass(frozen=True, slots=True)
class Totals:
    """Documents of a node so far."""

    accepted: int
    published: int


def totals(running: Node) -> Totals:
    graphs = [graph for shard in running.get("/status").json()["shards"] for graph in shard["graphs"].values()]
    return Totals(sum(graph["accepted"] for graph in graphs), sum(graph["published"] for graph in graphs))


def processor_s(top: psutil.Process) -> float:
    """Processor seconds, user and system, of a process and all that came of it so far, those that have ended included."""
    total = 0.0
    for process in (top, *top.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it ended while we looked
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class Side(Protocol):
    """A server in a comparison."""

    @property
    def url(self) -> str: ...

    @property
    def process(self) -> psutil.Process: ...

    def settle(self) -> None:
        """Wait until everything that was accepted is worked off."""

    def documents(self) -> int:
        """Documents that have been worked off so far."""


class NodeSide:
    """A node of Pypes, or one graph of it: a document is worked off when it is published."""

    def __init__(self, running: Node, path: str = "/docs") -> None:
        assert running.process is not None
        self._node = running
        self._path = path
        self.url = running.url + path
        self.process = psutil.Process(running.process.pid)

    def settle(self) -> None:
        settle(self._node, self._path)

    def documents(self) -> int:
        return totals(self._node).published


class ReferenceSide:
    """The service written by hand: a document is worked off before it is accepted."""

    def __init__(self, port: int, path: Path, process: subprocess.Popen[bytes]) -> None:
        self.path = path
        self.url = f"http://127.0.0.1:{port}/docs"
        self.process = psutil.Process(process.pid)

    def settle(self) -> None:
        return None

    def documents(self) -> int:
        return int(urllib3.request("GET", self.url).data)


@contextmanager
def reference() -> Iterator[ReferenceSide]:
    """The service of :mod:`benchmarks.reference`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accepted.log"
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.reference", str(port), str(path)])
        try:
            until(lambda: listens(port), 20, "the reference listens")
            yield ReferenceSide(port, path, process)
        finally:
            process.terminate()
            process.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Round:
    """One round of load on one side, until all of it was worked off."""

    documents: int
    seconds: float
    processor_s: float

    @property
    def rate(self) -> float:
        return self.documents / self.seconds

    @property
    def processor_us(self) -> float:
        """Microseconds of processor time for each document."""
        return self.processor_s / self.documents * 1e6


def measured(side: Side, load: Load, seconds: float) -> Round:
    """What was accepted in time counts only as fast as it was also worked off."""
    documents, processor = side.documents(), processor_s(side.process)
    answered = load.run(side.url, seconds)
    loaded = time.perf_counter()
    side.settle()
    took = answered.seconds + time.perf_counter() - loaded
    processor = processor_s(side.process) - processor
    return Round(side.documents() - documents, took, processor)


def interleaved(sides: Sequence[Side], load: Load, *, seconds: float, number: int = ROUNDS) -> list[tuple[Round, ...]]:
    """``number`` rounds of each side in turn, after one second that warms it up; the side that begins is another each time."""
    for side in sides:
        measured(side, load, 1)
    found = []
    for first in range(number):
        order = [(first + at) % len(sides) for at in range(len(sides))]
        by_side = {place: measured(sides[place], load, seconds) for place in order}
        found.append(tuple(by_side[place] for place in range(len(sides))))
    return found


def medians(rounds: Iterable[tuple[Round, ...]], figure: Callable[[Round], float]) -> list[float]:
    """Of each side in rounds, the median of ``figure``."""
    return [statistics.median(map(figure, side)) for side in zip(*rounds, strict=True)]
