"""Errors of another process are as like as they can be."""

from __future__ import annotations

from typing import Any

from pypes.errors import Reject
from pypes.placement.retold import Told, heard, told


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return heard(told(caught))


class Unfit(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Hostile(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit("no")

    def __str__(self) -> str:
        raise SystemExit("nothing to say")


def test_an_error_that_can_travel_is_the_same() -> None:
    found = raised(Reject("not wanted", "sample"))
    assert isinstance(found, Reject)
    assert (found.reason, found.code) == ("not wanted", "sample")
    assert "raise error" in str(found.__cause__)


def test_an_error_that_cannot_has_its_name_and_its_words() -> None:
    found = raised(Unfit(1, 2))
    assert (type(found).__name__, str(found)) == ("Unfit", "1 and 2")
    assert type(raised(Hostile())).__name__ == "Hostile"


def test_a_name_that_is_none() -> None:
    assert type(heard(Told("no name", "text", "trace", None))).__name__ == "Exception"


def test_an_error_of_a_module_that_is_not_here() -> None:
    assert type(heard(Told("Strange", "text", "trace", b"cnowhere_at_all\nStrange\n."))).__name__ == "Strange"
