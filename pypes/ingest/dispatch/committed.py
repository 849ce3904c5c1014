"""Commits of publishers for deliveries in flight, so that a second run does not give them the same documents."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from pypes.ingest.protocol import Rerun


class Committed:
    """By receipt, version of the graph and publisher, the ordinals of documents.

    They are kept while this process lives, until the delivery is settled.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[int, dict[str, set[int]]]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, receipt: str, publisher: str, documents: Iterable[int], version: int) -> None:
        """Remember that a publisher has committed documents of a delivery under a version of the graph."""
        self._known.setdefault(receipt, {}).setdefault(version, {}).setdefault(publisher, set()).update(documents)

    def forget(self, receipt: str) -> None:
        """Forget a delivery that is done."""
        self._known.pop(receipt, None)

    def over(self, receipt: str, rerun: Rerun | None) -> Rerun | None:
        """History of a delivery, with the commits of its earlier runs."""
        known = self._known.get(receipt)
        if known is None:
            return rerun
        publishers = {publisher for committed in known.values() for publisher in committed}
        committed = {name: tuple(sorted(set().union(*(each.get(name, ()) for each in known.values())))) for name in publishers}
        version = next(iter(known)) if len(known) == 1 else 0
        return structs.replace(rerun or Rerun(), committed=committed, version=version)
