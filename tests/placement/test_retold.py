"""Errors of another process are as like as they can be."""

from __future__ import annotations

import threading
from typing import Any

import pytest

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


class Locked(Exception):
    def __init__(self) -> None:
        super().__init__("held")
        self.lock = threading.Lock()


class ReadOnce(Exception):
    """Ends the process that makes it for the second time."""

    made = 0

    def __reduce__(self) -> Any:
        return ReadOnce.again, ("read",)

    @classmethod
    def again(cls, text: str) -> ReadOnce:
        cls.made += 1
        if cls.made > 1:
            raise SystemExit("no")
        return cls(text)


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


def test_an_error_is_made_without_an_init_that_takes_something_else() -> None:
    error = Unfit(1, 2)
    error.add_note("more")
    found = raised(error)
    assert type(found) is Unfit
    assert (found.args, found.__notes__) == (("1 and 2",), ["more"])


class OfText(UnicodeDecodeError):
    def __init__(self, text: str) -> None:
        super().__init__("utf-8", text.encode(), 0, 1, "odd")
        self.text = text


def test_fields_of_the_class_of_python_are_there() -> None:
    found = raised(OfText("words"))
    assert isinstance(found, OfText)
    assert (found.object, found.reason, found.text) == (b"words", "odd", "words")


class Slotted(Exception):
    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def test_an_error_with_slots() -> None:
    found = raised(Slotted(3))
    assert isinstance(found, Slotted)
    assert found.line == 3


def test_an_error_of_a_class_within_a_function() -> None:
    class Local(Unfit):
        seen: list[int] = []

        def __init__(self, number: int) -> None:
            super().__init__(number, number)
            self.number = number

    before = dict(vars(Local))
    found = raised(Local(3))
    assert type(found) is Local
    assert (str(found), found.number) == ("3 and 3", 3)
    assert all(vars(Local)[name] is value for name, value in before.items())


def test_words_that_name_the_main_program() -> None:
    found = raised(ValueError("no __main__ here"))
    assert (type(found), found.args) == (ValueError, ("no __main__ here",))


@pytest.mark.parametrize(("error", "said"), [(Locked(), "held"), (ReadOnce("one"), "one")])
def test_an_error_that_cannot_travel_has_its_name_and_its_words(error: Exception, said: str) -> None:
    found = raised(error)
    assert (type(found).__module__, type(found).__name__, str(found)) == ("isolated", type(error).__name__, said)
    assert "raise error" in str(found.__cause__)


def test_an_error_whose_own_code_raises() -> None:
    found = raised(Hostile())
    assert (type(found).__module__, type(found).__name__) == ("isolated", "Hostile")


def test_a_name_that_is_none() -> None:
    assert type(heard(Told("no name", "text", "trace", None))).__name__ == "Exception"


def test_an_error_of_a_module_that_is_not_here() -> None:
    assert type(heard(Told("Strange", "text", "trace", b"cnowhere_at_all\nStrange\n."))).__name__ == "Strange"
