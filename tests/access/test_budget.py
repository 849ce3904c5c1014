"""The numbers of budgets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pypes.access.budget import KINDS, LEAST, MOST, Budget, changed
from pypes.errors import InvalidInput


def test_numbers_that_are_not_given_stay() -> None:
    both = changed(Budget(), {"requests_per_s": 5, "bytes_per_s": 1e6})
    assert both.given() == {"requests_per_s": 5, "bytes_per_s": 1e6}
    assert changed(both, {"bytes_per_s": 7}).given() == {"requests_per_s": 5, "bytes_per_s": 7}
    assert changed(both, {"requests_per_s": None}).given() == {"bytes_per_s": 1e6}
    assert changed(both, {}) == both
    assert changed(both, None) == Budget()


@pytest.mark.parametrize("number", [0, LEAST, 1, 0.5, MOST])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_taken(kind: str, number: float) -> None:
    assert changed(Budget(), {kind: number}).given() == {kind: number}


@pytest.mark.parametrize(
    "wanted",
    [
        {"requests_per_s": -1},
        {"requests_per_s": LEAST / 2},
        {"bytes_per_s": MOST * 2},
        {"bytes_per_s": "5MiB"},
        {"documents_per_s": True},
        {"documents_per_s": float("nan")},
        {"documents_per_s": float("inf")},
        {"requests": 5},
    ],
)
def test_others_are_refused_by_name(wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        changed(Budget(), wanted)
    assert (caught.value.code, caught.value.where) == ("token.budget", f"budget.{next(iter(wanted))}")


def test_what_a_token_has_goes_before_what_is_usual() -> None:
    usual = Budget(requests_per_s=10, bytes_per_s=20)
    assert Budget(requests_per_s=3, documents_per_s=4).over(usual) == Budget(requests_per_s=3, bytes_per_s=20, documents_per_s=4)
    # also no bound where one is usual
    assert Budget(bytes_per_s=0).over(usual) == Budget(requests_per_s=10, bytes_per_s=0)


def test_a_budget_is_kept_in_few_characters() -> None:
    assert msgspec.json.encode(Budget()) == b"{}"
    some = Budget(bytes_per_s=2.5)
    assert msgspec.json.decode(msgspec.json.encode(some), type=Budget) == some
