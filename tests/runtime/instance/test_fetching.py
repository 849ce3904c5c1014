"""The instance's side of sources: real components and threads, frames to a connection that the test reads."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pypes.component import Adapter, Component, Publisher, Source
from pypes.core.limits import Limits
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest import protocol
from pypes.ingest.protocol import Ended, Fetched, FrameReader, Trigger
from pypes.packet import Packet
from pypes.runtime.instance.fetching import Fetching
from pypes.runtime.instance.runner import Runner
from tests.runtime.scheduler.exceptions import RAISING

CONNECTION = object()


class Sink(Publisher):
    def process(self, packet: Any) -> None:
        pass


class Count(Source):
    """Yields a number at a time, from its cursor to 3; ``seen`` is what was stored when ``yield`` returned."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[int] = []
        self.was_closed = threading.Event()

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        at = cursor["at"] if cursor else 0
        try:
            while at < 3:
                at += 1
                yield [Packet({"n": at, "raw": b"\xff"}, {"filename": f"{at}"})], {"at": at}
                self.stored.append(at)
        finally:
            self.was_closed.set()


class Fails(Source):
    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        yield [], 1
        raise OSError("no route")


class Large(Source):
    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        yield [Packet({"data": "x" * 2000})], 1


class Odd(Source):
    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        return iter([([Packet()], object())])


class Plain(Adapter):
    def process(self, packet: Any) -> Any:
        return packet


class Node:
    """An instance's loop as far as sources go."""

    def __init__(self, component: Component, secrets: Secrets | None = None) -> None:
        graph = Graph(
            "g",
            {"source": GraphNode("source", "Source"), "sink": GraphNode("sink", "Sink")},
            (Wire("source", "out", "sink", "in"),),
        )
        self.runner = Runner(graph, 1, {"source": component, "sink": Sink()}, Limits(json_bytes=1000))
        self.runner.scheduler.setup()
        self.frames: list[Fetched | Ended] = []
        self.fetching = Fetching({"g": self.runner}, self._send, secrets)

    def _send(self, connection: Any, frame: bytes) -> None:
        assert connection is CONNECTION
        for kind, head, _ in FrameReader().feed(frame):
            self.frames.append(protocol.read_fetched(head) if kind == protocol.FETCHED else protocol.read_ended(head))

    def start(self, cursor: str = "", node: str = "source", is_confirmed: bool = False) -> None:
        self.fetching.start(CONNECTION, Trigger(7, "g", node, cursor, is_confirmed))

    def next(self) -> Any:
        """What it says next."""
        while not self.frames:
            assert select.select([self.fetching.wakeup_fd], [], [], 10)[0]
            self.fetching.report()
        return self.frames.pop(0)

    def close(self) -> None:
        self.fetching.close()
        self.runner.scheduler.teardown()


@pytest.fixture
def made() -> Iterator[list[Node]]:
    nodes: list[Node] = []
    yield nodes
    for node in nodes:
        node.close()


def node_of(component: Component, made: list[Node]) -> Node:
    made.append(Node(component))
    return made[-1]


def test_pair_by_pair_from_the_cursor_on(made: list[Node]) -> None:
    source = Count()
    node = node_of(source, made)
    node.start('{"at":1}')
    said = node.next()
    assert (said.number, said.documents, orjson.loads(said.cursor)) == (7, 1, {"at": 2})
    packet = Packet.from_json(orjson.loads(said.body)[0])
    assert (packet.get("n"), packet.get("raw"), packet.get_meta("filename")) == (2, b"\xff", "2")
    assert source.stored == []
    node.fetching.go_on(CONNECTION, 7)
    assert orjson.loads(node.next().cursor) == {"at": 3}
    assert source.stored == [2]
    node.fetching.go_on(CONNECTION, 7)
    assert node.next() == Ended(7)
    assert source.stored == [2, 3]


@pytest.mark.parametrize("end", ["drop", "stop", "close"])
def test_what_nobody_takes_is_not_fetched(made: list[Node], end: str) -> None:
    source = Count()
    node = node_of(source, made)
    node.start()
    node.next()
    if end == "drop":
        node.fetching.drop(CONNECTION)
    elif end == "stop":
        node.fetching.stop(CONNECTION, 7)
        node.fetching.stop(CONNECTION, 7)  # it has ended meanwhile
    else:
        node.fetching.close()
    assert source.was_closed.wait(10)
    node.fetching.report()
    assert (node.frames, source.stored) == ([], [])


def test_a_source_that_fails(made: list[Node]) -> None:
    node = node_of(Fails(), made)
    node.start()
    assert node.next() == Fetched(7, 0, b"[]", "1")
    node.fetching.go_on(CONNECTION, 7)
    assert node.next() == Ended(7, "OSError: no route")


class Deletes(Source):
    """Would delete too much."""

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        if not self.is_confirmed:
            raise ComponentError("all is gone", code="source.too_many_deletions")
        yield [Packet({}, {"requestmethod": "DELETE", "id": "a"})], 1


