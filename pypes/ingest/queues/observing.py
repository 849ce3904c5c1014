"""Observing: what a queue tells an observer of its deliveries, a write batch or an iteration of the event loop at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pypes.ingest.queues.lending import Finished, OnFinished
from pypes.ingest.queues.write_buffer import Append
from pypes.observe import Observer, Settlement


class Observation:
    """Calls the hooks for one queue. Deliveries are counted one by one, for an observed queue only, and told by graph."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._settled: dict[str, list[int]] = {}

    def accepted(self, appends: Sequence[Append]) -> None:
        """A write batch with these appends is durable."""
        counts: dict[str, list[int]] = {}
        for append in appends:
            _add(counts, append.header.graph, (1, append.header.documents, len(append.body)))
        for graph, (deliveries, documents, size) in counts.items():
            self._observer.deliveries_accepted(graph, deliveries, documents, size)

    def leased(self, graph: str, deliveries: int) -> None:
        """So many deliveries of a graph were lent at once."""
        self._observer.deliveries_leased(graph, deliveries)

    def before(self, on_finished: OnFinished) -> OnFinished:
        """A callback for the end of deliveries: counts them, then calls ``on_finished``."""

        def counted(finished: Finished) -> None:
            if not self._settled:
                self._loop.call_soon(self._tell_settled)
            letters = len(finished.remains.letters) if finished.remains is not None else 0
            for kind, _, _, _ in finished.accounts:
                _add(self._settled, kind.graph, (1, kind.published, kind.dropped, kind.failed, letters))
            on_finished(finished)

        return counted

    def _tell_settled(self) -> None:
        settled, self._settled = self._settled, {}
        for graph, counts in settled.items():
            self._observer.deliveries_settled(graph, Settlement(*counts))


def _add(counts: dict[str, list[int]], graph: str, more: Sequence[int]) -> None:
    known = counts.get(graph)
    counts[graph] = list(more) if known is None else [count + one for count, one in zip(known, more, strict=True)]
