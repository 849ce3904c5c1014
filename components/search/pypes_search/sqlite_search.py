"""SQLiteSearch: publish to a full-text index in one file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher, Reject, Retry, Unreachable
from pypes.component.searching import SearchQuery
from pypes.core.identity import Completed, Identity
from pypes.errors import BadId, StoreError
from pypes_basic.timing import RETRY_S, TombstoneS
from pypes_basic.unended import Unended
from pypes_basic.values import KEPT_META, MOST_BITS, acl_of, fitting, stand_in, unicode_of
from pypes_search.embedders import Embedders
from pypes_search.index import TOMBSTONE_S, SearchIndex
from pypes_search.query import ask
from pypes_search.row import One, Row, one_of
from pypes_search.turn import Turn
from pypes_search.vectors import MOST_DIMENSIONS, Space, pack
from pypes_search.words import parted

T = TypeVar("T")

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

#: Numbers that say where a chunk stands, which nobody searches for.
PLACES = ("page", "page_end", "start", "end")


class SQLiteSearch(Publisher):
    """Index documents for search by words, and by meaning, in one SQLite file (ask it with ``pypes search``).

    A document replaces the one of the same route and id (packet metadata or field ``id``) with all of its parts as soon as it is
    complete; if something of it fails, the older one stays. A DELETE removes it. A document without an id is known by its place,
    receipt and ordinal in the delivery, so that what is run again doubles nothing.
    The list of numbers in field ``vector``, as embedders make it, is stored beside the words, and is found by what it is near to.
    All vectors of an index have the same length, and are of one model (metadata ``model`` of the field): a document with another
    one becomes a dead letter. Who may see a document says its metadata ``acl``: a list of names, which is nobody if it is empty;
    without it everybody may. One that is no list of names, and an integer of more than 63 bits, make a dead letter.

    Many instances may write to one file: they take turns, one transaction for up to 256 packets that wait. If the file is removed
    or replaced, they make a new one, or go on with that; while something else lies there, they wait.
    """

    icon = "search"
    tags = ("search", "files")
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada", "text": "Wrote the first program."}),
        params={"path": "search.db"},
        leaves={"search.db": None},
    )

    # While a thread writes, documents that are posted one by one arrive, each as an epoch of its own. Unless a batch takes what
    # waits of all epochs, each document gets its own transaction, and the index falls ever further behind a steady load.
    batch_size = 256

    class Params(Parameters):
        path: Annotated[str, Help("The index, from the data directory if relative.", path=True, min_length=1)] = "search.db"
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.")] = "title"
        fields: Annotated[list[str], Help("Fields to index as text; empty: all that hold text, but for those in omit.")] = []
        omit: Annotated[list[str], Help("Fields not to index when fields is empty; they are stored all the same.")] = ["links"]
        vector: Annotated[str, Help("Field that holds the vector, a list of numbers; empty: none does.")] = "vector"
        dimensions: Annotated[
            int, Help("How many numbers a vector has; 0: as many as the first one.", ge=0, le=MOST_DIMENSIONS)
        ] = 0
        tombstone_s: TombstoneS = TOMBSTONE_S

    def setup(self) -> None:
        params = self.params
        self._index = SearchIndex(Path(self.data_dir, params.path), self.durability, tombstone_s=params.tombstone_s)
        self._turn = Turn()
        self._unended = Unended()
        space, wanted = self._index.space, params.dimensions
        if space is not None and wanted not in (0, space.dimensions):
            raise StoreError(
                f"{params.path} holds vectors of {space.dimensions} numbers, and parameter dimensions is {wanted};"
                " choose another path, or remove the file and post the documents again",
                code="search.dimensions",
            )

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[tuple[str, bytes]] = Counter()
        rows: list[Row] = []
        nameless: list[Row] = []
        vectors: dict[One, bytes | None] = {}
        field = self.params.vector
        for packet in packets:
            try:
                document = packet.document
            except BadId as error:
                raise Reject(error.message, error.code) from error
            row = self._row(packet, document, seen)
            (nameless if document is None else rows).append(row)
            if row.text is not None and (self._index.space is not None or field in packet):
                vectors[one_of(row)] = self._vector(packet, field) if field in packet else None
        turn = self._turn
        turn.rows += rows
        turn.nameless += nameless
        turn.vectors |= vectors
        turn.look = None

    def complete(self, documents: list[Completed]) -> int:
        turn = self._turn
        try:
            end = turn.tell(documents)
            if turn.look is None:
                if end:
                    turn.look = self._ask(self._index.look, turn.rows, end, self._unended)
            elif unknown := turn.look.unknown(end):
                self._ask(self._index.count, turn.look, unknown)
        except BaseException:
            self._turn = Turn()  # as after a commit that raised: the packets come again
            raise
        return turn.removed(end)

    def commit(self) -> None:
        turn, self._turn = self._turn, Turn()
        if turn:
            begun = turn.unended if turn.rows else ()
            told = turn.told + self._unended.ending(turn.told, begun)
            self._ask(self._index.apply, turn.rows, turn.nameless, told, turn.look, turn.vectors)
            self._unended.committed(turn.told, begun)

    def search(self, query: SearchQuery) -> Mapping[str, Any]:
        """Answer ``GET /search``."""
        if not hasattr(self, "_embedders"):
            self._embedders = Embedders()  # they keep the model that they have loaded
        return ask(Path(self.data_dir, self.params.path), query, self._embedders).to_obj()

    def _ask(self, fn: Callable[..., T], *args: Any) -> T:
        """Call the index in a thread, without the interpreter lock: meanwhile the graph works on the next wave."""
        try:
            return self.offload(fn, *args)
        except sqlite3.OperationalError as error:  # a full disk or a foreign writer's lock may pass
            raise Retry(RETRY_S, f"{self.params.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in DAMAGED:
                raise
            raise Unreachable(RETRY_S, f"{self.params.path} is damaged ({error}); put another index there, or none") from error
        except StoreError as error:  # another thing lies there, until somebody takes it away
            raise Unreachable(RETRY_S, error.message) from error

    def teardown(self) -> None:
        if hasattr(self, "_index"):
            self._index.close()

    def _vector(self, packet: Packet, field: str) -> bytes | None:
        """The vector of a packet, packed; ``None`` if it points nowhere. Raises ``Reject`` if it does not fit this index."""
        value = packet.get(field)
        while type(value) is list and len(value) == 1 and type(value[0]) is list:
            value = value[0]  # one value that is a list, or the values of a field
        try:
            if type(value) is not list:
                raise ValueError("it holds something other than a list")
            packed = pack(value)
        except ValueError as error:
            raise Reject(
                f"field {field!r} is no vector: {error}; a vector is a list of numbers (parameter vector names its field)",
                "search.bad_vector",
            ) from error
        given, known, wanted = packet.get_meta("model", field), self._index.space, self.params.dimensions
        space = Space(len(value), given if isinstance(given, str) else "")
        if wanted in (0, space.dimensions) and (known is None or (space.model and not known.model)):
            known = self._ask(self._index.claim, space)
        expected = wanted if known is None else known.dimensions
        if space.dimensions != expected:
            raise Reject(
                f"field {field!r} has {space.dimensions} numbers, and vectors of {self.params.path} have {expected};"
                " publish what another model makes to another path",
                "search.dimensions",
            )
        if known is not None and space.model and known.model and space.model != known.model:
            raise Reject(
                f"field {field!r} was made by {space.model}, and vectors of {self.params.path} by {known.model};"
                " publish what another model makes to another path",
                "search.other_model",
            )
        return packed

    def _row(self, packet: Packet, document: Identity | None, seen: Counter[tuple[str, bytes]]) -> Row:
        version = packet.version
        if packet.is_deletion:
            if document is None:
                raise Reject("a deletion needs an id: DELETE /docs/{route}/{id}", "search.no_id")
            return Row(document.id, route=document.route, version="" if version is None else version.text)
        params = self.params
        body: list[str] = []
        texts: list[str] = []
        is_chunk = type(packet.get("start")) is int and type(packet.get("end")) is int
        stored: dict[str, Any] = {}
        title = ""
        for name, values in packet:
            if name == params.title:
                title = " ".join(_texts(values))
                continue
            if name == params.vector:
                continue
            if name == "text":
                if not params.fields or name in params.fields:
                    body = _texts(values)
                continue
            if name in params.fields or not (params.fields or name in params.omit or (is_chunk and name in PLACES)):
                texts += _texts(values)
            stored[name] = values[0] if len(values) == 1 and not packet.is_multivalued(name) else values
        known = packet.parts()[1] or {}
        meta = {name: known[name] for name in KEPT_META if name in known}
        title, text = unicode_of(title), unicode_of("\n".join(body + texts))
        try:
            fields = _json({"fields": stored, "meta": meta}).decode()
        except TypeError:
            stored, meta = ({unicode_of(name): fitting(name, value) for name, value in each.items()} for each in (stored, meta))
            fields = _json({"fields": stored, "meta": meta}).decode()
        part = unicode_of(packet.part)
        if document is not None:
            (route, id), key = document, "" if version is None else version.text
            if unicode_of(route) != route:
                raise Reject(f"the route {route!r} holds half a surrogate pair, which is no character", "search.bad_name")
        else:
            # several packets may be made of one document, and nothing says in which order
            given = packet.get_meta("route")
            route = unicode_of(given) if isinstance(given, str) else ""
            place = "" if version is None else f"{version.receipt}/{version.index:07}"
            content = [stored, meta.get("row"), part] if part else [stored, meta.get("row")]
            digest = _digest(place, title, text, _json(content), seen)
            id, part, key = (place, digest, "") if place else (digest, "", "")
        title = title or unicode_of(str(meta.get("filename") or ""))
        names = acl_of(known)
        acl = None if names is None else _json(names).decode()
        return Row(id, title, text, fields, route, part, key, parted(title), parted(text), acl)


def _texts(values: Iterable[Any]) -> list[str]:
    """The words in values: strings and numbers, wherever they are nested."""
    found = []
    for value in values:
        kind = type(value)
        if kind is str:
            found.append(value)
        elif kind is float or (kind is int and value.bit_length() <= MOST_BITS):
            found.append(str(value))
        elif isinstance(value, dict):
            found += _texts(value.values())
        elif isinstance(value, list):
            found += _texts(value)
        elif isinstance(value, (str, float)) or (isinstance(value, int) and kind is not bool and value.bit_length() <= MOST_BITS):
            found.append(str(value))
    return found


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=stand_in, option=orjson.OPT_NON_STR_KEYS)


def _digest(place: str, title: str, text: str, content: bytes, seen: Counter[tuple[str, bytes]]) -> str:
    """A key that tells packets of one document apart, the same in every run. ``seen`` tells equal ones of one wave apart."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (title.encode(), text.encode(), content):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    key = place, digest.digest()
    seen[key] += 1
    return digest.hexdigest() if seen[key] == 1 else f"{digest.hexdigest()}-{seen[key]}"
