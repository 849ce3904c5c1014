"""Bounds of pipelines: items between input and output, items that a worker has, and objects that are alive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypes import Pipeline, Pool, node


class Counted:
    """Objects of which those that are alive in this process are counted; in lists, since several threads make them."""

    made: ClassVar[list[None]]
    gone: ClassVar[list[None]]

    def __init_subclass__(cls) -> None:
        cls.made, cls.gone = [], []

    def __new__(cls, *_: object) -> Self:
        cls.made.append(None)
        return super().__new__(cls)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        self.gone.append(None)

    @classmethod
    def alive(cls) -> int:
        return len(cls.made) - len(cls.gone)


class Item(Counted):
    """What goes in."""


class Made(Counted):
    """What comes out."""


def made(item: Item) -> Made:
    return Made(item.number)


def same(value: Any) -> Any:
    return value


def pair(left: Made, right: Made) -> Made:
    return left


DIAMOND = [("same.out", "a.in"), ("same.out", "b.in"), ("a.out", "pair.left"), ("b.out", "pair.right")]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(processes=2) as pool:
        yield pool


def sampled(pool: Pool, stride: int) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Pipelines: what is given in a row, and by name."""
    pooled = node(made, threads=2, stride=stride)
    return {
        "chain": ((same, made, same), {}),
        "threads": ((node(made, threads=3, stride=stride),), {}),
        "processes": ((node(made, pool=pool, stride=stride),), {}),
        "graph": ((same, pooled, node(same, threads=2)), {}),
        "join": ((), {"nodes": {"same": same, "a": pooled, "b": made, "pair": pair}, "wires": DIAMOND}),
    }


#: Filters that hold what they have had last, and the objects that are made of one item.
HOLDING = {"chain": (0, 1), "threads": (0, 1), "processes": (0, 1), "graph": (3, 1), "join": (4, 2)}


@pytest.mark.parametrize("form", HOLDING)
@settings(max_examples=20)
@given(
    buffer=st.sampled_from([1, 2, 3, 10, 40]),
    stride=st.integers(1, 6),
    ordered=st.booleans(),
    count=st.integers(0, 150),
)
def test_the_input_is_never_ahead_of_the_output_by_more_than_the_buffer(
    pool: Pool, form: str, buffer: int, stride: int, ordered: bool, count: int
) -> None:
    given_chain, options = sampled(pool, stride)[form]
    with Pipeline(*given_chain, **options, buffer=buffer, ordered=ordered) as pipeline:
        ahead, items, results = peaks(pipeline, count)
    filters, of_one = HOLDING[form]
    # the input has the item that it makes, and whoever takes results the last one
    assert ahead <= buffer + 1
    assert items <= buffer + 1 + filters * stride
    assert results <= of_one * (buffer + 1 + filters * stride)


@pytest.mark.parametrize("buffer", [3, 40])
def test_the_same_holds_for_instances(buffer: int) -> None:
    with Pipeline(same, made, instances=2, buffer=buffer) as pipeline:
        for count in (1, 10, 300):
            assert max(peaks(pipeline, count)) <= buffer + 1


def peaks(pipeline: Pipeline, count: int) -> tuple[int, int, int]:
    """Over one run, the most items that the input was ahead, and the most objects that were alive of items and of results."""
    taken = 0
    seen = [(0, 0, 0)]

    def items() -> Iterator[Item]:
        for number in range(count):
            seen.append((number + 1 - taken, Item.alive(), Made.alive()))
            yield Item(number)

    before = Item.alive(), Made.alive()
    for _ in pipeline.run(items()):
        seen.append((0, Item.alive(), Made.alive()))
        taken += 1
    assert taken == count
    ahead, alive, results = (max(each) for each in zip(*seen, strict=True))
    return ahead, alive - before[0], results - before[1]


class Sent:
    """An item of which it is noted here that it was sent to a process."""

    numbers: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        self.numbers.append(self.number)
        return Sent, (self.number,)


@pytest.mark.parametrize(("stride", "held"), [(1, 0), (1, 7), (4, 0), (4, 21), (16, 40)])
def test_a_process_has_the_stride_in_hand_and_at_most_the_next_one(tmp_path: Path, stride: int, held: int) -> None:
    go = tmp_path / "go"

    def work(item: Sent) -> int:
        while item.number == held and not go.exists():
            time.sleep(0.001)
        return item.number

    Sent.numbers.clear()
    with Pipeline(node(work, processes=1, stride=stride)) as pipeline:
        results = pipeline.run([Sent(number) for number in range(100)])
        before = held // stride * stride
        assert [next(results) for _ in range(before)] == [*range(before)]
        with pytest.raises(TimeoutError):
            results.next(timeout_s=0.2)
        assert max(Sent.numbers) < before + 2 * stride
        go.touch()
        assert [*results] == [*range(before, 100)]
    assert sorted(Sent.numbers) == [*range(100)]
