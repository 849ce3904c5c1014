"""Taps in an instance: how much is shown of what goes over a wire, and to whom."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.core.secrets import Secrets
from pypes.ingest import protocol
from pypes.ingest.protocol import FrameReader, Tapped
from pypes.observe import Hiding
from pypes.packet import Packet
from pypes.runtime.instance.connection import Connection
from pypes.runtime.instance.tapped import MOST_TAPS, PACKET_BYTES, PACKETS_S, UNSENT_BYTES, Tap, Taps
from pypes.runtime.scheduler.tapping import Tapping
from tests.runtime.scheduler.graphs import Keep, Pass, running

WIRE = "a.out-keep.in"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def tapping() -> Iterator[Tapping]:
    with running({"a": Pass(), "keep": Keep()}, [("a.out", "keep.in")]) as scheduler:
        yield Tapping(scheduler.graph, scheduler.wires, scheduler.drivers)


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours)


def told(connection: Connection) -> list[Tapped]:
    """What would be sent, and is no more."""
    frames = FrameReader().feed(bytes(connection.unsent))
    connection.unsent.clear()
    assert {kind for kind, _, _ in frames} <= {protocol.TAPPED}
    return [protocol.read_tapped(head) for _, head, _ in frames]


def numbers(said: Tapped) -> list[int]:
    return [json.loads(form)["fields"]["n"] for form in said.packets]


def packets(*numbers: int) -> list[Packet]:
    return [Packet({"n": number}) for number in numbers]


def test_so_many_in_a_second_and_the_rest_is_counted(tapping: Tapping, connection: Connection) -> None:
    clock = Clock()
    tap = Tap(7, tapping, WIRE, connection, Hiding(), clock)
    tap.look(packets(1, 2))
    tap.look(packets(*range(3, 200)))
    tap.look(packets(200))
    first, second = told(connection)
    assert (first.number, numbers(first), first.missed) == (7, [1, 2], 0)
    assert (numbers(second), second.missed) == ([*range(3, PACKETS_S + 1)], 0)
    clock.now_s += 1.5 / PACKETS_S
    tap.look(packets(201, 202))
    [third] = told(connection)
    assert (numbers(third), third.missed) == ([201], 200 - PACKETS_S)
    clock.now_s += 3600
    tap.look(packets(*range(1000)))
    [fourth] = told(connection)
    assert (len(fourth.packets), fourth.missed) == (PACKETS_S, 1)


def test_nothing_is_added_for_a_worker_that_does_not_read(tapping: Tapping, connection: Connection) -> None:
    tap = Tap(7, tapping, WIRE, connection, Hiding(), Clock())
    connection.unsent += bytes(UNSENT_BYTES + 1)
    tap.look(packets(1))
    assert len(connection.unsent) == UNSENT_BYTES + 1
    connection.unsent.clear()
    tap.look(packets(2))
    assert [(numbers(said), said.missed) for said in told(connection)] == [([2], 1)]


def test_a_packet_is_shown_without_what_is_hidden_and_bounded(tapping: Tapping, connection: Connection) -> None:
    secrets = Secrets()
    secrets.add("open-sesame", "${WORD}")
    tap = Tap(1, tapping, WIRE, connection, Hiding(("password", "*_token"), secrets), Clock())
    fields: dict[str, Any] = {"PassWord": "hunter2", "deep": {"a_token": ["hunter2"]}, "text": "say open-sesame " + "x" * 10**6}
    packet = Packet(fields, {"reset_token": "hunter2"})
    packet.set_meta("password", "hunter2", "text")
    large = Packet({f"f{n}": "\N{GRINNING FACE}" * 390 for n in range(40)})
    tap.look([packet, large, object()])
    [said] = told(connection)
    text = said.packets[0].decode()
    assert "hunter2" not in text
    assert "open-sesame" not in text
    assert "say ${WORD}" in text
    assert max(map(len, said.packets)) <= PACKET_BYTES
    assert "too many to be shown" in json.loads(said.packets[1])["value"]
    assert packet.get("PassWord") == "hunter2"


class Runner:
    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler


def test_taps_end_with_their_worker_and_their_graph(connection: Connection) -> None:
    with running({"a": Pass(), "keep": Keep()}, [("a.out", "keep.in")]) as scheduler:
        runners: Any = {"g": Runner(scheduler)}

        def send(connection: Connection, frame: bytes) -> None:
            connection.unsent += frame

        taps = Taps(runners, send, Hiding())
        wire: Any = scheduler.wires[0]
        taps.begin(connection, protocol.Tap(1, "g", WIRE))
        taps.begin(connection, protocol.Tap(2, "g", ""))
        taps.begin(connection, protocol.Tap(3, "g", "nobody"))
        taps.begin(connection, protocol.Tap(4, "h", WIRE))
        wires = ["entry-a.in", WIRE]
        assert [(said.number, said.wires) for said in told(connection)] == [(1, wires), (2, wires), (3, wires), (4, [])]
        assert len(wire.taps) == 1
        taps.end(connection, 1)
        taps.end(connection, 1)
        assert len(wire.taps) == 0
        for number in range(MOST_TAPS + 1):
            taps.begin(connection, protocol.Tap(number, "g", WIRE))
        assert [bool(said.error) for said in told(connection)] == [False] * MOST_TAPS + [True]
        assert len(wire.taps) == MOST_TAPS
        taps.drop(connection)
        assert len(wire.taps) == 0
        taps.begin(connection, protocol.Tap(1, "g", WIRE))
        del runners["g"]
        taps.leave("g")
        taps.end(connection, 1)
        told(connection)
        taps.begin(connection, protocol.Tap(2, "g", WIRE))
        assert [said.wires for said in told(connection)] == [[]]
