"""The tables of a queue's store, and the way from an older format to the present one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec
import orjson

from pypes.access.trail import TRAIL
from pypes.ingest.accounts import Account, Kind, encode, encode_some
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, dead_letter_id
from pypes.ingest.store import keys

#: Format of the store; a store of a higher one is refused, a lower one upgraded.
FORMAT = 3

#: The size of a row of receipts or letters besides its texts, roughly; counts towards their bounds in bytes.
ROW_BYTES = 64

_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID"
_COMMITS = """CREATE TABLE commits
  (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, size INTEGER, spools TEXT, data BLOB, crc INTEGER)"""
_PROGRESS = "CREATE TABLE progress (key INTEGER PRIMARY KEY, data TEXT)"

#: Idempotency keys of format 2.
_KEYS_2 = "CREATE TABLE keys (name TEXT PRIMARY KEY, digest BLOB, key INTEGER, receipt TEXT) WITHOUT ROWID"

#: Tables that format 1 does not have, or has in another form. ``blames`` of a crash are its poisons, encoded.
_NEW = """
CREATE TABLE receipts (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, failed INTEGER, bytes INTEGER, data TEXT);
CREATE INDEX receipts_failed ON receipts (key) WHERE failed;
CREATE TABLE details (key INTEGER, position INTEGER, data BLOB);
CREATE UNIQUE INDEX details_place ON details (key, position);
CREATE TABLE crashes (key INTEGER, position INTEGER, count INTEGER, blames BLOB, PRIMARY KEY (key, position)) WITHOUT ROWID;
CREATE TABLE damaged (key INTEGER PRIMARY KEY, reason TEXT);
CREATE TABLE dead_letters (id TEXT PRIMARY KEY, receipt TEXT, graph TEXT, version INTEGER, filter TEXT, component TEXT, code TEXT,
  error TEXT, attempts INTEGER, time REAL, documents TEXT, is_edited INTEGER, size INTEGER) WITHOUT ROWID;
