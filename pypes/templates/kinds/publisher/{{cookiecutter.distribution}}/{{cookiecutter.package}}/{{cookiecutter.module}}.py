"""{{cookiecutter.component}}: where it publishes to, in one sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from pypes import Unreachable
from pypes.component import Example, Publisher
from pypes.component.parameters import Help, Parameters
from pypes.core.identity import Completed, Version
from pypes.packet import Packet

TABLES = """
CREATE TABLE IF NOT EXISTS parts (document, route, id, part, value, delivery, version, PRIMARY KEY (document, part, delivery));
CREATE TABLE IF NOT EXISTS heads (document PRIMARY KEY, version);
"""
PUT = """
INSERT INTO parts SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
    WHERE NOT EXISTS (SELECT 1 FROM heads WHERE document = ?1 AND version > ?7)
ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version WHERE excluded.version >= version
"""
HEAD = "INSERT INTO heads VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version WHERE excluded.version > version"
REMOVE = "DELETE FROM parts WHERE document = ?1 AND version < (SELECT version FROM heads WHERE document = ?1)"


class {{cookiecutter.component}}(Publisher):
    """Keep a field of every document in a table. (Replace this by what yours does: it is shown in the catalogue.)"""

    icon = "table"
    tags = ("files",)
    #: Shown in the catalogue, and run as a test by ComponentSuite.
    example = Example(takes=Packet({"id": 1, "title": "Ada"}), params={"path": "titles.db"}, leaves={"titles.db": None})

    class Params(Parameters):
        path: Annotated[str, Help("SQLite file, from the data directory if relative.", path=True, min_length=1)]
        field: Annotated[str, Help("Field to keep.", min_length=1)] = "title"

    def setup(self) -> None:
        """Open clients and connections here: it runs once per process."""
        self._database = sqlite3.connect(Path(self.data_dir, self.params.path))
        self._database.executescript(TABLES)

    def process(self, packet: Packet) -> None:
        """Write beside the older version. What cannot be published for its own sake raises here, and becomes a dead letter."""
        if packet.is_deletion:
            return  # a version with nothing in it: `complete` removes the older ones
        value = packet.get(self.params.field)
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"field {self.params.field} is no single value")
        document = packet.document
        version = packet.version or Version("" if document else uuid4().hex)  # outside of a node, nobody says it
        delivery = f"{version.receipt}/{version.index}"
        route, id = document or (None, None)
        name = json.dumps(document or delivery)  # without an id, the place in the delivery is the same in every run
        self._ask(self._database.execute, PUT, (name, route, id, packet.part, value, delivery, version.text))

    def complete(self, documents: list[Completed]) -> int:
        """Remove what is older than a whole version; see "A publisher of whole documents" in the component guide."""
        heads = [(json.dumps(each.document), each.version.text) for each in documents if each.is_whole]
        self._ask(self._database.executemany, HEAD, heads)
        names = [(json.dumps(each.document),) for each in documents]
        return self._ask(self._database.executemany, REMOVE, names).rowcount

    def commit(self) -> None:
        """Make durable what was written, once for the whole turn. When this returns, it counts as published."""
        self._ask(self._database.commit)

    def teardown(self) -> None:
        if hasattr(self, "_database"):
            self._database.close()

    def _ask(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except sqlite3.OperationalError as error:
            # nothing is wrong with the packets: the publisher rests, and is given those of this turn again
            self._database.rollback()
            raise Unreachable(str(error)) from error
