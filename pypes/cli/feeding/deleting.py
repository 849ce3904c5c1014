"""Deletions: made when what they delete has ended, seen to succeed, and made again at the next run where they did not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from pypes.cli.feeding.asking import Asker
from pypes.cli.feeding.earlier import has_failed
from pypes.cli.feeding.following import documents, reason
from pypes.cli.feeding.memory import Memory
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.report import SHOWN_FAILURES, Report
from pypes.cli.feeding.state import ASKED, FAILED, MADE, Letter, Owed
from pypes.errors import InvalidInput

#: Seconds that a run without ``--wait`` has for what others work on.
PATIENCE_S = 10.0
RECEIPT_WAIT_S = 10.0

FINISHED = ("done", "failed")


class Receipts:
    """Receipts of one run's questions, each asked until it has ended or the time is over. ``patience_s`` ``None``: for ever."""

    def __init__(self, asker: Asker, patience_s: float | None) -> None:
        self._asker = asker
        self._end_s = None if patience_s is None else time.monotonic() + patience_s
        self._ended: dict[str, dict[str, Any] | None] = {}

    def ended(self, receipt: str) -> dict[str, Any] | None:
        """The receipt, if it has ended; ``None`` if not yet. One that nobody knows has the state ``unknown``."""
        if receipt not in self._ended:
            self._ended[receipt] = self._ask(receipt)
        return self._ended[receipt]

    def _ask(self, receipt: str) -> dict[str, Any] | None:
        while True:
            rest_s = RECEIPT_WAIT_S if self._end_s is None else min(RECEIPT_WAIT_S, self._end_s - time.monotonic())
            try:
                found = self._asker.get(f"/receipts/{receipt}", **({"wait": f"{rest_s:.1f}"} if rest_s >= 0.1 else {}))
            except InvalidInput:  # forgotten, or that of a node that was here before
                return {"state": "unknown"}
            if found["state"] in FINISHED:
                return found
            if self._end_s is not None and time.monotonic() >= self._end_s:
                return None


def settle(memory: Memory, asker: Asker, receipts: Receipts, report: Report) -> None:
    """See what became of the deletions that were asked for. Those that failed are named, and stay owed.

    Raises as ``Asker.ask``.
    """
    asked: dict[str, list[str]] = {}
    for id, owed in memory.state.owed.items():
        if owed.stage == ASKED:
            asked.setdefault(owed.receipt, []).append(id)
    for receipt, ids in asked.items():
        found = receipts.ended(receipt) if receipt else {"state": "unknown"}
        if found is None:
            continue
        if found["state"] == "unknown":
            memory.state.owed.update((id, Owed("", MADE)) for id in ids)
            continue
        failed = _failed(asker, receipt) if found["failed"] else {}
        for id in ids:
            if id in failed:
                memory.state.owed[id] = Owed(receipt, FAILED)
                report.dead.append((f"deletion of {id}", f"{failed[id]}; it is made again at the next run"))
            else:
                del memory.state.owed[id]


def ready(memory: Memory, receipts: Receipts) -> list[str]:
    """Ids that may be deleted now: not before what made their documents has ended. Raises as ``Asker.ask``."""
    return [
        id
        for id, owed in memory.state.owed.items()
        if owed.stage == FAILED or (owed.stage == MADE and not (owed.receipt and receipts.ended(owed.receipt) is None))
    ]


def note(memory: Memory, ids: Collection[str]) -> dict[str, Owed]:
    """Note that deletions are about to be asked for. Returns them as they were before."""
    before = {id: owed for id in ids if (owed := memory.state.owed.get(id)) is not None}
    memory.asking(list(before))
    return before


def delete(memory: Memory, noted: dict[str, Owed], feeder: Feeder) -> None:
    """Request the noted deletions. Raises as ``Asker.ask``; deletions that were not accepted stay noted."""
    owed = memory.state.owed
    try:
        for receipt, some in feeder.delete(list(noted)):
            for id in some:
                was = noted.pop(id)
                if was.stage == FAILED:
                    memory.state.superseded.append(Letter(was.receipt, id))
                owed[id] = Owed(receipt, ASKED)
    except BaseException:
        owed.update(noted)
        raise


def clear(memory: Memory, asker: Asker) -> None:
    """Delete the dead letters of documents that were accepted again or are deleted. Raises as ``Asker.ask``."""
    letters = memory.state.superseded
    while letters:
        receipt, id = letters[-1]
        query = urlencode({"receipt": receipt, **({} if id is None else {"id": id})})
        with contextlib.suppress(InvalidInput):  # not allowed to, or a node that knows no such thing: it is for somebody else
            asker.ask("DELETE", f"/deadletters?{query}", None, {})
        letters.pop()


def _failed(asker: Asker, receipt: str) -> dict[str, str]:
    """The reason of each document of a receipt that failed, and was not published in a replay, by id."""
    failed: dict[str, str] = {}
    for document in documents(asker, receipt):
        if has_failed(document):
            failed[document["id"]] = reason(asker, receipt, document, is_short=len(failed) >= SHOWN_FAILURES)
    return failed
