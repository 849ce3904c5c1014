"""Functions by name: what is found, what may be called, and what has no name."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable
from os import system  # noqa: F401 - a function of another module, to be reached for through this one
from typing import Any

import pytest

from pypes.core.functions import find_function, name_of_function, problem_of

HERE = __name__


class Words:
    @staticmethod
    def count(text: str) -> int:
        return len(text.split())

    def __call__(self, text: str) -> int:
        return len(text)


lengths = Words()
partly = functools.partial(int, base=2)


def shout(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    "function", [shout, Words.count, str.upper, len, os.path.basename], ids=lambda function: function.__qualname__
)
def test_a_function_is_found_again_by_its_name(function: Callable[..., Any]) -> None:
    assert find_function(name_of_function(function)) == function


def inner() -> Callable[..., Any]:
    def within(text: str) -> str:
        return text

    return within


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda text: text, "a lambda has no name"),
        (inner(), "is defined within a function"),
        (lengths, "is an object"),
        (partly, "is an object"),
        (Words, "is a class"),
        ("".join, "is not what|cannot be found again"),
    ],
)
def test_what_has_no_name_is_refused(function: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        name_of_function(function)


def test_a_name_that_means_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    former = shout
    monkeypatch.setitem(globals(), "shout", len)
    with pytest.raises(ValueError, match="is not what"):
        name_of_function(former)


def test_functions_of_the_program_itself_have_no_name() -> None:
    code = "from pypes.core.functions import name_of_function\ndef f(x): return x\nname_of_function(f)"
    done = subprocess.run(["python", "-c", code], capture_output=True, text=True, check=False)
    assert "'f' is defined in the program itself; define it in a module" in done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os:system", "names a function of os, which graphs may not call; list the module under modules"),
        ("tests:x", "names a function of tests,"),
        (f"{HERE}:system", "is defined in posix"),
        (f"{HERE}:os.system", "is no function of a module or of a class in it"),
        (f"{HERE}:functools", "cannot be called"),
        (f"{HERE}:Words.__subclasses__", "is defined in "),
        (f"{HERE}:partly", "is defined in functools"),
        (f"{HERE}:nothing", f"there is no 'nothing' in {HERE}"),
        ("shout", "is no name of a function"),
        (f"{HERE}:", "is no name of a function"),
        (f"{HERE}:a b", "is no name of a function"),
        ("shout.py:f\n", "is no name of a function"),
    ],
)
def test_only_functions_that_permitted_modules_define_may_be_called(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        find_function(name, (HERE,))
    assert said in str(raised.value)


def test_the_place_is_named_that_has_no_such_part() -> None:
    with pytest.raises(ValueError, match=f"there is no 'word' in {HERE}:Words$"):
        find_function(f"{HERE}:Words.word.words")


def test_a_module_stands_for_those_below_it() -> None:
    assert problem_of(f"{HERE}:shout", ("tests",)) == ""
    assert problem_of(f"{HERE}:shout", ("test",)) != ""
    assert problem_of(f"{HERE}:shout", ()) != ""
    assert problem_of(f"{HERE}:shout", None) == ""
    assert find_function(f"{HERE}:lengths", ("tests",))("four") == 4
