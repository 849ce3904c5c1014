"""Values cross whole, whichever way they take."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.placement import parcels
from pypes.placement.channel import PassingChannel
from pypes.placement.speech import Pickled, Unspeakable
from tests.placement.jobs import Block

SPEECH = Pickled()
SIZES = st.sampled_from([0, 1, 63, 64, 65, 4_095, 65_535, 65_536, 65_537, 200_001])


def crossed(values: Sequence[Any], number: int = 7) -> tuple[list[tuple[int, int]], list[Any], bool]:
    """Positions and kinds, values, and whether they crossed in memory that both sides map."""
    ours, theirs = socket.socketpair()
    here, there = PassingChannel(ours, 1 << 30), PassingChannel(theirs, 1 << 30)
    with ours, theirs:
        parcel = parcels.packed(number, [(at * 2, at % 2, SPEECH.speak(value, [])) for at, value in enumerate(values)])
        is_apart = parcel.fd is not None
        parcel.send(here, 3)
        frame = there.read()
        assert frame is not None
        assert frame[0] == 3
        found, entries = parcels.opened(there, frame[1])
        assert found == number
        arrived = [((entry.at, entry.kind), SPEECH.understand(value, [])) for entry, value in entries]
    return [place for place, _ in arrived], [value for _, value in arrived], is_apart


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=5))
def test_values_arrive_as_they_were(sizes: list[tuple[int, bool]]) -> None:
    contents = [os.urandom(size) for size, _ in sizes]
    values = [Block(bytearray(data)) if is_block else data for data, (_, is_block) in zip(contents, sizes, strict=True)]
    places, found, is_apart = crossed(values)
    assert places == [(at * 2, at % 2) for at in range(len(values))]
    assert [bytes(value.data) if isinstance(value, Block) else value for value in found] == contents
    # what pickling adds is more than the byte that is missing
    assert is_apart == (max(map(len, contents), default=0) >= parcels.APART_BYTES - 1)


def test_small_values_are_copied_up_to_a_bound() -> None:
    assert crossed([b"x" * 60_000] * 2)[1:] == ([b"x" * 60_000] * 2, False)
    assert crossed([b"x" * 60_000] * 3)[1:] == ([b"x" * 60_000] * 3, True)


def test_a_parcel_of_very_many_parts() -> None:
    values = [b"%d" % number * 40 for number in range(3_000)]
    assert crossed(values)[1:] == (values, True)


def test_buffers_are_aligned() -> None:
    import ctypes

    _, found, _ = crossed([b"odd", Block(bytearray(70_001)), b"odd", Block(bytearray(70_001))])
    for block in (found[1], found[3]):
        assert ctypes.addressof(ctypes.c_char.from_buffer(block.data)) % parcels.ALIGNED == 0


def test_what_has_no_way_to_another_process() -> None:
    for value in (threading.Lock(), Unfit()):
        with pytest.raises(Unspeakable):
            SPEECH.speak(value, [])


class Unfit:
    def __reduce__(self) -> Any:
        raise TypeError("not me")


def test_a_closure_crosses_by_value() -> None:
    factor = 3
    [found] = crossed([lambda n: n * factor])[1]
    assert found(2) == 6


def test_a_class_of_the_main_program_crosses_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the other process the name is that of another program."""
    import sys

    main = sys.modules["__main__"]
    made = type("Made", (), {"__module__": "__main__", "n": 1})
    monkeypatch.setattr(main, "Made", made, raising=False)
    value = SPEECH.speak(made(), [])
    monkeypatch.delattr(main, "Made")
    assert SPEECH.understand(value, []).n == 1
    with pytest.raises(AttributeError):
        pickle.loads(b"c__main__\nMade\n.")


def test_a_descriptor_is_closed_even_if_nobody_is_there() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    before = len([*Path("/dev/fd").iterdir()])
    parcel = parcels.packed(1, [(0, 0, SPEECH.speak(b"x" * 100_000, []))])
    with ours, pytest.raises(OSError):
        parcel.send(PassingChannel(ours, 100), 3)
    assert len([*Path("/dev/fd").iterdir()]) == before - 1


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = {*os.listdir("/dev/fd")}  # noqa: PTH208 - names only: each may be gone already
    yield
    assert len({*os.listdir("/dev/fd")}) <= len(before)  # noqa: PTH208
