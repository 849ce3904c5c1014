"""Counts of components: names, bounds, and the ways by which they reach whoever runs the graph."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pypes.component import Transformer
from pypes.component.counts import MOST_NAMES, Counts
from pypes.core.limits import Limits
from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.placement import isolate
from pypes.testing import run_component
from tests.runtime.pools.parts import Counting

PACKETS = [Packet({"n": n}) for n in range(3)]
COUNTED = {"seen": 3, "asked": 6}


def test_totals_add_up_from_any_thread() -> None:
    counts = Counts()

    def add() -> None:
        for _ in range(1000):
            counts.add("a", 2)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(add)
    assert counts.totals == {"a": 8000}
    assert counts.change.is_set


def test_changed_totals_are_told_once() -> None:
    counts = Counts()
    assert counts.changed() is None
    counts.add("a")
    assert counts.changed() == {"a": 1}
    assert counts.changed() is None
    counts.add("a")
    assert counts.changed() == {"a": 2}


def test_taken_totals_begin_anew_and_keep_their_names() -> None:
    counts = Counts()
    for n in range(MOST_NAMES):
        counts.add(f"n{n}", n % 2)
    assert counts.take() == {f"n{n}": 1 for n in range(1, MOST_NAMES, 2)}
    assert counts.take() == {}
    with pytest.raises(ComponentError, match="has 100 names already, which is the most"):
        counts.add("more")
    counts.add("n0", 5)
    assert counts.take() == {"n0": 5}


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a.b", "ä", "a" * 101, None])
def test_a_name_is_a_word(name: Any) -> None:
    with pytest.raises(ComponentError, match="a name begins with a letter from a to z") as caught:
        Counts().add(name)
    assert caught.value.code == "component.count"


@pytest.mark.parametrize("n", [-1, 1.5, True, "1", None])
def test_a_number_is_whole_and_not_negative(n: Any) -> None:
    with pytest.raises(ComponentError, match="give a whole number from 0 on"):
        Counts().add("a", n)


def test_a_test_sees_the_counts() -> None:
    result = run_component(Counting, PACKETS)
    assert result.counts == COUNTED
    assert [letter.code for letter in result.dead_letters] == ["my.code"]


def test_work_that_runs_again_counts_again() -> None:
    class Again(Transformer):
        """Fails at first."""

        def setup(self) -> None:
            self.tries = 0
            self.count("set_up")

        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            self.count("seen", len(packets))
            self.tries += 1
            if self.tries == 1:
                raise ValueError("one by one")
            return packets

    assert run_component(Again, PACKETS).counts == {"set_up": 1, "seen": 6}


@pytest.mark.parametrize("pool", [None, {"threads": 2}, {"processes": 1}])
def test_a_pipeline_has_the_counts_of_pools_too(pool: dict[str, int] | None) -> None:
    with Pipeline(nodes={"a": Counting}, pools={"a": pool} if pool else {}) as pipeline:
        list(pipeline.run(PACKETS))
        assert pipeline.counts == {"a": COUNTED}
        [letter] = pipeline.dead_letters
        assert (letter.code, letter.reason) == ("my.code", "not this one")


def test_an_isolated_component_counts() -> None:
    made = isolate(Counting(), limits=Limits())
    result = run_component(made, PACKETS)
    assert result.counts == COUNTED
    assert [letter.code for letter in result.dead_letters] == ["my.code"]
