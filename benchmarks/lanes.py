"""Live documents while a bulk load runs: how long they take, against an idle server.

``python -m benchmarks.lanes URL DOCUMENTS`` is the loader, a process of its own: it posts to the bulk lane as fast as it is let,
and ends when all of it is published.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import urllib3

from benchmarks.measure import five_filters, node
from benchmarks.report import Line

#: A backfill comes in batches; ``PYPES_BENCH_BULK`` is for a quick look.
DOCUMENTS = int(os.environ.get("PYPES_BENCH_BULK", "1000000"))
BATCH = 500
CONNECTIONS = 2
#: Live documents come one by one, with a pause after each; so many are enough for an idle server.
IDLE_DOCUMENTS = 500
PAUSE_S = 0.02
WARM_UP = 50


def _document(name: str) -> bytes:
    """A small document, about 120 bytes."""
    return json.dumps(
        {"id": name, "title": "a small document", "text": "hardly anything stands in it, and it is soon read"}
    ).encode()


def _live(url: str, is_over: Callable[[int], bool]) -> list[float]:
    """Post documents one by one, each until its receipt says that it is published; returns the milliseconds each took."""
    http = urllib3.PoolManager(maxsize=1, timeout=120.0)
    pause = threading.Event().wait
    took: list[float] = []
    while not is_over(len(took)):
        body = _document(f"live-{len(took)}")
        start = time.perf_counter()
        answer = http.request("POST", f"{url}/docs", body=body, headers={"Content-Type": "application/json"})
        if answer.status in (429, 503):  # a live document that must wait has waited
            pause(float(answer.headers["Retry-After"]))
            answer = http.request("POST", f"{url}/docs", body=body, headers={"Content-Type": "application/json"})
        state = http.request("GET", f"{url}/receipts/{answer.json()['receipt']}?wait=60").json()["state"]
        assert state == "done", state
        took.append((time.perf_counter() - start) * 1000)
        pause(PAUSE_S)
    return took


def _p95(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.95)]


def live_during_bulk() -> Line:
    """p95 from POST to published, HTTP of the POST and of the long poll included."""
    with node(five_filters(), instances=2) as running:
        _live(running.url, lambda count: count == WARM_UP)
        idle = _live(running.url, lambda count: count == IDLE_DOCUMENTS)
        started = time.perf_counter()
        loader = subprocess.Popen([sys.executable, "-m", "benchmarks.lanes", running.url, str(DOCUMENTS)])
        try:
            busy = _live(running.url, lambda _: loader.poll() is not None)
        finally:
            loader.kill()
            status = loader.wait()
        seconds = time.perf_counter() - started
    if status != 0:
        raise RuntimeError("the bulk load failed")
    claim = f"live POST → published during a bulk load of {DOCUMENTS:,} small documents, p95 against idle"
    figures = (
        f"p95 {_p95(busy):.1f} ms of {len(busy)} documents against {_p95(idle):.1f} ms (must ≤ 5 s); longest {max(busy):.0f} ms;"
        f" bulk {DOCUMENTS / seconds:,.0f} documents/s"
    )
    return Line(claim, figures, _p95(busy) / _p95(idle), must=2.0, stretch=1.5)


def _load(url: str, documents: int) -> None:
    http = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=120.0)

    def post(first: int) -> str:
        body = b"\n".join(_document(f"bulk-{n}") for n in range(first, min(first + BATCH, documents)))
        while True:
            answer = http.request("POST", f"{url}/docs?lane=bulk", body=body, headers={"Content-Type": "application/x-ndjson"})
            if answer.status == 202:
                return str(answer.json()["receipt"])
            if answer.status not in (429, 503):
                raise RuntimeError(f"{answer.status}: {answer.data[:300]!r}")
            threading.Event().wait(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        receipts = list(pool.map(post, range(0, documents, BATCH)))
    for receipt in receipts:
        while http.request("GET", f"{url}/receipts/{receipt}?wait=30").json()["state"] not in ("done", "failed"):
            pass


if __name__ == "__main__":
    _load(sys.argv[1], int(sys.argv[2]))
