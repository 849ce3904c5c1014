"""The store of the control plane: graph versions, composites, drafts, loaded files. SQLite, one file per node.

The tokens of clients are in the same file (:mod:`pypes.access.store`), and the audit log of all that is changed here
(:mod:`pypes.access.trail`): a change is committed with its line.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pypes.access.audit import ITSELF, Cause, Line, line_of
from pypes.access.store import BUDGETS, TOKENS
from pypes.access.trail import TRAIL, Trail
from pypes.core.databases import writing
from pypes.core.nodetime import Clock
from pypes.errors import NotFound, StoreError
from pypes.graph.expansion import Use
from pypes.registry import Code
from pypes.runtime.contracts.fleet import Mark
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.graphs.composite_store import COMPOSITES, CompositeStore
from pypes.runtime.graphs.draft_store import DRAFTS, FILTERS, DraftStore, upgrade

FORMAT = 8

_SCHEMA = f"""
create table node (key text primary key, value text not null) without rowid;
create table graphs (
    name text not null, version integer not null, graph text not null, author text not null, created real not null,
    note text not null, error text not null, code text not null, expanded text not null default '',
    composites text not null default '[]', primary key (name, version)
) without rowid;
create table paused (name text primary key) without rowid;
create table fired (graph text primary key, schedule text not null, at real not null) without rowid;
create table live (name text primary key, version integer not null) without rowid;
create table files (path text primary key, digest text not null) without rowid;
{DRAFTS}{FILTERS}{TOKENS}{BUDGETS}{COMPOSITES}"""

#: ``begun`` are changes of what is elsewhere, by which a node that was killed meanwhile knows what it has to finish.
_AUDIT = f"""
create table if not exists begun (number integer primary key, line text not null);
{TRAIL}"""

#: From each format to the next.
_UPGRADES: dict[int, str | Callable[[sqlite3.Connection], None]] = {
    1: """
alter table graphs rename column source to author;
alter table graphs add column note text not null default '';
alter table graphs add column error text not null default '';
create table paused (name text primary key) without rowid;
create table wires (graph text not null, source text not null, target text not null, created real not null,
    primary key (graph, source, target)) without rowid;
create table fired (graph text primary key, schedule text not null, at real not null) without rowid;
""",
    2: "alter table graphs add column code text not null default '[]';",
    3: TOKENS,
    4: BUDGETS,
    5: _AUDIT,
    6: upgrade,
    7: f"""
