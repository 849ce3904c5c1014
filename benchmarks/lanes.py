"""Live documents while a bulk load runs: how long they take, beside an idle server.

``python -m benchmarks.lanes URL`` is the loader, a process of its own. It says ``made`` on a line when its batches are made. For
each line that it reads, it posts all of them to the bulk lane, as fast as it is let, and says ``done`` when they are published.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import urllib3

from benchmarks.documents import BATCH_DOCUMENTS, batches, document
from benchmarks.load import beside
from benchmarks.measure import JSON, NDJSON_GZIP, ROUNDS, five_filters, node
from benchmarks.open_loop import quantile
from benchmarks.report import Line

#: Documents of 1 KB are in each bulk load: the same batches several times over.
BATCHES, TIMES = 100, 5
CONNECTIONS = 2
#: Live documents come one by one, with a pause after each; so many in each round on an idle server.
IDLE_DOCUMENTS = 200
PAUSE_S = 0.02
WARM_UP = 50


def _live(url: str, is_over: Callable[[int], bool]) -> list[float]:
    """Post documents one by one, each until its receipt says that it is published; returns the milliseconds each took."""
    http = urllib3.PoolManager(maxsize=1, timeout=120.0)
    pause = threading.Event().wait
    took: list[float] = []
    while not is_over(len(took)):
        body = document(len(took)).replace(b'"doc-', b'"live-', 1)
        start = time.perf_counter()
        answer = http.request("POST", f"{url}/docs", body=body, headers=JSON)
        if answer.status in (429, 503):  # a live document that must wait has waited
            pause(float(answer.headers["Retry-After"]))
            answer = http.request("POST", f"{url}/docs", body=body, headers=JSON)
        state = http.request("GET", f"{url}/receipts/{answer.json()['receipt']}?wait=60").json()["state"]
        assert state == "done", state
        took.append((time.perf_counter() - start) * 1000)
        pause(PAUSE_S)
    return took


class Loader:
    """The process that loads in bulk."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        self._orders = orders
        self._answers = answers
        self._is_done = threading.Event()
        self._thread = threading.Thread()

    def begin(self) -> None:
        self._is_done.clear()
        self._orders.write(b"load\n")
        self._orders.flush()
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        self._answers.readline()
        self._is_done.set()

    def is_done(self) -> bool:
        return self._is_done.is_set()


def live_during_bulk() -> Line:
    """p95 from POST to published, HTTP of the POST and of the long poll included."""
    idle, busy, rates = [], [], []
    with node(five_filters(), instances=2) as running, beside("benchmarks.lanes", running.url, ready=b"made\n") as pipes:
        loader = Loader(*pipes)
        _live(running.url, lambda count: count == WARM_UP)
        for _ in range(ROUNDS):
            idle.append(_live(running.url, lambda count: count == IDLE_DOCUMENTS))
            began = time.perf_counter()
            loader.begin()
            busy.append(_live(running.url, lambda _: loader.is_done()))
            rates.append(BATCHES * TIMES * BATCH_DOCUMENTS / (time.perf_counter() - began))
    p95, p95_idle = (statistics.median(quantile(took, 0.95) for took in rounds) for rounds in (busy, idle))
    return Line(
        f"live POST → published during a bulk load of {BATCHES * TIMES * BATCH_DOCUMENTS:,} documents of 1 KB: p95",
        f"p95 {p95:.1f} ms ({min(map(len, busy))} documents or more in each of {ROUNDS} rounds), idle {p95_idle:.1f} ms;"
        f" longest {max(map(max, busy)):.0f} ms; bulk {statistics.median(rates):,.0f} documents/s",
        p95,
        must=10.0,
        stretch=5.0,
        unit=" ms",
        before="7 ms",
    )


def _load(url: str) -> None:
    """Post all batches, and wait until they are published."""
    http = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=120.0)

    def post(body: bytes) -> str:
        while True:
            answer = http.request("POST", f"{url}/docs?lane=bulk", body=body, headers=NDJSON_GZIP)
            if answer.status == 202:
                return str(answer.json()["receipt"])
            if answer.status not in (429, 503):
                raise RuntimeError(f"{answer.status}: {answer.data[:300]!r}")
            threading.Event().wait(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        receipts = list(pool.map(post, batches(BATCHES) * TIMES))
    for receipt in receipts:
        while http.request("GET", f"{url}/receipts/{receipt}?wait=30").json()["state"] not in ("done", "failed"):
            pass


def _serve(url: str) -> None:
    batches(BATCHES)
    sys.stdout.write("made\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        _load(url)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
