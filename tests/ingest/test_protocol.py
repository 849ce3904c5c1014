"""Frames survive whatever portions a socket gives them in."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pypes.ingest import protocol
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, Outcome, in_spans
from pypes.ingest.protocol import FrameReader, Item

BODIES = st.lists(st.binary(max_size=3000), min_size=1, max_size=5)


def stream_of(batches: list[list[bytes]]) -> bytes:
    stream, number = b"", 0
    for bodies in batches:
        items = []
        for body in bodies:
            number += 1
            items.append(Item(number, f"r{number}", Header("g", length=len(body)), len(body), is_decoded=bool(number % 2)))
        stream += protocol.deliver(items, sum(map(len, bodies))) + b"".join(bodies)
        stream += protocol.signal(protocol.FLUSH)
    return stream


@given(st.lists(BODIES, max_size=4), st.lists(st.integers(1, 5000), min_size=1))
def test_deliveries_come_out_as_they_went_in(batches: list[list[bytes]], sizes: list[int]) -> None:
    stream = stream_of(batches)
    reader, found, kinds, start, turn = FrameReader(), [], [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        turn += 1
        for kind, head, body in reader.feed(stream[start : start + size]):
            kinds.append(kind)
            if kind == protocol.DELIVER:
                found.append([(item.number, own) for item, own in protocol.read_items(head, body)])
        start += size
    numbers = iter(range(1, 1000))
    assert found == [[(next(numbers), body) for body in bodies] for bodies in batches]
    assert kinds == [protocol.DELIVER, protocol.FLUSH] * len(batches)


def test_a_header_of_an_earlier_release_is_read_with_defaults() -> None:
    header = Header("g", id="a", origin=("first", 2), poster="admin")
    assert Header.decode(header.encode()) == header
    fields: list[object] = msgspec.msgpack.decode(header.encode())
    former = Header.decode(msgspec.msgpack.encode(fields[:-3]))
    assert former == Header("g", id="a", origin=("first", 2), poster="")


def test_acknowledgements_carry_outcomes_and_dead_letters() -> None:
    letter = DeadLetter("id", (0, 2), "g", 3, "html", "HTML", "component.raised", "no", "trace", 1, b"{}", 1.5)
    published = protocol.Published(4, ("index",), [1, 2], [None, "b"])
    frame = protocol.acks([published], [(3, Outcome(1, 0, 2, (letter,)))])
    [(kind, head, _)] = FrameReader().feed(frame)
    assert kind == protocol.ACKS
    assert protocol.read_acks(head) == protocol.Acks([published], [(3, Outcome(1, 0, 2, (letter,)))])


def test_begin_names_a_delivery_or_nobodys() -> None:
    frames = FrameReader().feed(protocol.begin(7) + protocol.begin(-1) + protocol.signal(protocol.END))
    assert [(kind, protocol.read_begin(head) if head else None) for kind, head, _ in frames] == [
        (protocol.BEGIN, 7),
        (protocol.BEGIN, -1),
        (protocol.END, None),
    ]


@given(st.sets(st.integers(0, 40)), st.integers(0, 5), st.integers(1, 30))
def test_committed_documents_travel_as_spans(some: set[int], first: int, count: int) -> None:
    for documents in (sorted(some), range(first, first + count)):
        [(kind, head, _)] = FrameReader().feed(protocol.committed(7, "end", documents, 3))
        said = protocol.read_committed(head)
        assert (kind, said.number, said.publisher, said.version) == (protocol.COMMITTED, 7, "end", 3)
        assert [*in_spans(said.spans)] == [*documents]
