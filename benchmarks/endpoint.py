"""A node against a bare accept-and-sync endpoint: single documents, gzip batches, and the latency of an idle server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import urllib3

from benchmarks.measure import BATCH, SINGLE, bare, five_filters, node, settle, wrk
from benchmarks.report import Line

SECONDS = 4.0
ROUNDS = 3
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}


def _throughput(body: bytes, headers: dict[str, str], connections: int, *flags: str) -> tuple[float, float]:
    """Requests per second of the bare endpoint, and of the node until everything is published; interleaved rounds."""
    ceilings, fulls = [], []
    with bare(*flags) as url, node(five_filters()) as running:
        for _ in range(ROUNDS):
            ceilings.append(wrk(url, body, headers, connections=connections, seconds=SECONDS))
            start = time.perf_counter()
            rate = wrk(running.url + "/docs", body, headers, connections=connections, seconds=SECONDS)
            loaded = time.perf_counter() - start
            settle(running)
            # what was accepted in time counts only as fast as it was also worked off
            fulls.append(rate * loaded / (time.perf_counter() - start))
    return statistics.median(ceilings), statistics.median(fulls)


def single() -> Line:
    ceiling, full = _throughput(SINGLE, JSON, 64)
    return Line(
        "single 1 KB documents, POST → published after 5 filters, against bare accept-and-sync",
        f"{full:,.0f}/s of {ceiling:,.0f}/s",
        full / ceiling,
        must=0.85,
        stretch=0.95,
        more_is_better=True,
    )


def batches() -> Iterator[Line]:
    """Once against an endpoint that at least inflates what it accepts, as one must that refuses broken bodies, once without."""
    inflates = "gzip NDJSON batches of 1,000, same; the bare endpoint inflates them"
    for claim, flags in ((inflates, ("--gunzip",)), ("same; the bare endpoint does not look at them", ())):
        ceiling, full = _throughput(BATCH, NDJSON, 16, *flags)
        figures = f"{full * 1000:,.0f} of {ceiling * 1000:,.0f} documents/s"
        yield Line(claim, figures, full / ceiling, must=0.45, stretch=0.7, more_is_better=True)


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
