"""Outcome of documents that earlier runs fed and did not wait for."""

from __future__ import annotations

from collections.abc import Iterator

from pypes.cli.feeding.asking import Asker
from pypes.cli.feeding.following import PAGE, documents
from pypes.cli.feeding.loading import UNKNOWN
from pypes.cli.feeding.state import Letter, State

#: Failed receipts of the node that are looked at, the newest first.
MAX_RECEIPTS = 10 * PAGE


def learn(state: State, asker: Asker) -> None:
    """Find files that became dead letters: they count as changed, and feeding them again replaces the letter.

    Raises as ``Asker.ask``.
    """
    names: dict[str, list[str]] = {}
    for name, known in state.known.items():
        if known.receipt:
            names.setdefault(known.receipt, []).append(name)
    for receipt in _failed(asker) if names else ():
        if receipt not in names:
            continue
        failed = {document["id"] for document in documents(asker, receipt) if has_failed(document)}
        for name in names[receipt]:
            known = state.known[name]
            # a file without an id of its own was posted alone
            if known.id in failed or (known.id is None and failed):
                state.known[name] = known._replace(stamp=UNKNOWN, receipt="")
                state.letters[name] = Letter(receipt, known.id)


def has_failed(document: dict[str, object]) -> bool:
    """True if a document of a receipt failed, and did not get through in a replay."""
    replay = document.get("replay")
    again = replay.get("outcome") if isinstance(replay, dict) else "failed"
    return document["outcome"] == "failed" and again not in ("published", "dropped")


def _failed(asker: Asker) -> Iterator[str]:
    """Receipts of failed deliveries, the newest first."""
    after: dict[str, str] = {}
    for _ in range(MAX_RECEIPTS // PAGE):
        page = asker.get("/receipts", state="failed", limit=PAGE, **after)
        yield from (found["receipt"] for found in page["receipts"])
        if page["next"] is None:
            return
        after = {"after": page["next"]}
