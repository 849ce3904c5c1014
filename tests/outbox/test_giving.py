"""Giving from an outbox: in order, to one or several clients; what is acknowledged is gone, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pypes.core.nodetime import Clock
from pypes.errors import NotFound, Unavailable
from pypes.outbox.cursor import MOST_RANGES, cursor_of, ranges_of
from pypes.outbox.file import Bounds, OutboxFile, Result
from pypes.outbox.giving import Given, acknowledge, describe, give

BOUNDS = Bounds(1 << 30, 0.0, 60.0)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OutboxFile]:
    file = OutboxFile(tmp_path / "outbox" / "results.db", BOUNDS, is_synced=False, clock=Clock(lambda: 0.0))
    yield file
    file.close()


def put(file: OutboxFile, *documents: str) -> None:
    file.append([Result(b'"%s"' % document.encode(), document) for document in documents])


def get(file: OutboxFile, most: int = 100, max_bytes: int = 1000, lease_s: float = 0.0, now: float = 0.0) -> Given:
    return give(file.path, most, max_bytes, lease_s, now)


def done(file: OutboxFile, given: Given) -> int:
    assert given.cursor is not None
    return acknowledge(file.path, given.cursor, is_synced=False)


def test_results_are_given_until_they_are_acknowledged(file: OutboxFile) -> None:
    put(file, *"abcd")
    first = get(file, most=2)
    assert (first.results, first.waiting) == ([b'"a"', b'"b"'], 4)
    assert get(file, most=2) == first
    assert done(file, first) == 2
    assert done(file, first) == 0
    rest = get(file)
    assert (rest.results, rest.waiting) == ([b'"c"', b'"d"'], 2)
    assert done(file, rest) == 2
    assert get(file) == ([], None, 0)
    put(file, "e")
    # numbers are never given twice, so an old cursor takes nothing new
    assert done(file, rest) == 0
    assert get(file).results == [b'"e"']


def test_an_answer_has_bounds_and_one_result_at_least(file: OutboxFile) -> None:
    put(file, "aaaa", "b", "c")
    assert get(file, max_bytes=1).results == [b'"aaaa"']
    assert get(file, max_bytes=9).results == [b'"aaaa"', b'"b"']


def test_a_cursor_takes_what_was_given_and_not_what_came_since(file: OutboxFile) -> None:
    put(file, "a")
    given = get(file)
    put(file, "a", "b")
    assert done(file, given) == 1
    assert get(file).results == [b'"a"', b'"b"']


def test_leased_results_are_given_to_nobody_else_until_the_lease_ends(file: OutboxFile) -> None:
    put(file, *"abc")
    one = get(file, most=2, lease_s=10)
    other = get(file, most=2, lease_s=10, now=5)
    assert (one.results, other.results) == ([b'"a"', b'"b"'], [b'"c"'])
    assert get(file, now=5).results == []
    assert describe(file.path, 5).leased == 3
    assert get(file, now=10).results == [b'"a"', b'"b"']
    # late, but what was given was given
    assert done(file, one) == 2
    assert done(file, other) == 1
    assert describe(file.path, 5) == (0, 0, None, 0)


def test_no_later_result_of_a_document_passes_a_leased_one(file: OutboxFile) -> None:
    put(file, *"abac")
    one = get(file, most=1, lease_s=10)
    assert get(file, lease_s=10).results == [b'"b"', b'"c"']
    done(file, one)
    assert get(file, lease_s=10).results == [b'"a"']


def test_a_cursor_has_so_many_gaps_and_no_more(file: OutboxFile) -> None:
    put(file, *(document for n in range(2 * MOST_RANGES) for document in ("a", f"b{n}")))
    get(file, most=1, lease_s=10)
    # every other result is of the document that is leased
    given = get(file, most=1_000, max_bytes=1 << 20)
    assert len(given.results) == MOST_RANGES
    assert given.cursor is not None
    assert len(given.cursor) < 2_000
    assert done(file, given) == MOST_RANGES


@pytest.mark.parametrize("cursor", ["", "1", "1-2", "1-2~", "1-2~0123456789abcdef", "x~0123456789abcdef", "1-2~é"])
def test_a_cursor_that_was_not_given_takes_nothing(file: OutboxFile, cursor: str) -> None:
    put(file, "a")
    with pytest.raises(NotFound, match="has given no such cursor"):
        acknowledge(file.path, cursor, is_synced=False)
    assert get(file).waiting == 1


def test_a_cursor_says_what_it_takes() -> None:
    ranges = [(1, 5), (8, 8), (10, 12_345)]
    assert ranges_of(cursor_of(ranges, b"k"), b"k") == ranges
    with pytest.raises(NotFound):
        ranges_of(cursor_of(ranges, b"k"), b"other")
    with pytest.raises(NotFound):
        ranges_of(cursor_of(ranges, b"k").replace("12345", "12346"), b"k")


def test_an_outbox_that_is_not_there_or_damaged_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no outbox 'none'"):
        give(tmp_path / "none.db", 1, 1, 0.0, 0.0)
    (tmp_path / "odd.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="outbox 'odd' cannot be used now"):
        describe(tmp_path / "odd.db", 0.0)


def test_room_goes_back_to_the_disk(file: OutboxFile) -> None:
    file.append([Result(bytes(10_000), "a") for _ in range(2_000)])
    file._db.execute("pragma wal_checkpoint(truncate)")  # type: ignore[union-attr]
    before = file.path.stat().st_size
    done(file, get(file, most=2_000, max_bytes=1 << 30))
    file._db.execute("pragma wal_checkpoint(truncate)")  # type: ignore[union-attr]
    assert before > 20_000_000 > 3_000_000 > file.path.stat().st_size
    assert get(file) == ([], None, 0)


class Clients(RuleBasedStateMachine):
    """Results come, clients fetch, forget, die and acknowledge, time passes: each result is acknowledged once, in order."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "outbox", "results.db")
        self.file = OutboxFile(self.path, BOUNDS, is_synced=False, clock=Clock(lambda: 0.0))
        self.now = 0.0
        self.put = 0
        self.hands: list[tuple[Given, float]] = []
        self.acknowledged: set[bytes] = set()

    @rule(documents=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def append(self, documents: list[str]) -> None:
        made = [Result(b'"%s %d"' % (document.encode(), self.put + n), document) for n, document in enumerate(documents)]
        self.put += len(made)
        self.file.append(made)

    @rule(most=st.integers(1, 5), lease_s=st.sampled_from([0.0, 5.0]))
    def fetch(self, most: int, lease_s: float) -> None:
        given = give(self.path, most, 1000, lease_s, self.now)
        assert not self.acknowledged & {*given.results}, "what was acknowledged was given again"
        held = {text for other, until in self.hands if until > self.now for text in other.results} - self.acknowledged
        assert not held & {*given.results}, "what is leased was given to another one"
        for text in given.results:
            document, number = _parsed(text)
            earlier = [each for each in map(_parsed, held) if each[0] == document and each[1] < number]
            assert not earlier, "a later result has passed a leased one of its document"
        if given.results:
            self.hands.append((given, self.now + lease_s))

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        if self.hands:
            given, _ = data.draw(st.sampled_from(self.hands))
            new = {*given.results} - self.acknowledged
            assert given.cursor is not None
            assert acknowledge(self.path, given.cursor, is_synced=False) == len(new)
            self.acknowledged |= new

    @rule(passed_s=st.sampled_from([1.0, 6.0]))
    def wait(self, passed_s: float) -> None:
        self.now += passed_s

    @rule()
    def restart(self) -> None:
        self.file.close()
        self.file = OutboxFile(self.path, BOUNDS, is_synced=False, clock=Clock(lambda: 0.0))

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "path"):
            given = give(self.path, 10_000, 1 << 20, 0.0, self.now + 1_000)
            assert len({*given.results} | self.acknowledged) == self.put
            numbers = [_parsed(text)[1] for text in given.results]
            assert numbers == sorted(numbers)
            assert describe(self.path, 0.0)[:2] == (len(numbers), sum(map(len, given.results)))

    def teardown(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
            self.folder.cleanup()


def _parsed(text: bytes) -> tuple[str, int]:
    document, number = text.decode().strip('"').split()
    return document, int(number)


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
