"""What must hold when it is over. Every check gives its findings as sentences that name the documents."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pypes.testing.destination import Destination
from pypes.testing.node import Node
from tests.faults.chaos.faults import Tally
from tests.faults.chaos.ledger import DROPPED, FAILED, PUBLISHED, Document, Ledger
from tests.faults.chaos.node import INSTANCES, WINDOW, WORKERS

#: Receipts asked for afterwards; of more, a sample and all that are about a failure.
RECEIPTS = 20_000
#: Findings named in a message; there may be thousands of one kind.
NAMED = 5
#: How long after it was posted a document may be appended whose client has heard nothing.
LATE_S = 15.0
#: Serial of the documents that are posted when it is over.
LAST = "last"


class Refused(Exception):
    """The node did not answer a question."""


@dataclass(slots=True)
class Taken:
    """What the destination has. A document is known by its serial; a deletion, which has no fields, by its receipt."""

    copies: Counter[str] = field(default_factory=Counter)
    #: Keys by id, in the order in which they were taken.
    by_id: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[str, str] = field(default_factory=dict)
    #: Batches that were taken although the publisher was told nothing.
    cut: int = 0

    @classmethod
    def read(cls, destination: Destination) -> Taken:
        taken = cls()
        for batch in destination.batches():
            taken.cut += batch.is_cut
            for document in batch.documents:
                key = document["serial"] or "deletion " + document["receipt"]
                taken.copies[key] += 1
                taken.by_id[document["id"]].append(key)
                taken.ids[key] = document["id"]
        return taken


def key_of(document: Document) -> str:
    """What the destination knows the document by."""
    return "deletion " + document.receipt if document.is_deletion else document.serial


def may_be_superseded(document: Document) -> bool:
    """A bulk document of an ordered graph is dropped where a live one of its id was acknowledged after it."""
    return document.is_bulk and document.graph == "ordered"


def missing(ledger: Ledger, taken: Taken) -> list[Document]:
    """Acknowledged documents that must be published, and are not yet."""
    return [
        document
        for document in ledger.acknowledged
        if document.fate == PUBLISHED and not may_be_superseded(document) and key_of(document) not in taken.copies
    ]


def strangers(ledger: Ledger, taken: Taken) -> Iterator[str]:
    """Nothing is published that was not posted, nothing that was to be dropped or to fail."""
    posted = {document.serial: document for document in ledger.posted}
    deletions = {key_of(document) for document in ledger.acknowledged if document.is_deletion}
    unanswered = {document.id for document in ledger.posted if document.is_deletion and not document.receipt}
    for key in taken.copies:
        if key.startswith("deletion "):
            if key not in deletions and taken.ids[key] not in unanswered:
                yield f"{key} of {taken.ids[key]} was published, but never posted"
        elif key not in posted and key != LAST:
            yield f"document {key} was published, but never posted"
        elif key in posted and posted[key].fate != PUBLISHED:
            yield f"document {key} was published; it should have {posted[key].fate}"


def duplicates(ledger: Ledger, taken: Taken, tally: Tally, deaths: int) -> tuple[int, int]:
    """Deliveries that were published again, and how many may have been: those in flight when something ended.

    ``deaths`` is that of instances, by whomever; a restart ends what its grace was too short for.
    """
    again: dict[str, int] = {}
    receipts = {key_of(document): document.receipt for document in ledger.acknowledged}
    runs = {document.serial: document.runs for document in ledger.acknowledged if document.runs > 1}
    for key, copies in taken.copies.items():
        more = copies - runs.get(key, 1)
        if more > 0:
            delivery = receipts.get(key) or key
            again[delivery] = max(again.get(delivery, 0), more)
    kills = tally.kills
    everything = kills["arbiter"] + kills["supervisor"] + tally.others["restart"] + tally.others["roll"]
    allowed = WINDOW * (deaths * WORKERS + kills["worker"] * INSTANCES + everything * WORKERS * INSTANCES)
    # one batch of the destination holds at most what all workers have at one instance
    return sum(again.values()), allowed + taken.cut * WINDOW * WORKERS


def disorder(ledger: Ledger, taken: Taken) -> Iterator[str]:
    """Versions of one document are published in the order in which they were acknowledged.

    What was not acknowledged has no place in the order. A version may come again after a newer one, if that follows again; or a
    newer one than that, which had it left out when it was to run again.
    """
    for id, documents in ledger.versions():
        rank = {key_of(document): number for number, document in enumerate(documents)}
        seen = [rank[key] for key in taken.by_id.get(id, ()) if key in rank]
        last_at = {number: at for at, number in enumerate(seen)}
        due = [
            number
            for number, document in enumerate(documents)
            if document.fate == PUBLISHED and (number in last_at or not may_be_superseded(document))
        ]
        if due and (not seen or seen[-1] != due[-1]):
            last = documents[seen[-1]].serial if seen else "nothing"
            yield f"id {id}: the last version published is {last}, the last acknowledged {documents[due[-1]].serial}"
        newest = -1
        first_seen: set[int] = set()
        for at, number in enumerate(seen):
            has_followed = last_at[newest] > at if newest >= 0 else True
            if not has_followed and may_be_superseded(documents[newest]):
                has_followed = any(later > newest and last > at for later, last in last_at.items())
            if number < newest and (number not in first_seen or not has_followed):
                yield f"id {id}: version {documents[number].serial} came after the newer {documents[newest].serial}"
                break
            first_seen.add(number)
            newest = max(newest, number)


def superseded_unduly(ledger: Ledger, taken: Taken) -> Iterator[str]:
    """A bulk document was left out only for a live one of its id that came after it.

    One that was never answered may have come long after it was posted: its connection had broken, but its worker was only paused.
    """
    live: dict[str, list[Document]] = defaultdict(list)
    for document in ledger.posted:
        if document.graph == "ordered" and not document.is_bulk:
            live[document.id].append(document)
    for document in ledger.acknowledged:
        if document.fate == PUBLISHED and may_be_superseded(document) and key_of(document) not in taken.copies:
            since_s = document.posted_s
            if not any(each.posted_s > since_s - (0 if each.receipt else LATE_S) for each in live[document.id]):
                yield f"bulk document {document.serial} of id {document.id} was left out, but no live one came after it"


def untrue_receipts(node: Node, ledger: Ledger, taken: Taken, rng: random.Random) -> Iterator[str]:
    """Receipts, asked for afterwards, count what became of their documents."""
    receipts = ledger.by_receipt()
    asked = list(receipts)
    if len(asked) > RECEIPTS:
        special = [each for each in asked if any(document.fate == FAILED for document in receipts[each])]
        asked = special + rng.sample(asked, RECEIPTS - len(special))
    for receipt in asked:
        documents = receipts[receipt]
        answer = node.get(f"/receipts/{receipt}")
        if answer.status != 200:
            yield f"receipt {receipt} of document {documents[0].serial}: {answer.status} {answer.data[:200]!r}"
            continue
        found = json.loads(answer.data)
        counts = {name: found[name] for name in (PUBLISHED, DROPPED, FAILED)}
        due = Counter(document.fate for document in documents)
        is_true = sum(counts.values()) == found["accepted"] == len(documents) and found["state"] in ("done", "failed")
        if may_be_superseded(documents[0]):
            # what was left out counts as dropped, also if a run before had published it
            is_true &= counts[DROPPED] >= due[DROPPED] and counts[PUBLISHED] <= due[PUBLISHED] and counts[FAILED] <= due[FAILED]
            is_true &= counts[PUBLISHED] <= sum(key_of(document) in taken.copies for document in documents)
        else:
            is_true &= all(counts[fate] == due[fate] for fate in counts)
        if not is_true:
            yield f"receipt {receipt} of document {documents[0].serial} says {found}; the ledger says {dict(due)}"


def receipts_by_document(node: Node, ledger: Ledger, rng: random.Random, count: int) -> Iterator[str]:
    """What some receipts say of each of their documents."""
    receipts = ledger.by_receipt()
    for receipt in rng.sample(sorted(receipts), min(count, len(receipts))):
        documents = receipts[receipt]
        found = pages(node, f"/receipts/{receipt}/documents?limit=100", "documents")
        for document, report in zip(documents, found, strict=False):
            outcomes = {document.fate, DROPPED} if may_be_superseded(document) else {document.fate}
            if report["outcome"] not in outcomes:
                yield f"document {document.serial} of receipt {receipt}: {report}; the ledger says {document.fate}"
        if len(found) != len(documents):
            yield f"receipt {receipt} lists {len(found)} documents of {len(documents)}; the first is {documents[0].serial}"


def dead_letters(node: Node, ledger: Ledger) -> Iterator[str]:
    """There is one dead letter for each document that had to fail, and none besides."""
    due = Counter(document.receipt for document in ledger.acknowledged if document.fate == FAILED and document.receipt)
    serials = {document.serial: document for document in ledger.posted}
    known = {document.receipt for document in ledger.acknowledged}
    for letter in pages(node, "/deadletters?limit=500", "deadletters"):
        if letter["receipt"] not in known:
            # of a POST that was never answered; its document must be one that fails
            if letter["code"] == "ingest.malformed":
                continue
            packet = json.loads(node.get(f"/deadletters/{letter['id']}").data)["packet"]
            serial = (packet or {}).get("fields", {}).get("serial", [""])
            serial = serial[0] if isinstance(serial, list) else serial
            if serial not in serials or serials[serial].fate != FAILED:
                yield f"dead letter {letter['id']} of document {serial}: {letter['code']}, {letter['filter']}: {letter['error']}"
            continue
        due[letter["receipt"]] -= 1
        if due[letter["receipt"]] < 0:
            yield f"dead letter {letter['id']} too many: {letter['code']} in filter {letter['filter']!r}: {letter['error']}"
    for receipt, count in due.items():
        if count > 0:
            failed = [each for each in ledger.acknowledged if each.receipt == receipt and each.fate == FAILED]
            if may_be_superseded(failed[0]):
                continue
            names = [each.serial for each in failed]
            yield f"receipt {receipt}: {count} dead letters missing for {', '.join(names)}"


def pages(node: Node, path: str, name: str) -> list[dict[str, Any]]:
    """All of a paged answer."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = node.get(f"{path}&after={after}" if after else path)
        if answer.status != 200:
            raise Refused(f"{path}: {answer.status} {answer.data[:300]!r}")
        page = json.loads(answer.data)
        found += page[name]
        after = page.get("next")
        if not after:
            return found


def deaths_of_instances(node: Node) -> int:
    """How often an instance ended unasked, by the node's log."""
    count = 0
    with node.log_path.open("rb") as lines:
        for line in lines:
            count += b'"instance died"' in line or b'"instance killed"' in line
    return count


def few(findings: Iterator[str]) -> list[str]:
    """The first of many findings, and how many more there are."""
    found: list[str] = []
    try:
        found.extend(findings)
    except Refused as refused:
        found.append(str(refused))
    return found[:NAMED] + ([f"... and {len(found) - NAMED} more of that kind"] if len(found) > NAMED else [])