CREATE INDEX dead_letters_alike ON dead_letters (graph, filter, code, time);
CREATE INDEX dead_letters_code ON dead_letters (code);
CREATE TABLE packets (id TEXT PRIMARY KEY, traceback TEXT, packet BLOB);
CREATE TABLE bodies (receipt TEXT PRIMARY KEY, is_needed INTEGER, size INTEGER, spool TEXT, header BLOB, body BLOB);
CREATE INDEX bodies_size ON bodies (size, spool);
CREATE TABLE callbacks (receipt TEXT PRIMARY KEY, url TEXT, due REAL, attempts INTEGER) WITHOUT ROWID;
CREATE INDEX callbacks_due ON callbacks (due);
CREATE TABLE fresh (graph TEXT, hash INTEGER, key INTEGER, PRIMARY KEY (graph, hash)) WITHOUT ROWID;
CREATE TABLE cursors (graph TEXT, node TEXT, cursor TEXT, PRIMARY KEY (graph, node)) WITHOUT ROWID;
"""

#: Tables that format 2 did not have from the beginning; an earlier release left them alone, and wrote to ``fresh`` instead.
#: ``named``: what the document of a dead letter is known by. ``replays``: of the delivery at a place, which one it runs again.
_ADDED = """
CREATE TABLE IF NOT EXISTS newer (graph TEXT, route TEXT, id TEXT, key INTEGER, PRIMARY KEY (graph, route, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named (letter TEXT PRIMARY KEY, document TEXT, file TEXT, route TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS named_document ON named (document) WHERE document IS NOT NULL;
CREATE INDEX IF NOT EXISTS named_file ON named (file) WHERE file IS NOT NULL;
CREATE TABLE IF NOT EXISTS replays (key INTEGER, position INTEGER, receipt TEXT, origin TEXT, letter TEXT, start TEXT,
  documents TEXT, PRIMARY KEY (key, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replays_origin ON replays (origin);
"""

#: Tables that format 2 does not have. ``totals`` are the documents of receipts that are in blocks by now, or forgotten.
_HISTORY = """
CREATE TABLE blocks (id INTEGER PRIMARY KEY, graph TEXT, first INTEGER, last INTEGER, entries INTEGER, failed INTEGER,
  bytes INTEGER, keys BLOB, data BLOB, details BLOB);
CREATE INDEX blocks_last ON blocks (last, first);
CREATE INDEX blocks_first ON blocks (first, last);
CREATE INDEX blocks_failed ON blocks (last) WHERE failed;
CREATE INDEX blocks_graph ON blocks (graph, last, entries, bytes);
CREATE TABLE totals (graph TEXT PRIMARY KEY, accepted INTEGER, published INTEGER, dropped INTEGER, failed INTEGER) WITHOUT ROWID;
"""

#: Tables that format 3 did not have from the beginning; an earlier release leaves them alone. ``run`` is the delivery's, from 1.
#: ``callback_contexts`` are the traces that callbacks belong to.
_LATER = """
CREATE TABLE IF NOT EXISTS traces (key INTEGER, position INTEGER, run INTEGER, data BLOB, PRIMARY KEY (key, position));
CREATE TABLE IF NOT EXISTS callback_contexts (receipt TEXT PRIMARY KEY, context BLOB) WITHOUT ROWID;
"""

#: A whole write batch as one statement: a row of this view.
WRITE_BATCH = """
CREATE TEMP VIEW write_batch AS SELECT 0 AS key, 0 AS salt, 0 AS entries, 0 AS size, 0 AS spools, 0 AS data, 0 AS crc,
  0 AS done, 0 AS receipts, 0 AS progressed, 0 AS progress;
CREATE TEMP TRIGGER write_batch_insert INSTEAD OF INSERT ON write_batch BEGIN
  INSERT INTO commits SELECT NEW.key, NEW.salt, NEW.entries, NEW.size, NEW.spools, NEW.data, NEW.crc WHERE NEW.key IS NOT NULL;
  DELETE FROM commits WHERE key IN (SELECT value FROM json_each(NEW.done));
  INSERT OR REPLACE INTO receipts SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]') FROM json_each(NEW.receipts);
  DELETE FROM progress WHERE key IN (SELECT value FROM json_each(NEW.progressed));
  INSERT OR REPLACE INTO progress SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(NEW.progress);
END;
"""

#: The number of failures that a dead letter stands for, as an expression over its row.
FAILURES = "CASE WHEN documents LIKE '{%' THEN json_extract(documents, '$.failures') ELSE 1 END"

INSERT_LETTER = "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)"
INSERT_PACKET = "INSERT OR REPLACE INTO packets VALUES (?, ?, ?)"
INSERT_NAMED = "INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?)"
INSERT_TRACE = "INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?)"
INSERT_BODY = "INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?, ?, ?)"


def create(connection: sqlite3.Connection, version: str, born: int) -> None:
    """Make the tables of an empty store, in the transaction that the caller began; ``born``: the least key it can have."""
    for script in (_META, _COMMITS, _PROGRESS, _NEW, _ADDED, _HISTORY, keys.TABLES, _LATER, TRAIL):
        _run(connection, script)
    connection.execute("INSERT INTO meta VALUES ('version', ?), ('born', ?)", (version, born))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def add_later(connection: sqlite3.Connection) -> None:
    """Add to a store of this format what it did not have from the beginning; nothing is written where it is there."""
    _run(connection, _LATER)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'").fetchall():
        connection.execute("BEGIN IMMEDIATE")
        _run(connection, TRAIL)
        connection.execute("COMMIT")


def upgrade(connection: sqlite3.Connection, found: int, version: str) -> None:
    """Bring a store of an earlier format to the present one, in the transaction that the caller began.

    What waits is not touched, and receipts of format 2 stay as they are until they are folded; so this takes about a second for
    a million receipts of format 1, and a few for as many idempotency keys, whatever the size of the bodies.
    """
    if found == 1:
        _upgrade_1(connection)
    for script in (_ADDED, _HISTORY, keys.TABLES):
        _run(connection, script)
    keys.upgrade(connection)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (version,))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _upgrade_1(connection: sqlite3.Connection) -> None:
    """From format 1 to format 2."""
    connection.execute("ALTER TABLE commits ADD COLUMN crc INTEGER")
    for table in ("receipts", "crashes", "dead_letters"):
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    for script in (_NEW, _KEYS_2):
        _run(connection, script)
    connection.executemany("INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?)", _receipts_1(connection))
    connection.executemany("UPDATE progress SET data = ? WHERE key = ?", list(_progress_1(connection)))
    connection.execute("INSERT INTO crashes SELECT key, position, count, NULL FROM crashes_1")
    for letter, receipt, header, spool, size in _letters_1(connection):
        packet = b"" if header is not None and not spool else letter.packet
        connection.execute(INSERT_LETTER, letter_row(letter, receipt, len(packet)))
        connection.execute(INSERT_PACKET, (letter.id, letter.traceback, packet))
        if header is not None:
            body = None if spool else letter.packet
            connection.execute(INSERT_BODY, (receipt, 1, size, spool, header.encode(), body))
    for table in ("receipts", "crashes", "dead_letters"):
        connection.execute(f"DROP TABLE {table}_1")
    (born,) = connection.execute(
        "SELECT min(coalesce((SELECT min(key) FROM commits), 1 << 62), coalesce((SELECT min(key) FROM receipts), 1 << 62))"
    ).fetchone()
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('born', ?)", (born,))


def letter_row(letter: DeadLetter, receipt: str, packet_bytes: int) -> tuple[object, ...]:
    """Parameters of :data:`INSERT_LETTER`."""
    size = ROW_BYTES + packet_bytes + len(letter.traceback) + len(letter.error) + sum(map(len, filter(None, letter.named)))
    named: object = letter.documents
    if letter.spans:
        named = {"failures": letter.failures, "spans": letter.spans}
    documents = orjson.dumps(named).decode()
    return (
        letter.id,
        receipt,
        letter.graph,
        letter.version,
        letter.filter,
        letter.component,
        letter.code,
        letter.error,
        letter.attempts,
        letter.time,
        documents,
        size,
    )


def documents_of(text: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Value of the column ``documents``: ordinals, or spans of them, with the number of failures that the letter stands for."""
    named = orjson.loads(text)
    if isinstance(named, dict):
        return (), tuple(named["spans"]), int(named["failures"])
    return tuple(named), (), 1


def of_graphs(graphs: Sequence[str]) -> str:
    """The condition that a row is of graphs with these names or patterns, each a parameter; ``*`` is their only wildcard."""
    return f"({' OR '.join(['graph GLOB ?'] * len(graphs))})"


def _run(connection: sqlite3.Connection, script: str) -> None:
    # not executescript, which would end the caller's transaction
    for statement in script.strip().rstrip(";").split(";\n"):
        connection.execute(statement)


def _receipts_1(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Receipts of format 1: five counts for each delivery, one after the other."""
    for key, salt, entries, data in connection.execute("SELECT key, salt, entries, data FROM receipts_1"):
        flat = orjson.loads(data)
        accounts = [_account_1(flat[i : i + 5]) for i in range(0, len(flat), 5)]
        text, has_failed = encode(accounts)
        yield key, salt, entries, int(has_failed), ROW_BYTES + len(text), text


def _progress_1(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    for key, data in connection.execute("SELECT key, data FROM progress"):
        counts = {int(position): flat for position, flat in orjson.loads(data).items()}
        accounts = [_account_1(counts[i]) if i in counts else None for i in range(max(counts, default=-1) + 1)]
        yield encode_some(accounts), key


def _account_1(counts: list[int]) -> Account:
    accepted, published, dropped, failed, ms = counts
    return Account(Kind("", 0, accepted, published, dropped, failed, (), ""), -1, ms, None)


def _letters_1(connection: sqlite3.Connection) -> Iterator[tuple[DeadLetter, str, Header | None, str | None, int]]:
    """Dead letters of format 1, under an id that begins with their receipt; there, a letter held the body of a whole delivery."""
    rows = connection.execute("SELECT id, receipt, letter, header, spool FROM dead_letters_1 ORDER BY id")
    seen: dict[tuple[str, int, str], int] = {}
    for id, receipt, data, header_data, spool in rows:
        letter = msgspec.msgpack.decode(data, type=DeadLetter)
        header = Header.decode(header_data) if header_data is not None else None
        if not id.startswith(f"{receipt}-"):
            place = (receipt, letter.documents[0] if letter.documents else 0, letter.filter)
            ordinal = seen[place] = seen.get(place, -1) + 1
            letter = msgspec.structs.replace(letter, id=dead_letter_id(*place, ordinal))
        size = header.length if header is not None and spool else len(letter.packet)
        yield letter, receipt, header, spool, size
