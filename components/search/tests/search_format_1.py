"""Writes an index as the first release did: one space of ids, no parts or versions, sentences of Chinese as one word."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

SCHEMA = """
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='documents', content_rowid='key', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(5.0, 1.0)');
INSERT INTO words (words, rank) VALUES ('automerge', 16), ('crisismerge', 64), ('hashsize', 8388608);
CREATE TRIGGER documents_insert AFTER INSERT ON documents BEGIN
    INSERT INTO words (rowid, title, text) VALUES (new.key, new.title, new.text);
END;
CREATE TRIGGER documents_delete AFTER DELETE ON documents BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.key, old.title, old.text);
END;
CREATE TRIGGER documents_update AFTER UPDATE OF title, text ON documents BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.key, old.title, old.text);
    INSERT INTO words (rowid, title, text) VALUES (new.key, new.title, new.text);
END;
PRAGMA application_id = 1350135923;
PRAGMA user_version = 1;
"""


def write(path: Path, rows: Iterable[tuple[str, str, str, str]]) -> None:
    """Write an index of rows: id, title, text, fields."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO documents (id, title, text, fields) VALUES (?, ?, ?, ?)", rows)
