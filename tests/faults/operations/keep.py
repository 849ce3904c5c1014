"""Keep: a small publisher of whole documents, which stores parts beside those of other versions until one is complete."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

from pypes import Help, Packet, Parameters, Publisher
from pypes.core.identity import Completed

TABLES = """
CREATE TABLE IF NOT EXISTS parts (id TEXT, part TEXT, version TEXT, text TEXT, PRIMARY KEY (id, part, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS live (id TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;
"""


class Keep(Publisher):
    """Keep parts in a SQLite file, which several instances share."""

    class Params(Parameters):
        path: Annotated[str, Help("File, from the data directory if relative.", path=True)]

    def setup(self) -> None:
        self._db = sqlite3.connect(Path(self.data_dir, self.params.path), timeout=60.0, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(TABLES)

    def process(self, packet: Packet) -> None:
        document, version = packet.document, packet.version
        assert document is not None
        assert version is not None
        if not packet.is_deletion and version.text >= self._live(document.id):
            row = (document.id, packet.part, version.text, packet.get("text", ""))
            self._db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", row)

    def complete(self, documents: list[Completed]) -> int:
        removed = 0
        for each in documents:
            id, live = each.document.id, self._live(each.document.id)
            if each.is_whole and each.version.text > live:
                live = each.version.text
                self._db.execute("INSERT OR REPLACE INTO live VALUES (?, ?)", (id, live))
            # also what came late of an older version
            removed += self._db.execute("DELETE FROM parts WHERE id = ? AND version < ?", (id, live)).rowcount
        return removed

    def commit(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def teardown(self) -> None:
        self._db.close()

    def _live(self, id: str) -> str:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        found = self._db.execute("SELECT version FROM live WHERE id = ?", (id,)).fetchone()
        return found[0] if found else ""
