"""The drafts in ``control.db``: whole graphs that are not deployed yet, and filters that are in no graph yet."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from pypes.access.audit import ITSELF, Cause, Line, line_of
from pypes.core.nodetime import Clock
from pypes.errors import NotFound
from pypes.runtime.graphs.document import add_filter, empty

#: A draft is written anew with each change, and gets the next counter, which none had before: also none that is gone. ``filters``
#: are the ids of those filters in it that were made one by one. ``noted`` is the time of the last line of the audit log about it.
#: The graph comes last: whoever wants the rest need not read through it.
DRAFTS: Final = """
create table drafts (counter integer primary key autoincrement, name text not null unique, base integer not null,
    author text not null, time real not null, noted real not null, filters text not null, bytes integer not null,
    graph text not null);
"""
#: Filters that are in no graph yet. Their ids are in the order in which they were made.
FILTERS: Final = "create table filters (id text primary key, component text not null, params text not null) without rowid;"

_HEAD: Final = "name, base, counter, author, time"
_WHOLE: Final = f"{_HEAD}, noted, filters, graph"
_PUT: Final = """insert or replace into drafts (name, base, author, time, noted, filters, bytes, graph)
    values (?, ?, ?, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True)
class DraftedFilter:
    """A filter that belongs to no graph yet."""

    id: str
    component: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DraftHead:
    """A draft without its graph. ``base`` is the live version that it began from, 0 for none; ``time`` is the node's."""

    name: str
    base: int
    counter: int = 0
    author: str = ""
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDraft(DraftHead):
    """A draft. ``filters`` are the uids of those in its graph that were made one by one, and can be named by their ids."""

    graph: dict[str, Any]
    filters: tuple[str, ...] = ()
    noted: float = 0.0


class Change(Protocol):
    """Makes a change of the file; see :meth:`ControlStore.change`."""

    def __call__(self, *statements: tuple[str, tuple[Any, ...]], lines: Sequence[Line] = ()) -> None: ...


class DraftStore:
    """Drafts of graphs and of filters in the file of a :class:`ControlStore`, which reads ``rows`` and makes each ``change``."""

    def __init__(self, rows: Callable[..., list[tuple[Any, ...]]], change: Change, clock: Clock) -> None:
        self._rows = rows
        self._change = change
        self._clock = clock

    # -- graphs -----------------------------------------------------------------------------------------

    def all(self) -> list[DraftHead]:
        """All drafts of graphs by name."""
        return [DraftHead(*row) for row in self._rows(f"select {_HEAD} from drafts order by name")]

    def get(self, name: str) -> GraphDraft | None:
        """The draft of a graph."""
        rows = self._rows(f"select {_WHOLE} from drafts where name = ?", name)
        return _draft(rows[0]) if rows else None

    def holding(self, id: str) -> GraphDraft | None:
        """The draft in which a filter is that was made by itself."""
        sql = f"select {_WHOLE} from drafts where exists (select 1 from json_each(filters) where value = ?)"
        rows = self._rows(sql, id)
        return _draft(rows[0]) if rows else None

    def held(self) -> list[GraphDraft]:
        """The drafts with filters that were made one by one."""
        sql = f"select {_WHOLE} from drafts where filters <> '[]' order by name"
        return [_draft(row) for row in self._rows(sql)]

    def put(
        self, draft: GraphDraft, lines: Sequence[Line] = (), taken: Iterable[str] = (), freed: Iterable[DraftedFilter] = ()
    ) -> int:
        """Write a draft in the place of the one of its graph; returns its new counter.

        Filters that are ``taken`` are in it from now on, those that are ``freed`` in no graph any more.
        """
        row = _row(draft, self._clock.now())
        self._change(*map(_forget, taken), *map(_keep, freed), (_PUT, row), lines=lines)
        return int(self._rows("select counter from drafts where name = ?", draft.name)[0][0])

    def delete(self, counter: int, lines: Sequence[Line] = (), freed: Iterable[DraftedFilter] = ()) -> bool:
        """Delete a draft with its filters, but for those that are ``freed``; False, and it stays, if it was saved since."""
        if not self._rows("select 1 from drafts where counter = ?", counter):
            return False
        self._change(*map(_keep, freed), ("delete from drafts where counter = ?", (counter,)), lines=lines)
        return True

    def beside(self, name: str, ids: Iterable[str]) -> tuple[int, int]:
        """The number of drafts of graphs and filters, and their bytes, without a graph's and without some filters."""
        sizes = """select bytes from drafts where name <> ? union all
            select length(cast(params as blob)) from filters where id not in (select value from json_each(?))"""
        rows = self._rows(sizes, name, _text(list(ids)))
        return len(rows), sum(size for (size,) in rows)

    # -- filters ----------------------------------------------------------------------------------------

    def filters(self) -> list[DraftedFilter]:
        """All filters that are in no graph, in the order in which they were made."""
        return [_filter(row) for row in self._rows("select id, component, params from filters order by id")]

    def find(self, id: str) -> DraftedFilter | None:
        """One that is in no graph."""
        rows = self._rows("select id, component, params from filters where id = ?", id)
        return _filter(rows[0]) if rows else None

    def filter(self, id: str) -> DraftedFilter:
        """One that is in no graph; raises :class:`NotFound`."""
        found = self.find(id)
        if found is None:
            raise NotFound(f"there is no filter {id!r}; GET /filters lists them", code="filter.not_found", where=id)
        return found

    def put_filter(self, filter: DraftedFilter, cause: Cause = ITSELF) -> None:
        """Make or replace a filter that is in no graph."""
        update = "do update set params = excluded.params where params <> excluded.params"
        self._change(
            (f"insert into filters values (?, ?, ?) on conflict (id) {update}", _values(filter)),
            lines=[line_of(cause, "filter.change", object=filter.id, detail={"component": filter.component})],
        )

    def delete_filter(self, id: str, cause: Cause = ITSELF) -> None:
        """Delete a filter that is in no graph; raises :class:`NotFound`."""
        self.filter(id)
        self._change(_forget(id), lines=[line_of(cause, "filter.delete", object=id)])


