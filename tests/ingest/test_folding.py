"""Accounts in columns: they read as they were, in a fraction of the memory."""

import random
import tracemalloc

import pytest

from pypes.ingest.accounts import Account, Kind
from pypes.ingest.folding import fold


def kind(n: int) -> Kind:
    return Kind("g", n, 1, 1, 0, 0, ("end",), "")


def accounts(seed: int) -> list[Account | None]:
    rng = random.Random(seed)
    made = [
        Account(kind(rng.randrange(3)), rng.randint(-1, 5), rng.choice((0, 7, 1 << 30)), rng.choice((None, "a", "Ängström")))
        for _ in range(rng.randint(1, 40))
    ]
    return [each if rng.random() < 0.8 else None for each in made]


@pytest.mark.parametrize("seed", range(20))
def test_they_read_as_they_were(seed: int) -> None:
    given = accounts(seed)
    folded = fold(given)
    assert folded is not None
    assert list(folded) == given
    assert [folded[position] for position in range(len(folded))] == given


def test_times_of_deliveries_that_waited_for_months() -> None:
    given = [Account(kind(1), 1 << 40, (1 << 40) + 5, None), None]
    folded = fold(given)
    assert folded is not None
    assert list(folded) == given


def test_more_kinds_than_are_told_apart_are_left_as_they_are() -> None:
    assert fold([Account(kind(n), 0, 1, None) for n in range(255)]) is not None
    assert fold([Account(kind(n), 0, 1, None) for n in range(256)]) is None


def test_they_take_little_memory() -> None:
    def made() -> list[Account | None]:
        return [Account(kinds[0], 1000 + n, 2000 + n, f"document {n}") for n in range(1000)]

    kinds = [kind(1)]
    tracemalloc.start()
    try:
        given = made()
        before, _ = tracemalloc.get_traced_memory()
        folded = fold(given)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert folded is not None
    assert after - before < before / 5
    assert after - before < 40 * len(given)
