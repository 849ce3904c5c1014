"""SQLiteSearch: publish to a full-text index in one file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson

from pypes.component import Publisher
from pypes.core.parameters import Help, Parameters
from pypes.errors import Reject, Retry
from pypes.packet import Packet
from pypes_search.index import Row, SearchIndex

RETRY_S = 1.0

#: Metadata kept with a document; the rest says how it travelled, not what it is.
KEPT_META = ("filename", "mimetype", "charset", "route", "receipt", "row")


class SQLiteSearch(Publisher):
    """Index documents for full-text search in one SQLite file (ask it with ``pypes-search``).

    A document replaces the one of the same id (packet metadata or field ``id``); a DELETE removes it. Without an id
    one is derived from the receipt and the content, so that a delivery that is run again doubles nothing.
    Many instances may write to one file: they take turns, one transaction for each wave.
    """

    class Params(Parameters):
        path: Annotated[str, Help("The index, from the data directory if relative.", min_length=1)] = "search.db"
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.")] = "title"
        fields: Annotated[list[str], Help("Fields to index as text; empty: all that hold text, but for those in omit.")] = []
        omit: Annotated[list[str], Help("Fields not to index when fields is empty; they are stored all the same.")] = ["links"]

    def setup(self) -> None:
        self._rows: list[Row] = []
        self._index = SearchIndex(Path(self.data_dir, self.params.path), self.durability)

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[bytes] = Counter()
        self._rows += [self._row(packet, seen) for packet in packets]

    def commit(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            # in a thread, without the interpreter lock: meanwhile the graph works on the next wave
            try:
                self.offload(self._index.apply, rows)
            except sqlite3.OperationalError as error:  # a full disk or a foreign writer's lock may pass
                raise Retry(RETRY_S, f"{self.params.path}: {error}") from error

    def teardown(self) -> None:
        if hasattr(self, "_index"):
            self._index.close()

    def _row(self, packet: Packet, seen: Counter[bytes]) -> Row:
        given = packet.get_meta("id")
        if given is None:
            given = packet.get("id")
        if packet.is_deletion:
            if given is None:
                raise Reject("a deletion needs an id: DELETE /docs/{route}/{id}", "search.no_id")
            return Row(str(given))
        params = self.params
        texts: list[str] = []
        stored: dict[str, Any] = {}
        title = ""
        for name, values in packet:
            if name == params.title:
                title = " ".join(_texts(values))
                continue
            if name in params.fields or not (params.fields or name in params.omit):
                texts.extend(_texts(values))
            if name != "text":
                stored[name] = values if packet.is_multivalued(name) else values[0]
        meta = {name: packet.get_meta(name) for name in KEPT_META if packet.has_meta(name)}
        text = "\n".join(texts)
        fields = orjson.dumps({"fields": stored, "meta": meta}, default=_stand_in, option=orjson.OPT_NON_STR_KEYS).decode()
        if given is None:
            given = _derived_id(title, text, fields, seen)
        return Row(str(given), title or str(meta.get("filename") or ""), text, fields)


def _texts(value: Any) -> Iterator[str]:
    """The words in a value: strings and numbers, wherever they are nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _derived_id(title: str, text: str, fields: str, seen: Counter[bytes]) -> str:
    """An id that a re-run of the same delivery gives again: of receipt, row and content, all in ``fields`` and the texts.

    ``seen`` tells equal documents of one wave apart.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (title, text, fields):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    seen[digest.digest()] += 1
    number = seen[digest.digest()]
    return digest.hexdigest() if number == 1 else f"{digest.hexdigest()}-{number}"


def _stand_in(value: Any) -> str:
    """Binary values are not stored: their size says that there was one."""
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes)"
    size = getattr(value, "size", None)
    return str(value) if size is None else f"({size} bytes)"
