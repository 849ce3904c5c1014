"""Handed over: what a filter has handed to another node, so that it is handed over once.

Which documents travel together differs from run to run. So each batch is noted in the store of the filter, with its documents and
its body, before it is sent. A document that comes again, after an outage or a crash, is found there: its batch is sent
again as it was, under the same key, by which the other node knows it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from pypes.component import Changes, Store
from pypes_basic.node_client import Request
from pypes_basic.records import digest

#: Documents and batches that are known, those that were handed over last.
MOST_KNOWN: Final = 200_000
#: Shorter bodies are not compressed, in bytes.
PLAIN_BYTES: Final = 512


class Item(NamedTuple):
    """A document that is to be handed over; a deletion has no ``data``. ``key`` is the same in every run of its delivery."""

    key: str
    route: str
    id: str
    hops: int
    data: bytes


@dataclass
class Batch:
    """A request, with the place of each of its documents by their keys."""

    request: Request
    places: dict[str, int]
    #: Empty until the other node has accepted it.
    receipt: str = ""
    #: The documents that failed there, by place, with what is said of each; ``None`` until that is known.
    failed: dict[int, str] | None = None
    #: True if it was noted in an earlier turn, perhaps with documents that are not in this one.
    is_known: bool = False

    def packed(self) -> bytes:
        """The entry in the store. Once accepted, the body is not needed any more."""
        known = [self.request._replace(body=b"")[:-1], self.places, self.receipt, self.failed]
        body = b"" if self.receipt else self.request.body
        return orjson.dumps(known, option=orjson.OPT_NON_STR_KEYS) + b"\n" + body

    @classmethod
    def unpacked(cls, data: bytes) -> Batch:
        head, _, body = data.partition(b"\n")
        (key, route, id, hops), places, receipt, failed = orjson.loads(head)
        told = None if failed is None else {int(place): reason for place, reason in failed.items()}
        return cls(Request(key, route, id, hops, body), places, receipt, told, is_known=True)


class HandedOver:
    """The batches of the filter ``name``; at most ``most`` documents of ``max_bytes`` travel together.

    All methods block, and raise ``Unreachable`` while nothing can be noted.
    """

    def __init__(self, store: Store, name: str, most: int, max_bytes: int, *, is_compressed: bool, is_synced: bool) -> None:
        self._store = store
        self._name = name
        self._most = most
        self._max_bytes = max_bytes
        self._is_compressed = is_compressed
        self._is_synced = is_synced

    def batches(self, items: Sequence[Item]) -> list[Batch]:
        """The batches of a turn, in the order of its documents: those that are known, and new ones, which are noted."""
        named = {key: name.decode() for key, name in self._read([item.key for item in items]).items()}
        known = {name: Batch.unpacked(data) for name, data in self._read(set(named.values())).items()}
        found: dict[str, Batch] = {}
        waiting: list[Item] = []
        for item in items:
            batch = known.get(named.get(item.key, ""))
            if batch is not None and item.key in batch.places:
                found |= self._new(waiting)
                waiting = []
                found.setdefault(batch.request.key, batch)
            else:
                waiting.append(item)
        found |= self._new(waiting)
        new = {name: batch for name, batch in found.items() if name not in known}
        if new:
            entries = {name: batch.packed() for name, batch in new.items()}
            places = {key: name.encode() for name, batch in new.items() for key in batch.places}
            self._store.change([], lambda _: Changes({**places, **entries}, must_last=self._is_synced))
        return list(found.values())

    def note(self, batch: Batch) -> None:
        """Keep what is known of a batch by now."""
        self._store.change([], lambda _: Changes({batch.request.key: batch.packed()}))

    def forget(self, batch: Batch) -> None:
        """Forget a batch that the other node has refused: its documents may travel in others."""
        self._store.change([], lambda _: Changes({batch.request.key: None}))

    def _read(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}

        def look(entries: Mapping[str, bytes]) -> Changes:
            found.update(entries)
            return Changes({})

        if wanted := list(dict.fromkeys(keys)):
            self._store.change(wanted, look)
        return found

    def _new(self, items: Sequence[Item]) -> dict[str, Batch]:
        """New batches of documents in their order."""
        made = [self._batch(group) for group in self._groups(items)]
        return {batch.request.key: batch for batch in made}

    def _groups(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Neighbours that may travel in one request."""
        group: list[Item] = []
        size = 0
        for item in items:
            if group and (
                not (item.data and group[-1].data)
                or (item.route, item.hops) != (group[-1].route, group[-1].hops)
                or len(group) == self._most
                or size + len(item.data) > self._max_bytes
            ):
                yield group
                group, size = [], 0
            group.append(item)
            size += len(item.data)
        if group:
            yield group

    def _batch(self, group: Sequence[Item]) -> Batch:
        first = group[0]
        body = b"[" + b",".join(item.data for item in group) + b"]" if first.data else b""
        if self._is_compressed and len(body) > PLAIN_BYTES:
            body = gzip.compress(body, 1, mtime=0)
        key = digest("batch", self._name, *(item.key for item in group))
        request = Request(key, first.route, "" if first.data else first.id, first.hops, body)
        return Batch(request, {item.key: place for place, item in enumerate(group)})
