"""The versions of graphs, as they are shown: which there were, who made them, what changed between two."""

from __future__ import annotations

from typing import Any

from pypes.graph import codec
from pypes.graph.diff import diff
from pypes.graph.digest import digest_of as graph_digest
from pypes.ingest.receipt import rfc3339
from pypes.registry import Code, digest_of
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore, StoredGraph


class Versions:
    """Reads the stored versions. They outlive the graph: those of a deleted one are still there."""

    def __init__(self, store: ControlStore, deployer: Deployer) -> None:
        self._store = store
        self._deployer = deployer

    def all(self, name: str) -> list[dict[str, Any]]:
        """All versions, the newest first: ``{version, time, by, note, state}``, and ``error`` of one that failed.

        ``code`` is what it ran with, ``other_code`` says what would be different now.
        ``state`` is live, retired or failed. Raises :class:`NotFound` if there never was such a graph.
        """
        found = self._store.versions(name)
        if not found:
            self._deployer.get(name)
        known: dict[tuple[str, str], Code] = {}
        return [self._shown(version, known) for version in found]

    def one(self, name: str, version: int) -> dict[str, Any]:
        """One version, as in :meth:`all`, with its ``graph``; raises :class:`NotFound`."""
        stored = self._store.version(name, version)
        return {**self._shown(stored, {}), "graph": stored.source, **self._deployer.composites_of(stored)}

    def compare(self, name: str, old: int, new: int) -> dict[str, Any]:
        """The changes from ``old`` to ``new``: ``{from, to, diff}`` (see :func:`pypes.graph.diff.diff`)."""
        before, after = (self._store.version(name, number) for number in (old, new))
        found = diff(codec.from_obj(before.source), codec.from_obj(after.source))
        if composites := _other_composites(before, after):
            found["composites"] = composites
        return {"from": old, "to": new, "diff": found}

    def _shown(self, stored: StoredGraph, known: dict[tuple[str, str], Code]) -> dict[str, Any]:
        live = self._deployer.live.get(stored.name)
        is_live = live is not None and live.version == stored.version
        shown: dict[str, Any] = {
            "version": stored.version,
            "time": rfc3339(self._store.clock.shown(stored.created)),
            "by": stored.author,
            "note": stored.note,
            "state": "live" if is_live else "failed" if stored.error else "retired",
            "digest": graph_digest(stored.graph),
        }
        if agreed := self._store.agreed(stored.name).get(stored.version):
            shown["fleet"] = agreed
        if stored.code:
            parts = [{"name": code.name, "version": code.version, "digest": code.digest} for code in stored.code]
            shown["code"] = {"digest": digest_of(stored.code), "parts": parts}
        shown |= self._deployer.other_code(stored, known)
        return {**shown, "error": stored.error} if stored.error else shown


def _other_composites(before: StoredGraph, after: StoredGraph) -> dict[str, list[list[int]]]:
    """The composites of which two versions have others: ``[old, new]``, each the versions of it that are there."""
    one, other = ({(use.name, use.version) for use in each.composites} for each in (before, after))
    names = sorted({name for name, _ in one ^ other})
    return {each: [sorted(version for name, version in uses if name == each) for uses in (one, other)] for each in names}
