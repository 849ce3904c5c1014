"""Taps of a worker: which instances are asked, and who hears what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.dispatch.taps import Taps
from pypes.ingest.protocol import FrameReader, Tapped


class Link:
    def __init__(self, id: int) -> None:
        self.id = id
        self.is_open = True
        self.frames: list[Any] = []

    def write(self, *parts: bytes) -> None:
        read = {protocol.TAP: protocol.read_tap, protocol.UNTAP: protocol.read_untap}
        self.frames += [read[kind](head) for kind, head, _ in FrameReader().feed(b"".join(parts))]


class Notes:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def packets(self, instance: int, packets: Sequence[bytes], missed: int) -> None:
        self.calls.append(("packets", instance, packets, missed))

    def wires(self, names: Sequence[str]) -> None:
        self.calls.append(("wires", *names))

    def ended(self, reason: str) -> None:
        self.calls.append(("ended", reason))


class Stage:
    def __init__(self) -> None:
        self.links: list[Any] = [Link(1), Link(2), Link(3)]
        self.links[2].is_open = False
        self.taps = Taps(self.links, self.running)

    def running(self, links: list[Any], stream: Stream) -> list[Any]:
        return [link for link in links if link.id % 2 or stream.graph == "g"]

    def asked(self) -> list[list[Any]]:
        found = [link.frames for link in self.links]
        for link in self.links:
            link.frames = []
        return found


def test_instances_that_run_the_graph_are_asked_once_and_told_at_the_end() -> None:
    stage, notes, others = Stage(), Notes(), Notes()
    tap = stage.taps.open("g", "w", notes)
    assert stage.taps.open("g", "w", others) is tap
    stage.taps.sync()
    stage.taps.sync()
    assert stage.asked() == [[protocol.Tap(1, "g", "w")], [protocol.Tap(1, "g", "w")], []]
    stage.links[2].is_open = True  # another generation
    stage.taps.sync()
    assert stage.asked() == [[], [], [protocol.Tap(1, "g", "w")]]
    stage.taps.open("h", "w", notes)
    stage.taps.sync()
    assert stage.asked() == [[protocol.Tap(2, "h", "w")], [], [protocol.Tap(2, "h", "w")]]
    stage.taps.close(tap, notes)
    assert stage.asked() == [[], [], []]
    stage.taps.close(tap, others)
    stage.taps.close(tap, others)
    assert stage.asked() == [[1], [1], [1]]


def test_all_who_look_hear_what_instances_say() -> None:
    stage, notes, late = Stage(), Notes(), Notes()
    tap = stage.taps.open("g", "w", notes)
    link = stage.links[0]
    stage.taps.take(link, Tapped(1, [], 0, []))  # it does not run the graph any more
    stage.taps.take(link, Tapped(1, [], 0, ["v", "w"]))
    stage.taps.open("g", "w", late)
    stage.taps.take(link, Tapped(1, [b"{}"], 3))
    stage.taps.take(link, Tapped(9, [b"{}"]))
    heard = [("wires", "v", "w"), ("packets", 1, [b"{}"], 3)]
    assert (notes.calls, late.calls) == (heard, heard)
    stage.taps.take(link, Tapped(1, [], 0, ["v"]))
    stage.taps.take(link, Tapped(1, [b"{}"]))
    gone = [("wires", "v"), ("ended", "the graph has no wire w any more")]
    assert (notes.calls, late.calls) == (heard + gone, heard + gone)
    assert not tap.looking
    assert not stage.taps


def test_an_instance_that_cannot_show_it_ends_the_tap() -> None:
    stage, notes = Stage(), Notes()
    stage.taps.open("g", "w", notes)
    stage.taps.take(stage.links[0], Tapped(1, [], 0, ["w"], "too many"))
    assert notes.calls == [("ended", "too many")]
    assert not stage.taps
