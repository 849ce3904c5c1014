"""The model says what may be left of a document, and the checks find what is not that."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pypes_search.index import SearchIndex
from pypes_search.row import Row
from tests.faults.operations.checks import broken_logs, unlike_hits
from tests.faults.operations.model import (
    DELETION,
    INDEX,
    LOG,
    LOG_POISON,
    POISON,
    Document,
    Splitter,
    Version,
    misfit,
    misseen,
    out_of_order,
    untrue,
)

SPLITTERS = (Splitter(2), Splitter(3, is_declared=False))


def document(*versions: str) -> Document:
    """A document whose versions are written ``KIND:SIZE:flag:flag``; all are answered but those with the flag ``unknown``.

    The rows of a version begin with its number. Flags are those of :class:`Version` without ``is_``, and marks.
    """
    made = Document("d")
    for number, (kind, size, *flags) in enumerate((version.split(":") for version in versions), 1):
        poison = next((flag for flag in flags if flag in (POISON, LOG_POISON)), "")
        items = tuple(f"{number}.{item}" for item in range(int(size)))
        receipt = "" if "unknown" in flags else f"r{number}"
        fields: dict[str, Any] = {flag: True for flag in flags if flag.startswith(("is_", "may_"))}
        made.versions.append(
            Version("d", number, f"v{number}", kind, items, poison, bad=1 if poison else 0, receipt=receipt, **fields)
        )
    return made


def rows(number: int, count: int) -> dict[str, str]:
    return {f"row={row + 1}": f"{number}.{row}" for row in range(count)}


GONE = f"{DELETION}:0"


@pytest.mark.parametrize(
    ("versions", "fits", "does_not"),
    [
        # replaced, shrunk, emptied, deleted
        (["table:3", "table:1"], [rows(2, 1)], [rows(1, 3), rows(2, 1) | {"row=2": "1.1"}, {}, rows(3, 1)]),
        (["table:3", "table:0"], [{}], [rows(1, 3), rows(1, 1)]),
        (["table:3", GONE], [{}], [rows(1, 3)]),
        # a version that failed in part leaves the older one whole
        (["table:3", "table:2:poison"], [rows(1, 3)], [rows(2, 2), rows(1, 3) | rows(2, 1), rows(2, 1), {}]),
        (["table:3", "table:2:logpoison"], [rows(2, 2)], [rows(1, 3)]),
        (["table:3", "table:2:poison:may_be_mended"], [rows(1, 3), rows(2, 2)], [rows(2, 1)]),
        (["table:3", "table:2:poison:may_be_mended:is_mended"], [rows(2, 2)], [rows(1, 3)]),
        # where there is none, what did not fail may be seen
        (["table:3:poison"], [{}, rows(1, 3), rows(1, 1)], [rows(2, 1)]),
        ([GONE, "table:3:poison"], [{}, rows(2, 2)], [rows(1, 1)]),
        (["table:0", "table:3:poison"], [{}], [rows(2, 2)]),
        # nobody knows whether it was taken; it was left out
        (["table:3", "table:2:unknown"], [rows(1, 3), rows(2, 2)], [{}, rows(1, 2)]),
        (["table:3", f"{GONE}:unknown"], [rows(1, 3), {}], [rows(1, 2)]),
        (["table:3", "table:2:is_superseded", "table:1:poison"], [rows(1, 3), rows(2, 2)], [rows(3, 1), {}]),
        # a record, which has no parts, of a table and the other way round
        (["table:2", "record:1"], [{"": "2.0"}], [{"": "2.0", "row=1": "1.0"}, rows(1, 2)]),
        (["record:1", "table:2"], [rows(2, 2)], [rows(2, 2) | {"": "1.0"}]),
        # chunks, however they are made
        (
            ["text:3"],
            [{"chunk=0": "1.0 1.1", "chunk=1": "1.2"}, {"": "1.0 1.1 1.2"}],
            [{"chunk=0": "1.0 1.1"}, {"chunk=0": "1.0 1.1 1.2"}, {"chunk=0": "1.0 1.1", "chunk=1": "1.2", "": "1.0 1.1 1.2"}],
        ),
    ],
)
def test_what_may_be_left(versions: list[str], fits: list[dict[str, str]], does_not: list[dict[str, str]]) -> None:
    state = document(*versions).state(INDEX)
    assert [misfit(state, found, SPLITTERS) for found in fits] == [""] * len(fits)
    assert all(misfit(state, found, SPLITTERS) for found in does_not)


def test_what_fails_before_one_publisher_alone() -> None:
    state = document("table:3", "table:2:logpoison").state(LOG)
    assert not misfit(state, rows(1, 3), SPLITTERS)
    assert "expected version 1 (v1, receipt r1/0): a table of 3 items; found 2 parts (row=1: 2.0; " in misfit(
        state, rows(2, 2), SPLITTERS
    )


@pytest.mark.parametrize(
    ("versions", "floor"),
    [
        (["table:3"], None),
        (["table:3:is_done"], 1),
        (["table:3:is_done", "table:2"], 1),
        (["table:3:is_done", "table:2:is_done"], 2),
        (["table:3:is_done", "table:2:poison:is_done"], 1),
        (["table:3:is_done", "table:0:unknown"], None),
        (["table:3:is_done", GONE, "table:2"], None),
        (["table:3:is_done", GONE, "table:2:is_done"], 3),
    ],
)
def test_the_version_below_which_nothing_is_seen(versions: list[str], floor: int | None) -> None:
    found = document(*versions).floor(INDEX)
    assert (found and found.number) == floor


def test_neither_half_of_a_version_nor_an_older_one_is_seen() -> None:
    seen = document("table:4", "table:3:is_done", "table:2", "table:5:poison")
    floor = seen.floor(INDEX)
    assert floor is not None
    assert not misseen(seen, floor, INDEX, rows(2, 3), SPLITTERS)
    assert not misseen(seen, floor, INDEX, rows(3, 2), SPLITTERS)
    for found in ({}, rows(1, 4), rows(2, 2), rows(4, 5), rows(2, 3) | rows(3, 2)):
        assert misseen(seen, floor, INDEX, found, SPLITTERS)
    # emptied while somebody looked
    seen.versions += document("table:4", "table:4", "table:4", "table:4", "table:0").versions[4:]
    assert not misseen(seen, floor, INDEX, {}, SPLITTERS)


def test_receipts_go_up() -> None:
    kept = document("table:1", "table:1:unknown", "table:1")
    assert not list(out_of_order(kept))
    kept.versions[2].receipt = "r0"
    assert "(v3, receipt r0/0): a table of 1 items was posted after version 1" in next(out_of_order(kept))


def test_receipts_say_what_became_of_versions() -> None:
    versions = document("table:1", "text:2:poison", "table:0", GONE).versions
    receipt = {"state": "failed", "accepted": 4, "published": 2, "dropped": 1, "failed": 1, "removed": {INDEX: 3}}
    assert not list(untrue(versions, receipt))
    for wrong in ({"state": "done"}, {"published": 3}, {"dropped": 0}, {"failed": 0}, {"removed": {"json": 1}}):
        assert list(untrue(versions, receipt | wrong))


def test_a_log_in_which_a_version_is_whole_before_it_is_there(tmp_path: Path) -> None:
    author = SimpleNamespace(documents=[document("table:2", "table:1")])
    path = tmp_path / "log"

    def broken(*lines: str) -> list[str]:
        path.write_text("".join(f'{{"document":"d","route":"","version":"{line}}}\n' for line in lines))
        return list(broken_logs(path, cast(Any, [author]), SPLITTERS, random.Random(1)))

    old = [f'r1/0/1","part":"row={row + 1}","fields":{{"text":"1.{row}"}}' for row in range(2)]
    new = 'r2/0/1","part":"row=1","fields":{"text":"2.0"}'
    assert not broken(*old, 'r1/0/1","complete":true', new, 'r2/0/1","complete":true')
    assert not broken(*old, 'r1/0/1","complete":true', new, 'r2/0/1","complete":false')
    assert "r1/0/1 is whole in line 1 of 3 in log, but 1 parts are left" in broken(old[0], 'r1/0/1","complete":true', old[1])[0]
    assert broken(*old, 'r1/0/1","complete":true', 'r2/0/1","complete":true', new)


def test_a_document_of_which_parts_of_two_versions_are_left(tmp_path: Path) -> None:
    """As of one that was never whole: each part is to be found by its own words, and nothing else by these."""
    path, rng = tmp_path / "index.db", random.Random(1)
    shelf = {"d": {"row=1": "row 0 of plain1v2.0", "row=2": "row 1 of plain1v1.1"}}
    rows = [Row("d", text=text, part=part, version="1") for part, text in shelf["d"].items()]
    with closing(SearchIndex(path, "never")) as index:
        index.apply(rows)
        assert not list(unlike_hits(path, shelf, rng))
        (fault,) = unlike_hits(path, {"d": shelf["d"] | {"row=3": "row 2 of plain1v1.2"}}, rng)
        assert fault == "a search for plain1v1 does not find [('d', 'row=3')], or finds [], of 2 parts of d"
        (fault,) = unlike_hits(path, {"d": {"row=1": "row 0 of plain1v2.0"} | {"row=3": "row 1 of plain1v2.1"}}, rng)
        assert "does not find [('d', 'row=3')], or finds []" in fault
        index.apply([Row("e", text="plain1v2.0", version="1")])
        (fault,) = unlike_hits(path, shelf, rng)
        assert fault == "a search for plain1v2 does not find [], or finds [('e', '')], of 1 parts of d"