alter table graphs add column expanded text not null default '';
alter table graphs add column composites text not null default '[]';
{COMPOSITES}""",
}


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """One version of a graph; ``graph`` is its JSON object as it runs, ``${ENV}`` not replaced.

    ``written`` is the graph as it was written, if ``composites`` are in it, and ``graph`` what it was expanded to.
    ``created`` is in the node's time, in seconds. ``author`` says who made it (a client, or the file it came from), ``note`` why,
    ``error`` why it never went live. ``code`` is what its components came from when they were last imported for it; empty for one
    that an earlier release stored.
    """

    name: str
    version: int
    graph: dict[str, Any]
    created: float
    author: str = ""
    note: str = ""
    error: str = ""
    code: tuple[Code, ...] = ()
    written: dict[str, Any] | None = None
    composites: tuple[Use, ...] = ()

    @property
    def source(self) -> dict[str, Any]:
        """The graph as it was written."""
        return self.graph if self.written is None else self.written


class ControlStore:
    """The node's ``control.db``. Every change is durable when the method returns; calls block for one sync (a few ms).

    Raises :class:`StoreError` when the disk fails or the file was written by a newer release.
    """

    def __init__(self, path: Path, clock: Clock | None = None, audit_bytes: int | None = None) -> None:
        self.path = path
        #: Its times are stored.
        self.clock = clock or Clock()
        #: Drafts of graphs and of filters.
        self.drafts = DraftStore(self.rows, self.change, self.clock)
        self.composites = CompositeStore(self.rows, self.change)
        #: The audit log of the file.
        self.trail = Trail(self.clock, most_bytes=audit_bytes)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            if sys.platform == "darwin":
                self._db.execute("pragma fullfsync = 1")
            found = self._db.execute("pragma user_version").fetchone()[0]
            if found > FORMAT:
                raise StoreError(
                    f"{path} has format {found}, this release reads up to {FORMAT}; install a newer one", code="store.newer"
                )
            if found == 0:
                node = int.from_bytes(os.urandom(4), "big")
                self._db.executescript(
                    f"begin; {_SCHEMA} {_AUDIT} insert into node values ('id', '{node}'); pragma user_version = {FORMAT}; commit;"
                )
            for form in range(found or FORMAT, FORMAT):
                self._upgrade(form)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be opened: {error}", where=str(path)) from error

    def _upgrade(self, form: int) -> None:
        """Bring the file from a format to the next, or leave it as it was."""
        step = _UPGRADES[form]
        if isinstance(step, str):
            self._db.executescript(f"begin; {step} pragma user_version = {form + 1}; commit;")
            return
        with writing(self._db):
            step(self._db)
            self._db.execute(f"pragma user_version = {form + 1}")

    @property
    def node(self) -> int:
        """This node's number, 32 bits: chosen at random once, part of every receipt."""
        return int(self.rows("select value from node where key = 'id'")[0][0])

    def members(self) -> dict[str, int]:
        """The numbers of the nodes of the fleet, by name, as far as they were ever learned."""
        found = self.rows("select substr(key, 8), value from node where key like 'member:%'")
        return {str(name): int(number) for name, number in found}

    def remember_member(self, name: str, number: int) -> None:
        """Keep the number of a node of the fleet."""
        self.change(("insert or replace into node values (?, ?)", (f"member:{name}", str(number))))

    def adopted(self, name: str) -> tuple[Adopted, ...]:
        """The nodes whose shards a node of the fleet has, as far as that was ever learned."""
        found = self.rows("select value from node where key = ?", f"adopted:{name}")
        return msgspec.json.decode(found[0][0], type=tuple[Adopted, ...]) if found else ()

    def remember_adopted(self, name: str, adopted: tuple[Adopted, ...]) -> None:
        """Keep the nodes whose shards a node of the fleet has."""
        value = msgspec.json.encode(adopted).decode()
        self.change(("insert or replace into node values (?, ?)", (f"adopted:{name}", value)))

    def joined(self, *, is_member: bool) -> float:
        """The time of the node at which it joined its fleet, now if it was in none; without one, that is forgotten."""
        rows = self.rows("select value from node where key = 'joined'")
        if is_member and rows:
            return float(rows[0][0])
        now = self.clock.now()
        if is_member:
            self.change(("insert into node values ('joined', ?)", (repr(now),)))
        elif rows:
            self.change(("delete from node where key = 'joined'", ()))
        return now

    # -- versions of the fleet --------------------------------------------------------------------------

    def marks(self) -> dict[str, Mark]:
        """The versions of the fleet that the graphs of this node have, those that were taken down included."""
        rows = self.rows("select substr(key, 7), value from node where key like 'graph:%'")
        return {str(name): msgspec.json.decode(value, type=Mark) for name, value in rows}

    def mark(self, name: str) -> Mark | None:
        """The version of the fleet that a graph has here."""
        rows = self.rows("select value from node where key = ?", f"graph:{name}")
        return msgspec.json.decode(rows[0][0], type=Mark) if rows else None

    def agreed(self, name: str) -> dict[int, str]:
        """The versions of the fleet that versions of a graph on this node were, as texts."""
        prefix = f"agreed:{name}:"
        rows = self.rows(
            "select substr(key, ?), value from node where substr(key, 1, ?) = ?", len(prefix) + 1, len(prefix), prefix
        )
        return {int(version): str(value) for version, value in rows}

    def set_mark(self, name: str, mark: Mark) -> None:
        """A graph that is as it should be has another version."""
        self.change(*_marked(name, mark))

    # -- graphs -----------------------------------------------------------------------------------------

    def live(self) -> dict[str, StoredGraph]:
        """The version in force of every deployed graph, by name."""
        rows = self.rows(f"select {_COLUMNS} from graphs natural join live order by name")
        return {row[0]: _stored(row) for row in rows}

    def versions(self, name: str) -> list[StoredGraph]:
        """All versions of a graph, the newest first; also of one that was deleted."""
        return [_stored(row) for row in self.rows(f"select {_COLUMNS} from graphs where name = ? order by version desc", name)]

    def version(self, name: str, version: int) -> StoredGraph:
        """One version; raises :class:`NotFound`."""
        rows = self.rows(f"select {_COLUMNS} from graphs where name = ? and version = ?", name, version)
        if not rows:
            raise NotFound(
                f"there is no version {version} of graph {name!r}; GET /graphs/{name}/versions lists them",
                code="graph.no_version",
                where=name,
            )
        return _stored(rows[0])

    def next_version(self, name: str) -> int:
        """The number the next version of a graph will have; numbers of deleted graphs are not used again."""
        return int(self.rows("select coalesce(max(version), 0) + 1 from graphs where name = ?", name)[0][0])

    def deploy(self, graph: StoredGraph, cause: Cause = ITSELF, mark: Mark | None = None) -> None:
        """Store a version and put it in force; ``mark`` is that of the fleet, here and below."""
        self.change(*_deploy(graph, mark), lines=[self._line_of_version(graph, cause)])

    def _line_of_version(self, graph: StoredGraph, cause: Cause, **more: Any) -> Line:
        rows = self.rows("select version from live where name = ?", graph.name)
        before = int(rows[0][0]) if rows else None
        return line_of(cause, "graph.deploy", graph=graph.name, before=before, after=graph.version, **more)

    def record_code(self, name: str, version: int, code: tuple[Code, ...]) -> None:
        """Remember the code that a version runs with now."""
        self.change(("update graphs set code = ? where name = ? and version = ?", (_text(code), name, version)))

    def record_failed(self, graph: StoredGraph, cause: Cause = ITSELF) -> None:
        """Store a version that could not be set up: what was tried can be seen, and its number is not used again."""
        self.change((_INSERT_GRAPH, _values(graph)), lines=[self._line_of_version(graph, cause, outcome="failed")])

    def undeploy(self, name: str, cause: Cause = ITSELF, *, is_forced: bool = False, mark: Mark | None = None) -> None:
        """Take a graph out of force; its versions stay."""
        rows = self.rows("select version from live where name = ?", name)
        before, detail = int(rows[0][0]) if rows else None, {"force": True} if is_forced else {}
        self.change(
            ("delete from live where name = ?", (name,)),
            ("delete from paused where name = ?", (name,)),
            ("delete from fired where graph = ?", (name,)),
            *_marked(name, mark),
            lines=[line_of(cause, "graph.delete", graph=name, before=before, detail=detail)],
        )

    def paused(self) -> set[str]:
        """The graphs that are paused."""
        return {name for (name,) in self.rows("select name from paused")}

    def pause(self, name: str, is_paused: bool, cause: Cause = ITSELF, mark: Mark | None = None) -> None:
        """Remember whether a graph is paused."""
        self.change(
            ("insert or ignore into paused values (?)" if is_paused else "delete from paused where name = ?", (name,)),
            *_marked(name, mark),
            lines=[line_of(cause, "graph.pause" if is_paused else "graph.resume", graph=name)],
        )

    def digest(self, path: str) -> str | None:
        """Digest of a graph file when it was last loaded."""
        rows = self.rows("select digest from files where path = ?", path)
        return str(rows[0][0]) if rows else None

    def loaded(self, path: str, digest: str) -> None:
        """Remember that a graph file was loaded with this content."""
        self.change(_loaded(path, digest))

    def load(self, files: Iterable[tuple[StoredGraph, str, str, Mark | None]]) -> None:
        """Put graphs of files in force, all or none, and remember with which content: graph, path, digest and mark each."""
        files = list(files)
        self.change(
            *(each for graph, path, digest, mark in files for each in (*_deploy(graph, mark), _loaded(path, digest))),
            lines=[self._line_of_version(graph, ITSELF, detail={"file": path}) for graph, path, *_ in files],
        )

    def fired(self, graph: str) -> tuple[str, float] | None:
        """The schedule of a graph when its sources were last triggered by it, and the time for which they were."""
        rows = self.rows("select schedule, at from fired where graph = ?", graph)
        return (str(rows[0][0]), float(rows[0][1])) if rows else None

    def set_fired(self, graph: str, schedule: str, at: float) -> None:
        """Remember that a schedule is dealt with up to ``at`` (seconds since the epoch)."""
        self.change(("insert or replace into fired values (?, ?, ?)", (graph, schedule, at)))

    # -- the audit log ----------------------------------------------------------------------------------

    def note(self, line: Line) -> None:
        """Write the line of a change of what is in memory only, right before it is made: what ends the one ends the other."""
        self.change(lines=[line])

    def begin(self, line: Line) -> int:
        """Remember that a change of what is elsewhere has begun; gives the number by which it is over."""
        self.change(("insert into begun (line) values (?)", (_text(line),)))
        return int(self.rows("select max(number) from begun")[0][0])

    def end(self, number: int, **more: Any) -> None:
        """A change that had begun is made: its line is written, with what is known by now."""
        line = msgspec.structs.replace(dict(self.begun())[number], **more)
        self.change(("delete from begun where number = ?", (number,)), lines=[line])

    def give_up(self, number: int) -> None:
        """A change that had begun was not made."""
        self.change(("delete from begun where number = ?", (number,)))

    def begun(self) -> list[tuple[int, Line]]:
        """The changes that had begun, and are not over."""
        rows = self.rows("select number, line from begun order by number")
        return [(number, msgspec.json.decode(line, type=Line)) for number, line in rows]

    def forget_lines(self, before: float) -> None:
        """Remove the lines of the audit log from before a time of the node."""
        try:
            with writing(self._db):
                self.trail.forget(self._db, before)
        except sqlite3.Error as error:
            raise self._unwritten(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be read: {error}", where=str(self.path)) from error

    def change(self, *statements: tuple[str, tuple[Any, ...]], lines: Sequence[Line] = ()) -> None:
        """One transaction; its lines are written if it changes anything, or has nothing to change."""
        try:
            with writing(self._db):
                before = self._db.total_changes
                for sql, values in statements:
                    self._db.execute(sql, values)
                if not statements or self._db.total_changes > before:
                    self.trail.write(self._db, lines)
        except sqlite3.Error as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self.path} cannot be written, nothing was changed: {error}", where=str(self.path))


