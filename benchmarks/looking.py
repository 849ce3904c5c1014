"""The cost of looking: events for many viewers, and a tap, on a node at work."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from benchmarks.documents import BATCH_DOCUMENTS, batches
from benchmarks.endpoint import single_documents
from benchmarks.load import Load
from benchmarks.measure import NDJSON_GZIP, NodeSide, Round, five_filters, measured, node, processor_s
from benchmarks.report import Line
from pypes.core.machine import cores
from pypes.testing.node import Node

SECONDS = 4.0
ROUNDS = 7
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


def _compared(load: Load, paths: Sequence[tuple[str, int]]) -> list[list[Round]]:
    """Rounds with nobody, and with so many clients of each path, on the same node; another one begins each time."""
    found: list[list[Round]] = [[] for _ in range(len(paths) + 1)]
    with node(five_filters(), instances=cores()) as running:
        side = NodeSide(running)
        measured(side, load, 1)
        for number in range(ROUNDS):
            for place in range(len(found))[:: -1 if number % 2 else 1]:
                with ExitStack() as stack:
                    if place:
                        stack.enter_context(looking(running, *paths[place - 1]))
                    found[place].append(measured(side, load, SECONDS))
    return found


def _share(with_it: Sequence[Round], without: Sequence[Round]) -> float:
    """The processor time that looking costs, as a share of that without."""
    return statistics.median(a.processor_us / b.processor_us for a, b in zip(with_it, without, strict=True)) - 1


def _at_work(what: str, load: Load) -> Iterator[Line]:
    nobody, viewers, tapped = _compared(load, [("/events", 2), (WIRE, 1)])
    usual = statistics.median(each.processor_us for each in nobody)
    for name, rounds, must in (("two viewers of events", viewers, 0.02), ("a tap of a wire in the middle", tapped, 0.05)):
        share = _share(rounds, nobody)
        figure = statistics.median(each.processor_us for each in rounds)
        yield Line(
            f"{what}: processor time for each document with {name}, against nobody who looks",
            f"{figure:.2f} µs; nobody {usual:.2f} µs",
            1 + share,
            must=1 + must,
            stretch=1 + must / 2,
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
    yield from _at_work("single documents of 1 KB", single_documents())
    load = Load(batches(100), NDJSON_GZIP, connections=16)
    yield from _at_work(f"gzip NDJSON batches of {BATCH_DOCUMENTS:,} documents of 1 KB", load)
    yield from _quiet()
