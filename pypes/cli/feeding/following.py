"""Outcome of the documents of a receipt, reported by file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypes.cli.feeding.asking import Asker
from pypes.cli.feeding.report import SHOWN_FAILURES, Report, Sent
from pypes.errors import PypesError

RECEIPT_WAIT_S = 10
PAGE = 1000

#: Failed documents of one file that are named; of the rest only the number is told.
NAMED_FAILURES = 3


def follow(asker: Asker, sent: Sent, report: Report) -> None:
    """Wait until everything sent is published, dropped or failed, and count it. Files with failures are marked."""
    while True:
        found = asker.get(f"/receipts/{sent.receipt}", wait=RECEIPT_WAIT_S)
        if found["state"] in ("done", "failed"):
            break
    report.published += found["published"]
    report.dropped += found["dropped"]
    report.failed += found["failed"]
    if len(sent.loaded) == 1 or not (found["dropped"] or found["failed"]):
        share = {outcome: found[outcome] // len(sent.loaded) for outcome in ("published", "dropped", "failed")}
        for loaded in sent.loaded:
            _add(report, loaded.media_type, share)
    if not (found["failed"] or (found["dropped"] and len(sent.loaded) > 1)):
        return
    named = 0
    for document in documents(asker, sent.receipt):
        outcome, index = document["outcome"], document["index"]
        loaded = sent.loaded[index if len(sent.loaded) > 1 else 0]
        if len(sent.loaded) > 1:
            _add(report, loaded.media_type, {outcome: 1})
        if outcome != "failed":
            continue
        loaded.has_failed = True
        named += 1
        if len(sent.loaded) > 1 or named <= NAMED_FAILURES:
            text = reason(asker, sent.receipt, document, is_short=len(report.dead) >= SHOWN_FAILURES)
            place = f" (document {index})" if sent.accepted > 1 and len(sent.loaded) == 1 else ""
            report.dead.append((f"{loaded.file}{place}", text))
        elif named == NAMED_FAILURES + 1:
            more = found["failed"] - NAMED_FAILURES
            report.dead.append((str(loaded.file), f"{more} more of its documents failed; pypes receipts show {sent.receipt}"))
            return


def documents(asker: Asker, receipt: str) -> Iterator[dict[str, Any]]:
    """The documents of a receipt, page by page."""
    after: dict[str, int] = {}
    while True:
        page = asker.get(f"/receipts/{receipt}/documents", limit=PAGE, **after)
        yield from page["documents"]
        if page["next"] is None:
            return
        after = {"after": page["next"]}


def reason(asker: Asker, receipt: str, document: dict[str, Any], *, is_short: bool = False) -> str:
    """The reason why a document failed, and where it is kept. ``is_short``: only where, which takes no question."""
    letter = document["deadletter"]
    if letter is None:
        return f"failed in {document['filter'] or 'an adapter'}; see pypes receipts show {receipt}"
    if is_short:
        return f"dead letter {letter}"
    try:
        found = asker.get(f"/deadletters/{letter}")
    except PypesError:  # replayed or deleted meanwhile
        return f"dead letter {letter}"
    where = f" in {found['filter']}" if found["filter"] else ""
    return f"{found['code']}{where}: {found['error']} (dead letter {letter})"


def _add(report: Report, media_type: str, outcomes: dict[str, int]) -> None:
    kind = report.kind(media_type)
    for outcome, number in outcomes.items():
        if outcome in ("published", "dropped", "failed"):
            setattr(kind, outcome, getattr(kind, outcome) + number)
