"""HTTPPoll: fetch the items of a list over HTTP that are new or have changed, and delete the documents of those that are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Annotated, Any, Final
from urllib.parse import urljoin, urlsplit

import orjson
import urllib3

from pypes import Example, Help, Packet, Parameters, Reject, Source
from pypes.core.file_names import named
from pypes.errors import ComponentError
from pypes_basic.answer import decoded
from pypes_basic.deadline import Deadline
from pypes_basic.naming import deletion, id_help
from pypes_basic.seen import are_too_many

ATTEMPTS: Final = 3
READ_BYTES: Final = 1 << 16
#: Most pages of a list: more of them lead round.
MOST_PAGES: Final = 10_000
#: Documents that are stored at once: so many, or a share of those known, since the cursor with all is stored each time; or bytes.
BATCH_ITEMS: Final = 256
BATCH_SHARE: Final = 16
MOST_ITEMS: Final = 4096
BATCH_BYTES: Final = 4 << 20
#: About what a document has beside its fields.
META_BYTES: Final = 512
#: Begins the name of an item without an id in the cursor; no id begins so.
_NAMELESS: Final = "\0"
_NEXT: Final = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)

#: Digests of items by id.
_Known = dict[str, str]


class HTTPPoll(Source):
    """Fetch the items of a list (JSON over HTTP) that are new or have changed since, and delete the documents of those gone.

    An item is a document with a field for each of its members; its id is member ``key`` unless ``id`` says otherwise, so that a
    changed item replaces its document. ``items`` says where in an answer the list is, ``next`` where the address of the next page
    is; without it, a header ``Link`` with ``rel="next"`` is followed. Pages are on the same host.

    A list of one page is asked for with what ``ETag`` and ``Last-Modified`` said last, and 304 ends the run. Items are compared
    by a digest. These digests are part of the cursor, so this is for some hundred thousand items. For feeds, use ``FetchURL`` and
    the adapter ``RSS``.

    An answer that is no list, another status than 200, and a page that is not there are errors of the run: nothing is deleted
    then, and the next run begins where documents were stored last. An item without an id is a dead letter (``poll.no_key``). A
    run that would delete more than ten documents, and more than half of those known, deletes none and ends with
    ``source.too_many_deletions``; ``POST /graphs/{name}/trigger?confirm=deletions`` has them deleted.
    """

    icon = "list-restart"
    tags = ("web", "deletions")
    #: ``${SITE}`` is the address of a server with a list of one item.
    example = Example(
        params={"url": "${SITE}/people", "items": "people", "key": "number"},
        gives=Packet({"number": 7, "name": "Ada"}, {"id": "7"}),
    )

    class Params(Parameters):
        url: Annotated[str, Help("Address of the list, http or https.", pattern=r"^https?://[^/@?#]+([/?].*)?$")]
        key: Annotated[str, Help("Member of an item by which it is known, such as id or meta.id.", min_length=1)] = "id"
        items: Annotated[str, Help("Where the list is in an answer, such as data.items; empty: the answer itself.")] = ""
        next: Annotated[str, Help("Where the address of the next page is in an answer; empty: in the header Link.")] = ""
        id: Annotated[str, id_help("Id of each document, made of {key}", "key")] = "{key}"
        deletions: Annotated[bool, Help("Delete the document of an item that is gone.")] = True
        headers: Annotated[dict[str, str], Help("Headers of the request, such as Authorization.")] = {}
        timeout_s: Annotated[float, Help("Longest time for a page, repeats included.", gt=0)] = 60.0
        max_bytes: Annotated[int, Help("A longer page is an error.", ge=1)] = 32 * 1024 * 1024

    def setup(self) -> None:
        #: The address and the template of ids as others may read them.
        self._shown = self.secrets.redact(self.params.url)
        self._template = self.secrets.redact(self.params.id)

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        is_same = bool(cursor) and cursor["url"] == self._shown
        known: _Known = dict(cursor["seen"]) if cursor else {}
        if not is_same:
            # another list holds other items, and what the former had and this one has not is gone
            known = dict.fromkeys(known, "")
        conditions = dict(cursor["conditions"]) if is_same else {}
        here: set[str] = set()
        packets: list[Packet] = []
        size = pages = 0
        answer: Mapping[str, str] = {}
        for headers, items in self._pages(conditions):
            answer = headers
            pages += 1
            for item in items:
                name, id, digest = self._named(item)
                if name in here:
                    self.log.warning("an id is there twice, and the second item is passed over", extra={"id": id})
                    continue
                here.add(name)
                if known.get(name) == digest:
                    continue
                packet, added = self._packet(item, id)
                if packets and size + added > min(BATCH_BYTES, self.fetched_bytes):
                    yield packets, self._cursor(known)
                    packets, size = [], 0
                known[name] = digest
                packets.append(packet)
                size += added
                if len(packets) >= self._batch_items(known):
                    yield packets, self._cursor(known)
                    packets, size = [], 0
        if not pages:
            return
        if packets:
            yield packets, self._cursor(known)
        yield from self._deletions(known, here)
        # only now everything that was said under these is done
        marks = {"If-None-Match": answer.get("etag"), "If-Modified-Since": answer.get("last-modified")}
        done = self._cursor(known, {name: value for name, value in marks.items() if value} if pages == 1 else {})
        if done != cursor and (done["conditions"] or (cursor or {}).get("conditions")):
            yield [], done

    def process(self, packet: Packet) -> Packet:
        fault = packet.get_meta("fault")
        if fault is None:
            return packet
        raise Reject(str(fault), "poll.no_key" if packet.id is None else "poll.too_large")

    def _pages(self, conditions: Mapping[str, str]) -> Iterator[tuple[dict[str, str], list[Any]]]:
        """The headers, by names in lower case, and the items of each page; none if the list is as it was."""
        url = self.params.url
        for _ in range(MOST_PAGES):
            status, headers, data = self._get(url, conditions)
            if status == 304:
                return
            try:
                said = orjson.loads(data)
            except orjson.JSONDecodeError as error:
                raise self._failed(f"answered with what is no JSON: {error}", "poll.answer") from error
            items = _at(said, self.params.items)
            if not isinstance(items, list):
                place = f"no list at {self.params.items!r}" if self.params.items else "no list"
                raise self._failed(f"answered with {place}: see parameter items", "poll.answer")
            yield headers, items
            if self.params.next:
                following = _at(said, self.params.next)
            else:
                found = _NEXT.search(headers.get("link", ""))
                following = found[1] if found else None
            if not following:
                return
            before, url = url, urljoin(url, str(following))
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                raise self._failed("leads to a page on another host", "poll.next")
            conditions = {}
        raise self._failed(f"has more than {MOST_PAGES} pages", "poll.next")

    def _get(self, url: str, conditions: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status (200 or 304), headers and content of a page. Blocks."""
        params = self.params
        with Deadline(params.timeout_s) as deadline:
            http = deadline.pool(retries=urllib3.Retry(ATTEMPTS, redirect=False, respect_retry_after_header=False))
            try:
                headers = {"Accept": "application/json", **params.headers, **conditions}
                raw = http.request("GET", url, headers=headers, redirect=False, preload_content=False, timeout=deadline.timeout)
                try:
                    if raw.status not in (200, 304) or (raw.status == 304 and not conditions):
                        raise self._failed(f"answered {raw.status} {raw.reason or ''}".rstrip(), "poll.status")
                    packed = bytearray()
                    while piece := raw.read(READ_BYTES, decode_content=False):
                        packed += piece
                        if len(packed) > params.max_bytes:
                            raise self._failed(f"has a page of more than max_bytes, {params.max_bytes}", "poll.too_large")
                finally:
                    raw.close()
                data = decoded(bytes(packed), raw.headers, params.max_bytes)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                said = f"did not answer within timeout_s, {params.timeout_s:g} s" if deadline.is_over else f"failed: {error}"
                raise self._failed(said, "poll.failed") from error
            finally:
                http.clear()
            if deadline.is_over:  # where no length was announced, a connection that is cut looks like the end
                raise self._failed(f"did not answer within timeout_s, {params.timeout_s:g} s", "poll.failed")
        if data is None:
            raise self._failed(f"has a page of more than max_bytes, {params.max_bytes}", "poll.too_large")
        return raw.status, {name.lower(): value for name, value in raw.headers.items()}, data

    def _named(self, item: Any) -> tuple[str, str, str]:
        """The name of an item in the cursor, the id of its document (empty: none) and its digest."""
        digest = blake2b(orjson.dumps(item, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
        key = _at(item, self.params.key) if isinstance(item, dict) else None
        if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
            return f"{_NAMELESS}{digest}", "", digest
        id = named(self._template, key=str(key))
        return (id or f"{_NAMELESS}{key}"), id, digest

    def _packet(self, item: Any, id: str) -> tuple[Packet, int]:
        """The packet of an item, and about its size."""
        size = META_BYTES + len(orjson.dumps(item))
        meta = {"id": id} if id else {}
        if not isinstance(item, dict) or (self._template and not id):
            said = (
                f"an item has no text or whole number at {self.params.key!r}: {orjson.dumps(item)[:200].decode(errors='replace')}"
            )
            return Packet.from_document({}, {"fault": said}), META_BYTES
        if size > self.fetched_bytes:
            said = f"item {id} has {size} bytes, and limits.json_bytes lets {self.fetched_bytes} be handed over; raise it"
            return Packet.from_document({}, {**meta, "fault": said}), META_BYTES
        return Packet.from_document(item, meta), size

    def _deletions(self, known: _Known, here: set[str]) -> Iterator[tuple[list[Packet], Any]]:
        gone = [name for name in known if name not in here]
        doomed = [name for name in gone if not name.startswith(_NAMELESS)] if self.params.deletions else []
        if are_too_many(len(doomed), len(known)) and not self.is_confirmed:
            raise ComponentError(
                f"{len(doomed)} items of {self._shown} that were known are gone, more than half: their documents stay; "
                f"if they are to be deleted, POST /graphs/{self.graph_name}/trigger?confirm=deletions",
                code="source.too_many_deletions",
            )
        for name in set(gone).difference(doomed):
            del known[name]
        while doomed:
            some, doomed = doomed[: self._batch_items(known)], doomed[self._batch_items(known) :]
            for name in some:
                del known[name]
            yield [deletion(name) for name in some], self._cursor(known)

    def _cursor(self, known: _Known, conditions: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"url": self._shown, "seen": dict(known), "conditions": dict(conditions or {})}

    def _batch_items(self, known: _Known) -> int:
        return max(BATCH_ITEMS, min(len(known) // BATCH_SHARE, MOST_ITEMS))

    def _failed(self, said: str, code: str) -> ComponentError:
        return ComponentError(self.secrets.redact(f"{self._shown} {said}"), code=code)


def _at(value: Any, path: str) -> Any:
    """The member at a path of names; ``None`` if it is not there."""
    for name in filter(None, path.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return value
