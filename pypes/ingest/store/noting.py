"""Lines of the audit log for what a write batch has done: of what was asked for, those that were there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pypes.access.audit import Line, line_of
from pypes.ingest.store.write_batch import EDIT, RUN, Noted

#: Id of a dead letter, and its graph.
Letter = tuple[str, str]


def lines_of(noted: Iterable[Noted], removed: Iterable[Letter], edited: Iterable[Letter]) -> Iterator[Line]:
    """The lines of what has been done: one for each graph, none for what changed nothing.

    A dead letter that two have asked to delete is deleted for the first of them.
    """
    gone, changed = list(removed), list(edited)
    graphs = dict(gone + changed)
    left = {False: Counter(id for id, _ in gone), True: Counter(id for id, _ in changed)}
    for each in noted:
        if each.operation == RUN:
            yield line_of(each.cause, RUN, graph=each.graph)
            continue
        there = left[each.operation == EDIT]
        found: dict[str, list[str]] = {each.graph: []} if each.receipt else {}
        for id in each.letters:
            if there[id]:
                there[id] -= 1
                found.setdefault(graphs[id], []).append(id)
        for graph, ids in found.items():
            first = min(ids, default="")
            yield line_of(each.cause, each.operation, graph=graph, object=first, count=len(ids), receipt=each.receipt)
