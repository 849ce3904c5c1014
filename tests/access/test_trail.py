"""The audit log in a file: written with the change, read in pages, never changed, and rotated from its beginning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import msgspec
import pytest

from pypes.access.audit import FIRST_HASH, ITSELF, AuditQuery, Cause, Entry, Line, Place, hash_of, line_of
from pypes.access.trail import TRAIL, Trail
from pypes.core.databases import writing
from pypes.core.nodetime import Clock

START = 1_800_000_000.0


class Times:
    """Says the time that the test has set."""

    now = START

    def __call__(self) -> float:
        return self.now


class Log:
    """A log with a connection to its file, which is in memory."""

    def __init__(self, db: sqlite3.Connection, source: int = 0, most_bytes: int = 1 << 20) -> None:
        self.db = db
        self.times = Times()
        self.trail = Trail(Clock(self.times), source, most_bytes)

    def write(self, operation: str, cause: Cause = ITSELF, **more: object) -> None:
        with writing(self.db):
            self.trail.write(self.db, [line_of(cause, operation, **more)])

    def page(self, limit: int = 1000, **query: Any) -> list[Entry]:
        return self.trail.page(self.db, AuditQuery(**query), limit)

    def operations(self, **query: Any) -> list[str]:
        return [entry.line.operation for entry in self.page(**query)]


@pytest.fixture
def log() -> Iterator[Log]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(TRAIL)
        yield Log(db)


def test_a_line_comes_back_with_time_place_and_cause(log: Log) -> None:
    cause = Cause("graph.rollback", "ada", "10.0.0.7", "0af7651916cd43dd8448eb211c80319c")
    log.write("graph.deploy", cause, graph="g", before=3, after=4, detail={"file": "g.json"})
    (entry,) = log.page()
    assert entry.line == Line(
        time="2027-01-15T08:00:00.000Z",
        operation="graph.rollback",
        by="ada",
        address="10.0.0.7",
        graph="g",
        before=3,
        after=4,
        trace="0af7651916cd43dd8448eb211c80319c",
        detail={"file": "g.json"},
    )
    assert entry.place == Place(int(START * 1000), 0, 1)
    log.write("graph.pause")
    assert (log.page()[0].line.operation, log.page()[0].line.by) == ("graph.pause", "node")


def test_what_is_taken_back_leaves_no_line(log: Log) -> None:
    with suppress(ZeroDivisionError), writing(log.db):
        log.trail.write(log.db, [line_of(ITSELF, "graph.deploy")])
        1 / 0  # noqa: B018
    assert log.page() == []
    log.write("graph.pause")
    assert [entry.place.number for entry in log.page()] == [1]


def test_lines_are_found_by_what_they_say(log: Log) -> None:
    ada, bob = Cause("", "ada"), Cause("", "bob")
    log.write("graph.deploy", ada, graph="a")
    log.times.now += 10
    log.write("graph.pause", bob, graph="a")
    log.times.now += 10
    log.write("token.create", ada, object="t")
    assert log.operations() == ["token.create", "graph.pause", "graph.deploy"]
    assert log.operations(is_newest_first=False) == ["graph.deploy", "graph.pause", "token.create"]
    assert log.operations(graph="a") == ["graph.pause", "graph.deploy"]
    assert log.operations(by="ada") == ["token.create", "graph.deploy"]
    assert log.operations(by="ada", graph="a") == ["graph.deploy"]
    assert log.operations(operation="graph.pause") == ["graph.pause"]
    assert log.operations(operation="graph.*") == ["graph.pause", "graph.deploy"]
    assert log.operations(since=START + 10) == ["token.create", "graph.pause"]
    assert log.operations(until=START + 10) == ["graph.deploy"]
    assert log.operations(since=START + 10, until=START + 20) == ["graph.pause"]
    assert log.operations(graph="A") == []


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_pages_have_each_line_once_be_they_of_one_time(log: Log, is_newest_first: bool) -> None:
    for number in range(10):
        log.times.now += number // 4
        log.write(f"op.{number}")
    found: list[str] = []
    after = ""
    while page := log.page(3, is_newest_first=is_newest_first, after=after):
        found += [entry.line.operation for entry in page]
        after = page[-1].id
    wanted = [f"op.{number}" for number in range(10)]
    assert found == (wanted[::-1] if is_newest_first else wanted)


def test_pages_of_several_files_are_in_one_order(log: Log) -> None:
    """As whoever merges them asks: each file for what comes behind the same line."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(TRAIL)
        other = Log(db, source=3)
        logs = (log, other)
        for number in range(9):
            each = logs[number % 2]
            each.times.now = START + number // 3
            each.write(f"op.{number}")
        for is_newest_first in (True, False):
            found: list[Entry] = []
            after = ""
            while True:
                parts = [entry for each in logs for entry in each.page(2, is_newest_first=is_newest_first, after=after)]
                page = sorted(parts, key=lambda entry: entry.place, reverse=is_newest_first)[:2]
                if not page:
                    break
                found += page
                after = page[-1].id
            assert len({entry.id for entry in found}) == 9
            assert [entry.place for entry in found] == sorted((entry.place for entry in found), reverse=is_newest_first)


