"""RedisConsumer: fetch the entries of a stream in Redis as a member of a consumer group."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Annotated, Any, Final, Literal

from pypes import Example, Help, Packet, Parameters, Reject, Source
from pypes.core.file_names import named
from pypes.errors import ComponentError
from pypes_basic.naming import id_help
from pypes_stores.redis_client import ADDRESSES, connected, is_not_now

#: Entries that are asked for at once, so many or of about so many bytes together as those before; and stored at once.
MOST_ENTRIES: Final = 1_000
FIRST_ENTRIES: Final = 64
BATCH_BYTES: Final = 4 << 20
#: About what a document has beside its fields.
META_BYTES: Final = 512

#: An id with the names and values of fields; no fields for one that was deleted from the stream, or that a later one replaces.
_Entry = tuple[bytes, dict[bytes, bytes] | None]


class RedisConsumer(Source):
    """Fetch the entries of a stream in Redis, as a consumer of a group. Each entry is one document.

    A document has a field for each field of the entry, as text, or as bytes where it is none. With ``data``, that field alone
    goes to the adapters, as a file of type ``mimetype``. The id is ``STREAM/ENTRY`` unless ``id`` says otherwise; ``{key}`` in it
    is the value of field ``key``, so that an entry replaces the document of an earlier one. ``entry`` and ``stream`` are
    metadata.

    An entry is acknowledged (``XACK``) when its document is stored. What was stored and not acknowledged when a node was killed
    is acknowledged by the next run, and what was handed out and not stored is fetched by it. Entries that another consumer has
    held for ``claim_s`` are taken over, as of a node that is gone. Each node that reads for a group needs a name of its own.

    Entries that come late, as they are taken over or were handed out before a kill, are acknowledged and passed over if a later
    entry of the same id was handed out, so that state does not go back. That is looked up in the stream: it counts for as long
    as the later entry is there, even if its document becomes a dead letter. Of two new entries of an id that two consumers get
    at the same time, either may be published last.

    A run ends when there is nothing new.
    """

    icon = "list-start"
    tags = ("queue", "messages")
    needs = {"redis": 'pip install "pypes-stores[redis]"'}
    #: ``${REDIS}`` is the address of a server with an entry in stream ``people``, whose id is ``1-1``.
    example = Example(
        params={"url": "${REDIS}", "stream": "people"},
        gives=Packet({"name": "Ada"}, {"id": "people/1-1", "stream": "people", "entry": "1-1"}),
    )

    class Params(Parameters):
        url: Annotated[
            str,
            Help(
                "The server: rediss://USER:${PASSWORD}@HOST:6379/0.",
                pattern="^(rediss?|unix)://|^\\$\\{",
                harmless=ADDRESSES,
            ),
        ]
        stream: Annotated[str, Help("Key of the stream.", min_length=1)]
        group: Annotated[str, Help("The consumer group; it is made if it is not there.", min_length=1)] = "pypes"
        consumer: Annotated[str, Help("Name in the group; empty: that of the machine.")] = ""
        begin: Annotated[Literal["first", "new"], Help("Where a group begins that is made: first entry, or those to come.")] = (
            "first"
        )
        id: Annotated[str, id_help("Id of each document, made of {stream}, {entry}, {key}", "stream", "entry", "key")] = (
            "{stream}/{entry}"
        )
        key: Annotated[str, Help("Field whose value is {key} in id.")] = ""
        data: Annotated[str, Help("Field that holds a file; empty: each field of an entry is a field.")] = ""
        mimetype: Annotated[str, Help("Media type of what is in data.", min_length=1)] = "application/json"
        claim_s: Annotated[float, Help("Entries that another consumer has held for so long are taken over.", gt=0)] = 900.0
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            if ("{key}" in self.id) != bool(self.key):
                raise ValueError("id and key: {key} in id stands for the value of field key; give both, or none")

    def setup(self) -> None:
        params = self.params
        #: As they are stored: no value of a variable gets into them.
        self._template = self.secrets.redact(params.id)
        self._stream = self.secrets.redact(params.stream)
        self._of = self.secrets.redact(f"{params.url} {params.stream} {params.group}")
        self._consumer = params.consumer or socket.gethostname()

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        from redis.exceptions import RedisError

        with closing(connected(self.params.url, self.params.timeout_s)) as client:
            try:
                yield from self._fetched(client, cursor)
            except RedisError as error:
                code = "redis.unreachable" if is_not_now(error) else "redis.failed"
                raise ComponentError(self.secrets.redact(f"Redis: {error}"), code=code) from error

    def process(self, packet: Packet) -> Packet:
        fault = packet.get_meta("fault")
        if fault is None:
            return packet
        raise Reject(str(fault), "redis.entry")

    def _fetched(self, client: Any, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        self._join(client)
        if cursor and cursor["of"] == self._of:
            # these are stored, but it may have been killed before it could say so
            self._acknowledge(client, [id.encode() for id in cursor["stored"]])
        is_any = bool(cursor and cursor["stored"])
        for entries in self._read(client):
            there: list[_Entry] = [(id, fields) for id, fields in entries if fields is not None]
            self._acknowledge(client, [id for id, fields in entries if fields is None])
            for portion in self._portions(there):
                ids = [id for id, _ in portion]
                packets = [self._packet(id.decode(), fields or {}) for id, fields in portion]
                is_any = True
                yield packets, {"of": self._of, "stored": [id.decode() for id in ids]}
                self._acknowledge(client, ids)
        if is_any:
            yield [], {"of": self._of, "stored": []}

    def _join(self, client: Any) -> None:
        """Have the group be there."""
        from redis.exceptions import ResponseError

        try:
            begin = "0" if self.params.begin == "first" else "$"
            client.xgroup_create(self.params.stream, self.params.group, begin, mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _read(self, client: Any) -> Iterator[Sequence[_Entry]]:
        """Entries that were handed out to this consumer before, those that others do not come back for, and new ones."""
        params = self.params
        count, behind = FIRST_ENTRIES, b"0"
        while entries := self._handed_out(client, behind, count):
            yield self._still_valid(client, entries)
            count, behind = _next_count(entries), entries[-1][0]
        begin = b"0-0"
        while True:
            begin, entries, *_ = client.xautoclaim(
                params.stream, params.group, self._consumer, int(params.claim_s * 1000), begin, count
            )
            if entries:
                yield self._still_valid(client, entries)
            if begin == b"0-0":
                break
        while entries := self._handed_out(client, b">", count):
            yield entries
            count = _next_count(entries)

    def _handed_out(self, client: Any, behind: bytes, count: int) -> Sequence[_Entry]:
        params = self.params
        answer = client.xreadgroup(params.group, self._consumer, {params.stream: behind}, count)
        return [(id, fields or None) for id, fields in answer[0][1]] if answer else []

    def _still_valid(self, client: Any, entries: Sequence[_Entry]) -> Sequence[_Entry]:
        """Entries that come late, in order; without fields where a later one of the same id was handed out, to whomever."""
        params = self.params
        if not params.key or "{entry}" in params.id:
            return entries
        groups = client.xinfo_groups(params.stream)
        end = next(group["last-delivered-id"] for group in groups if group["name"] == params.group.encode())
        packets = {id: self._packet(id.decode(), fields) for id, fields in entries if fields}
        late = {packet.id for packet in packets.values()}
        later: set[str | None] = set()
        replaced: set[bytes] = set()
        count = FIRST_ENTRIES
        while found := client.xrevrange(params.stream, end, entries[0][0], count):
            for id, fields in found:
                packet = packets.get(id) or self._packet(id.decode(), fields)
                if packet.id in later:
                    replaced.add(id)
                elif packet.id in late and packet.get_meta("fault") is None:
                    later.add(packet.id)
            end, count = b"(" + found[-1][0], _next_count(found)
        return [(id, None if id in replaced else fields) for id, fields in entries]

    def _acknowledge(self, client: Any, ids: Sequence[bytes]) -> None:
        if ids:
            client.xack(self.params.stream, self.params.group, *ids)

    def _portions(self, entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
        portion: list[_Entry] = []
        size = 0
        for entry in entries:
            added = _size(entry)
            if portion and size + added > min(BATCH_BYTES, self.fetched_bytes):
                yield portion
                portion, size = [], 0
            portion.append(entry)
            size += added
        if portion:
            yield portion

    def _packet(self, entry: str, values: dict[bytes, bytes]) -> Packet:
        params = self.params
        fields = {name.decode("utf-8", "replace"): _plain(value) for name, value in values.items()}
        key = fields.get(params.key, "") if params.key else ""
        meta: dict[str, Any] = {"stream": self._stream, "entry": entry}
        if id := named(self._template, stream=self._stream, entry=entry, key=key if isinstance(key, str) else ""):
            meta["id"] = id
        if _size((b"", values)) > self.fetched_bytes:
            fault = f"entry {entry} is larger than limits.json_bytes lets be handed over, {self.fetched_bytes}; raise it"
        elif params.key and not (key and isinstance(key, str)):
            fault = f"entry {entry} has no text in field {params.key!r}, of which its id is made"
        elif params.data and params.data not in fields:
            fault = f"entry {entry} has no field {params.data!r}; it has {', '.join(fields)}"
        elif params.data:
            return Packet.from_document({"data": values[params.data.encode()]}, meta | {"mimetype": params.mimetype})
        else:
            return Packet.from_document(fields, meta)
        return Packet.from_document({}, meta | {"fault": fault})


def _plain(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _size(entry: _Entry) -> int:
    """Bytes of an entry as JSON, at most about: what is no text takes four thirds, and text may be escaped."""
    return META_BYTES + sum(len(name) + 2 * len(value) for name, value in (entry[1] or {}).items())


def _next_count(entries: Sequence[_Entry]) -> int:
    """As many entries as are about as large as may be stored at once, by those that came last."""
    return max(1, min(MOST_ENTRIES, BATCH_BYTES * len(entries) // sum(map(_size, entries))))
