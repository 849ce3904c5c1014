"""The checks themselves can fail: each is shown a ledger and a destination that do not agree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.faults.chaos import checks
from tests.faults.chaos.checks import Taken
from tests.faults.chaos.faults import Tally
from tests.faults.chaos.ledger import Document, Ledger
from tests.faults.chaos.scraping import Scrapes, counters, of_ledger, unequal


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


# -- metrics ----------------------------------------------------------------------------------------------------


def metrics(start: float, **values: float) -> str:
    lines = [f"# TYPE pypes_node_start_time_seconds gauge\npypes_node_start_time_seconds {start}\n"]
    lines += [f'# TYPE pypes_{name} counter\npypes_{name}{{graph="plain"}} {value}\n' for name, value in values.items()]
    return "".join(lines)


@pytest.fixture
def scrapes() -> Scrapes:
    return Scrapes(cast(Any, SimpleNamespace(url="http://127.0.0.1:1")))


def test_a_counter_that_runs_backwards_is_found_unless_the_node_began_anew(scrapes: Scrapes) -> None:
    for start, packets in ((1.0, 3), (1.0, 3), (1.0, 4), (2.0, 1)):
        scrapes.see(metrics(start, wire_packets_total=packets))
    # while a shard is missing nothing is told, and what comes after is compared with what was before
    scrapes.see(metrics(2.0))
    assert (scrapes.violations, scrapes.scrapes, scrapes.restarts) == ([], 5, 1)
    scrapes.see(metrics(2.0, wire_packets_total=0))
    assert scrapes.violations == ["pypes_wire_packets_total{'graph': 'plain'} went from 1 back to 0"]


def test_documents_are_not_counted_anew_after_a_restart(scrapes: Scrapes) -> None:
    scrapes.see(metrics(1.0, documents_published_total=3))
    scrapes.see(metrics(2.0, documents_published_total=2))
    assert len(scrapes.violations) == 1


def receipt(name: str, graph: str = "plain", published: int = 0, failed: int = 0) -> dict[str, Any]:
    return {
        "receipt": name,
        "graph": graph,
        "accepted": published + failed,
        "published": published,
        "dropped": 0,
        "failed": failed,
    }


def test_totals_that_are_not_those_of_the_receipts_are_found() -> None:
    _, found = counters(metrics(1.0, documents_accepted_total=3, documents_published_total=2, documents_failed_total=1))
    receipts = [receipt("a", published=2), receipt("b", failed=1)]
    assert not list(unequal(found, receipts))
    assert list(unequal(found, [*receipts, receipt("c", "tables", published=1)])) == [
        "metrics: accepted of graph tables is 0; the receipts say 1",
        "metrics: published of graph tables is 0; the receipts say 1",
    ]
    assert len(list(unequal(found, receipts[:1]))) == 2


def test_receipts_that_do_not_say_what_the_ledger_says_are_found() -> None:
    made = Ledger()
    made.acknowledge([Document("1", "1", "plain"), Document("2", "2", "plain", "failed")], "a", "batch")
    assert not list(of_ledger([receipt("a", published=1, failed=1), receipt("not of the ledger", published=7)], made))
    assert len(list(of_ledger([receipt("a", published=2)], made))) == 2
