"""The text of Markdown (CommonMark with the tables of GitHub), its markup taken out and its structure kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pypes import Packet
from pypes_documents.dates import date_of_w3c
from pypes_documents.flow import is_joining
from pypes_documents.html_reader import fragment_text
from pypes_documents.job import Job, Text, finish
from pypes_documents.plain import as_list, plain_text

_FRONT: Final = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_ENTRY: Final = re.compile(r"^([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*?))?[ \t]*$")
#: Lines of a head that are no entries: goes on with one, is empty, or says nothing.
_OTHER_LINE: Final = re.compile(r"[ \t]+\S|- |#|[\]}]|[ \t]*$")
#: The beginning of a text over several lines.
_FOLDED: Final = re.compile(r"[>|][-+0-9]*$")
#: Names in the head of a file by the fields that they are.
_FIELDS: Final = {
    "title": "title",
    "author": "author",
    "authors": "author",
    "date": "created",
    "created": "created",
    "modified": "modified",
    "updated": "modified",
    "lang": "language",
    "language": "language",
    "subject": "subject",
    "description": "description",
    "summary": "description",
    "tags": "keywords",
    "keywords": "keywords",
}


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text of Markdown, and what its head says."""
    source = plain_text(job.take_text(packet).replace("\r\n", "\n"))
    facts: dict[str, Any] = {}
    front = _FRONT.match(source)
    if front and _is_head(front[1]):
        facts = _facts(front[1])
        source = source[front.end() :]
    text = job.text()
    links: list[str] = []
    _add(MarkdownIt("commonmark").enable("table").parse(source), text, links)
    finish(packet, text, {**facts, "title": facts.get("title") or text.title, "links": links})


def _add(tokens: Sequence[Token], text: Text, links: list[str]) -> None:
    heading = lists = quotes = 0
    is_item = False
    rows: list[list[str]] = []
    in_table = False
    for token in tokens:
        kind = token.type
        if kind == "inline":
            line = _inline(token.children or (), links)
            if in_table:
                rows[-1].append(line)
            elif heading:
                text.add(line, "heading", level=heading)
            elif is_item:
                text.add(line, "item", level=max(lists, 1))
                is_item = False
            else:
                text.add(line, "quote" if quotes else "paragraph")
        elif kind == "heading_open":
            heading = int(token.tag[1:])
        elif kind == "heading_close":
            heading = 0
        elif kind in ("bullet_list_open", "ordered_list_open"):
            lists += 1
        elif kind in ("bullet_list_close", "ordered_list_close"):
            lists -= 1
        elif kind == "list_item_open":
            is_item = True
        elif kind == "list_item_close":
            is_item = False
        elif kind == "blockquote_open":
            quotes += 1
        elif kind == "blockquote_close":
            quotes -= 1
        elif kind in ("fence", "code_block"):
            text.add(token.content, "code")
        elif kind == "html_block":
            fragment_text(token.content, text)
        elif kind == "table_open":
            in_table, rows = True, []
        elif kind == "tr_open":
            rows.append([])
        elif kind == "table_close":
            in_table = False
            text.add_table(rows)


def _inline(tokens: Iterable[Token], links: list[str]) -> str:
    pieces: list[str] = []
    for token in tokens:
        if token.type in ("text", "code_inline", "image"):
            pieces.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        elif token.type == "html_inline" and not is_joining(token.content):
            pieces.append("\n" if token.content[:3].lower() == "<br" else " ")
        elif token.type == "link_open":
            href = str(token.attrGet("href") or "")
            if href and not href.startswith("#"):
                links.append(href)
    return "".join(pieces)


def _is_head(front: str) -> bool:
    """True for what is a head in YAML, not the beginning of a text that is set between two rules."""
    lines = front.splitlines()
    entries = [entry for line in lines if (entry := _ENTRY.match(line))]
    if len(entries) + sum(1 for line in lines if _OTHER_LINE.match(line)) < len(lines):
        return False
    first = next((line for line in lines if line.strip() and line[0] != "#"), "")
    # of entries that mean nothing here, nothing is taken but for a head
    return not first or (_ENTRY.match(first) is not None and any(entry[1].lower() in _FIELDS for entry in entries))


def _facts(front: str) -> dict[str, Any]:
    """Fields of the vocabulary from the plain entries and lists of a head in YAML; anything else there is passed over."""
    told: dict[str, list[str]] = {}
    name = ""
    is_folded = False
    for line in front.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            name, value = entry[1].lower(), entry[2] or ""
            is_folded = _FOLDED.match(value) is not None
            value = "" if is_folded else value
            is_list = value[:1] == "[" and value[-1:] == "]"
            told[name] = [_bare(part) for part in value[1:-1].split(",")] if is_list else [_bare(value)]
        elif is_folded:
            told[name] = [f"{told[name][0]} {line.strip()}"]
        elif name and line.strip().startswith("- "):
            told[name].append(_bare(line.strip()[2:]))
    facts: dict[str, Any] = {}
    for name, values in told.items():
        field = _FIELDS.get(name)
        values = [value for value in values if value]
        if not field or not values or field in facts:
            continue
        if field in ("created", "modified"):
            facts[field] = date_of_w3c(values[0])
        elif field == "keywords":
            facts[field] = [word for value in values for word in as_list(value)]
        else:
            facts[field] = values if field == "author" else values[0]
    return facts


def _bare(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
