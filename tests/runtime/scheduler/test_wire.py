"""Wire: order by epoch, joining, putting back, room, and the holds that chunks have on their epochs."""

from __future__ import annotations

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.feed import Feed
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.wire import Wire


class Filter:
    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.blocks = self.full_wires = 0


def epoch(ended: list[Epoch] | None = None) -> Epoch:
    return Epoch(Feed(iter(()), 4), on_end=(ended if ended is not None else []).append)


def wire(capacity: int = 10) -> Wire:
    return Wire("a -> b", capacity, 2, Ready())


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
