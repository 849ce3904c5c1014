"""Reading of the dead letters of a store: those that match a query, and the data kept to replay them. All methods block."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from msgspec import structs

from pypes.core.identity import Named
from pypes.core.nodetime import Clock
from pypes.errors import NotFound
from pypes.ingest.deadletter import SHOWN_BYTES, STEPS, History, KeptLetter, LetterGroup, LetterQuery, Origin
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, receipt_of
from pypes.ingest.receipt import received_of
from pypes.ingest.replaying import from_the_start, is_versioned_part, together
from pypes.ingest.store.schema import FAILURES, documents_of, of_graphs
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store

_LETTER = "id, documents, graph, version, filter, component, code, error, attempts, time, named.document, named.file, named.route"
_LETTERS = "dead_letters LEFT JOIN named ON named.letter = dead_letters.id"

#: Columns by what a query calls them.
_COLUMNS = MappingProxyType(
    {"graph": "graph", "filter": "filter", "code": "code", "document": "named.document", "file": "file", "route": "route"}
)

#: Greater than the id of any dead letter.
_LAST = "g"


class Body(NamedTuple):
    """Body of a delivery kept for its dead letters; ``is_needed``: their packets are not whole without it."""

    header: Header | None
    body: bytes | Spooled | None
    is_needed: bool


class Plan(NamedTuple):
    """Dead letters replayed together from the start, those replayed by themselves, and the kept body of their delivery.

    ``edits`` is how many of ``letters`` were edited.
    """

    letters: Sequence[DeadLetter]
    left: tuple[str, ...]
    kept: Body
    edits: int = 0


class LetterReader:
    """Finds dead letters; their times are shown by ``clock``, because the store has the node's time."""

    def __init__(self, store: Store, spool: SpoolDir, clock: Clock) -> None:
        self._store = store
        self._spool = spool
        self._times = clock

    def find(self, query: LetterQuery, limit: int, after: str, *, newest: bool) -> list[DeadLetter]:
        where, parameters = self._where(query)
        # a list by id: without the sign before its columns, an index by another order may be preferred
        beyond, order = ("id < ?", "id DESC") if newest else ("id > ?", "id")
        sql = f"SELECT {_LETTER} FROM {_LETTERS} WHERE {beyond} {where} ORDER BY {order} LIMIT ?"
        rows = self._store.read(sql, (after or (_LAST if newest else ""), *parameters, limit))
        return [self._shown(_letter(row)) for row in rows]

    def get(self, id: str) -> KeptLetter | None:
        sql = f"SELECT {_LETTER}, traceback, packet, is_edited, receipt FROM {_LETTERS} JOIN packets USING (id) WHERE id = ?"
        rows = self._store.read(sql, (id,))
        if not rows:
            return None
        *row, traceback, packet, is_edited, receipt = rows[0]
        letter = self._shown(_letter(row, traceback, packet))
        bodies = self._store.read(
            "SELECT header, size, spool, body IS NOT NULL, CASE WHEN size <= ? THEN body END FROM bodies WHERE receipt = ?",
            (SHOWN_BYTES, receipt),
        )
        if not bodies:
            return KeptLetter(letter, bool(is_edited))
        header_data, size, spool, is_inline, body = bodies[0]
        header = Header.decode(header_data)
        has_body = bool(spool or is_inline)
        return KeptLetter(letter, bool(is_edited), has_body, body, header.content_type, header.encoding, size)

    def origin(self, id: str) -> Origin | None:
        """One dead letter without its packet, and the delivery that it is of."""
        rows = self._store.read(f"SELECT {_LETTER} FROM {_LETTERS} WHERE id = ?", (id,))
        if not rows:
            return None
        receipt = receipt_of(id)
        kept, received = self._body(receipt), self._times.shown(received_of(receipt))
        body, spool = (None, kept.body.path) if isinstance(kept.body, Spooled) else (kept.body, "")
        return Origin(self._shown(_letter(rows[0])), received, kept.header, body, spool)

    def groups(self, query: LetterQuery, history: History | None = None) -> list[LetterGroup]:
        where, parameters = self._where(query)
        sql = (
            f"SELECT graph, filter, code, count(*), max(time), sum({FAILURES}) FROM {_LETTERS} WHERE 1 {where} "
            "GROUP BY graph, filter, code ORDER BY count(*) DESC, graph, filter, code"
        )
        rows = self._store.read(sql, tuple(parameters))
        counts = self._history(where, parameters, history) if history is not None else {}
        return [
            structs.replace(group, latest=self._times.shown(group.latest), history=tuple(counts.get(tuple(row[:3]), ())))
            for group, row in ((LetterGroup(*row), row) for row in rows)
        ]

    def _history(self, where: str, parameters: list[Any], history: History) -> dict[tuple[str, ...], list[int]]:
        """Letters by step, of each graph, filter and code that has any since then."""
        first = self._times.first(history.since)
        sql = (
            f"SELECT graph, filter, code, CAST((time - ?) / ? AS INTEGER), count(*) FROM {_LETTERS} WHERE time >= ? {where} "
            "GROUP BY 1, 2, 3, 4"
        )
        counts: dict[tuple[str, ...], list[int]] = {}
        for *group, step, count in self._store.read(sql, (first, history.step_s, first, *parameters)):
            # what came since it was asked belongs to the last step
            counts.setdefault(tuple(group), [0] * STEPS)[min(step, STEPS - 1)] += count
        return counts

    def _shown(self, letter: DeadLetter) -> DeadLetter:
        return structs.replace(letter, time=self._times.shown(letter.time))

    # -- for replays -------------------------------------------------------------------------------------

    def plan(self, ids: Sequence[str], is_from_start: bool | None) -> Plan:
        """Read the material of a replay of dead letters of one receipt; raises :class:`NotFound` if none of them exists."""
        asked = orjson.dumps(ids).decode()
        sql = f"SELECT {_LETTER}, is_edited FROM {_LETTERS} WHERE id IN (SELECT value FROM json_each(?))"
        rows = self._store.read(sql, (asked,))
        if not rows:
            raise _not_found()
        found = [(_letter(row), bool(is_edited)) for *row, is_edited in rows]
        parts = self._versioned_parts(asked) if is_from_start is None else frozenset()
        first = from_the_start(found, parts, is_wanted=is_from_start)
        if not first:
            return Plan((), tuple(letter.id for letter, _ in found), Body(None, None, False))
        receipt = first[0].receipt
        sql = f"SELECT {_LETTER}, is_edited FROM {_LETTERS} WHERE id > ? AND id < ?"
        rows = self._store.read(sql, (f"{receipt}-", f"{receipt}."))
        edited = {row[0] for row in rows if row[-1]}
        letters = together(first, [_letter(row) for *row, _ in rows])
        gone = {letter.id for letter in letters}
        left = tuple(letter.id for letter, _ in found if letter.id not in gone)
        return Plan(letters, left, self._body(receipt), len(gone & edited))

    def _versioned_parts(self, asked: str) -> frozenset[str]:
        """The ids of dead letters, of those in a JSON list, whose packets are parts of documents that have versions."""
        sql = "SELECT id, packet FROM packets WHERE id IN (SELECT value FROM json_each(?)) AND instr(packet, ?)"
        rows = self._store.read(sql, (asked, b'"part"'))
        return frozenset(id for id, packet in rows if is_versioned_part(packet))

    def single(self, id: str) -> tuple[DeadLetter, bool, Body]:
        """One dead letter with its packet, and whether that was edited; raises :class:`NotFound`."""
        sql = f"SELECT {_LETTER}, traceback, packet, is_edited FROM {_LETTERS} JOIN packets USING (id) WHERE id = ?"
        rows = self._store.read(sql, (id,))
        if not rows:
            raise _not_found()
        *row, traceback, packet, is_edited = rows[0]
        return _letter(row, traceback, packet), bool(is_edited), self._body(receipt_of(id))

    def _body(self, receipt: str) -> Body:
        rows = self._store.read("SELECT header, is_needed, size, spool, body FROM bodies WHERE receipt = ?", (receipt,))
        if not rows:
            return Body(None, None, False)
        header, is_needed, size, name, body = rows[0]
        kept = Spooled(str(self._spool.path / name), size) if name else body
        return Body(Header.decode(header), kept, bool(is_needed))

    def _where(self, query: LetterQuery) -> tuple[str, list[Any]]:
        conditions, parameters = [], []
        for name, column in _COLUMNS.items():
            if value := getattr(query, name):
                conditions.append(f"AND {column} = ?")
                parameters.append(value)
        if query.among:
            conditions.append(f"AND {of_graphs(query.among)}")
            parameters += query.among
        if query.receipt:
            conditions.append("AND id > ? AND id < ?")
            parameters += (f"{query.receipt}-", f"{query.receipt}.")
        if query.index is not None:
            conditions.append("AND covers(documents, ?)")
            parameters.append(query.index)
        if query.since:
            conditions.append("AND time >= ?")
            parameters.append(self._times.first(query.since))
        if query.until:
            conditions.append("AND time < ?")
            parameters.append(self._times.first(query.until))
        return " ".join(conditions), parameters


def _letter(row: Sequence[Any], traceback: str = "", packet: bytes = b"") -> DeadLetter:
    id, documents, graph, version, filter, component, code, error, attempts, time, *names = row
    named, spans, failures = documents_of(documents)
    return DeadLetter(
        id,
        named,
        graph,
        version,
        filter,
        component,
        code,
        error,
        traceback,
        attempts,
        packet,
        time,
        spans,
        failures,
        Named(*names),
    )


def _not_found() -> NotFound:
    return NotFound("no such dead letter; it may have been replayed or deleted", code="deadletters.not_found")
