"""Wanted runs of the sources of a graph: kept in the shard that owns it, so that they outlive the worker that was asked."""

from __future__ import annotations

import msgspec

from pypes.access.audit import Cause
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.protocol import Ended
from pypes.runtime.contracts.shard import Runs

#: Under which name it stands among the cursors of a graph: no filter has it.
_NAME = ""


#: The code of a source that stopped because a run would delete so much that it may be a mistake.
TOO_MANY_DELETIONS = "source.too_many_deletions"


class Wanted(msgspec.Struct):
    """The record of a graph's runs: the scheduled time of the last one (0: none yet), and whether one is due or under way.

    ``is_manual``: somebody has asked for it, so it is due whatever the time is. ``has_met``: the graph's file of the fleet was
    there once, so it must not be missing. ``is_confirmed``: whoever asked confirmed deletions. ``stopped``: filter → what it
    said when it stopped last because it would delete too much; ``failed``: filter → why its last run failed otherwise.
    """

    at: float = 0.0
    is_due: bool = False
    is_manual: bool = False
    has_met: bool = False
    is_confirmed: bool = False
    stopped: dict[str, str] = {}
    failed: dict[str, str] = {}

    @classmethod
    async def read(cls, queue: Queue, graph: str) -> Wanted:
        """Read the record of one graph."""
        text = (await queue.cursors.of_filter(_NAME, graph)).get(graph)
        return cls() if text is None else msgspec.json.decode(text, type=cls)

    @classmethod
    async def due(cls, queue: Queue) -> list[str]:
        """Graphs of which a run is due, or was under way."""
        return [
            graph for graph, text in (await queue.cursors.of_filter(_NAME)).items() if msgspec.json.decode(text, type=cls).is_due
        ]

    async def store(self, queue: Queue, graph: str, cause: Cause | None = None) -> None:
        """Returns when it is durable; raises :class:`StoreError`. With a ``cause`` the audit log says who wants a run."""
        await queue.cursors.move((graph, _NAME, msgspec.json.encode(self).decode()), cause=cause)

    def end(self) -> None:
        """The run is over."""
        self.is_due = self.is_manual = self.is_confirmed = False

    def note(self, source: str, said: Ended) -> bool:
        """Note how a run of a source has ended; False if that changes nothing."""
        before = dict(self.stopped), dict(self.failed)
        self.stopped.pop(source, None)
        self.failed.pop(source, None)
        if said.error:
            (self.stopped if said.code == TOO_MANY_DELETIONS else self.failed)[source] = said.error
        return (self.stopped, self.failed) != before

    def runs(self, sources: list[str], *, is_running: bool) -> Runs:
        """The state of these sources, and of their runs."""
        stopped, failed = ({name: of[name] for name in sources if name in of} for of in (self.stopped, self.failed))
        return Runs(sources, is_running, stopped, failed)
