"""The cost of looking: scrapes, events for viewers, a tap, traces and provenance, on a node at work."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

from benchmarks import scraping
from benchmarks.documents import BATCH_DOCUMENTS, batches
from benchmarks.endpoint import single_documents
from benchmarks.load import Load
from benchmarks.measure import NDJSON_GZIP, NodeSide, five_filters, measured, node, processor_s, rounds
from benchmarks.report import Line
from benchmarks.scraping import scraper
from pypes.core.machine import cores
from pypes.testing.node import Node

SECONDS = 4.0
ROUNDS = rounds(9)
VIEWERS = 50
#: Seconds for which a node is watched that has little to do, and between two of its dead letters.
QUIET_S = 30.0
FAILURE_EVERY_S = 0.25
#: In the middle of the chain that is otherwise run in one go.
WIRE = "/graphs/bench/taps?wire=set1.out-set2.in"


@contextmanager
def looking(running: Node, path: str, clients: int = 1) -> Iterator[None]:
    """So many clients of a stream, which throw away what they get; as cheap as they can be, on the same machine."""
    with ExitStack() as stack:
        for _ in range(clients):
            connection = http.client.HTTPConnection("127.0.0.1", running.port)
            connection.request("GET", path, headers={"Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}")
            socket = answer.fp.raw._sock  # type: ignore[attr-defined]
            thread = threading.Thread(target=_read, args=(socket.dup(),))
            thread.start()
            stack.callback(thread.join)
            stack.callback(socket.shutdown, 2)
        yield


def _read(socket: object) -> None:
    with socket, suppress(OSError):  # type: ignore[attr-defined]
        while socket.recv(1 << 16):  # type: ignore[attr-defined]
            pass


@contextmanager
def _scraped(running: Node) -> Iterator[None]:
    """A scrape a second, and two viewers of events: what a node in use has to bear."""
    with scraper(running.port), looking(running, "/events", clients=2):
        yield


def _nobody(running: Node) -> AbstractContextManager[None]:
    return nullcontext()


class Way(NamedTuple):
    """A way of looking at what is posted to a node; ``must`` is the most that it may cost, as a share."""

    name: str
    path: str = "/docs"
    look: Callable[[Node], AbstractContextManager[None]] = _nobody
    must: float = 0.0


#: Options of a graph by which deliveries are looked at more closely; each is that of a graph with a route of its own.
OPTIONS: Mapping[str, dict[str, Any]] = {"plain": {}, "traced": {"trace": 0.001}, "marked": {"provenance": True}}

NOBODY = Way("nobody who looks")
#: What comes with a route takes a longer way to its graph: those of the options are compared with it.
ROUTED = Way("a route", "/docs/plain")
WAYS: Mapping[Way, Way] = {
    Way("a scrape a second and two viewers of events", look=_scraped, must=0.02): NOBODY,
    Way("a tap of a wire in the middle", look=lambda running: looking(running, WIRE), must=0.05): NOBODY,
    Way("one in a thousand traced", "/docs/traced", must=0.01): ROUTED,
    Way("provenance of fields", "/docs/marked", must=0.15): ROUTED,
}


def _compared(running: Node, load: Load) -> Mapping[Way, Sequence[float]]:
    """Of each way, microseconds for each document in each round; another one begins each time."""
    ways = (NOBODY, ROUTED, *WAYS)
    found: dict[Way, list[float]] = {way: [] for way in ways}
    for way in ways:
        measured(NodeSide(running, way.path), load, 1)
    for number in range(ROUNDS):
        for at in range(len(ways)):
            way = ways[(at + number) % len(ways)]
            with way.look(running):
                found[way].append(measured(NodeSide(running, way.path), load, SECONDS).processor_us)
    return found


def _at_work(what: str, load: Load) -> Iterator[Line]:
    """One node for all ways: two starts of the same node differ by more than what is looked for."""
    graphs = [five_filters() | option | {"name": name, "routes": [name]} for name, option in OPTIONS.items()]
    with node(five_filters(), instances=cores(), others=graphs) as running:
        found = _compared(running, load)
    for way, without in WAYS.items():
        triples = zip(found[way], found[without], found[NOBODY], strict=True)
        yield Line(
            f"{what}: processor time for each document with {way.name}, against {NOBODY.name}",
            f"{statistics.median(found[way]):.2f} µs of {statistics.median(found[without]):.2f}"
            + ("" if without is NOBODY else f" with {without.name}, {statistics.median(found[NOBODY]):.2f} without"),
            1 + statistics.median((mine - other) / usual for mine, other, usual in triples),
            must=1 + way.must,
            stretch=1 + way.must / 2,
        )


def _quiet() -> Iterator[Line]:
    """Many viewers of a node with some dead letters a second: processor time of all of it, as a share of one core."""
    with node(five_filters(), instances=1) as running:
        assert running.process is not None
        side = NodeSide(running)
        shares = []
        for clients in (0, VIEWERS):
            with ExitStack() as stack:
                if clients:
                    stack.enter_context(looking(running, "/events", clients))
                began_s, used_s = time.perf_counter(), processor_s(side.process)
                while time.perf_counter() - began_s < QUIET_S:
                    # so that there are counters as well, each second
                    running.post(b'{"id": "some"}')
                    running.post(b"%PDF", content_type="application/pdf")
                    time.sleep(FAILURE_EVERY_S)
                shares.append((processor_s(side.process) - used_s) / (time.perf_counter() - began_s))
    yield Line(
        f"{VIEWERS} viewers of events, with counters and dead letters all the time: processor time beyond none, of one core",
        f"{shares[1]:.2%}; without {shares[0]:.2%}",
        max(0.0, shares[1] - shares[0]),
        must=0.01,
        stretch=0.005,
    )


def lines() -> Iterator[Line]:
    """All of it."""
    gzipped = Load(batches(100), NDJSON_GZIP, connections=16)
    for what, load in (
        ("single documents of 1 KB", single_documents()),
        (f"gzip NDJSON batches of {BATCH_DOCUMENTS:,} documents of 1 KB", gzipped),
    ):
        yield from _at_work(what, load)
    yield from _quiet()
    yield from scraping.lines()
