"""Requests that write whole documents to Qdrant: points with payload, and a collection of versions."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from uuid import UUID

from pypes_basic.records import Record, digest
from pypes_search.versioned_writing import Entry, Move, VersionedWriter

#: Points of one request.
MOST_POINTS: Final = 256
#: Most documents that are gone that are forgotten at once.
MOST_FORGOTTEN: Final = 200


class Writer(VersionedWriter):
    """The requests of a collection. An entry is changed only as long as it holds the version that was read."""

    def __init__(self, client: Any, models: Any, versions: str) -> None:
        self._client = client
        self._models = models
        self.versions = versions
        #: Collections of points that are known.
        self.collections: set[str] = set()

    def read(self, documents: Collection[str]) -> dict[str, Entry]:
        found = {}
        for some in _parts_of(sorted(documents)):
            ids = [str(UUID(name)) for name in some]
            for point in self._client.retrieve(self.versions, ids, with_payload=["document", "version"]):
                found[point.payload["document"]] = Entry(point.payload["version"])
        return found

    def create(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Entry]:
        # what is there already stays: no entry is of this version
        self._put_entries([(name, "", *of, None) for name, of in names.items()], [self._is("version", "\x00")])
        return {name: Entry(entry.version, is_new=not entry.version) for name, entry in self.read(names.keys()).items()}

    def move(self, moves: Sequence[Move]) -> dict[str, Entry]:
        now_ms = int(time.time() * 1000)
        rows = [(told.document, told.version, told.route, told.id, now_ms if is_gone else None) for told, _, is_gone in moves]
        unchanged = [
            self._all_of(self._is("document", told.document), self._is("version", entry.version)) for told, entry, _ in moves
        ]
        self._put_entries(rows, unchanged)
        found = self.read([each.told.document for each in moves])
        return {name: entry for name, entry in found.items() if any(entry.version == each.told.version for each in moves)}

    def put(self, records: Sequence[Record]) -> None:
        by_collection: dict[str, list[Record]] = {}
        for record in records:
            by_collection.setdefault(record.into, []).append(record)
        for name, some in by_collection.items():
            for few in _parts_of(some):
                runs = {(record.document, _run(record)) for record in few}
                not_later = [
                    self._all_of(self._is("document", document), self._is_within("run", lte=run))
                    for document, run in sorted(runs)
                ]
                # of several records in one place, the last is meant
                points = {point.id: point for point in map(self._point, few)}
                self._client.upsert(name, list(points.values()), wait=True, update_filter=self._models.Filter(should=not_later))

    def remove_older(self, versions: Mapping[str, str]) -> None:
        for some in _parts_of(list(versions)):
            self._remove(some, lambda payload: payload["version"] < versions[payload["document"]])

    def remove_others(self, records: Sequence[Record]) -> None:
        newest: dict[tuple[str, str], str] = {}
        for record in records:
            newest[record.document, record.place] = record.version_text

        def is_other(payload: Mapping[str, Any]) -> bool:
            version = newest.get((payload["document"], payload["place"]))
            return version is not None and (payload["version"] < version if version else payload["version"] != "")

        for some in _parts_of(sorted({record.document for record in records})):
            self._remove(some, is_other)

    def remove_all(self, documents: Collection[str]) -> None:
        for some in _parts_of(sorted(documents)):
            self._remove(some, lambda payload: True)

    def drop(self, documents: Collection[str]) -> None:
        if documents:
            self._client.delete(self.versions, [str(UUID(name)) for name in sorted(documents)], wait=True)

    def forget(self, tombstone_s: float) -> None:
        """Forget some documents that have been gone for so long and of which nothing is left."""
        gone = self._is_within("gone_ms", lt=int((time.time() - tombstone_s) * 1000))
        found, _ = self._client.scroll(
            self.versions, scroll_filter=self._models.Filter(must=[gone]), limit=MOST_FORGOTTEN, with_payload=["document"]
        )
        names = [point.payload["document"] for point in found]
        for name in names:
            one = self._models.Filter(must=[self._is("document", name)])
            if not any(self._client.count(collection, count_filter=one, exact=True).count for collection in self.collections):
                self.drop([name])

    def _remove(self, documents: Sequence[str], is_removed: Any) -> None:
        """Remove points of documents for which ``is_removed`` says so of their payload; looks at one page at a time."""
        these = self._models.Filter(
            must=[self._models.FieldCondition(key="document", match=self._models.MatchAny(any=list(documents)))]
        )
        for name in sorted(self.collections):
            offset: Any = None
            while True:
                found, offset = self._client.scroll(
                    name,
                    scroll_filter=these,
                    limit=1_000,
                    offset=offset,
                    with_payload=["document", "place", "version"],
                    with_vectors=False,
                )
                if removed := [point.id for point in found if is_removed(point.payload)]:
                    self._client.delete(name, removed, wait=True)
                if offset is None:
                    break

    def _put_entries(self, rows: Iterable[tuple[str, str, str, str, int | None]], only_over: Sequence[Any]) -> None:
        """Put entries: new ones, and in place of those that one of the conditions fits."""
        keys = ("document", "version", "route", "id", "gone_ms")
        points = [
            self._models.PointStruct(id=str(UUID(row[0])), vector={}, payload=dict(zip(keys, row, strict=True))) for row in rows
        ]
        only = self._models.Filter(should=list(only_over))
        for some in _parts_of(points):
            self._client.upsert(self.versions, some, wait=True, update_filter=only)

    def _point(self, record: Record) -> Any:
        version = record.version
        delivery = "" if version is None else f"{version.receipt}/{version.index}"
        payload = {
            "document": record.document,
            "place": record.place,
            "version": record.version_text,
            "run": _run(record),
            "route": record.route,
            "id": record.id,
            "part": record.part,
            "title": record.title,
            "text": record.text,
            "acl": record.acl,
            "fields": record.fields,
            "meta": record.meta,
        }
        id = str(UUID(digest(record.document, record.place, delivery)))
        return self._models.PointStruct(id=id, vector={} if record.vector is None else record.vector, payload=payload)

    def _is(self, key: str, value: str) -> Any:
        return self._models.FieldCondition(key=key, match=self._models.MatchValue(value=value))

    def _is_within(self, key: str, **bounds: float) -> Any:
        return self._models.FieldCondition(key=key, range=self._models.Range(**bounds))

    def _all_of(self, *conditions: Any) -> Any:
        return self._models.Filter(must=list(conditions))


def _run(record: Record) -> int:
    return 0 if record.version is None else record.version.run


def _parts_of(many: Sequence[Any]) -> Iterator[list[Any]]:
    left = iter(many)
    while some := list(islice(left, MOST_POINTS)):
        yield some
