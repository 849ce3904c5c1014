"""Pype: order by epoch, joining, putting back, fullness."""

from __future__ import annotations

from pypes.core.ports import Pype


def test_epochs_wait_in_the_order_in_which_they_came() -> None:
    pype = Pype("a -> b", 10, 1)
    assert pype.put("one", [1], [0])
    assert pype.put("two", [2], [0])
    assert not pype.put("one", [3], [1])
    assert list(pype.waiting) == ["one", "two"]
    assert pype.packets == 3
    assert pype.take("one") == ([1, 3], [0, 1])
    assert pype.take("one") is None
    assert pype.packets == 1


def test_what_is_put_back_comes_first() -> None:
    pype = Pype("a -> b", 10, 1)
    pype.put("one", [1], [0])
    pype.put("two", [2], [0])
    taken = pype.take("two")
    assert taken is not None
    assert pype.put_back("two", *taken)
    assert list(pype.waiting) == ["two", "one"]
    assert not pype.put_back("one", [0], [9])
    assert pype.take("one") == ([0, 1], [9, 0])


def test_ranges_stay_ranges_until_something_joins_them() -> None:
    pype = Pype("a -> b", 2, 1)
    pype.put("one", [1, 2], range(2))
    assert pype.is_full()
    assert pype.take("one") == ([1, 2], range(2))
    assert not pype.is_full()


def test_sizes_are_estimated_for_anything() -> None:
    pype = Pype("a -> b", 2, 1)
    pype.put("one", ["text", None], range(2))
    assert pype.size_bytes() > 0
