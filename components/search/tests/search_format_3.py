"""Writes an index as releases with format 3 did: versions of documents, and no vectors."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

SCHEMA = """
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, route TEXT NOT NULL, id TEXT NOT NULL, part TEXT NOT NULL, version TEXT NOT NULL,
    title TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL, parted_title TEXT, parted_text TEXT,
    UNIQUE (id, route, part, version)
);
CREATE TABLE versions (
    id TEXT NOT NULL, route TEXT NOT NULL, version TEXT NOT NULL, gone_ms INTEGER, PRIMARY KEY (id, route)
) WITHOUT ROWID;
CREATE INDEX versions_gone ON versions (gone_ms) WHERE gone_ms IS NOT NULL;
CREATE TABLE leftovers (id TEXT NOT NULL, route TEXT NOT NULL, part TEXT NOT NULL, PRIMARY KEY (id, route)) WITHOUT ROWID;
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
PRAGMA application_id = 1350135923;
PRAGMA user_version = 3;
"""


def write(path: Path, rows: Iterable[tuple[str, ...]], versions: Iterable[tuple[str, ...]]) -> None:
    """Write an index of rows (route, id, part, version, title, text, fields), and of whole versions (id, route, version)."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO documents (route, id, part, version, title, text, fields) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.executemany("INSERT INTO versions (id, route, version) VALUES (?, ?, ?)", versions)