def test_each_line_covers_those_before_it(log: Log) -> None:
    for number in range(5):
        log.write(f"op.{number}", detail={"text": 'größe "7" \\ / \u2028'})
    known = FIRST_HASH
    for entry in log.page(is_newest_first=False):
        known = hash_of(known, entry.id, msgspec.json.encode(entry.line))
        assert known.hex() == entry.hash


@pytest.mark.parametrize(
    "sql",
    [
        "update audit set line = '{}' where number = 2",
        "update or replace audit set number = 9 where number = 2",
        "delete from audit where number = 2",
        "delete from audit",
        "insert into audit values (2, 0, '{}', x'00')",
        "insert or replace into audit values (2, 0, '{}', x'00')",
        "insert or ignore into audit values (7, 0, '{}', x'00')",
        "update audit_gone set number = 2",
        "update audit_gone set number = 9, hash = x'00'",
        "update audit_gone set number = -1",
        "update audit_gone set hash = x'00'",
        "delete from audit_gone",
    ],
)
def test_sql_that_changes_what_is_written_is_refused(log: Log, sql: str) -> None:
    for number in range(3):
        log.write(f"op.{number}")
    before = log.page()
    with pytest.raises(sqlite3.IntegrityError, match="audit log"):
        log.db.execute(sql)
    assert log.page() == before
    log.write("op.3")
    assert len(log.page()) == 4


def test_the_row_that_says_what_has_gone_is_not_replaced(log: Log) -> None:
    log.write("op")
    log.db.execute("insert or replace into audit_gone values (1, 9, x'00', 0)")
    assert log.db.execute("select number from audit_gone").fetchone() == (0,)


def test_the_oldest_go_when_there_are_too_many_bytes() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(TRAIL)
        log = Log(db, most_bytes=20_000)
        for number in range(500):
            log.write(f"op.{number}")
            (size,) = db.execute("select total(length(cast(line as blob)) + 64) from audit").fetchone()
            assert size <= 20_000
            assert db.execute("select bytes from audit_gone").fetchone() == (size,)
        found = log.page(is_newest_first=False)
        assert found[-1].line.operation == "op.499"
        numbers = [entry.place.number for entry in found]
        assert numbers == list(range(numbers[0], 501))
        assert 40 < len(numbers) < 100
        known, gone = db.execute("select hash, number from audit_gone").fetchone()
        assert gone == numbers[0] - 1
        assert hash_of(known, found[0].id, msgspec.json.encode(found[0].line)).hex() == found[0].hash


def test_the_newest_stays_however_long_it_is() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(TRAIL)
        log = Log(db, most_bytes=100)
        log.write("op.1", detail={"text": "x" * 1000})
        log.write("op.2", detail={"text": "x" * 1000})
        assert log.operations() == ["op.2"]


def test_those_that_are_too_old_go_and_numbers_go_on(log: Log) -> None:
    for number in range(3):
        log.times.now = START + number
        log.write(f"op.{number}")
    with writing(log.db):
        assert log.trail.forget(log.db, START + 1.5) == 2
        assert log.trail.forget(log.db, START + 1.5) == 0
    assert log.operations() == ["op.2"]
    with writing(log.db):
        assert log.trail.forget(log.db, START + 60) == 1
    log.write("op.3")
    (entry,) = log.page()
    assert (entry.place.number, log.db.execute("select bytes from audit_gone").fetchone()[0] > 0) == (4, True)
    known = log.db.execute("select hash from audit_gone").fetchone()[0]
    assert hash_of(known, entry.id, msgspec.json.encode(entry.line)).hex() == entry.hash


def test_time_that_stands_still_or_goes_back_puts_no_line_before_another(log: Log) -> None:
    log.write("op.0")
    log.times.now -= 60
    log.write("op.1")
    assert log.operations() == ["op.1", "op.0"]
    assert log.page()[0].place.at == int(START * 1000)


def test_passwords_of_addresses_are_not_written(log: Log) -> None:
    log.write("graph.deploy", object="https://ada:geheim@host/path", detail={"file": "https://ada:geheim@host"})
    assert "geheim" not in log.db.execute("select line from audit").fetchone()[0]


def test_a_file_that_came_from_another_node_goes_on(log: Log) -> None:
    log.write("graph.deploy")
    log.trail = Trail(Clock(log.times), 200, 1 << 20, 0)
    log.write("graph.deploy")
    known = FIRST_HASH
    for entry in log.page(is_newest_first=False):
        assert entry.place.source == 200
        known = hash_of(known, str(entry.place._replace(source=0)), msgspec.json.encode(entry.line))
        assert known.hex() == entry.hash
    kept = log.trail.kept(log.db)
    assert (kept.source, kept.written_as) == (200, 0)
