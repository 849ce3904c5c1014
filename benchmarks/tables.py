"""Rows of a large CSV through a node with one instance, against ``csv.reader`` in a loop that makes the same packets."""

from __future__ import annotations

import csv
import http.client
import io
import json
import statistics
import time
from collections.abc import Iterator

import psutil

from benchmarks.measure import ROUNDS, Round, medians, node, processor_s
from benchmarks.memory import graph, rows
from benchmarks.report import Line
from pypes.packet import Packet
from pypes.testing.node import Node, until

SIZE_BYTES = 100_000_000


def loop(table: bytes) -> Round:
    """What one would write, without the node: nothing is checked, and nothing durable."""
    began, processor = time.perf_counter(), time.process_time()
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(table), "utf-8", newline=""))
    names = next(reader)
    number = 0
    for number, cells in enumerate(reader, 1):
        Packet.from_document(dict(zip(names, cells, strict=False)), {"mimetype": "text/csv", "row": number})
    return Round(number, time.perf_counter() - began, time.process_time() - processor)


def through(running: Node, table: bytes, count: int) -> Round:
    """From the first byte of the POST until the last row is published."""
    assert running.process is not None
    top = psutil.Process(running.process.pid)
    processor, began = processor_s(top), time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=600)
    connection.request("POST", "/docs", body=table, headers={"Content-Type": "text/csv"})
    receipt = json.loads(connection.getresponse().read())["receipt"]
    connection.close()
    until(lambda: running.get(f"/receipts/{receipt}?wait=10").json()["state"] == "done", 300, "the CSV is published")
    return Round(count, time.perf_counter() - began, processor_s(top) - processor)


def lines() -> Iterator[Line]:
    table = b"".join(rows(SIZE_BYTES))
    count = table.count(b"\n") - 1
    rounds = []
    with node(graph()) as running:
        through(running, table[: 1 << 20].rpartition(b"\n")[0], 1)  # warms up
        for _ in range(ROUNDS):
            ceiling = loop(table)
            assert ceiling.documents == count
            rounds.append((through(running, table, count), ceiling))
    rates, times = medians(rounds, lambda each: each.rate), medians(rounds, lambda each: each.processor_us)
    yield Line(
        f"CSV of {SIZE_BYTES // 1_000_000} MB, POST → published through one instance: rows per second, against `csv.reader`"
        " in a loop that makes the same packets",
        f"{rates[0]:,.0f}/s of {rates[1]:,.0f}/s; {times[0]:.2f} µs of {times[1]:.2f} µs",
        statistics.median(mine.rate / ceiling.rate for mine, ceiling in rounds),
        must=0.6,
        stretch=0.8,
        more_is_better=True,
        before="435,000/s",
    )
