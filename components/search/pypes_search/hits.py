"""Hits: the documents that a search has found, with the words around the match, and the place that can be cited."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pypes_search.words import joined

#: In longer texts SQLite does not look for the best place, which would take it the square of the number of matches.
EXCERPT_CHARS: Final = 32 * 1024
#: So much of a longer text is looked at for one of the words, and so much is shown around it.
LOOK_CHARS: Final = 1024 * 1024
AROUND_CHARS: Final = 60
#: So much is shown of a text that is not found by its words.
BEGINNING_CHARS: Final = 240

_DOCUMENTS: Final = """
SELECT d.key, d.id, d.title, d.fields, substr(d.text, 1, ?), %s
FROM json_each(?) k CROSS JOIN documents d ON d.key = k.value
"""
_SNIPPETS: Final = f"""
SELECT d.key, CASE WHEN length(d.text) <= {EXCERPT_CHARS} THEN snippet(words, 1, '[', ']', '…', 16) END
FROM json_each(?) k CROSS JOIN words ON words.rowid = k.value CROSS JOIN documents d ON d.key = words.rowid WHERE words MATCH ?
"""

#: Characters of the names of parts, which the digests of parts without one do not have.
_NAMED: Final = re.compile("[=~]")


@dataclass(frozen=True, slots=True)
class Citation:
    """The place of a text: its file or page on the web, the page in it, and the headings that it stands under.

    ``within`` names the files in which the file lies, outermost first; ``start`` and ``end`` are characters of the text of the
    document. All of it as far as it is known.
    """

    file: str = ""
    url: str = ""
    page: int | None = None
    page_end: int | None = None
    heading: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    within: tuple[str, ...] = ()

    def __str__(self) -> str:
        pages = ""
        if self.page is not None:
            several = self.page_end is not None and self.page_end > self.page
            pages = f"pages {self.page} to {self.page_end}" if several else f"page {self.page}"
        # what lies in others has the address of the outermost
        file = " > ".join((*self.within, self.file)) if self.within or not self.url else ""
        return ", ".join(each for each in (self.url, file, pages, " > ".join(self.heading)) if each)

    def to_obj(self) -> dict[str, Any]:
        """As JSON: what is known of it."""
        names = ("file", "within", "url", "page", "page_end", "heading", "start", "end")
        known = {name: value for name in names if (value := getattr(self, name)) not in ("", None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}


@dataclass(frozen=True, slots=True)
class Hit:
    """A match of a query; ``score`` is higher for better matches.

    ``id`` is that of the packet, of a part its own; ``document`` and ``part`` are the document's id and the place in it (empty
    for the document itself). ``others`` are further hits of the same document, if these were asked for together.
    ``words_rank`` and ``vector_rank`` are its places among those found by words and by vectors.
    """

    id: str
    title: str
    snippet: str
    fields: str
    score: float
    route: str = ""
    document: str = ""
    part: str = ""
    citation: Citation = Citation()
    text: str = ""
    words_rank: int | None = None
    vector_rank: int | None = None
    others: tuple[Hit, ...] = field(default=())

    def to_obj(self) -> dict[str, Any]:
        """As JSON; a part says of which document it is, and where it stands there."""
        of_it: dict[str, Any] = {"id": self.id, "title": self.title, "score": self.score, "snippet": self.snippet}
        if self.route:
            of_it["route"] = self.route
        if self.part:
            of_it |= {"document": self.document, "part": self.part}
        if cited := self.citation.to_obj():
            of_it["citation"] = cited
        ranks = {"words": self.words_rank, "vector": self.vector_rank}
        if self.vector_rank is not None:
            of_it["ranks"] = {name: rank for name, rank in ranks.items() if rank is not None}
        of_it |= orjson.loads(self.fields)
        if self.others:
            of_it["others"] = [other.to_obj() for other in self.others]
        return of_it


@dataclass(slots=True)
class Found:
    """A row that was found: its key, the document that it is of, and its places among those found."""

    key: int
    document: tuple[str, str]
    score: float = 0.0
    words_rank: int | None = None
    vector_rank: int | None = None
    others: list[Found] = field(default_factory=list)


def read(db: sqlite3.Connection, found: Sequence[Found], match: str | None, query: str, columns: str) -> list[Hit]:
    """The hits for rows that were found, with their texts. ``columns`` are those that say route and part."""
    flat = [each for one in found for each in (one, *one.others)]
    keys = orjson.dumps([each.key for each in flat]).decode()
    rows = {row[0]: row[1:] for row in db.execute(_DOCUMENTS % columns, (LOOK_CHARS, keys)).fetchall()}
    by_words = orjson.dumps([each.key for each in flat if each.words_rank is not None]).decode()
    snippets: dict[int, str | None] = dict(db.execute(_SNIPPETS, (by_words, match)).fetchall()) if match else {}

    def hit(each: Found) -> Hit:
        id, title, fields, text, route, part = rows[each.key]
        cited = _citation(fields)
        snippet = snippets.get(each.key, "") if each.key in snippets else None
        if cited.start is not None and cited.end is not None:
            text = text[: max(0, cited.end - cited.start)]  # behind that of a chunk stand its other fields
            if snippet is not None and not _is_of(joined(snippet), text):
                snippet = None
        if snippet is None:
            snippet = excerpt(query, text) if each.words_rank is not None else _beginning(text)
        part = part if _NAMED.search(part) else ""
        return Hit(
            *(f"{id}/{part}" if part else id, title, joined(snippet), fields, each.score, route, id, part),
            *(cited, text, each.words_rank, each.vector_rank, tuple(map(hit, each.others))),
        )

    return [hit(each) for each in found if each.key in rows]


def excerpt(query: str, text: str) -> str:
    """The first place in a long text where one of the words stands, or else its beginning."""
    words = [re.escape(joined(word)) for word in re.findall(r"[\w\u200b]+", query) if word not in ("AND", "OR", "NOT", "NEAR")]
    found = re.search(rf"{'|'.join(words)}", text, re.IGNORECASE) if words else None
    if found is None:
        return text[: 2 * AROUND_CHARS] + "…" * (len(text) > 2 * AROUND_CHARS)
    start, end = max(0, found.start() - AROUND_CHARS), found.end() + AROUND_CHARS
    before, after = text[start : found.start()], text[found.end() : end]
    return f"{'…' if start else ''}{before}[{found[0]}]{after}{'…' if end < len(text) else ''}"


def _is_of(snippet: str, text: str) -> bool:
    """True if all of a snippet is in the text, brackets apart."""
    plain = text.replace("[", "").replace("]", "")
    return all(piece in plain for piece in snippet.replace("[", "").replace("]", "").split("…"))


def _beginning(text: str) -> str:
    return text if len(text) <= BEGINNING_CHARS else f"{text[:BEGINNING_CHARS]}…"


def _citation(fields: str) -> Citation:
    known = orjson.loads(fields)
    meta, said = known.get("meta") or {}, known.get("fields") or {}
    headings = said.get("heading") or ()
    within = meta.get("within")
    numbers = {name: said[name] for name in ("page", "page_end", "start", "end") if type(said.get(name)) is int}
    return Citation(
        file=str(meta.get("path") or meta.get("filename") or ""),
        url=str(meta.get("url") or ""),
        heading=_texts(headings if isinstance(headings, list) else [headings]),
        within=_texts(within) if isinstance(within, list) else (),
        **numbers,
    )


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str) and value)
