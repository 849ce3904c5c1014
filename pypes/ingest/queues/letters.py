"""The dead letters of a queue on a store: found, edited, deleted, and turned into deliveries again."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from msgspec import structs

from pypes.core.identity import Named
from pypes.core.nodetime import Clock
from pypes.errors import Conflict, NotFound
from pypes.ingest.deadletter import SHOWN_BYTES, KeptLetter, LetterGroup, LetterQuery, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, receipt_of
from pypes.ingest.queue import Key
from pypes.ingest.queues.outbox import Change, Cursor
from pypes.ingest.queues.recorded import RecordedQueue
from pypes.ingest.queues.replaying import Link, from_filter, from_start, link_of, starts_over, together
from pypes.ingest.store.schema import FAILURES, documents_of
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


class LetteredQueue(RecordedQueue):
    """Reads dead letters in a thread, after what was acknowledged before is in the store; changes go through the outbox."""

    _spool: SpoolDir

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: Dead letters that are being replayed.
        self._replaying: set[str] = set()

    @abstractmethod
    def _append(
        self,
        header: Header,
        body: bytes | Spooled,
        decoded: bytes | None,
        future: asyncio.Future[str] | None = None,
        key: Key | None = None,
        replays: tuple[str, ...] = (),
        cursors: tuple[Cursor, ...] = (),
        link: Link | None = None,
    ) -> asyncio.Future[str]:
        """As :meth:`append`; in the same transaction the dead letters ``replays`` go, ``cursors`` are stored and ``link`` is."""

    # -- dead letters ------------------------------------------------------------------------------------

    async def letters(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        await self._committer.settled()
        where, parameters = _where(query or LetterQuery(), self._times)
        # a list by id: without the sign before its columns, an index by another order may be preferred
        beyond, order = ("id < ?", "id DESC") if newest else ("id > ?", "id")
        sql = f"SELECT {_LETTER} FROM {_LETTERS} WHERE {beyond} {where} ORDER BY {order} LIMIT ?"
        return [
            self._shown(_letter(row)) for row in await self._read(sql, after or (_LAST if newest else ""), *parameters, limit)
        ]

    async def letter(self, id: str) -> KeptLetter | None:
        await self._committer.settled()
        rows = await self._read(
            f"SELECT {_LETTER}, traceback, packet, is_edited, receipt FROM {_LETTERS} JOIN packets USING (id) WHERE id = ?", id
        )
        if not rows:
            return None
        *row, traceback, packet, is_edited, receipt = rows[0]
        letter = self._shown(_letter(row, traceback, packet))
        bodies = await self._read(
            "SELECT header, size, spool, body IS NOT NULL, CASE WHEN size <= ? THEN body END FROM bodies WHERE receipt = ?",
            SHOWN_BYTES,
            receipt,
        )
        if not bodies:
            return KeptLetter(letter, bool(is_edited))
        header_data, size, spool, is_inline, body = bodies[0]
        header = Header.decode(header_data)
        has_body = bool(spool or is_inline)
        return KeptLetter(letter, bool(is_edited), has_body, body, header.content_type, header.encoding, size)

    async def letter_groups(self, query: LetterQuery | None = None) -> list[LetterGroup]:
        await self._committer.settled()
        where, parameters = _where(query or LetterQuery(), self._times)
        rows = await self._read(
            f"SELECT graph, filter, code, count(*), max(time), sum({FAILURES}) FROM {_LETTERS} WHERE 1 {where} "
            "GROUP BY graph, filter, code ORDER BY count(*) DESC, graph, filter, code",
            *parameters,
        )
        return [structs.replace(group, latest=self._times.shown(group.latest)) for group in (LetterGroup(*row) for row in rows)]

    def _shown(self, letter: DeadLetter) -> DeadLetter:
        """A letter as it is shown: the store has the node's time."""
        return structs.replace(letter, time=self._times.shown(letter.time))

    async def edit_letter(self, id: str, packet: bytes) -> bool:
        return await self._change([id], packet) > 0

    async def delete_letters(self, ids: Sequence[str]) -> int:
        return await self._change(list(ids), None) if ids else 0

    def _change(self, ids: list[str], packet: bytes | None) -> asyncio.Future[int]:
        """Edit dead letters, or delete them (``packet`` is None); the future gives how many there were."""
        self._committer.check()
        future: asyncio.Future[int] = self._loop.create_future()
        self._outbox.changes.append(Change(ids, packet, future))
        self._committer.kick_soon()
        return future

    # -- replaying ---------------------------------------------------------------------------------------

    async def replay(self, id: str, from_start: bool) -> str:
        replayed = await self._replay((id,), from_start)
        if not replayed.left:
            return replayed.receipt
        self._guard((id,))
        try:
            letter, is_edited, is_needed, body = await self._reading.call(partial(_single, self._store, self._spool.path, id))
            header, packet = from_filter(letter, body[0] if body else None, is_edited=is_edited, is_needed=is_needed)
            link = link_of([letter], header, from_start=False)
            self._knows_replays = True
            return await self._append(header, packet, None, replays=(id,), link=link)
        finally:
            self._replaying.discard(id)

    async def replay_together(self, ids: Sequence[str], from_start: bool) -> Replayed:
        return await self._replay(tuple(ids), from_start)

    async def _replay(self, ids: tuple[str, ...], is_from_start: bool) -> Replayed:
        """Replay those of the dead letters from the start that go from there, with all that are of the same documents."""
        await self._committer.settled()
        guarded = set(ids)
        self._guard(ids)
        try:
            while True:
                plan = await self._reading.call(partial(_plan, self._store, self._spool.path, ids, is_from_start))
                others = {letter.id for letter in plan.letters} - guarded
                if not others:
                    break
                # one that goes along might be replayed by itself meanwhile: look again once it cannot be any more
                self._guard(others)
                guarded |= others
            if not plan.letters:
                return Replayed("", 0, plan.left)
            header, body = from_start(plan.letters, *plan.body)
            if isinstance(body, Spooled):
                # the file may be that of other letters, too: the delivery gets a name of its own for it
                body = await self._reading.call(partial(self._spool.link, body))
            replays = tuple(letter.id for letter in plan.letters)
            link = link_of(plan.letters, header, from_start=True)
            self._knows_replays = True
            receipt = await self._append(header, body, None, replays=replays, link=link)
            return Replayed(receipt, len(replays), plan.left, plan.edits)
        finally:
            self._replaying -= guarded

    def _guard(self, ids: Sequence[str] | set[str]) -> None:
        if not self._replaying.isdisjoint(ids):
            raise Conflict("this dead letter is being replayed already", code="deadletters.replaying")
        self._replaying.update(ids)


