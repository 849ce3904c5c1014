"""Requests that write whole documents to OpenSearch and Elasticsearch."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pypes import Reject, Unreachable
from pypes_basic.records import Record, digest
from pypes_basic.timing import RETRY_S
from pypes_search.opensearch_client import MAX_REASON, NOT_NOW, Client, reason_of
from pypes_search.opensearch_index import OWN, Layout
from pypes_search.versioned_writing import MOST_TRIES, Entry, Move, VersionedWriter

#: Most documents of one delete by query: each takes three of the 1,024 clauses of a query.
MOST_REMOVED: Final = 200
#: Most documents that are gone that are forgotten at once.
MOST_FORGOTTEN: Final = 200


class Writer(VersionedWriter):
    """The requests of one layout; ``refresh`` says when readers find what was put.

    The token of an entry is its sequence number and primary term.
    """

    def __init__(self, client: Client, layout: Layout, refresh: str) -> None:
        self._client = client
        self._layout = layout
        self._refresh = refresh

    def read(self, documents: Collection[str]) -> dict[str, Entry]:
        if not documents:
            return {}
        answer = self._client.ask("POST", f"/{self._layout.versions}/_mget", {"ids": sorted(documents)})
        return {
            item["_id"]: Entry(item["_source"]["version"], (item["_seq_no"], item["_primary_term"]))
            for item in answer["docs"]
            if item.get("found")
        }

    def create(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Entry]:
        items = self._client.bulk(
            ({"create": {"_index": self._layout.versions, "_id": name}}, _entry("", *of)) for name, of in names.items()
        )
        return {name: Entry("", token, is_new=True) for name, item in zip(names, items, strict=True) if (token := _token(item))}

    def move(self, moves: Sequence[Move]) -> dict[str, Entry]:
        now_ms = int(time.time() * 1000)
        items = self._client.bulk(
            (
                {"index": {"_index": self._layout.versions, "_id": told.document, **_unchanged(entry.token)}},
                _entry(told.version, told.route, told.id, now_ms if is_gone else None),
            )
            for told, entry, is_gone in moves
        )
        return {
            each.told.document: Entry(each.told.version, token)
            for each, item in zip(moves, items, strict=True)
            if (token := _token(item))
        }

    def put(self, records: Sequence[Record]) -> None:
        """Put parts; raises ``Reject`` if the server refuses one, after the others were put."""
        for item in self._client.bulk(((_action(record), self._source(record)) for record in records), self._refresh):
            _token(item)

    def remove_older(self, versions: Mapping[str, str]) -> None:
        self._delete(
            [_all_of(_is("document", name), {"range": {"pypes.version": {"lt": version}}}) for name, version in versions.items()]
        )

    def remove_others(self, records: Sequence[Record]) -> None:
        clauses = []
        for record in records:
            version = record.version_text
            older = {"range": {"pypes.version": {"lt": version} if version else {"gt": ""}}}
            clauses.append(_all_of(_is("document", record.document), _is("place", record.place), older))
        self._delete(clauses)

    def remove_all(self, documents: Collection[str]) -> None:
        self._delete([{"terms": {"pypes.document": sorted(documents)}}])

    def drop(self, documents: Collection[str]) -> None:
        self._client.bulk(({"delete": {"_index": self._layout.versions, "_id": name}},) for name in sorted(documents))

    def forget(self, tombstone_s: float) -> None:
        """Forget some documents that have been gone for so long and of which nothing is left."""
        before = int((time.time() - tombstone_s) * 1000)
        query = {"size": MOST_FORGOTTEN, "query": {"range": {"gone_ms": {"lt": before}}}, "seq_no_primary_term": True}
        self._client.ask("POST", f"/{self._layout.versions}/_refresh")
        for hit in self._client.ask("POST", f"/{self._layout.versions}/_search", query)["hits"]["hits"]:
            parts = {"query": {"term": {"pypes.document": hit["_id"]}}}
            if not self._client.ask("POST", f"/{self._layout.pattern}/_count", parts)["count"]:
                condition = _unchanged((hit["_seq_no"], hit["_primary_term"])) if "_seq_no" in hit else {}
                self._client.bulk([({"delete": {"_index": self._layout.versions, "_id": hit["_id"], **condition}},)])

    def _delete(self, clauses: Sequence[Mapping[str, Any]]) -> None:
        """Delete by query all that fits one of the clauses, of what was written until now."""
        path = f"/{self._layout.pattern}/_delete_by_query?conflicts=proceed&refresh=true&allow_no_indices=true"
        for start in range(0, len(clauses), MOST_REMOVED):
            some = list(clauses[start : start + MOST_REMOVED])
            for _ in range(MOST_TRIES):
                # a query finds only what was refreshed
                self._client.ask("POST", f"/{self._layout.pattern}/_refresh?allow_no_indices=true")
                answer = self._client.ask("POST", path, {"query": {"bool": {"should": some, "minimum_should_match": 1}}})
                if failures := answer.get("failures"):
                    raise Unreachable(RETRY_S, f"older versions cannot be removed: {str(failures[0])[:MAX_REASON]}")
                if not answer.get("version_conflicts"):
                    break
            else:
                raise Unreachable(RETRY_S, "other instances change the same documents all the time")

    def _source(self, record: Record) -> dict[str, Any]:
        if taken := next((name for name in OWN if name in record.fields), None):
            raise Reject(
                f"a field {taken!r} would take the place of what Pypes writes there; rename it before", "opensearch.field"
            )
        layout = self._layout
        own = {
            "document": record.document,
            "place": record.place,
            "version": record.version_text,
            "route": record.route,
            "id": record.id,
            "part": record.part,
        }
        found = {**record.fields, layout.title: record.title, layout.text: record.text, "meta": record.meta, "pypes": own}
        if record.acl is not None:
            found["acl"] = record.acl
        if record.vector is not None:
            found[layout.vector] = record.vector
        return found


def _action(record: Record) -> dict[str, Any]:
    """Put a part in the place of one of the same delivery, unless that is of a later run."""
    version = record.version
    delivery = "" if version is None else f"{version.receipt}/{version.index}"
    action: dict[str, Any] = {"_index": record.into, "_id": digest(record.document, record.place, delivery)}
    if version is not None:
        action |= {"version": version.run + 1, "version_type": "external_gte"}
    return {"index": action}


def _entry(version: str, route: str, id: str, gone_ms: int | None = None) -> dict[str, Any]:
    return {"version": version, "route": route, "id": id, "gone_ms": gone_ms}


def _all_of(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {"bool": {"filter": list(conditions)}}


def _is(name: str, value: str) -> dict[str, Any]:
    return {"term": {f"pypes.{name}": value}}


def _unchanged(token: tuple[int, int]) -> dict[str, int]:
    return {"if_seq_no": token[0], "if_primary_term": token[1]}


def _token(item: Mapping[str, Any]) -> tuple[int, int] | None:
    """The token of what an action wrote, ``None`` where another or newer one is there.

    Raises what waits for the server, or the reason why it refuses the document.
    """
    status, error = item["status"], item.get("error")
    if status == 409:
        return None
    if status < 300:
        return item["_seq_no"], item["_primary_term"]
    reason = f"{status} {error.get('type', '') if isinstance(error, Mapping) else ''}: {reason_of(error)}"
    if status in (*NOT_NOW, 401, 403, 404) or status >= 500:
        raise Unreachable(RETRY_S, reason)
    raise Reject(reason, "opensearch.refused_document")