def test_what_is_confirmed_is_confirmed_for_one_run(made: list[Node]) -> None:
    node = node_of(Deletes(), made)
    stopped = Ended(7, "ComponentError: all is gone", "source.too_many_deletions")
    node.start()
    assert node.next() == stopped
    node.start(is_confirmed=True)
    packet = Packet.from_json(orjson.loads(node.next().body)[0])
    assert (packet.is_deletion, packet.id) == (True, "a")
    node.fetching.go_on(CONNECTION, 7)
    assert node.next() == Ended(7)
    node.start()
    assert node.next() == stopped


class Sized(Source):
    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        yield [], self.fetched_bytes


def test_a_source_is_told_how_much_it_may_yield_at_once(made: list[Node]) -> None:
    node = node_of(Sized(), made)
    node.start()
    assert node.next().cursor == "1000"


class Says(Source):
    """Does what it was made with when it fetches."""

    def __init__(self, fetch: Any) -> None:
        super().__init__()
        self.fetch = fetch


#: What a source yields, and what is said of it.
ODD_PAIRS: list[tuple[Any, str]] = [
    ([Packet()], "not a pair"),
    (([Packet()], 1, 2), "not a pair"),
    ((Packet(), 1), "a value that is no list of packets"),
    (("text", 1), "a value that is no list of packets"),
    (([{"id": 1}], 1), "a value that is no list of packets"),
    (([Packet()], float("nan")), "a cursor that is no JSON value"),
    (([Packet()], {"at": 1 << 80}), "a cursor that is no JSON value"),
    (([Packet()], "\ud800"), "a cursor that is no JSON value"),
    (([Packet({"text": "\ud800"})], 1), "a packet that JSON cannot express, in field 'text': "),
]


@pytest.mark.parametrize(("pair", "reason"), ODD_PAIRS)
def test_what_a_source_should_not_yield_ends_its_run(made: list[Node], pair: Any, reason: str) -> None:
    node = node_of(Says(lambda cursor: iter([pair])), made)
    node.start()
    ended = node.next()
    assert isinstance(ended, Ended)
    assert reason in ended.error


@pytest.mark.parametrize("kind", RAISING)
def test_whatever_a_source_raises_ends_its_run(made: list[Node], kind: str) -> None:
    node = node_of(Says(lambda cursor: RAISING[kind]()), made)
    node.start()
    ended = node.next()
    assert isinstance(ended, Ended)
    ended.error.encode()
    assert 0 < len(ended.error) < 10_000


@pytest.mark.parametrize(("source", "reason"), [(Large(), "at most 1000 are possible"), (Odd(), "TypeError")])
def test_what_cannot_be_sent(made: list[Node], source: Source, reason: str) -> None:
    node = node_of(source, made)
    node.start()
    assert reason in node.next().error


class Tells(Source):
    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        yield [Packet({"text": "s3cret-key"}, {"id": "s3cret-key", "url": "http://a:b@c/?k=s3cret-key"})], "s3cret-key"
        raise OSError("no answer for s3cret-key")


def test_what_a_source_tells_has_no_secrets(made: list[Node], caplog: pytest.LogCaptureFixture) -> None:
    made.append(Node(Tells(), Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})))
    made[-1].start()
    said = made[-1].next()
    packet = Packet.from_json(orjson.loads(said.body)[0])
    # the document itself, which document it is, and where its source goes on, are as they are
    assert (packet.get("text"), packet.get_meta("id"), said.cursor) == ("s3cret-key", "s3cret-key", '"s3cret-key"')
    assert packet.get_meta("url") == "http://***@c/?k=${KEY}"
    made[-1].fetching.go_on(CONNECTION, 7)
    assert made[-1].next() == Ended(7, "OSError: no answer for ${KEY}")


def test_what_does_not_fetch(made: list[Node]) -> None:
    node = node_of(Plain(), made)
    for name in ("source", "sink", "nothing"):
        node.start(node=name)
        assert "does not fetch" in node.next().error
    node.fetching.start(CONNECTION, Trigger(1, "other", "source"))
    assert "does not run here" in node.next().error


def test_filters_without_wires_are_triggered(made: list[Node]) -> None:
    node = node_of(Plain(), made)
    node.start(node="")
    assert node.frames == []
    assert node.runner.can_start
    node.runner.start_next()
    node.runner.run()
    assert node.next() == Ended(7)


def test_a_graph_that_leaves_runs_no_sources(made: list[Node]) -> None:
    source = Count()
    node = node_of(source, made)
    node.start()
    node.next()
    node.runner.is_leaving = True
    node.fetching.leave("h")
    assert not source.was_closed.is_set()
    node.fetching.leave("g")
    assert source.was_closed.wait(10)
    node.start()
    node.fetching.report()
    assert node.frames == []