_Body = tuple[Header | None, bytes | Spooled | None]


class _Plan(NamedTuple):
    """Dead letters that go from the start together, those that go by themselves, and header and body kept of their delivery.

    ``edits`` is how many of ``letters`` were edited.
    """

    letters: Sequence[DeadLetter]
    left: tuple[str, ...]
    body: _Body
    edits: int = 0


def _plan(store: Store, spool: Path, ids: Sequence[str], is_from_start: bool) -> _Plan:
    """What a replay of dead letters of one receipt takes; raises :class:`NotFound` if none of them is there."""
    asked = orjson.dumps(ids).decode()
    rows = store.read(f"SELECT {_LETTER}, is_edited FROM {_LETTERS} WHERE id IN (SELECT value FROM json_each(?))", (asked,))
    if not rows:
        raise NotFound("there is no such dead letter", code="deadletters.not_found")
    found = [(_letter(row), bool(is_edited)) for *row, is_edited in rows]
    first = [letter for letter, is_edited in found if is_from_start or starts_over(letter, is_edited=is_edited)]
    if not first:
        return _Plan((), tuple(letter.id for letter, _ in found), (None, None))
    receipt = first[0].receipt
    rows = store.read(f"SELECT {_LETTER}, is_edited FROM {_LETTERS} WHERE id > ? AND id < ?", (f"{receipt}-", f"{receipt}."))
    edited = {row[0] for row in rows if row[-1]}
    letters = together(first, [_letter(row) for *row, _ in rows])
    gone = {letter.id for letter in letters}
    left = tuple(letter.id for letter, _ in found if letter.id not in gone)
    return _Plan(letters, left, _body(store, spool, receipt)[0], len(gone & edited))


def _single(store: Store, spool: Path, id: str) -> tuple[DeadLetter, bool, bool, _Body]:
    """One dead letter with its packet, whether that was edited, whether it is not whole; and what is kept of its delivery."""
    sql = f"SELECT {_LETTER}, traceback, packet, is_edited FROM {_LETTERS} JOIN packets USING (id) WHERE id = ?"
    rows = store.read(sql, (id,))
    if not rows:
        raise NotFound("there is no such dead letter", code="deadletters.not_found")
    *row, traceback, packet, is_edited = rows[0]
    body, is_needed = _body(store, spool, receipt_of(id))
    return _letter(row, traceback, packet), bool(is_edited), is_needed, body


def _body(store: Store, spool: Path, receipt: str) -> tuple[_Body, bool]:
    """Header and body kept for the dead letters of a receipt, and whether their packets are not whole without it."""
    rows = store.read("SELECT header, is_needed, size, spool, body FROM bodies WHERE receipt = ?", (receipt,))
    if not rows:
        return (None, None), False
    header, is_needed, size, name, body = rows[0]
    return (Header.decode(header), Spooled(str(spool / name), size) if name else body), bool(is_needed)


def _where(query: LetterQuery, times: Clock) -> tuple[str, list[Any]]:
    conditions, parameters = [], []
    for name, column in _COLUMNS.items():
        if value := getattr(query, name):
            conditions.append(f"AND {column} = ?")
            parameters.append(value)
    if query.receipt:
        conditions.append("AND id > ? AND id < ?")
        parameters += (f"{query.receipt}-", f"{query.receipt}.")
    if query.index is not None:
        conditions.append("AND covers(documents, ?)")
        parameters.append(query.index)
    if query.since:
        conditions.append("AND time >= ?")
        parameters.append(times.first(query.since))
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
