"""Totals of a shard: documents accepted, published, dropped and failed, by graph, since the shard was made.

Nothing is written for them. They follow from what the store has anyway, and change in the same transaction: the accounts of
finished deliveries, the sums of those that are in blocks or forgotten, and the headers of what waits. So they equal the
receipts to the last document, whenever the process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypes.ingest.accounts import NONE, Counts, count
from pypes.ingest.queues.write_buffer import Append, Commit
from pypes.ingest.store.write_batch import Found


class Totals:
    """Counts documents as the store gets to know of them; ``counts`` are those of finished commits found at the opening."""

    def __init__(self, counts: dict[str, Counts], found: Iterable[Found]) -> None:
        self._counts = dict(counts)
        #: The finished part of commits that are not done, by key: it is in the counts already.
        self._partial: dict[int, dict[str, Counts]] = {}
        for each in found:
            if each.done:
                own: dict[str, Counts] = {}
                count(each.done.values(), own)
                self._partial[each.key] = own
                self._add(own)
            for part in each.parts:
                self._accept(part.stream.graph, part.documents)

    def accepted(self, appends: Iterable[Append]) -> None:
        """Deliveries came."""
        documents: dict[str, int] = {}
        for append in appends:
            header = append.header
            documents[header.graph] = documents.get(header.graph, 0) + header.documents
        for graph, number in documents.items():
            self._accept(graph, number)

    def _accept(self, graph: str, documents: int) -> None:
        self._add({graph: Counts(accepted=documents)})

    def committed(self, commit: Commit) -> None:
        """Deliveries are finished, as far as a commit says."""
        for key, counts in commit.finished:
            self._add_outcomes(counts, self._partial.pop(key, None))
        for key, counts in commit.progressed:
            self._add_outcomes(counts, self._partial.get(key))
            self._partial[key] = counts

    def _add_outcomes(self, counts: dict[str, Counts], known: dict[str, Counts] | None) -> None:
        self._add({graph: own._replace(accepted=0) for graph, own in counts.items()})
        if known is not None:
            self._add({graph: own._replace(accepted=0) for graph, own in known.items()}, -1)

    def _add(self, counts: dict[str, Counts], times: int = 1) -> None:
        for graph, own in counts.items():
            self._counts[graph] = self._counts.get(graph, NONE).plus(own, times)

    @property
    def by_graph(self) -> dict[str, Counts]:
        """The totals now."""
        return dict(self._counts)
