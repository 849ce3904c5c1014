"""Wire: order by epoch, joining, putting back, fullness."""

from __future__ import annotations

from pypes.runtime.scheduler.wire import Wire


def test_epochs_wait_in_the_order_in_which_they_came() -> None:
    wire = Wire("a -> b", 10, 1)
    assert wire.put("one", [1], [0])
    assert wire.put("two", [2], [0])
    assert not wire.put("one", [3], [1])
    assert list(wire.waiting) == ["one", "two"]
    assert wire.packets == 3
    assert wire.take("one") == ([1, 3], [0, 1])
    assert wire.take("one") is None
    assert wire.packets == 1


def test_what_is_put_back_comes_first() -> None:
    wire = Wire("a -> b", 10, 1)
    wire.put("one", [1], [0])
    wire.put("two", [2], [0])
    taken = wire.take("two")
    assert taken is not None
    assert wire.put_back("two", *taken)
    assert list(wire.waiting) == ["two", "one"]
    assert not wire.put_back("one", [0], [9])
    assert wire.take("one") == ([0, 1], [9, 0])


def test_ranges_stay_ranges_until_something_joins_them() -> None:
    wire = Wire("a -> b", 2, 1)
    wire.put("one", [1, 2], range(2))
    assert wire.is_full()
    assert wire.take("one") == ([1, 2], range(2))
    assert not wire.is_full()


def test_sizes_are_estimated_for_anything() -> None:
    wire = Wire("a -> b", 2, 1)
    wire.put("one", ["text", None], range(2))
    assert wire.size_bytes() > 0
