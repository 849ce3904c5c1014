"""Wire: order by epoch, joining, putting back, room, and the holds that chunks have on their epochs."""

from __future__ import annotations

import time

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.feed import Feed
from pypes.runtime.scheduler.meter import Meter
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.wire import Wire


class Filter:
    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.blocks = self.full_wires = 0
        self.meter = Meter(set())


def epoch(ended: list[Epoch] | None = None) -> Epoch:
    return Epoch(Feed(iter(()), 4), on_end=(ended if ended is not None else []).append)


def wire(capacity: int = 10) -> Wire:
    return Wire("a -> b", capacity, 2, Ready(time.monotonic))


def test_epochs_wait_in_the_order_in_which_they_came() -> None:
    own, one, two = wire(), epoch(), epoch()
    own.put(one, [1], [0])
    own.put(two, [2], [0])
    own.put(one, [3], [1])
    assert list(own.waiting) == [one, two]
    assert (own.packets, own.ready.waiting) == (3, 2)
    assert own.take(one) == ([1, 3], [0, 1])
    assert own.take(one) is None
    assert own.take_first() == (two, [2], [0])
    assert own.take_first() is None
    assert own.packets == 0


def test_what_is_put_back_comes_first() -> None:
    own, one, two = wire(), epoch(), epoch()
    own.put(one, [1], [0])
    own.put(two, [2], [0])
    taken = own.take(two)
    assert taken is not None
    own.put_back(two, *taken)
    assert list(own.waiting) == [two, one]
    own.put_back(one, [0], [9])
    assert own.take(one) == ([0, 1], [9, 0])


def test_each_chunk_has_one_hold_on_its_epoch() -> None:
    ended: list[Epoch] = []
    own, one = wire(), epoch(ended)
    own.put(one, [1], [0])
    own.put(one, [2], [1])
    assert one.holds == 1
    own.take(one)  # its hold is the taker's now
    one.acquire()
    own.hand_over(one, [3], [2])  # a hold that the caller has
    assert (one.holds, ended) == (2, [])
    one.release()
    assert not ended
    own.take(one)
    one.release()
    assert ended == [one]
    assert not one.is_open


def test_a_hold_that_joins_a_chunk_is_given_up() -> None:
    own, one = wire(), epoch()
    own.put(one, [1], [0])
    one.acquire()
    own.hand_over(one, [2], [1])
    assert one.holds == 1
    own.put_back(one, [0], [0])
    assert one.holds == 1
    assert own.take(one) == ([0, 1, 2], [0, 0, 1])


def test_a_sender_waits_until_there_is_room() -> None:
    own, one, sender = wire(2), epoch(), Filter(1)
    own.put(one, [1, 2], range(2))
    assert own.is_full()
    own.park(sender)
    assert (sender.full_wires, sender.blocks, own.ready.blocked) == (1, 1, 1)
    own.is_shut = True
    taken = own.take(one)
    assert sender.blocks == 1  # the consumer only tries
    assert taken is not None
    own.put_back(one, *taken)
    own.is_shut = False
    own.take_first()
    assert (sender.full_wires, sender.blocks, own.ready.blocked, own.parked) == (0, 0, 0, None)


def test_what_is_unloaded_counts_until_it_leaves() -> None:
    own, one, sender = wire(2), epoch(), Filter(1)
    own.put(one, [1, 2], range(2))
    own.park(sender)
    assert own.unload() == {one: ([1, 2], range(2))}
    assert (own.packets, sender.blocks, dict(own.waiting)) == (2, 1, {})
    own.leave(1)
    assert (own.packets, sender.blocks) == (1, 0)
    own.enter(1)
    assert own.packets == 2


def test_ranges_stay_ranges_until_something_joins_them() -> None:
    own, one = wire(2), epoch()
    own.put(one, [1, 2], range(2))
    assert own.take(one) == ([1, 2], range(2))


def test_sizes_are_estimated_for_anything() -> None:
    own = wire()
    own.put(epoch(), ["text", None], range(2))
    assert own.size_bytes() > 0


def test_a_part_of_the_oldest_chunk_is_taken_with_a_hold() -> None:
    ended: list[Epoch] = []
    own, one, two = wire(), epoch(ended), epoch(ended)
    assert own.take_part(3) is None
    own.put(one, [1, 2, 3], range(3))
    own.put(two, [4], [0])
    assert own.take_part(2) == (one, [1, 2], [0, 1])
    assert (own.packets, one.holds) == (2, 2)
    assert own.take_part(2) == (one, [3], [2])
    assert (own.packets, one.holds) == (1, 2)
    one.release()
    one.release()
    assert ended == [one]
    assert own.take_part(2) == (two, [4], [0])
    assert (own.packets, two.holds) == (0, 1)


def test_what_comes_to_a_chunk_that_was_begun_waits_behind_the_others() -> None:
    own, one, two = wire(), epoch(), epoch()
    own.put(one, [1, 2, 3], range(3))
    own.put(two, [4], [0])
    assert own.take_part(1) == (one, [1], [0])
    own.put(one, [5], [3])
    assert own.take_part(9) == (one, [2, 3], [1, 2])
    assert own.take_part(9) == (two, [4], [0])
    assert own.take_part(9) == (one, [5], [3])


def test_a_part_makes_room() -> None:
    own, sender = wire(2), Filter(4)
    one = epoch()
    own.put(one, [1, 2, 3], range(3))
    own.park(sender)
    own.take_part(1)
    assert sender.full_wires == 1
    own.take_part(1)
    assert sender.full_wires == 0


def test_packets_of_several_epochs_are_put_back_in_their_order() -> None:
    own, one, two = wire(), epoch(), epoch()
    own.put(one, [1, 2, 3], range(3))
    own.put(two, [4], [0])
    parts = [own.take_part(9), own.take_part(9)]
    own.put(two, [5], [1])
    own.put(one, [6], [3])
    packets = [(part[0], value, lineage) for part in parts if part for value, lineage in zip(*part[1:], strict=True)]
    own.put_back_each(packets)
    assert (own.packets, one.holds, two.holds) == (6, 2, 2)
    assert [(each, chunk[0]) for each, chunk in own.waiting.items()] == [(one, [1, 2, 3, 6]), (two, [4, 5])]
    assert own.take_part(9) == (one, [1, 2, 3, 6], [0, 1, 2, 3])


def test_a_wire_that_is_cleared_is_as_new() -> None:
    own = wire(2)
    own.capacity = 8
    own.put(epoch(), [1, 2, 3], range(3))
    own.take_part(1)
    own.clear()
    assert (own.packets, own.capacity, own.begun, own.waiting) == (0, 2, 0, {})
