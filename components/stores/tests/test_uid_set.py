"""UidSet: the same as a set of numbers, however they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes_stores.uid_set import UidSet

uids = st.lists(st.integers(1, 60), max_size=60)


@pytest.mark.hypothesis
@given(uids, uids)
def test_it_is_a_set(some: list[int], others: list[int]) -> None:
    made = UidSet()
    for uid in some:
        made.add(uid)
    assert [*made] == sorted(set(some))
    assert len(made) == len(set(some))
    assert [uid for uid in range(70) if uid in made] == sorted(set(some))
    assert [*UidSet.parse(str(made))] == [*made]
    assert [*made.without(others)] == sorted(set(some) - set(others))
    assert str(UidSet(some)) == str(made)


def test_neighbours_are_one_range() -> None:
    assert str(UidSet([1, 2, 3, 5, 7, 8])) == "1:3,5,7:8"
    assert str(UidSet()) == ""
