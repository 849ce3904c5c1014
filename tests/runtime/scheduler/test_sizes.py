"""Sizes: each packet is measured once, wherever in its chunk it comes to stand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pypes.runtime.scheduler import Epoch, Feed
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.sizes import Sizes
from pypes.runtime.scheduler.wire import Wire, size_of


class Sized:
    def __init__(self, size: int) -> None:
        self.size = size
        self.measured = 0

    def size_bytes(self) -> int:
        self.measured += 1
        return self.size


def put(wire: Wire, epoch: Epoch, *sizes: int) -> list[Sized]:
    made = [Sized(size) for size in sizes]
    wire.put(epoch, list(made), range(len(made)))
    return made


def taken(wire: Wire, sizes: Sizes, count: int) -> int:
    part: Any = wire.take_part(count)
    return sizes.take(wire, part[0], len(part[1]))


def test_what_comes_to_any_chunk_is_measured_once() -> None:
    own, other, sizes = Wire("a", 10, 1, Ready(time.monotonic)), Wire("b", 10, 1, Ready(time.monotonic)), Sizes()
    one, two = Epoch(Feed(iter(()), 9)), Epoch(Feed(iter(()), 9))
    made = put(own, one, 10, 20) + put(own, two, 5)
    assert sizes.total([own, other]) == 35
    made += put(own, one, 30) + put(other, one, 100)
    assert sizes.total([own, other]) == 165
    assert sizes.total([own, other]) == 165
    assert [each.measured for each in made] == [1] * 5
    assert taken(own, sizes, 2) == 30
    assert taken(own, sizes, 9) == 30
    made += put(own, two, 7)
    assert sizes.total([own, other]) == 112
    assert taken(own, sizes, 9) == 12
    assert [each.measured for each in made] == [1] * 6


def test_packets_fit_until_one_does_not() -> None:
    own, sizes, epoch = Wire("a", 10, 1, Ready(time.monotonic)), Sizes(), Epoch(Feed(iter(()), 9))
    assert sizes.fitting(own, 100, is_first=True) == 0
    put(own, epoch, 60, 40, 1)
    sizes.total([own])
    assert [sizes.fitting(own, room, is_first=False) for room in (59, 60, 99, 100, 101)] == [0, 1, 1, 2, 3]
    assert [sizes.fitting(own, room, is_first=True) for room in (1, 59, 100)] == [1, 1, 2]


def test_after_packets_were_put_back_all_is_measured_again() -> None:
    own, sizes, epoch = Wire("a", 10, 1, Ready(time.monotonic)), Sizes(), Epoch(Feed(iter(()), 9))
    put(own, epoch, 10, 20)
    sizes.total([own])
    own.put_back(epoch, [Sized(5)], [0])
    sizes.clear()
    assert sizes.total([own]) == 35
    assert sizes.fitting(own, 5, is_first=False) == 1


class Silent:
    def __str__(self) -> str:
        raise ValueError("no text")


class Measured(Silent):
    """Has a number of that name, as records of files do."""

    size_bytes = 3


class Negative(Silent):
    def size_bytes(self) -> float:
        return -7.5


@pytest.mark.parametrize(("value", "size"), [(Silent(), 64), (Measured(), 64), (Negative(), 0), (None, 68), ([], 66)])
def test_whatever_a_component_sends_has_a_size(value: Any, size: int) -> None:
    assert size_of(value) == size
