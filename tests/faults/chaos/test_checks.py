"""The checks themselves can fail: each is shown a ledger and a destination that do not agree."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.chaos import checks
from tests.faults.chaos.checks import Taken
from tests.faults.chaos.faults import Tally
from tests.faults.chaos.ledger import Document, Ledger


def ledger(*serials: str, id: str = "a", **more: Any) -> Ledger:
    """Versions of one id of the ordered graph, acknowledged one after the other."""
    made = Ledger()
    for serial in serials:
        documents = [Document(serial, id, "ordered", **more)]
        made.posted += documents
        made.acknowledge(documents, f"r{serial}", "single")
    return made


def taken(*serials: str, id: str = "a") -> Taken:
    made = Taken()
    for serial in serials:
        made.copies[serial] += 1
        made.by_id[id].append(serial)
        made.ids[serial] = id
    return made


@pytest.mark.parametrize(
    "order",
    ["1 2 3", "1 1 2 2 2 3", "1 2 1 2 3", "1 2 3 2 3", "1 2 3 1 2 3", "1 unanswered 2 3 unanswered"],
)
def test_orders_that_are_kept(order: str) -> None:
    assert not list(checks.disorder(ledger("1", "2", "3"), taken(*order.split())))


@pytest.mark.parametrize("order", ["1 3 2", "2 1 3", "1 2 3 2", "1 3 2 3", "1 2", "", "3 1 2 3"])
def test_orders_that_are_not(order: str) -> None:
    findings = list(checks.disorder(ledger("1", "2", "3"), taken(*order.split())))
    assert findings
    assert all("id a" in finding for finding in findings)


def test_a_document_of_the_bulk_lane_may_be_left_out_for_a_live_one_that_follows_only() -> None:
    found = ledger("1", "2", "3")
    for number, document in enumerate(found.posted):
        document.posted_s = 100.0 + number
    found.posted[1].is_bulk = True
    assert not list(checks.disorder(found, taken("1", "3")))
    assert not list(checks.superseded_unduly(found, taken("1", "3")))
    # also when all of them run again: what the live one replaces by now does not
    assert list(checks.disorder(found, taken("1", "2", "1")))
    assert not list(checks.disorder(found, taken("1", "2", "1", "3")))
    found.posted[1].is_bulk = False
    assert "came after the newer" in next(checks.disorder(found, taken("1", "2", "1", "3")))
    found.posted[1].is_bulk = True
    found.posted[1].posted_s = 103.0
    assert "2" in next(checks.superseded_unduly(found, taken("1", "3")))
    # a live one that nobody heard of may have come at any time
    found.posted[0].receipt = ""
    assert not list(checks.superseded_unduly(found, taken("1", "3")))


def test_what_is_missing() -> None:
    assert [each.serial for each in checks.missing(ledger("1", "2"), taken("1"))] == ["2"]


def test_what_nobody_posted_and_what_was_to_be_dropped() -> None:
    found = ledger("1", "2")
    found.posted[1].fate = "dropped"
    assert len(list(checks.strangers(found, taken("1", "2", "3")))) == 2


def test_what_was_replayed_may_be_there_once_more() -> None:
    found = ledger("1", "2")
    for document in found.posted:
        document.graph, document.receipt, document.runs = "tables", "again", 2
    assert checks.duplicates(found, taken("1", "1", "2", "2"), Tally(), 0)[0] == 0
    assert checks.duplicates(found, taken("1", "1", "1", "2"), Tally(), 0)[0] == 1
    assert found.by_receipt() == {}


def test_duplicates_are_counted_by_delivery() -> None:
    tally = Tally()
    assert checks.duplicates(ledger("1", "2"), taken("1", "2", "2", "2"), tally, 0) == (2, 0)
    tally.kills["worker"] += 1
    assert checks.duplicates(ledger("1", "2"), taken("1", "2", "2", "2"), tally, 1)[1] > 0
