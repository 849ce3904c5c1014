"""Writing of whole documents with requests that are durable each by itself, in an order that a crash may cut anywhere.

An index of versions has an entry for each document: the newest version that is whole, or an empty one as long as none was. The
entry is there before the first part is. Then parts are put beside those of other versions, then the entry moves to the version,
then what is older goes. So whoever comes after a crash finds the entry, and knows that there may be something to remove.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pypes import Reject, Unreachable
from pypes_search.opensearch_client import MAX_REASON, NOT_NOW, RETRY_S, Client, reason_of
from pypes_search.opensearch_index import OWN, Layout
from pypes_search.records import Record, Told, digest

#: Most documents of one delete by query: each takes three of the 1,024 clauses of a query.
MOST_REMOVED: Final = 200
#: So often what another instance has changed meanwhile is done again.
MOST_TRIES: Final = 8
#: Most documents that are gone that are forgotten at once.
MOST_FORGOTTEN: Final = 200


class Entry(NamedTuple):
    """The entry of a document, and by which number it is known whether somebody changed it."""

    version: str
    seq_no: int
    primary_term: int
    is_new: bool = False


class Writer:
    """The requests of one layout; ``refresh`` says when readers find what was put."""

    def __init__(self, client: Client, layout: Layout, refresh: str) -> None:
        self._client = client
        self._layout = layout
        self._refresh = refresh

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Put records and end versions; durable when it returns. Blocks.

        Raises ``Reject`` if the server refuses a record, after the others were put.
        """
        versioned = [each for each in told if each.version]
        names = {record.document: (record.route, record.id or "") for record in records if record.is_told}
        names |= {each.document: (each.route, each.id) for each in versioned}
        entries = self._entries(names)
        loose = [record for record in records if record.id is not None and not record.is_told]
        known = entries | self._read(sorted({record.document for record in loose} - entries.keys()))
        self._put([record for record in records if not record.version_text or record.version_text >= _version(known, record)])
        self._loosen(loose, known)
        if versioned:
            before = dict(entries)
            written = {(record.document, record.version_text) for record in records}
            self._switch(entries, versioned, written)
            ended = {each.document for each in versioned}
            # PERF: of a document that nobody knew, nothing older is there
            self._remove({name: entries[name].version for name in sorted(ended) if not before[name].is_new})
        if gone := [each.document for each in told if not each.version and each.is_whole and each.is_deleted]:
            self._delete([{"terms": {"pypes.document": gone}}])
            self._client.bulk([({"delete": {"_index": self._layout.versions, "_id": name}},) for name in gone])

    def forget(self, tombstone_s: float) -> None:
        """Forget some documents that have been gone for so long and of which nothing is left."""
        before = int((time.time() - tombstone_s) * 1000)
        query = {"size": MOST_FORGOTTEN, "query": {"range": {"gone_ms": {"lt": before}}}, "seq_no_primary_term": True}
        self._client.ask("POST", f"/{self._layout.versions}/_refresh")
        for hit in self._client.ask("POST", f"/{self._layout.versions}/_search", query)["hits"]["hits"]:
            parts = {"query": {"term": {"pypes.document": hit["_id"]}}}
            if not self._client.ask("POST", f"/{self._layout.pattern}/_count", parts)["count"]:
                condition = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]} if "_seq_no" in hit else {}
                self._client.bulk([({"delete": {"_index": self._layout.versions, "_id": hit["_id"], **condition}},)])

    def _entries(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Entry]:
        """The entries of documents, with those that were missing."""
        found: dict[str, Entry] = {}
        for _ in range(MOST_TRIES):
            missing = [name for name in names if name not in found]
            found |= self._read(missing)
            missing = [name for name in missing if name not in found]
            if not missing:
                return found
            made = self._client.bulk(
                ({"create": {"_index": self._layout.versions, "_id": name}}, _entry("", *names[name])) for name in missing
            )
            for name, item in zip(missing, made, strict=True):
                if item["status"] != 409:  # which another instance was faster to make
                    _check(item)
                    found[name] = Entry("", item["_seq_no"], item["_primary_term"], is_new=True)
        raise Unreachable(RETRY_S, "other instances change the same documents all the time")

    def _read(self, names: Sequence[str]) -> dict[str, Entry]:
        if not names:
            return {}
        answer = self._client.ask("POST", f"/{self._layout.versions}/_mget", {"ids": list(names)})
        return {
            item["_id"]: Entry(item["_source"]["version"], item["_seq_no"], item["_primary_term"])
            for item in answer["docs"]
            if item.get("found")
        }

    def _put(self, records: Sequence[Record]) -> None:
        items = self._client.bulk(((_action(record), self._source(record)) for record in records), self._refresh)
        for item in items:
            if item["status"] != 409:  # a newer run of the same version is there
                _check(item)

    def _switch(self, entries: dict[str, Entry], told: Iterable[Told], written: set[tuple[str, str]]) -> None:
        """Move entries to the newest versions that are whole; an entry never moves back."""
        newest: dict[str, Told] = {}
        for each in told:
            if each.is_whole and each.version >= newest.get(each.document, each).version:
                newest[each.document] = each
        for _ in range(MOST_TRIES):
            moving = [each for each in newest.values() if each.version > entries[each.document].version]
            if not moving:
                return
            now_ms = int(time.time() * 1000)
            items = self._client.bulk(
                (
                    {
                        "index": {
                            "_index": self._layout.versions,
                            "_id": each.document,
                            "if_seq_no": entries[each.document].seq_no,
                            "if_primary_term": entries[each.document].primary_term,
                        }
                    },
                    # parts may have come in turns before: that is looked at when it is to be forgotten
                    _entry(each.version, each.route, each.id, None if (each.document, each.version) in written else now_ms),
                )
                for each in moving
            )
            changed = []
            for each, item in zip(moving, items, strict=True):
                if item["status"] == 409:
                    changed.append(each.document)
                else:
                    _check(item)
                    entries[each.document] = Entry(each.version, item["_seq_no"], item["_primary_term"])
            entries |= self._read(changed)
        raise Unreachable(RETRY_S, "other instances change the same documents all the time")

    def _remove(self, versions: Mapping[str, str]) -> None:
        """Remove what is older than the versions of documents."""
        clauses = [
            _all_of({"term": {"pypes.document": name}}, {"range": {"pypes.version": {"lt": version}}})
            for name, version in versions.items()
            if version
        ]
        for start in range(0, len(clauses), MOST_REMOVED):
            self._delete(clauses[start : start + MOST_REMOVED])

    def _loosen(self, records: Sequence[Record], entries: Mapping[str, Entry]) -> None:
        """Have parts of which nobody tells when their document is complete replace older ones at once, each for itself."""
        clauses = []
        for record in records:
            place = {"term": {"pypes.document": record.document}}, {"term": {"pypes.place": record.place}}
            version = record.version_text
            clauses.append(_all_of(*place, {"range": {"pypes.version": {"lt": version} if version else {"gt": ""}}}))
        for start in range(0, len(clauses), MOST_REMOVED):
            self._delete(clauses[start : start + MOST_REMOVED])
        older = {
            record.document
            for record in records
            if record.document in entries and (not record.version_text or _version(entries, record) < record.version_text)
        }
        self._client.bulk([({"delete": {"_index": self._layout.versions, "_id": name}},) for name in sorted(older)])

    def _delete(self, clauses: Sequence[Mapping[str, Any]]) -> None:
        """One delete by query of all that fits one of the clauses, of what was written until now."""
        path = f"/{self._layout.pattern}/_delete_by_query?conflicts=proceed&refresh=true&allow_no_indices=true"
        query = {"query": {"bool": {"should": list(clauses), "minimum_should_match": 1}}}
        for _ in range(MOST_TRIES):
            # a query finds only what was refreshed
            self._client.ask("POST", f"/{self._layout.pattern}/_refresh?allow_no_indices=true")
            answer = self._client.ask("POST", path, query)
            if failures := answer.get("failures"):
                raise Unreachable(RETRY_S, f"older versions cannot be removed: {str(failures[0])[:MAX_REASON]}")
            if not answer.get("version_conflicts"):
                return
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


def _version(entries: Mapping[str, Entry], record: Record) -> str:
    return entries[record.document].version if record.document in entries else ""


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


def _check(item: Mapping[str, Any]) -> None:
    """Raise for an action that failed: what waits for the server, or the reason why it refuses the document."""
    status, error = item["status"], item.get("error")
    if status < 300:
        return
    reason = f"{status} {error.get('type', '') if isinstance(error, Mapping) else ''}: {reason_of(error)}"
    if status in (*NOT_NOW, 401, 403, 404) or status >= 500:
        raise Unreachable(RETRY_S, reason)
    raise Reject(reason, "opensearch.refused_document")
