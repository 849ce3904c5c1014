"""The tables of an index, and the way from an older format to the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from pypes.errors import StoreError
from pypes_search.words import parted

#: Format of the file; a newer one is refused, an older one upgraded by whoever opens it for writing.
#: 1: one space of ids. 2: documents by route and id, their parts and versions; letters of scripts without spaces are words.
#: 3: the versions of a document beside one another, and which of them is seen. 4: vectors beside the words, and who may see what.
FORMAT: Final = 4
#: Marks the file as ours ("Pyps").
APPLICATION_ID: Final = 0x50797073

# A document may be published in several parts, and in several versions (see :mod:`pypes_search.versions`), whose texts sort as
# they came. What is indexed stands in parted_*, where that differs from what is shown.
_TABLES: Final = """
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, route TEXT NOT NULL, id TEXT NOT NULL, part TEXT NOT NULL, version TEXT NOT NULL,
    title TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL, parted_title TEXT, parted_text TEXT,
    acl TEXT, UNIQUE (id, route, part, version)
);
CREATE TABLE versions (
    id TEXT NOT NULL, route TEXT NOT NULL, version TEXT NOT NULL, gone_ms INTEGER, PRIMARY KEY (id, route)
) WITHOUT ROWID;
CREATE INDEX versions_gone ON versions (gone_ms) WHERE gone_ms IS NOT NULL;
CREATE TABLE leftovers (id TEXT NOT NULL, route TEXT NOT NULL, part TEXT NOT NULL, PRIMARY KEY (id, route)) WITHOUT ROWID;
CREATE VIEW indexed (key, title, text) AS
    SELECT key, coalesce(parted_title, title), coalesce(parted_text, text) FROM documents;
"""

#: Not in each file of this format: an older release made none, and needs none.
_FAILED: Final = """
CREATE TABLE IF NOT EXISTS failed (
    id TEXT NOT NULL, route TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (id, route, version)
) WITHOUT ROWID;
"""

# Vectors lie in blocks, which are read whole; where that of a row is stands in vector_places (see :mod:`pypes_search.vectors`).
_VECTORS: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE vectors (block INTEGER PRIMARY KEY, keys BLOB NOT NULL, packed BLOB NOT NULL);
CREATE TABLE vector_blocks (block INTEGER PRIMARY KEY, live INTEGER NOT NULL);
CREATE TABLE vector_places (key INTEGER PRIMARY KEY, block INTEGER NOT NULL);
"""
# Whoever deletes or changes a row, its vector goes with it.
_VECTOR_TRIGGERS: Final = """
CREATE TRIGGER documents_vector_delete AFTER DELETE ON documents BEGIN
    DELETE FROM vector_places WHERE key = old.key;
END;
CREATE TRIGGER documents_vector_update AFTER UPDATE ON documents BEGIN
    DELETE FROM vector_places WHERE key = old.key;
END;
CREATE TRIGGER vector_places_delete AFTER DELETE ON vector_places BEGIN
    UPDATE vector_blocks SET live = live - 1 WHERE block = old.block;
END;
CREATE TRIGGER vector_places_update AFTER UPDATE OF block ON vector_places BEGIN
    UPDATE vector_blocks SET live = live - 1 WHERE block = old.block;
END;
"""

# The index is told to merge small transactions later and more at once: a third less work than by its defaults.
_WORDS: Final = """
CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='indexed', content_rowid='key', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(5.0, 1.0)');
INSERT INTO words (words, rank) VALUES ('automerge', 16), ('crisismerge', 64), ('hashsize', 8388608);
"""

_TRIGGERS: Final = """
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

SCHEMA: Final = _TABLES + _VECTORS + _WORDS + _TRIGGERS + _VECTOR_TRIGGERS

_PUT_ASIDE: Final = (
    "".join(f"DROP TRIGGER documents_{event}; " for event in ("insert", "delete", "update"))
    + "DROP VIEW IF EXISTS indexed; ALTER TABLE documents RENAME TO documents_old; "
)

# A row of a table was a document of its own, called by the table's id and its number. Of versions the receipt is known, and in
# format 2 the ordinal; in format 1 the route stands among the metadata. The words stay as they are where their parting does.
_UPGRADE: Final = """
INSERT INTO documents (key, route, id, part, version, title, text, fields, parted_title, parted_text)
    SELECT key, route, CASE WHEN is_row THEN substr(id, 1, length(id) - length(number) - 1) ELSE id END,
        CASE WHEN is_row THEN 'row=' || number ELSE part END,
        CASE WHEN place = '' OR place = id THEN '' WHEN instr(place, '/') THEN place || '/0000000000000000'
            ELSE place || '/0000000/0000000000000000' END,
        title, text, fields, parted_title, parted_text
    FROM (SELECT *, part = '' AND number > 0 AND id LIKE '_%%/' || number AS is_row FROM (
        SELECT *, CASE json_type(fields, '$.meta.row') WHEN 'integer' THEN json_extract(fields, '$.meta.row') END AS number
        FROM (%s)))
    ORDER BY key;
DROP TABLE documents_old;
"""
_FROM_1: Final = """
SELECT key, CASE json_type(fields, '$.meta.route') WHEN 'text' THEN json_extract(fields, '$.meta.route') ELSE '' END AS route,
    id, '' AS part,
    CASE json_type(fields, '$.meta.receipt') WHEN 'text' THEN json_extract(fields, '$.meta.receipt') ELSE '' END AS place,
    title, text, fields, parted(title) AS parted_title, parted(text) AS parted_text
FROM documents_old
"""
_FROM_2: Final = """
SELECT key, route, id, part, version AS place, title, text, fields, parted_title, parted_text FROM documents_old
"""
_UPGRADES: Final = {
    1: _PUT_ASIDE.replace("DROP VIEW", "DROP TABLE words; DROP VIEW") + SCHEMA + _UPGRADE % _FROM_1,
    2: _PUT_ASIDE + _TABLES + _VECTORS + _UPGRADE % _FROM_2 + _TRIGGERS + _VECTOR_TRIGGERS,
    3: "ALTER TABLE documents ADD COLUMN acl TEXT; " + _VECTORS + _VECTOR_TRIGGERS,
}


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
        _run(db, _UPGRADES[version])
    db.execute(_FAILED)
    if not is_empty and version == FORMAT:
        return
    # into the file itself, where others see at once whose it is
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


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
