"""Entries of feeds in any version of RSS and Atom, by feedparser."""

from __future__ import annotations

import calendar
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import feedparser

from pypes import Packet, Reject
from pypes_documents.dates import moment
from pypes_documents.html_reader import parsed
from pypes_documents.job import MALFORMED, NO_TEXT, TOO_LARGE, Job, Unread, put_facts
from pypes_documents.names import Names
from pypes_documents.plain import plain_line

#: A feed becomes a tree in memory.
MOST_BYTES: Final = 32 * 1024 * 1024
#: Metadata with the name of the feed that an entry is of.
FEED: Final = "feed"


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Yield the entries of a feed, each as a part of it; the feed itself has nothing to say."""
    data = job.take(packet)
    if len(data) > MOST_BYTES:
        raise Reject(f"the feed is longer than {MOST_BYTES} bytes", TOO_LARGE)
    logging.getLogger("feedparser").setLevel(logging.CRITICAL)
    url = packet.get_meta("url")
    try:
        # as a stream: bytes as such are the name of a file that is opened, and a text an address that is fetched
        feed = feedparser.parse(io.BytesIO(data), response_headers={"content-location": url} if url else None)
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError) as error:
        raise Reject(f"the feed is damaged: {type(error).__name__}: {error}", MALFORMED) from error
    if not feed.get("version") and not feed.entries:
        raise Reject(f"it is no RSS or Atom: {feed.get('bozo_exception', 'nothing of a feed is in it')}", MALFORMED)
    if not feed.entries:
        raise Reject("the feed has no entries", NO_TEXT)
    names = Names()
    name = plain_line(feed.feed.get("title", ""))
    for number, entry in enumerate(feed.entries, 1):
        job.begin_part()
        place = names.add(plain_line(entry.get("id") or entry.get("link") or "")[:500] or str(number))
        part = packet.derive("entry", place, meta={FEED: name} if name else None)
        try:
            _fill(part, entry, feed.feed, job)
        except Reject as fault:
            yield Unread(part.part, fault)
        else:
            yield part


def _fill(part: Packet, entry: Any, feed: Any, job: Job) -> None:
    text = job.text()
    contents = entry.get("content") or [entry.get("summary_detail") or {"value": entry.get("summary", "")}]
    for content in contents:
        value = content.get("value") or ""
        if content.get("type") == "text/plain":
            text.add(value)
        elif value:
            parsed(value.encode("utf-8", "replace"), "utf-8").add_text(text)
    summary = job.text()
    if entry.get("content") and entry.get("summary"):
        parsed(entry.summary.encode("utf-8", "replace"), "utf-8").add_text(summary)
    title = job.text()
    if entry.get("title"):
        parsed(entry.title.encode("utf-8", "replace"), "utf-8").add_text(title)
    if not (text.blocks or title.blocks):
        raise Reject("the entry has neither a title nor a text", NO_TEXT)
    # entries have a get of their own, which takes one date for another
    told = partial(dict.get, entry)
    put_facts(
        part,
        {
            "title": title.text,
            "description": summary.text if summary.text != text.text else "",
            "author": [found for each in entry.get("authors", ()) if (found := each.get("name") or each.get("email"))],
            "created": _moment(told("published_parsed") or told("created_parsed") or told("updated_parsed")),
            "modified": _moment(told("updated_parsed")),
            "keywords": [tag.get("label") or tag.get("term") or "" for tag in entry.get("tags", ())],
            "language": contents[0].get("language") or feed.get("language") or "",
            "links": [link["href"] for link in entry.get("links", ()) if link.get("href")],
        },
    )
    text.put(part)


def _moment(parsed_time: Any) -> str:
    if not parsed_time:
        return ""
    try:
        return moment(datetime.fromtimestamp(calendar.timegm(parsed_time), UTC))
    except (ValueError, OverflowError, OSError):
        return ""
