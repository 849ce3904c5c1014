"""Tallying: what a queue counts in the tallies of its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pypes.ingest.accounts import Kind
from pypes.ingest.queues.lending import Finished, OnFinished
from pypes.ingest.store.write_batch import Remains
from pypes.observe.metrics import COMMIT_SECONDS, DELIVERY_SECONDS, NEW_DEAD_LETTERS
from pypes.observe.tallies import Histogram, Tallies

#: Codes of dead letters that are counted by themselves, for each graph: a component may make them of anything.
MAX_CODES: Final = 30
OTHER: Final = "other"


class QueueTallies:
    """Counts in ``tallies``, in the event loop."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._codes: dict[str, set[str]] = {}
        self._seconds: dict[str, Histogram] = {}
        self._commits = tallies.histogram(COMMIT_SECONDS)

    def committed(self, seconds: float) -> None:
        """A commit took so long."""
        self._commits.observe(seconds)

    def before(self, on_finished: OnFinished) -> OnFinished:
        """A callback for the end of deliveries: counts how long they took, then calls ``on_finished``."""

        def counted(finished: Finished) -> None:
            accounts = finished.accounts
            # PERF: what came in one commit and ends together took equally long
            last, last_ms, times = accounts[0][0], accounts[0][2], 0
            for kind, _, ms, _ in accounts:
                if ms != last_ms or kind is not last:
                    self._took(last, last_ms, times)
                    last, last_ms, times = kind, ms, 0
                times += 1
            self._took(last, last_ms, times)
            on_finished(finished)

        return counted

    def _took(self, kind: Kind, ms: int, times: int) -> None:
        """So many deliveries of a kind took so long."""
        if kind.published:
            seconds = self._seconds.get(kind.graph)
            if seconds is None:
                seconds = self._seconds[kind.graph] = self._tallies.histogram(DELIVERY_SECONDS, kind.graph)
            seconds.observe(ms / 1000, times)

    def buried(self, dead: Sequence[Remains]) -> None:
        """Dead letters were written."""
        for remains in dead:
            graph = remains.graph
            codes = self._codes.setdefault(graph, set())
            for code, number in Counter(letter.code for letter in remains.letters).items():
                if code not in codes and len(codes) < MAX_CODES:
                    codes.add(code)
                self._tallies.counter(NEW_DEAD_LETTERS, graph, code if code in codes else OTHER).add(number)
