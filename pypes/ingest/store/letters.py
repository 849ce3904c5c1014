"""Dead letters in a store: written with what they are known by, removed with the body kept for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from pypes.core.identity import Named, id_of
from pypes.errors import BadId
from pypes.ingest.delivery import Header
from pypes.ingest.store.schema import INSERT_BODY, INSERT_LETTER, INSERT_NAMED, INSERT_PACKET, documents_of, letter_row
from pypes.ingest.store.write_batch import Remains

#: Longest packet of an earlier release that is read for what its document is known by, in bytes.
_READ_BYTES = 1 << 16


def bury(connection: sqlite3.Connection, remains: Remains) -> tuple[str, int, int]:
    """Write what remains of a delivery; returns its graph, and the dead letters and bytes that there are more."""
    write = connection.execute
    letters = size = 0
    receipt = remains.receipt
    for letter in remains.letters:
        row = letter_row(letter, receipt, len(letter.packet))
        for (before,) in write("SELECT size FROM dead_letters WHERE id = ?", (letter.id,)).fetchall():
            letters, size = letters - 1, size - before
        write(INSERT_LETTER, row)
        write(INSERT_PACKET, (letter.id, letter.traceback, letter.packet))
        write(INSERT_NAMED, (letter.id, *letter.named))
        letters, size = letters + 1, size + row[-1]  # type: ignore[operator]
    if remains.header is not None:
        (before,) = write("SELECT total(size) FROM bodies WHERE receipt = ?", (receipt,)).fetchone()
        kept = remains.size if remains.has_body else 0
        write(INSERT_BODY, (receipt, remains.is_needed, kept, remains.spool, remains.header, remains.body))
        size += kept - int(before)
    return remains.graph, letters, size


def remove(connection: sqlite3.Connection, ids: Iterable[str]) -> tuple[list[str], list[str], list[tuple[str, int, int]]]:
    """Remove dead letters, and the body of a receipt with its last one; returns ids, spool files, and what is less of each
    graph.
    """
    write = connection.execute
    removed: list[str] = []
    spools: list[str] = []
    freed: list[tuple[str, int, int]] = []
    for id in ids:
        for receipt, graph, size in write("SELECT receipt, graph, size FROM dead_letters WHERE id = ?", (id,)).fetchall():
            write("DELETE FROM dead_letters WHERE id = ?", (id,))
            write("DELETE FROM packets WHERE id = ?", (id,))
            write("DELETE FROM named WHERE letter = ?", (id,))
            removed.append(id)
            # its letters lie together: their ids begin with the receipt
            others = "SELECT 1 FROM dead_letters WHERE id > ? AND id < ? LIMIT 1"
            if not write(others, (f"{receipt}-", f"{receipt}.")).fetchall():
                for spool, body_bytes in write("SELECT spool, size FROM bodies WHERE receipt = ?", (receipt,)).fetchall():
                    size += body_bytes
                    if spool:
                        spools.append(spool)
                write("DELETE FROM bodies WHERE receipt = ?", (receipt,))
            freed.append((graph, -1, -size))
    return removed, spools, freed


def complete(connection: sqlite3.Connection) -> None:
    """Add the identities of documents to dead letters that an earlier release wrote; forget those that it removed.

    Takes about a second for 20,000 of them, once. What is damaged is left: nothing but these names depends on it.
    """
    try:
        (letters,) = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
        (known,) = connection.execute("SELECT count(*) FROM named").fetchone()
        if letters == known:
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM named WHERE letter NOT IN (SELECT id FROM dead_letters)")
        missing = connection.execute(
            "SELECT id, receipt, documents FROM dead_letters WHERE id NOT IN (SELECT letter FROM named) ORDER BY id"
        )
        for id, receipt, documents in missing.fetchall():
            connection.execute(INSERT_NAMED, (id, *_found(connection, id, receipt, documents)))
        connection.execute("COMMIT")
    except sqlite3.DatabaseError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def covers(documents: str, index: int) -> bool:
    """True if the column ``documents`` of a dead letter has that ordinal; SQL calls the function by this name."""
    named, spans, _ = documents_of(documents)
    if spans:
        return any(first <= index < first + count for first, count in zip(spans[::2], spans[1::2], strict=True))
    return not named or index in named


def _found(connection: sqlite3.Connection, id: str, receipt: str, documents: str) -> Named:
    """Identity of the document of a dead letter, from its packet and the header of its delivery."""
    named = Named()
    sql = "SELECT packet FROM packets WHERE id = ? AND length(packet) <= ?"
    for (packet,) in connection.execute(sql, (id, _READ_BYTES)).fetchall():
        named = _said(packet)
    for (header,) in connection.execute("SELECT header FROM bodies WHERE receipt = ?", (receipt,)).fetchall():
        try:
            named = named.over(Header.decode(header).named)
        except msgspec.DecodeError:
            continue
    several, spans, _ = documents_of(documents)
    return named._replace(id=None) if spans or len(several) > 1 else named


def _said(packet: bytes) -> Named:
    """Identity of a document from its packet in JSON form."""
    try:
        form = orjson.loads(packet)
        meta, fields = form.get("meta") or {}, form.get("fields") or {}
        given: Any = meta.get("id", fields.get("id"))
        file, route = (text if isinstance(text := meta.get(name), str) else None for name in ("filename", "route"))
        return Named(id_of(given), file, route)
    except (ValueError, AttributeError, BadId):
        return Named()
