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
    """A client whose node answers with these lines, and says of these files what should be there."""

    def __init__(self, lines: Lines, files: Lines) -> None:
        self._lines = lines
        self._files = files

    def ask(self, method: str, path: str, query: Any) -> Any:
        assert (method, path) == ("GET", "/audit")
        return {"audit": [], "files": self._files}

    def pages(self, path: str, query: Any, name: str, limit: int) -> Iterator[dict[str, Any]]:
        assert (path, query, name) == ("/audit", {"order": "oldest"}, "audit")
        yield from self._lines


#: Triggers that keep lines from being removed.
TRIGGERS = ("audit_appends", "audit_stays", "audit_goes", "audit_gone_once", "audit_gone_grows", "audit_gone_stays")


def written(*sources: int, gone: int = 0, sql: str = "select 1") -> tuple[Lines, Lines]:
    """Lines of several files, three of each, in the order of time, and what the files say of them.

    Those up to number ``gone`` have gone as they should; then, without triggers, ``sql`` was done.
    """
    found, files = [], []
    for source in sources:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.executescript(TRAIL)
            trail = Trail(source=source)
            for number in range(3):
                with writing(db):
                    trail.write(db, [line_of(ITSELF, "graph.deploy", graph="größe", after=number, detail={"file": "a/b.json"})])
            if gone:
                trail._remove(db, gone)
            for name in TRIGGERS:
                db.execute(f"drop trigger {name}")
            db.execute(sql)
            found += trail.page(db, AuditQuery(), 10)
            files.append(msgspec.to_builtins(trail.kept(db)))
    lines = [shown(entry) for entry in sorted(found, key=lambda entry: entry.place)]
    return msgspec.json.decode(msgspec.json.encode(lines)), files


def problems(lines: Lines, files: Lines) -> list[str]:
    return _read(Told(lines, files))[2]  # type: ignore[arg-type]


def test_what_is_as_it_was_written_has_no_problem() -> None:
    lines, files = written(0, 1)
    assert problems(lines, files) == []
    assert problems([], []) == []
    count, last, _ = _read(Told(lines, files))  # type: ignore[arg-type]
    assert (count, sorted(last)) == (6, [0, 1])
    own = [line for line in lines if last[1][0].source == int(line["id"].split("-")[1])]
    assert last[1][1] == own[-1]["hash"]


def test_lines_that_have_come_since_are_no_problem() -> None:
    lines, _ = written(0)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(TRAIL)
        before = msgspec.to_builtins(Trail().kept(db))
    assert problems(lines, [before]) == []


def test_the_first_lines_may_have_gone() -> None:
    for gone in (1, 2):
        lines, files = written(0, gone=gone)
        assert (len(lines), problems(lines, files)) == (3 - gone, [])


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize(
    "sql", ["delete from audit where number <= 2", "delete from audit", "delete from audit where number = 3"]
)
def test_lines_that_were_removed_at_either_end_are_found(gone: int, sql: str) -> None:
    (problem,) = problems(*written(1, gone=gone, sql=sql))
    assert problem.startswith("shard 0: lines are missing")


def test_a_beginning_of_another_log_is_found() -> None:
    lines, files = written(0, gone=1)
    files[0]["hash"] = "00" * 32
    assert len(problems(lines, files)) == 1


@pytest.mark.parametrize("key", ["time", "operation", "by", "graph", "after", "detail", "hash"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_line_that_was_changed_is_found(key: str, index: int) -> None:
    lines, files = written(0)
    wrong = {"after": 9, "detail": {}, "hash": "00" * 32}
    lines[index][key] = wrong.get(key, "another")
    (first, *_) = problems(lines, files)
    assert lines[index]["id"] in first


def test_a_line_that_was_removed_is_found() -> None:
    lines, files = written(0)
    (problem,) = problems([lines[0], lines[2]], files)
    assert "missing between" in problem


def test_lines_that_were_exchanged_are_found() -> None:
    lines, files = written(0)
    lines[0]["graph"], lines[1]["graph"] = "a", "b"
    assert len(problems(lines, files)) == 2
