"""An instance whose graphs meet an outage: what must run alone, and the other graphs, go on."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.component import Adapter, Publisher
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest import protocol
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import FrameReader, Item
from pypes.ingest.receipt import ReceiptId
from pypes.runtime.instance.exchange import Exchange
from pypes.runtime.instance.runner import Runner

WAIT_S = 10.0


class In(Adapter):
    accepts = ("application/json",)

    def process(self, packet: Any) -> Any:
        return packet


class Out(Publisher):
    """Takes documents while its destination is there; ``tried`` is set when it was not."""

    def setup(self) -> None:
        self.is_away = False
        self.tried = threading.Event()

    def process(self, packet: Any) -> None:
        if self.is_away:
            self.tried.set()
            raise ConnectionRefusedError("nobody listens")


def _runner(name: str, out: Out) -> Runner:
    graph = Graph(name, {"in": GraphNode("in", "In"), "out": GraphNode("out", "Out")}, (Wire("in", "out", "out", "in"),))
    runner = Runner(graph, 1, {"in": In(), "out": out}, Limits())
    runner.scheduler.setup()
    return runner


class Worker:
    """The part of an ingest worker: hands deliveries over, and hears what became of them."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.settimeout(WAIT_S)
        self.reader = FrameReader()
        self.number = 0
        self.done: set[int] = set()
        #: What runs alone now, as far as it was said.
        self.begun: int | None = None

    def deliver(self, graph: str, *, is_alone: bool = False) -> int:
        self.number += 1
        body = json.dumps({"n": self.number}).encode()
        header = Header(graph, content_type="application/json")
        item = Item(self.number, str(ReceiptId(1, 1, 99, self.number, 5)), header, len(body), is_alone=is_alone)
        self.socket.sendall(protocol.deliver([item], len(body)) + body)
        return self.number

    def hear(self, number: int) -> None:
        """Read until a delivery is done."""
        while number not in self.done:
            for kind, head, _ in self.reader.feed(self.socket.recv(1 << 16)):
                if kind == protocol.BEGIN:
                    self.begun = protocol.read_begin(head)
                elif kind == protocol.END:
                    self.begun = None
                elif kind == protocol.ACKS:
                    acks = protocol.read_acks(head)
                    self.done.update(number for each in acks.published for number in each.numbers)
                    self.done.update(number for number, _ in acks.outcomes)


@contextmanager
def exchanging(path: Path, outs: dict[str, Out]) -> Iterator[Worker]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    stop, told = os.pipe()
    runners: dict[str, Runner] = {}
    is_up = threading.Event()

    def serve() -> None:
        runners.update({name: _runner(name, out) for name, out in outs.items()})
        exchange = Exchange(runners, listener)
        exchange.watch(stop, lambda: exchange.stop(0.0))
        is_up.set()
        exchange.run()
        for runner in runners.values():
            runner.scheduler.teardown()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert is_up.wait(WAIT_S)
        worker = Worker(str(path))
        yield worker
        worker.socket.close()
    finally:
        os.write(told, b"!")
        thread.join(WAIT_S)
        os.close(stop)
        os.close(told)
    assert not thread.is_alive()


@pytest.mark.timeout(30)
def test_while_a_graph_rests_others_run_alone_and_together(tmp_path: Path) -> None:
    outs = {"away": Out(), "here": Out()}
    with exchanging(tmp_path / "s", outs) as worker:
        worker.hear(worker.deliver("away"))
        outs["away"].is_away = True
        worker.deliver("away")
        assert outs["away"].tried.wait(WAIT_S)
        waits = worker.deliver("away", is_alone=True)
        worker.hear(worker.deliver("here", is_alone=True))
        worker.hear(worker.deliver("here"))
        assert waits not in worker.done
        outs["away"].is_away = False
        worker.hear(waits)


@pytest.mark.timeout(30)
def test_what_rests_while_it_runs_alone_is_one_of_many_from_then_on(tmp_path: Path) -> None:
    outs = {"away": Out(), "here": Out()}
    with exchanging(tmp_path / "s", outs) as worker:
        worker.hear(worker.deliver("away"))
        outs["away"].is_away = True
        lone = worker.deliver("away", is_alone=True)
        worker.hear(worker.deliver("here"))
        assert (worker.begun, lone in worker.done) == (None, False)
        outs["away"].is_away = False
        worker.hear(lone)
