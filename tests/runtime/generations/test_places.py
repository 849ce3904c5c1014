"""Places: graphs that are bounded run in as many instances as they may, spread over all."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pypes.runtime.generations.places import places


def test_graphs_without_a_bound_are_everywhere() -> None:
    assert places({"a": None, "b": None}, 3) == [{"a", "b"}] * 3
    assert places({}, 2) == [frozenset(), frozenset()]


def test_bounded_graphs_are_spread() -> None:
    assert places({"a": 1, "b": 1, "all": None}, 2) == [{"a", "all"}, {"b", "all"}]
    assert places({"a": 5}, 2) == [{"a"}, {"a"}]


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.none() | st.integers(1, 6), max_size=6), st.integers(1, 5))
def test_each_has_its_number(most: dict[str, int | None], count: int) -> None:
    found = places(most, count)
    runs = Counter(name for names in found for name in names)
    assert dict(runs) == {name: count if bound is None else min(bound, count) for name, bound in most.items()}
    bounded = [sum(most[name] is not None for name in names) for names in found]
    assert max(bounded) - min(bounded) <= 1
    assert places(dict(reversed(most.items())), count) == found
