"""Packet: copy-on-write, against a model that copies everything."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pypes.packet import Packet
from tests.packets import CHANGES, looks, packets, spoil


class TestClone:
    @given(packets())
    def test_looks_the_same(self, packet: Packet) -> None:
        before = looks(packet)
        assert looks(packet.clone()) == before
        assert packet.clone() == packet
        assert looks(copy.deepcopy(packet)) == before
        assert looks(pickle.loads(pickle.dumps(packet.clone()))) == before
        assert packet.clone(metas=False).get_metas() == ({}, {})

    @given(packets(), st.booleans(), st.data())
    def test_is_independent_in_everything(self, packet: Packet, of_the_clone: bool, data: st.DataObject) -> None:
        clone = packet.clone()
        before = looks(packet)
        changed, kept = (clone, packet) if of_the_clone else (packet, clone)
        for change in data.draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4)):
            change(changed)
        assert looks(kept) == before

    @given(packets(), st.data())
    def test_what_was_given_out_before_cannot_reach_the_clone(self, packet: Packet, data: st.DataObject) -> None:
        mine: dict[str, Any] = {"deep": [1]}
        packet.set("own", mine)
        out = [packet.get(name) for name in packet.get_attribute_names()] + [packet.get_meta("m"), mine]
        clone = packet.clone()
        before = looks(clone)
        for value in out:
            spoil(value)
        assert looks(clone) == before

    def test_nothing_is_copied_before_it_is_written_to(self) -> None:
        packet = Packet.from_document({"text": "x" * 9, "nested": {"a": [1]}})
        clone = packet.clone()
        assert clone._fields is packet._fields
        clone.get("text")
        assert clone._fields is packet._fields
        clone.set("text", "y")
        assert clone._fields["nested"] is packet._fields["nested"]
        clone.get("nested")
        assert clone._fields["nested"] is not packet._fields["nested"]


class CopyOnWrite(RuleBasedStateMachine):
    """Packets that share with each other behave as packets that were copied deeply."""

    @initialize(first=packets())
    def start(self, first: Packet) -> None:
        self.pairs = [(first, copy.deepcopy(first))]

    @rule(index=st.integers(0, 9), change=st.sampled_from(CHANGES))
    def change(self, index: int, change: Callable[[Packet], Any]) -> None:
        for packet in self.pairs[index % len(self.pairs)]:
            change(packet)

    @rule(index=st.integers(0, 9))
    def clone(self, index: int) -> None:
        packet, model = self.pairs[index % len(self.pairs)]
        self.pairs.append((packet.clone(), copy.deepcopy(model)))

    @rule(index=st.integers(0, 9), other=st.integers(0, 9), metas=st.booleans())
    def merge(self, index: int, other: int, metas: bool) -> None:
        into, source = self.pairs[index % len(self.pairs)], self.pairs[other % len(self.pairs)]
        into[0].merge(source[0], metas)
        into[1].merge(copy.deepcopy(source[1]), metas)

    @invariant()
    def same(self) -> None:
        for packet, model in getattr(self, "pairs", ()):
            assert looks(packet) == looks(model)


TestCopyOnWrite = CopyOnWrite.TestCase


def test_a_snapshot_stays_whatever_is_done_to_the_packet() -> None:
    packet = Packet({"n": 1, "text": "t"})
    packet.append("tags", "a")
    packet.append("tags", "b")
    was = packet.snapshot()
    again = dict(was)
    packet.append("tags", "c")
    packet.set("n", 2)
    packet.delete("text")
    packet.set("object", {"in": [1]})
    assert was == again
    assert packet.get("tags") == ["a", "b", "c"]
    held = packet.get("object")
    was = packet.snapshot()
    held["in"].append(2)
    assert was["object"] == {"in": [1]}
    assert packet.get("object") == {"in": [1, 2]}


def test_metadata_of_fields_that_packets_share_are_copied_when_one_is_written_to() -> None:
    shared = {"n": {"set_by": "f"}}
    one, other = Packet({"n": 1}), Packet({"n": 1})
    one.share_field_meta(shared)
    other.share_field_meta(shared)
    clone = one.clone()
    one.set_meta("more", 1, "n")
    one.delete("n")
    other.delete_meta("set_by", "n")
    assert shared == {"n": {"set_by": "f"}}
    assert clone.get_meta("set_by", "n") == "f"
