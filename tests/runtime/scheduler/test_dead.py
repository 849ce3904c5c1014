"""What cannot be processed is kept, also where JSON has no words for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes.component import Component, Publisher, Transformer
from pypes.core.secrets import Secrets
from pypes.graph.model import Graph, GraphNode
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler, as_json
from tests.runtime.scheduler.graphs import running


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no")


def circle() -> list[Any]:
    each: list[Any] = []
    each.append(each)
    return each


def nested(depth: int) -> list[Any]:
    each: list[Any] = []
    for _ in range(depth):
        each = [each]
    return each


@pytest.mark.parametrize(
    ("value", "kept", "is_same"),
    [
        ({"n": 1, "b": True, "none": None, "f": 1.5}, {"n": 1, "b": True, "none": None, "f": 1.5}, True),
        (2**64 - 1, 2**64 - 1, True),
        (2**64, str(2**64), False),
        (-(2**63) - 1, str(-(2**63) - 1), False),
        ([1, {2**70: (2**64, None, True)}], [1, {str(2**70): [str(2**64), None, True]}], False),
        ("\ud800", "\\ud800", False),
        ({"\ud800": 1}, {"\\ud800": 1}, False),
        ({1, 2}, "{1, 2}", True),
        ([{1, 2}, 2**64], ["{1, 2}", str(2**64)], False),
        (BadRepr(), "<BadRepr: ValueError in its repr>", True),
        (circle(), ["[[...]]"], False),
    ],
)
def test_what_json_cannot_say_is_kept_as_text(value: Any, kept: Any, is_same: bool) -> None:
    """What had to be changed, as a large integer, is not replayed as if it were what failed."""
    form, is_whole = as_json(value)
    assert json.loads(form) == {"value": kept}
    assert is_whole is is_same


@pytest.mark.parametrize("value", [pytest.param(10**10_000, id="digits"), pytest.param(nested(5000), id="depth")])
def test_what_is_beyond_the_interpreter_is_kept_in_some_form(value: Any) -> None:
    assert json.loads(as_json(value)[0])["value"]


def test_a_packet_with_a_large_integer_fails_for_its_own_reason() -> None:
    class Grow(Transformer):
        def process(self, packet: Packet) -> Packet:
            packet.set("n", 2**80)
            raise ValueError("too large")

    scheduler = Scheduler(Graph("g", {"grow": GraphNode("grow", "x")}), {"grow": Grow()})
    scheduler.setup()
    epoch = scheduler.submit(Feed(iter([("grow", [Packet({"m": 1})], (0,))]), 1))
    scheduler.drain()
    scheduler.teardown()
    (letter,) = epoch.dead_letters
    assert letter.code == "component.raised"
    assert json.loads(letter.packet)["fields"] == {"m": 1, "n": str(2**80)}


class Tells(Transformer):
    def process(self, packet: Any) -> Any:
        try:
            raise KeyError("s3cret-key")
        except KeyError as error:
            raise ValueError("no s3cret-key") from error


def test_nothing_that_is_told_of_a_failure_has_secrets() -> None:
    secrets = Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})
    done: list[Any] = []
    scheduler = Scheduler(
        Graph("g", {"tells": GraphNode("tells", "x")}), {"tells": Tells()}, on_done=done.append, secrets=secrets
    )
    scheduler.setup()
    packet = Packet({"text": "s3cret-key"}, {"id": "s3cret-key", "url": "http://h/?k=s3cret-key"})
    scheduler.submit(Feed(iter([("tells", [packet], [0])]), 1))
    scheduler.drain()
    scheduler.teardown()
    (letter,) = done[0].dead_letters
    assert letter.error == "ValueError: no ${KEY}"
    assert "s3cret-key" not in letter.traceback.replace('KeyError("s3cret-key")', "").replace('"no s3cret-key"', "")
    kept = json.loads(letter.packet)
    assert kept["fields"] == {"text": "s3cret-key"}
    assert kept["meta"] == {"id": "s3cret-key", "url": "http://h/?k=${KEY}"}


def test_what_a_source_sends_while_it_holds_nothing_belongs_to_its_trigger() -> None:
    class Ticks(Component):
        holds = True

        def run(self) -> None:
            while True:
                self.send("out", Packet({"n": 1}))
                self.yield_ctrl()

    class Fails(Publisher):
        def process(self, packet: Packet) -> None:
            raise ValueError("not this one")

    done: list[Epoch] = []
    with running({"ticks": Ticks(), "end": Fails()}, [("ticks.out", "end.in")], on_done=done.append) as scheduler:
        epoch = scheduler.trigger()
        while not scheduler.is_idle:
            scheduler.run()
    assert done == [epoch]
    assert [(letter.filter, letter.error) for letter in epoch.dead_letters] == [("end", "ValueError: not this one")]
