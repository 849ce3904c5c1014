"""A node against a service written by hand: single documents, gzip batches, more than can be worked off, and an idle server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import urllib3

from benchmarks.documents import BATCH_DOCUMENTS, SINGLE, batches, singles
from benchmarks.load import Load
from benchmarks.measure import (
    JSON,
    NDJSON_GZIP,
    NodeSide,
    Round,
    five_filters,
    interleaved,
    medians,
    node,
    reference,
    settle,
    totals,
)
from benchmarks.report import Line
from pypes.core.machine import cores

SECONDS = 3.0
#: Documents of 1 KB that make up the load, and batches of 1,000 of them; ids of single documents never repeat.
DOCUMENTS = 2000
BATCHES = 100


def single_documents(connections: int = 64) -> Load:
    """Documents of about 1 KB, one in each POST; no id comes twice."""
    bodies = [body.replace(b'"id": "doc-', b'"id": "@doc-', 1) for body in singles(DOCUMENTS)]
    return Load(bodies, JSON, connections, counter="@")


def _compared(load: Load) -> list[tuple[Round, ...]]:
    """Rounds of the node and of the reference."""
    with reference() as ceiling, node(five_filters(), instances=cores()) as running:
        return interleaved((NodeSide(running), ceiling), load, seconds=SECONDS)


def _lines(
    what: str, load: Load, *, processor: tuple[float, float], ratio: tuple[float, float], before: tuple[str, str]
) -> Iterator[Line]:
    """Processor time of the node for each document, and its rate against the reference."""
    rounds = _compared(load)
    mine, other = medians(rounds, lambda each: each.processor_us)
    yield Line(
        f"{what}, POST → published after 5 filters: processor time of all processes for each document",
        f"{mine:.1f} µs; service written by hand {other:.1f} µs",
        mine,
        must=processor[0],
        stretch=processor[1],
        unit=" µs",
        before=before[0],
    )
    rates = medians(rounds, lambda each: each.rate)
    yield Line(
        "same, documents per second against a service written by hand (httptools, orjson, group commit)",
        f"{rates[0]:,.0f}/s of {rates[1]:,.0f}/s",
        statistics.median(node.rate / ceiling.rate for node, ceiling in rounds),
        must=ratio[0],
        stretch=ratio[1],
        more_is_better=True,
        before=before[1],
    )


def single_lines() -> Iterator[Line]:
    what = "single documents of 1 KB"
    return _lines(what, single_documents(), processor=(35, 25), ratio=(0.65, 0.8), before=("50 µs", "0.51"))


def batch_lines() -> Iterator[Line]:
    load = Load(batches(BATCHES), NDJSON_GZIP, connections=16)
    what = f"gzip NDJSON batches of {BATCH_DOCUMENTS:,} documents of 1 KB"
    return _lines(what, load, processor=(6.5, 4.5), ratio=(0.75, 1.1), before=("10 to 11 µs", "0.3 to 0.5"))


def overload(seconds: float = 8.0, rounds: int = 3) -> Line:
    """Clients that send the next batch as soon as the last one is accepted, and more of them than the node has cores."""
    load = Load(batches(BATCHES), NDJSON_GZIP, connections=64)
    ratios, rates, drains, refused = [], [], [], 0
    with node(five_filters()) as running:
        load.run(running.url + "/docs", 1)
        settle(running)
        for _ in range(rounds):
            before = totals(running)
            answered = load.run(running.url + "/docs", seconds, may_be_refused=True)
            after, loaded = totals(running), time.perf_counter()
            settle(running)
            drains.append(time.perf_counter() - loaded)
            accepted, published = after.accepted - before.accepted, after.published - before.published
            ratios.append(published / accepted)
            rates.append(accepted / answered.seconds)
            refused += answered.refused
    return Line(
        "overload, 64 connections that send batches as fast as they are accepted: published over accepted while it lasts",
        f"{statistics.median(rates):,.0f}/s accepted; {statistics.median(drains):.2f} s after {seconds:.0f} s until all is"
        f" published; {refused} requests refused",
        statistics.median(ratios),
        must=0.95,
        stretch=1.0,
        more_is_better=True,
        before="0.65",
    )


def latency(count: int = 500) -> Line:
    """POST, then wait for the receipt: the time until a document is known to be published, HTTP of both requests included."""
    http = urllib3.PoolManager(maxsize=1)
    took = []
    with node(five_filters()) as running:
        for n in range(count + 50):
            start = time.perf_counter()
            receipt = http.request("POST", running.url + "/docs", body=SINGLE, headers=JSON).json()["receipt"]
            state = http.request("GET", f"{running.url}/receipts/{receipt}?wait=5").json()["state"]
            if n >= 50:
                took.append((time.perf_counter() - start) * 1000)
            assert state == "done", state
    took.sort()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    return Line(
        "latency POST → published, idle server, seen by the client (a POST and a long poll), p50 in ms",
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms (must p99 ≤ 15 ms)",
        p50,
        must=2.0,
        stretch=1.0,
        unit=" ms",
    )