def upgrade(db: sqlite3.Connection) -> None:
    """Make drafts of graphs of what releases before kept: wires by the ids of filters; within a transaction of the caller.

    A wire that lacks a filter is left out. A filter to which several graphs had drawn wires goes to the first of them.
    """
    filters = {
        id: (component, json.loads(params)) for id, component, params in db.execute("select id, component, params from drafts")
    }
    wires: dict[str, list[tuple[str, str]]] = {}
    times: dict[str, float] = {}
    for graph, source, target, created in db.execute("select * from wires order by created, graph, source, target"):
        wires.setdefault(graph, []).append((source, target))
        times[graph] = created
    live = dict(db.execute("select name, graph from graphs natural join live"))
    versions = dict(db.execute("select name, version from live"))
    db.execute("drop table wires")
    db.execute("alter table drafts rename to old_drafts")
    for statement in (DRAFTS, FILTERS):
        db.execute(statement)
    for name in sorted(wires, key=lambda name: times[name]):
        graph = json.loads(live[name]) if name in live else empty(name)
        names = {filter: filter for filter in graph["nodes"]}
        own, deployed = [], len(graph["wires"])
        for wire in wires[name]:
            ends = [end.rpartition(".") for end in wire]
            if not all(id in names or id in filters for id, _, _ in ends):
                continue
            for id, _, _ in ends:
                if id not in names:
                    names[id] = add_filter(graph, id, *filters.pop(id))
                    own.append(id)
            graph["wires"].append([f"{names[id]}.{port}" for id, _, port in ends])
        if len(graph["wires"]) > deployed:
            draft = GraphDraft(name, versions.get(name, 0), graph=graph, filters=tuple(own))
            db.execute(_PUT, _row(draft, times[name]))
    db.executemany("insert into filters values (?, ?, ?)", [(id, one, _text(params)) for id, (one, params) in filters.items()])
    db.execute("drop table old_drafts")


def _draft(row: tuple[Any, ...]) -> GraphDraft:
    *head, noted, filters, graph = row
    return GraphDraft(*head, graph=msgspec.json.decode(graph), filters=tuple(msgspec.json.decode(filters)), noted=noted)


def _row(draft: GraphDraft, time: float) -> tuple[Any, ...]:
    text = msgspec.json.encode(draft.graph)
    rest = (draft.noted, _text(draft.filters), len(text), text.decode())
    return draft.name, draft.base, draft.author, time, *rest


def _filter(row: tuple[Any, ...]) -> DraftedFilter:
    id, component, params = row
    return DraftedFilter(id, component, msgspec.json.decode(params))


def _values(filter: DraftedFilter) -> tuple[str, str, str]:
    return filter.id, filter.component, _text(filter.params)


def _keep(filter: DraftedFilter) -> tuple[str, tuple[Any, ...]]:
    return "insert or replace into filters values (?, ?, ?)", _values(filter)


def _forget(id: str) -> tuple[str, tuple[Any, ...]]:
    return "delete from filters where id = ?", (id,)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
