"""Batching parameters: which values they take, and on which components they mean something."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from pypes.component import Batching, Component, Operator, Publisher, Transformer, batch_problem, check_batching, takes_batches
from pypes.component.batching import MOST_BATCH_SIZE
from pypes.errors import InvalidComponent


class Batches(Transformer):
    batch_size = 10
    batch_s = 0.5

    def process_batch(self, packets: list[Any]) -> list[Any]:
        return packets


class Singly(Transformer):
    batch_size = 10

    def process(self, packet: Any) -> Any:
        return packet


class Loop(Component):
    batch_bytes = 10

    def run(self) -> None: ...


class Holds(Batches, Operator):
    holds = True


class Alone(Batches):
    isolated = True


@dataclass(frozen=True)
class Options:
    batch_size: int | None = None
    batch_bytes: int | None = None
    batch_s: float | None = None


def test_what_the_graph_says_goes_before() -> None:
    assert Batching.of(Batches()) == (10, None, 0.5)
    assert Batching.of(Batches(), Options()) == (10, None, 0.5)
    assert Batching.of(Batches(), Options(3, 1000, 0)) == (3, 1000, 0)
    assert Batching.of(Batches(), Options(batch_s=0)).is_given
    assert not Batching.of(Publisher()).is_given


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (Singly(), "only a component with process_batch gets batches"),
        (Loop(), "a component with a run loop takes its packets itself"),
        (Holds(), "a component that holds packets gathers them itself"),
        (Alone(), "an isolated component gets one packet at a time"),
    ],
)
def test_what_gets_no_batches_says_so(component: Component, reason: str) -> None:
    assert not takes_batches(component)
    with pytest.raises(
        InvalidComponent, match=f"{type(component).__name__}: {reason}; leave out batch_size, batch_bytes, batch_s"
    ):
        check_batching(component)


def test_what_asks_for_nothing_is_in_order() -> None:
    check_batching(Batches())
    check_batching(Publisher())
    check_batching(Singly(), Batching())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((option, value) for option in ("batch_size", "batch_bytes") for value in (0, -1, True, 2.0, "4")),
        ("batch_size", MOST_BATCH_SIZE + 1),
        *(("batch_s", value) for value in (-0.1, math.nan, math.inf, True, "1", None)),
    ],
)
def test_values_that_are_none_are_refused(option: str, value: Any) -> None:
    component = Batches()
    setattr(component, option, value)
    assert batch_problem(option, value).startswith("must be")
    with pytest.raises(InvalidComponent, match=f"Batches: {option} must be"):
        check_batching(component)


@pytest.mark.parametrize(
    ("option", "value"),
    [("batch_size", MOST_BATCH_SIZE), ("batch_bytes", 1), ("batch_s", 0), ("batch_s", 9.5), ("batch_s", 10**400)],
)
def test_values_that_are_some(option: str, value: Any) -> None:
    assert batch_problem(option, value) == ""
