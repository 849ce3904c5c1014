"""Totals of a shard: documents accepted, published, dropped and failed, by graph, since the shard was made.

Nothing is written for them. They follow from what the store has anyway, and change in the same transaction: the accounts of
finished deliveries, the sums of those that are in blocks or forgotten, and the headers of what waits. So they equal the
receipts to the last document, whenever the process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pypes.ingest.accounts import NONE, Counts, count
from pypes.ingest.queues.write_buffer import Append, Commit
from pypes.ingest.store.write_batch import Found


class Totals:
    """Counts documents as the store gets to know of them; ``counts`` are those of finished commits found at the opening."""

    def __init__(self, counts: Mapping[str, Counts], found: Iterable[Found]) -> None:
        self._finished = dict(counts)
        self._accepted = {graph: own.accepted for graph, own in counts.items()}
        #: The finished part of commits that are not done, by key: it is counted already.
        self._partial: dict[int, dict[str, Counts]] = {}
        for each in found:
            if each.done:
                own: dict[str, Counts] = {}
                count(each.done.values(), own)
                self._partial[each.key] = own
                for graph, counted in own.items():
                    self._accept(graph, counted.accepted)
                self._finish(own, 1)
            for part in each.parts:
                self._accept(part.stream.graph, part.documents)

    def accepted(self, appends: Iterable[Append]) -> None:
        """Deliveries came."""
        counts: dict[str, int] = {}
        for append in appends:
            header = append.header
            counts[header.graph] = counts.get(header.graph, 0) + header.documents
        for graph, documents in counts.items():
            self._accept(graph, documents)

    def _accept(self, graph: str, documents: int) -> None:
        self._accepted[graph] = self._accepted.get(graph, 0) + documents

    def committed(self, commit: Commit) -> None:
        """Deliveries are finished, as far as a commit says."""
        partial = self._partial
        for key, counts in commit.finished:
            self._finish(counts, 1)
            if partial and key in partial:
                self._finish(partial.pop(key), -1)
        for key, counts in commit.progressed:
            self._finish(counts, 1)
            self._finish(partial.get(key, {}), -1)
            partial[key] = counts

    def _finish(self, counts: Mapping[str, Counts], times: int) -> None:
        finished = self._finished
        for graph, own in counts.items():
            finished[graph] = finished.get(graph, NONE).plus(own, times)

    @property
    def by_graph(self) -> dict[str, Counts]:
        """The totals now."""
        finished = self._finished
        return {graph: finished.get(graph, NONE)._replace(accepted=number) for graph, number in self._accepted.items()}