def keep_fired(copy: Path, before: Path) -> None:
    """Have a copy of a store know of schedules what an earlier copy knew; graphs that have been undeployed since stay so."""
    with closing(sqlite3.connect(copy)) as db:
        (found,) = db.execute("pragma user_version").fetchone()
        if found < 2:
            return  # an earlier release had no schedules
        db.execute("attach ? as before", (str(before),))
        db.execute("insert or replace into fired select * from before.fired where graph in (select name from live)")
        db.commit()


_COLUMNS = "name, version, graph, created, author, note, error, code, expanded, composites"
_INSERT_GRAPH = f"insert into graphs ({_COLUMNS}) values ({', '.join('?' * len(_COLUMNS.split()))})"


def _deploy(graph: StoredGraph, mark: Mark | None) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements that store a version and put it in force."""
    name, version = graph.name, graph.version
    found = [(_INSERT_GRAPH, _values(graph)), ("insert or replace into live values (?, ?)", (name, version))]
    if mark is not None:
        found.append(("insert or replace into node values (?, ?)", (f"agreed:{name}:{version}", str(mark.version))))
    return found + _marked(name, mark)


def _marked(name: str, mark: Mark | None) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements that remember the version of the fleet that a graph has."""
    return [] if mark is None else [("insert or replace into node values (?, ?)", (f"graph:{name}", _text(mark)))]


def _loaded(path: str, digest: str) -> tuple[str, tuple[Any, ...]]:
    """The statement that remembers the content of a graph file."""
    return "insert or replace into files values (?, ?)", (path, digest)


def _stored(row: tuple[Any, ...]) -> StoredGraph:
    name, version, graph, created, author, note, error, code, expanded, composites = row
    written = msgspec.json.decode(graph)
    codes = msgspec.json.decode(code, type=tuple[Code, ...])
    uses = msgspec.json.decode(composites, type=tuple[Use, ...])
    runs, source = (msgspec.json.decode(expanded), written) if expanded else (written, None)
    return StoredGraph(name, version, runs, created, author, note, error, codes, source, uses)


def _values(graph: StoredGraph) -> tuple[Any, ...]:
    head = (graph.name, graph.version, _text(graph.source), graph.created)
    expanded = "" if graph.written is None else _text(graph.graph)
    return (*head, graph.author, graph.note, graph.error, _text(graph.code), expanded, _text(graph.composites))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
