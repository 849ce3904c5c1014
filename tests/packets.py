"""Packets of every kind, and looking at them from outside, for the tests of packets."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any, BinaryIO

from hypothesis import strategies as st

from pypes.packet import Body, Packet

names = st.sampled_from(["a", "b", "c"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | st.binary(max_size=4)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=5
)
metas = st.dictionaries(
    st.sampled_from(["m", "n"]), st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=3), max_size=2
)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    packet = Packet(meta=draw(metas))
    for name in draw(st.lists(names, unique=True)):
        how = draw(st.sampled_from(["set", "multi", "append"]))
        if how == "set":
            packet.set(name, draw(values))
        elif how == "multi":
            packet.set(name, draw(st.lists(values, max_size=3)), multi=True)
        else:
            packet.append(name, draw(st.lists(values, max_size=3)), extend=True)
        for meta, value in draw(metas).items():
            packet.set_meta(meta, value, name)
    return packet


def looks(packet: Packet) -> tuple[Any, ...]:
    """Everything that can be seen of a packet from outside, as deep copies."""
    attributes = packet.get_attributes()
    return (
        attributes,
        {name: copy.deepcopy(packet.get(name)) for name in attributes},
        {name: packet.is_multivalued(name) for name in attributes},
        packet.get_metas(),
    )


def spoil(value: Any) -> Any:
    """Change every list and dict reachable from ``value`` in place; returns it."""
    if isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    elif isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = 1


class Bytes(Body):
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)

    def read(self) -> bytes:
        return self.content


#: Ways to change a packet.
CHANGES: list[Callable[[Packet], Any]] = [
    lambda p: p.set("a", "changed"),
    lambda p: p.set("b", ["changed"], multi=True),
    lambda p: p.set("c", {"changed": 1}, keep_meta=False),
    lambda p: p.append("a", "more"),
    lambda p: p.append("b", ["more", "even more"], extend=True),
    lambda p: p.remove("a"),
    lambda p: p.replace("b", "changed"),
    lambda p: p.delete("c"),
    lambda p: p.set_meta("m", "changed"),
    lambda p: p.set_meta("m", "changed", "a"),
    lambda p: p.delete_meta("n"),
    lambda p: p.delete_meta("m", "b"),
    lambda p: p.merge(Packet({"a": ["merged"]}, {"m": 1}, {"a": {"m": 1}}), metas=True),
    lambda p: [spoil(p.get(name)) for name in "abc"],
    lambda p: [spoil(p[name]) for name in "abc" if name in p],
    lambda p: [spoil(pair) for _, pair in p],
    lambda p: [spoil(p.get_meta(meta)) for meta in "mn"],
    lambda p: [spoil(p.get_meta(meta, name)) for meta in "mn" for name in "abc"],
    lambda p: spoil(list(p.get_metas())),
    lambda p: spoil(p.get_attributes()),
    lambda p: [spoil(p.clone().get(name)) for name in "abc"],
]
