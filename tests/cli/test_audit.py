"""``pypes audit --check`` finds what was changed or removed afterwards, by the lines alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from pypes.access.audit import ITSELF, AuditQuery, line_of
from pypes.access.trail import TRAIL, Trail
from pypes.api.audit import shown
from pypes.cli.audit import _read
from pypes.core.databases import writing

Lines = list[dict[str, Any]]


class Told:
    """A client whose node answers with these lines."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def pages(self, path: str, query: Any, name: str, limit: int) -> Iterator[dict[str, Any]]:
        assert (path, query, name) == ("/audit", {"order": "oldest"}, "audit")
        yield from self._lines


def written(*sources: int) -> Lines:
    """Lines of several files, three of each, in the order of time."""
    found = []
    for source in sources:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.executescript(TRAIL)
            trail = Trail(source=source)
            for number in range(3):
                with writing(db):
                    trail.write(db, [line_of(ITSELF, "graph.deploy", graph="größe", after=number, detail={"file": "a/b.json"})])
            found += trail.page(db, AuditQuery(), 10)
    return [msgspec.json.decode(msgspec.json.encode(shown(entry))) for entry in sorted(found, key=lambda entry: entry.place)]


def problems(lines: Lines) -> list[str]:
    return _read(Told(lines))[2]  # type: ignore[arg-type]


def test_what_is_as_it_was_written_has_no_problem() -> None:
    lines = written(0, 1)
    assert problems(lines) == []
    assert problems([]) == []
    count, last, _ = _read(Told(lines))  # type: ignore[arg-type]
    assert (count, sorted(last)) == (6, [0, 1])
    own = [line for line in lines if last[1][0].source == int(line["id"].split("-")[1])]
    assert last[1][1] == own[-1]["hash"]


def test_the_first_lines_may_have_gone() -> None:
    assert problems(written(0)[1:]) == []


@pytest.mark.parametrize("key", ["time", "operation", "by", "graph", "after", "detail", "hash"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_line_that_was_changed_is_found(key: str, index: int) -> None:
    lines = written(0)
    wrong = {"after": 9, "detail": {}, "hash": "00" * 32}
    lines[index][key] = wrong.get(key, "another")
    (first, *_) = problems(lines)
    assert lines[index]["id"] in first


def test_a_line_that_was_removed_is_found() -> None:
    lines = written(0)
    (problem,) = problems([lines[0], lines[2]])
    assert "missing between" in problem


def test_lines_that_were_exchanged_are_found() -> None:
    lines = written(0)
    lines[0]["graph"], lines[1]["graph"] = "a", "b"
    assert len(problems(lines)) == 2
