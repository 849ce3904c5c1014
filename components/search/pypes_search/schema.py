"""The tables of an index, and the way from an older format to the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from pypes.errors import StoreError
from pypes_search.words import parted

#: Format of the file; a newer one is refused, an older one upgraded by whoever opens it for writing.
#: 1: one space of ids. 2: documents by route and id, their parts and versions; letters of scripts without spaces are words.
FORMAT: Final = 2
#: Marks the file as ours ("Pyps").
APPLICATION_ID: Final = 0x50797073

# A document may be published in several parts. Its version is the place of its first run: receipt, ordinal in the delivery.
# What is indexed stands in parted_*, where that differs from what is shown.
# The index is told to merge small transactions later and more at once: a third less work than by its defaults.
SCHEMA: Final = """
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, route TEXT NOT NULL, id TEXT NOT NULL, part TEXT NOT NULL, version TEXT NOT NULL,
    title TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL, parted_title TEXT, parted_text TEXT,
    UNIQUE (id, route, part)
);
CREATE VIEW indexed (key, title, text) AS
    SELECT key, coalesce(parted_title, title), coalesce(parted_text, text) FROM documents;
CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='indexed', content_rowid='key', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(5.0, 1.0)');
INSERT INTO words (words, rank) VALUES ('automerge', 16), ('crisismerge', 64), ('hashsize', 8388608);
CREATE TRIGGER documents_insert AFTER INSERT ON documents BEGIN
    INSERT INTO words (rowid, title, text)
        VALUES (new.key, coalesce(new.parted_title, new.title), coalesce(new.parted_text, new.text));
END;
CREATE TRIGGER documents_delete AFTER DELETE ON documents BEGIN
    INSERT INTO words (words, rowid, title, text)
        VALUES ('delete', old.key, coalesce(old.parted_title, old.title), coalesce(old.parted_text, old.text));
END;
CREATE TRIGGER documents_update AFTER UPDATE OF title, text, parted_title, parted_text ON documents
    WHEN (old.title, old.text) IS NOT (new.title, new.text) BEGIN
    INSERT INTO words (words, rowid, title, text)
        VALUES ('delete', old.key, coalesce(old.parted_title, old.title), coalesce(old.parted_text, old.text));
    INSERT INTO words (rowid, title, text)
        VALUES (new.key, coalesce(new.parted_title, new.title), coalesce(new.parted_text, new.text));
END;
"""

# The route of a document stands among its metadata; where it came from is known only as far as its receipt.
_UPGRADE: Final = """
INSERT INTO documents
    SELECT key, CASE json_type(fields, '$.meta.route') WHEN 'text' THEN json_extract(fields, '$.meta.route') ELSE '' END, id, '',
        CASE json_type(fields, '$.meta.receipt') WHEN 'text' THEN json_extract(fields, '$.meta.receipt') ELSE '' END,
        title, text, fields, parted(title), parted(text)
    FROM documents_1 ORDER BY key;
DROP TABLE documents_1;
"""


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables if the file is new, upgrade them if they are of an older format.

    Raises :class:`StoreError`, before anything was written, if the file is another thing or of a newer format. The caller
    keeps other writers out.
    """
    try:
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        is_empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] and not application
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is not an SQLite file ({error}); choose another path", code="search.not_an_index") from error
    if not is_empty and application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's SQLite file; choose another path", code="search.not_an_index")
    if version > FORMAT and not is_empty:
        raise newer(path, version)
    db.execute("PRAGMA journal_mode = WAL")
    if is_empty:
        _run(db, SCHEMA)
    elif version < FORMAT:
        db.create_function("parted", 1, parted, deterministic=True)
        _run(db, _DROP_INDEX + "ALTER TABLE documents RENAME TO documents_1; " + SCHEMA + _UPGRADE)
    else:
        return
    # into the file itself, where others see at once whose it is
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


_DROP_INDEX: Final = (
    "".join(f"DROP TRIGGER documents_{event}; " for event in ("insert", "delete", "update")) + "DROP TABLE words; "
)


def newer(path: Path, version: int) -> StoreError:
    """The error for a format that is not known here."""
    return StoreError(f"{path} has format {version}; a newer pypes-search is needed for it", code="search.newer_format")


def _run(db: sqlite3.Connection, script: str) -> None:
    try:
        db.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        )
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
