"""Metrics of a node over time: no counter runs backwards, and in the end they say what the receipts say."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from pypes.observe.metrics import ACCEPTED, BY_NAME, DROPPED, FAILED, PUBLISHED
from pypes.testing.node import Node
from tests.faults.chaos.checks import may_be_superseded, pages
from tests.faults.chaos.ledger import Ledger

Sample = tuple[str, tuple[tuple[str, str], ...]]

#: Totals of documents, which go on after a restart, by what receipts call them.
TOTALS = {"accepted": ACCEPTED, "published": PUBLISHED, "dropped": DROPPED, "failed": FAILED}
_LASTING = {metric.name for metric in TOTALS.values()}
_START = "pypes_node_start_time_seconds"


def counters(text: str) -> tuple[float, dict[Sample, float]]:
    """The start of the node, and all counters that do not end with one process."""
    found: dict[Sample, float] = {}
    start = 0.0
    families: Any = text_string_to_metric_families(text)
    for family in families:
        metric = BY_NAME[f"{family.name}_total" if family.type == "counter" else family.name]
        for sample in family.samples:
            if sample.name == _START:
                start = sample.value
            elif metric.kind != "gauge" and metric.name != "pypes_process_cpu_seconds_total":
                found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return start, found


class Scrapes:
    """Scrapes a node while the block it manages runs. ``violations`` are counters that ran backwards though it went on."""

    def __init__(self, node: Node, every_s: float = 1.0) -> None:
        self.violations: list[str] = []
        self.scrapes = self.restarts = 0
        self._url = f"{node.url}/metrics"
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10.0))
        self._every_s = every_s
        self._start = 0.0
        self._known: dict[Sample, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scrape_on, name="scrapes", daemon=True)

    def __str__(self) -> str:
        return f"{self.scrapes} scrapes, {self.restarts} starts of the node seen between them"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._http.clear()

    def _scrape_on(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                answer = self._http.request("GET", self._url)
            except urllib3.exceptions.HTTPError:
                continue
            if answer.status == 200:
                self.see(answer.data.decode())

    def see(self, text: str) -> None:
        """Compare metrics with those seen before."""
        start, found = counters(text)
        if start != self._start:
            self.restarts += self._start > 0
            self._start = start
            self._known = {sample: value for sample, value in self._known.items() if sample[0] in _LASTING}
        self.scrapes += 1
        for sample, value in found.items():
            before = self._known.get(sample, 0.0)
            # sums of seconds are sums of floats, in another order after a process has ended
            if value < before * (1 - 1e-9):
                self.violations.append(f"{sample[0]}{dict(sample[1])} went from {before:g} back to {value:g}")
            self._known[sample] = value

    def untrue(self, node: Node, ledger: Ledger) -> Iterator[str]:
        """Documents by graph and outcome are what all receipts of the node say, and of those of the ledger what that says."""
        _, found = counters(node.get("/metrics").data.decode())
        receipts = pages(node, "/receipts?limit=1000", "receipts")
        yield from unequal(found, receipts)
        yield from of_ledger(receipts, ledger)


def unequal(found: Mapping[Sample, float], receipts: list[dict[str, Any]]) -> Iterator[str]:
    """Totals that are not the sums of the receipts."""
    sums = Counter({(receipt["graph"], name): 0 for receipt in receipts for name in TOTALS})
    for receipt in receipts:
        sums.update({(receipt["graph"], name): receipt[name] for name in TOTALS})
    for (graph, name), due in sorted(sums.items()):
        value = found.get((TOTALS[name].name, (("graph", graph),)), 0.0)
        if value != due:
            yield f"metrics: {name} of graph {graph} is {value:g}; the receipts say {due}"


def of_ledger(receipts: list[dict[str, Any]], ledger: Ledger) -> Iterator[str]:
    """Outcomes by graph that the receipts of the ledger's documents do not have."""
    known = ledger.by_receipt()
    due: Counter[tuple[str, str]] = Counter()
    said: Counter[tuple[str, str]] = Counter()
    for documents in known.values():
        due.update((each.graph, each.fate) for each in documents if not may_be_superseded(each))
    for receipt in receipts:
        if receipt["receipt"] in known and not may_be_superseded(known[receipt["receipt"]][0]):
            said.update({(receipt["graph"], name): receipt[name] for name in TOTALS if name != "accepted"})
    for (graph, fate), count in sorted(due.items()):
        if said[graph, fate] != count:
            yield f"receipts: {said[graph, fate]} documents of graph {graph} are {fate}; the ledger says {count}"
