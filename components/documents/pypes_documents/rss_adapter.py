"""RSS: the entries of feeds in RSS and Atom."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import MaxParts, TextBounds


class RSS(FileAdapter):
    """Read a feed in any version of RSS or Atom: one part for each entry.

    An entry is the part ``entry=ID`` of the feed, by its id or else its link, so that the same entry of a later version of the
    feed replaces it. Entries that are no longer in the feed are no longer parts of it: give each version of a feed another id to
    keep them. Fields are those of the vocabulary: ``title``, ``text`` with the structure of its content, ``description`` (a
    summary beside the content), ``author``, ``created``, ``modified``, ``keywords``, ``language``, ``links``;
    metadata ``feed`` is the title of the feed.

    An entry that cannot be read makes the feed a dead letter that names it, while all others have been sent on.

    Dead letters: ``document.malformed``, ``html.too_nested`` (of an entry), ``document.too_large`` (a bound is exceeded),
    ``document.no_text`` (no entries, or one with neither title nor text).
    """

    icon = "rss"
    tags = ("format", "web")
    reader = "feed_reader"
    parts = "entries"
    example = Example(
        takes=Packet(
            {
                "data": b"<rss version='2.0'><channel><title>Looms</title><item><guid>1</guid><title>Warp</title>"
                b"<description>A &lt;b&gt;warp&lt;/b&gt;.</description></item></channel></rss>"
            },
            {"id": "feed"},
        ),
        gives=Packet({"title": "Warp", "text": "A warp."}, {"id": "feed/entry=1", "feed": "Looms"}),
    )
    accepts: ClassVar[tuple[str, ...]] = ("application/rss+xml", "application/atom+xml", "application/rdf+xml")

    class Params(TextBounds):
        max_parts: MaxParts = 10_000
