"""Stopping, rolling, reloading and restarting under load: no request fails, nothing is lost, nothing is published twice.

The clients do what any should: they come again after Retry-After when they are told 503 or 429, and connect again when nobody
listens. Anything else that goes wrong is a failed request: a connection that breaks after the request was sent, any other status.
"""

from __future__ import annotations

import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import urllib3

from pypes.testing.node import Node, running, runs, until
from tests.faults.publications import publications
from tests.faults.test_crash import graph

CLIENTS = 4
PHASE_DOCUMENTS = 400


class Client(threading.Thread):
    """Posts documents until it is told to stop, each until it is acknowledged; batches now and then."""

    #: True to post again what a broken connection left unanswered: it may be published twice then.
    is_stubborn = False
    #: Pause after each POST, in seconds: none keeps the node busy with nothing else.
    pause_s = 0.0

    def __init__(self, node: Node, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.url = node.url + "/docs"
        self.stop = stop
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.again: Counter[str] = Counter()
        self.http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(60.0), **node.trust)

    def run(self) -> None:
        sent = 0
        while not self.stop.is_set():
            ids = [f"{self.name}-{sent + k}" for k in range(1 if sent % 4 else 10)]
            sent += len(ids)
            self.post(ids)
            self.stop.wait(self.pause_s)
        self.http.clear()

    def post(self, ids: list[str]) -> None:
        body = b"\n".join(json.dumps({"id": each, "title": "x" * 200}).encode() for each in ids)
        kind = "application/json" if len(ids) == 1 else "application/x-ndjson"
        while True:
            try:
                answer = self.http.request("POST", self.url, body=body, headers={"Content-Type": kind})
            except urllib3.exceptions.NewConnectionError:
                if self.stop.is_set():
                    return
                self.again["refused"] += 1
                threading.Event().wait(0.02)
                continue
            except urllib3.exceptions.HTTPError as error:
                if self.is_stubborn and not self.stop.is_set():
                    self.again["broken"] += 1
                    continue
                self.failed.append(f"{ids[0]}: {error!r}")
                return
            if answer.status == 202:
                self.acknowledged += ids
                return
            if answer.status in (429, 503) and "Retry-After" in answer.headers:
                self.again[str(answer.status)] += 1
                threading.Event().wait(min(float(answer.headers["Retry-After"]), 0.1))
                continue
            self.failed.append(f"{ids[0]}: {answer.status} {answer.data!r}")
            return


class Load:
    def __init__(self, node: Node, make: type[Client] = Client) -> None:
        self.stop = threading.Event()
        self.clients = [make(node, f"t{n}", self.stop) for n in range(CLIENTS)]

    @property
    def acknowledged(self) -> list[str]:
        return [each for client in self.clients for each in client.acknowledged]

    @property
    def failed(self) -> list[str]:
        return [each for client in self.clients for each in client.failed]

    @property
    def again(self) -> Counter[str]:
        return sum((client.again for client in self.clients), Counter())

    def goes_on(self, documents: int = PHASE_DOCUMENTS) -> None:
        """Return when that many more documents were acknowledged."""
        before = len(self.acknowledged)
        until(lambda: len(self.acknowledged) >= before + documents or self.failed, 60, "documents acknowledged")
        assert not self.failed, self.failed[:5]

    def end(self) -> None:
        self.stop.set()
        for client in self.clients:
            client.join(60)
            assert not client.is_alive()


@contextmanager
def loaded(node: Node, make: type[Client] = Client) -> Iterator[Load]:
    load = Load(node, make)
    for client in load.clients:
        client.start()
    try:
        yield load
    finally:
        load.end()


def assert_exactly_once(target: Path, load: Load) -> None:
    """Everything acknowledged was published, once."""
    assert not load.failed, load.failed[:5]
    acknowledged = Counter(load.acknowledged)
    copies = publications(target)
    assert not acknowledged.keys() - copies.keys(), "lost"
    assert copies == acknowledged, [each for each, count in copies.items() if count != acknowledged[each]][:5]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(map(runs, processes))


def test_restart_under_load(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with running(tmp_path, graph(target)) as node, loaded(node) as load:
        for _ in range(3):
            load.goes_on()
            assert node.stop() == 0
            until(lambda: not node.leftovers(), 5, "all processes gone")
            node.start()
            node.wait_ready()
        load.goes_on()
        load.end()
        assert node.stop() == 0
        print(f"{len(load.acknowledged)} acknowledged, sent again: {dict(load.again)}")  # noqa: T201
        # which of the two a client meets while the node is away depends on the moment
        assert load.again["refused"] + load.again["503"] > 0
        assert_exactly_once(target, load)


def test_rolling_ingest_workers_under_load(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with running(tmp_path, graph(target)) as node, loaded(node) as load:
        for _ in range(3):
            load.goes_on()
            before = node.roles()["worker"]
            assert node.process is not None
            node.process.send_signal(signal.SIGUSR2)
            until(lambda old=before: all_gone(old), 60, "every worker replaced")
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert_exactly_once(target, load)


def test_reload_under_load(tmp_path: Path) -> None:
    """SIGHUP replaces the instances, and the ingest workers, where the settings are others; else everything stays."""
    target = tmp_path / "out.jsonl"
    settings = tmp_path / "pypes.ini"
    settings.write_text("[limits]\njson_depth = 100\n")
    with running(tmp_path, graph(target)) as node, loaded(node) as load:
        for depth, is_other in ((101, True), (102, True), (102, False)):
            load.goes_on()
            before = node.roles()
            settings.write_text(f"[limits]\njson_depth = {depth}\n")
            reloads = node.log_path.read_text().count("reloaded")
            assert node.process is not None
            node.process.send_signal(signal.SIGHUP)
            until(lambda n=reloads: node.log_path.read_text().count("reloaded") > n, 60, "reloaded")
            if is_other:
                until(lambda old=before["instance"]: all_gone(old), 60, "every instance replaced")
            else:
                assert set(node.roles()["instance"]) == set(before["instance"])
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert_exactly_once(target, load)


SLOW = """
import pypes

@pypes.component(name="Slow")
def slow(packet):
    \"\"\"Take its time.\"\"\"
    import time
    time.sleep(0.05)
    return packet
"""


def slow_graph(target: Path) -> dict[str, Any]:
    found = graph(target)
    found["nodes"]["set"] = {"component": "Slow"}
    return found


def test_a_grace_too_short_ends_in_order_and_says_what_will_be_run_again(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    (tmp_path / "slow.py").write_text(SLOW)
    flags = ("--load", str(tmp_path / "slow.py"), "--grace", "1")
    with running(tmp_path, slow_graph(target), *flags, workers=2, instances=1) as node:
        acknowledged = []
        for n in range(200):
            assert node.post(b'{"id": "d-%d"}' % n).status == 202
            acknowledged.append(f"d-{n}")
        assert node.stop() == 0
        said = re.search(r"deliveries stay queued[^\n]*queued\D+(\d+)", node.log())
        assert said is not None, node.log()
        left = len(set(acknowledged) - publications(target).keys())
        assert left <= int(said[1]) <= 200
        assert left > 0
        node.start()
        node.wait_ready()
        until(lambda: set(acknowledged) <= publications(target).keys(), 60, "all published")
        assert node.stop() == 0
