"""SQLiteSearch: publish to a full-text index in one file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher, Reject, Retry, Unreachable
from pypes.errors import BadId, StoreError
from pypes_search.index import Row, SearchIndex
from pypes_search.words import parted

RETRY_S = 1.0
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

#: Metadata kept with a document; the rest says how it travelled, not what it is.
KEPT_META = (
    *("filename", "path", "url", "modified", "mimetype", "route", "receipt", "row"),
    *("charset", "charset_declared", "charset_guessed", "replaced_characters"),
)


class SQLiteSearch(Publisher):
    """Index documents for full-text search in one SQLite file (ask it with ``pypes-search``).

    A document replaces the one of the same route and id (packet metadata or field ``id``); a DELETE removes it. One without an
    id is known by its place, receipt and ordinal in the delivery, so that what is run again doubles nothing.
    Many instances may write to one file: they take turns, one transaction for each wave. If the file is removed or replaced, they
    make a new one, or go on with that; while something else lies there, they wait.
    """

    icon = "search"
    tags = ("search", "files")
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada", "text": "Wrote the first program."}),
        params={"path": "search.db"},
        leaves={"search.db": None},
    )

    class Params(Parameters):
        path: Annotated[str, Help("The index, from the data directory if relative.", path=True, min_length=1)] = "search.db"
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.")] = "title"
        fields: Annotated[list[str], Help("Fields to index as text; empty: all that hold text, but for those in omit.")] = []
        omit: Annotated[list[str], Help("Fields not to index when fields is empty; they are stored all the same.")] = ["links"]

    def setup(self) -> None:
        self._rows: list[Row] = []
        self._index = SearchIndex(Path(self.data_dir, self.params.path), self.durability)

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[tuple[str, bytes]] = Counter()
        self._rows += [self._row(packet, seen) for packet in packets]

    def commit(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            # in a thread, without the interpreter lock: meanwhile the graph works on the next wave
            try:
                self.offload(self._index.apply, rows)
            except sqlite3.OperationalError as error:  # a full disk or a foreign writer's lock may pass
                raise Retry(RETRY_S, f"{self.params.path}: {error}") from error
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode not in DAMAGED:
                    raise
                raise Unreachable(
                    RETRY_S, f"{self.params.path} is damaged ({error}); put another index there, or none"
                ) from error
            except StoreError as error:  # another thing lies there, until somebody takes it away
                raise Unreachable(RETRY_S, error.message) from error

    def teardown(self) -> None:
        if hasattr(self, "_index"):
            self._index.close()

    def _row(self, packet: Packet, seen: Counter[tuple[str, bytes]]) -> Row:
        try:
            given = packet.id
        except BadId as error:
            raise Reject(error.message, error.code) from error
        route = packet.get_meta("route")
        route = route if isinstance(route, str) else ""
        if packet.is_deletion:
            if given is None:
                raise Reject("a deletion needs an id: DELETE /docs/{route}/{id}", "search.no_id")
            return Row(given, route=route)
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
                stored[name] = values[0] if len(values) == 1 and not packet.is_multivalued(name) else values
        meta = {name: packet.get_meta(name) for name in KEPT_META if packet.has_meta(name)}
        text = "\n".join(texts)
        fields = _json({"fields": stored, "meta": meta}).decode()
        place, part = _place(packet), ""
        if given is None:
            # several packets may be made of one document, and nothing says in which order
            part = _digest(place, title, text, _json([stored, meta.get("row")]), seen)
            given, part = (place, part) if place else (part, "")
        title = title or str(meta.get("filename") or "")
        return Row(given, title, text, fields, route, part, place, parted(title), parted(text))


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


def _place(packet: Packet) -> str:
    """The first run of the document: receipt and ordinal in the delivery; empty outside of a server."""
    receipt = packet.get_meta("origin") or packet.get_meta("receipt")
    index = packet.get_meta("index")
    return f"{receipt}/{index if type(index) is int else 0:07}" if receipt else ""


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_stand_in, option=orjson.OPT_NON_STR_KEYS)


def _digest(place: str, title: str, text: str, content: bytes, seen: Counter[tuple[str, bytes]]) -> str:
    """A key that tells packets of one document apart, the same in every run. ``seen`` tells equal ones of one wave apart."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (title.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"), content):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    key = place, digest.digest()
    seen[key] += 1
    return digest.hexdigest() if seen[key] == 1 else f"{digest.hexdigest()}-{seen[key]}"


def _stand_in(value: Any) -> str:
    """Binary values are not stored: their size says that there was one."""
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes)"
    size = getattr(value, "size", None)
    return str(value) if size is None else f"({size} bytes)"
