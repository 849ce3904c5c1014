"""Docstrings, and comments of attributes, begin with a noun or a verb."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for pattern in ("pypes/**/*.py", "components/*/pypes_*/**/*.py")
    for path in ROOT.glob(pattern)
    if "templates" not in path.parts
)

#: Beginnings that leave a reader asking what the thing is: `What was handed over under a number …` for `Removes a delivery …`.
OPENING = re.compile(r"\W*(What|Who|Which|How|Whether|Why|Where|When)\b")


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and docstring of the module and of every class and function in it that has one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of the first line of every comment on an attribute."""
    former = ""
    for number, line in enumerate(source.splitlines(), 1):
        marker, _, text = line.strip().partition("#: ")
        if not marker and text and not former.startswith("#: "):
            yield number, text
        former = line.strip()


def test_none_begins_with_a_question() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in SOURCES
        for read in (docstrings, comments)
        for line, text in read(path.read_text(encoding="utf-8"))
        if OPENING.match(text)
    ]
    assert not found, "name what these are, or do:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "is_question"),
    [
        ("What a component may ask of the scheduler.", True),
        ("``Which`` filters rest.", True),
        ("How often it is looked.", True),
        ("Whether the graph is gone.", True),
        ("Why an instance died.", True),
        ("Where a worker listens.", True),
        ("Whatever a client sends.", False),
        ("Removes a delivery; what is left waits.", False),
        ("However large a document is.", False),
        ("Whenever an instance dies.", False),
    ],
)
def test_what_a_question_is(text: str, is_question: bool) -> None:
    [(line, found)] = docstrings(f'class A:\n    """{text}"""\n')
    assert (line, bool(OPENING.match(found))) == (1, is_question)


def test_comments_of_attributes_are_found() -> None:
    source = "class A:\n    x = 1  # it is one\n    #: How many.\n    #: What counts.\n    y: int\n"
    assert [*comments(source)] == [(3, "How many.")]
