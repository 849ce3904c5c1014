"""Totals: what a filter has done, and what of it is new."""

from __future__ import annotations

from pypes.observe import FilterTotal, Totals


def test_totals_add_up() -> None:
    total = FilterTotal(1, 2, 3, 4, 0.5, 0.25)
    total.add(FilterTotal(10, 20, 30, 40, 1.0, 1.0))
    assert total == FilterTotal(11, 22, 33, 44, 1.5, 1.25)
    assert total.minus(FilterTotal(10, 20, 30, 40, 1.0, 1.0)) == FilterTotal(1, 2, 3, 4, 0.5, 0.25)


def test_only_what_is_new_is_taken() -> None:
    found = {"a": FilterTotal(1), "idle": FilterTotal()}
    totals = Totals(lambda: dict(found))
    assert totals.so_far == {"a": FilterTotal(1)} == totals.take()
    assert totals.take() == {}
    found["a"], found["b"] = FilterTotal(3), FilterTotal(5)
    assert totals.take() == {"a": FilterTotal(2), "b": FilterTotal(5)}
    assert totals.so_far == {"a": FilterTotal(3), "b": FilterTotal(5)}
    assert Totals().so_far == {}
