"""Docstrings begin with a noun or a verb. Those that do not are counted, and may only become fewer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pypes"

#: Beginnings that leave a reader asking what the thing is: `What was handed over under a number …` for `Removes a delivery …`.
OPENING = re.compile(r"\W*(What|Who|Which|How|Whether)\b")

#: How many docstrings of each layer begin so. Lower the number when you mend some; never raise one.
#: It may be a little late, so that branches which mend some need not all change this table.
RECORDED: dict[str, int] = {
    "graph": 8,
    "ingest": 1,
    "registry": 9,
    "runtime": 86,
    "testing": 5,
}
LATE = 10


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and docstring of the module and of every class and function in it that has one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def openings() -> dict[str, list[str]]:
    """The places of such docstrings, by layer."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if "templates" not in place.parts:
            layer = found.setdefault(place.with_suffix("").parts[0], [])
            text = path.read_text(encoding="utf-8")
            layer += [f"pypes/{place}:{line}: {said.splitlines()[0]}" for line, said in docstrings(text) if OPENING.match(said)]
    return found


def test_no_more_docstrings_begin_with_a_question() -> None:
    found = openings()
    assert RECORDED.keys() <= found.keys(), "a layer has gone"
    for layer, places in found.items():
        listed = "\n".join(places)
        recorded = RECORDED.get(layer, 0)
        assert len(places) <= recorded, f"{len(places)} in {layer}, {recorded} are known; name what it is or does in:\n{listed}"
        assert len(places) > recorded - LATE, f"only {len(places)} of {recorded} in {layer} are left: lower the number"


@pytest.mark.parametrize(
    ("text", "is_question"),
    [
        ("What a component may ask of the scheduler.", True),
        ("``Which`` filters rest.", True),
        ("How often it is looked.", True),
        ("Whether the graph is gone.", True),
        ("Whatever a client sends.", False),
        ("Removes a delivery; what is left waits.", False),
        ("However large a document is.", False),
    ],
)
def test_what_a_question_is(text: str, is_question: bool) -> None:
    [(line, found)] = docstrings(f'class A:\n    """{text}"""\n')
    assert (line, bool(OPENING.match(found))) == (1, is_question)
