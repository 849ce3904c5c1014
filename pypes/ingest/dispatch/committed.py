"""Commits of publishers for deliveries in flight, so that a second run does not give them the same documents."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from pypes.ingest.protocol import Rerun


class Committed:
    """By receipt and publisher, the ordinals of documents; kept while this process lives, until the delivery is settled."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, set[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, receipt: str, publisher: str, documents: Sequence[int]) -> None:
        """Remember that a publisher has committed documents of a delivery."""
        self._known.setdefault(receipt, {}).setdefault(publisher, set()).update(documents)

    def forget(self, receipt: str) -> None:
        """Forget a delivery that is done."""
        self._known.pop(receipt, None)

    def over(self, receipt: str, rerun: Rerun | None) -> Rerun | None:
        """History of a delivery, with the commits of its earlier runs."""
        known = self._known.get(receipt)
        if known is None:
            return rerun
        committed = {publisher: tuple(sorted(documents)) for publisher, documents in known.items()}
        return structs.replace(rerun or Rerun(), committed=committed)
