"""Whether the right document is found: questions made of the corpus, asked by words, by vectors, and by both."""

from __future__ import annotations

import html
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pypes.component.searching import SearchQuery
from pypes_search.embedders import Embedders
from pypes_search.hits import Hit
from pypes_search.query import ask

#: Questions of each kind, and how many hits may have the answer.
QUESTIONS: Final = 200
AT: Final = 10
#: So deep are the lists by words and by vectors looked at.
DEPTH: Final = 100

_HEADING: Final = re.compile(r"<h[23][^>]*>(.*?)</h[23]>", re.S)
_ENTRY: Final = re.compile(r'<li><a href="([^"#]+\.html)#[^"]*">(.*?)</a>', re.S)
_LINK: Final = re.compile(r'<a [^>]*?href="([^"#:]+\.html)(?:#[^"]*)?"[^>]*>(.*?)</a>', re.S)
_TAG: Final = re.compile(r"<[^>]*>|¶|&para;")


@dataclass(frozen=True, slots=True)
class Scores:
    """The share of questions of a kind whose document is among the first ten hits."""

    kind: str
    how: str
    questions: int
    words: float
    vectors: float
    both: float


def is_list(page: Path) -> bool:
    """True for a page that only lists where things are: questions are made of it, and it is no answer."""
    return page.name.startswith("genindex") or page.name in ("bookindex.html", "py-modindex.html")


def scores(index: Path, pages: Sequence[Path], lists: Sequence[Path], place: Path, route: str) -> list[Scores]:
    """Ask three kinds of questions about pages that are in the index, under their paths below ``place``; ``lists`` are not."""
    kinds = (
        ("headings", "the heading of a section, where no other page has the same", _headings(pages, place)),
        ("index entries", "an entry of Python's index, with the pages that it leads to", _entries(lists, pages, place)),
        ("links", "the text of a link to a page, where all links with that text lead to it", _links(pages, place)),
    )
    return [_scored(index, route, kind, how, questions) for kind, how, questions in kinds]


def _scored(index: Path, route: str, kind: str, how: str, questions: dict[str, set[str]]) -> Scores:
    chosen = random.Random(kind).sample(sorted(questions), min(QUESTIONS, len(questions)))
    embed = Embedders()
    counts = [0, 0, 0]
    for text in chosen:
        hits = ask(index, SearchQuery(text, DEPTH, any_word=True, route=route), embed).hits
        by_words = sorted((hit for hit in hits if hit.words_rank is not None), key=lambda hit: hit.words_rank or 0)
        by_vectors = sorted((hit for hit in hits if hit.vector_rank is not None), key=lambda hit: hit.vector_rank or 0)
        for number, found in enumerate((by_words, by_vectors, hits)):
            counts[number] += _is_found(found, questions[text])
    shares = [count / max(len(chosen), 1) for count in counts]
    return Scores(kind, how, len(chosen), *shares)


def _is_found(hits: Sequence[Hit], wanted: set[str]) -> bool:
    return any(hit.document in wanted for hit in hits[:AT])


def _headings(pages: Sequence[Path], place: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in pages:
        for heading in _HEADING.findall(path.read_text(encoding="utf-8", errors="replace")):
            text = re.sub(r"^[\d.\s]+", "", _text(heading))
            if len(text.split()) >= 3:
                found.setdefault(text, set()).add(str(path.relative_to(place)))
    return {text: where for text, where in found.items() if len(where) == 1}


def _entries(lists: Sequence[Path], pages: Sequence[Path], place: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in lists:
        for target, entry in _ENTRY.findall(path.read_text(encoding="utf-8", errors="replace")):
            text = _text(entry)
            if len(text.split()) >= 2:
                found.setdefault(text, set()).add(os.path.normpath(path.relative_to(place).parent / target))
    known = {str(path.relative_to(place)) for path in pages}
    return {text: where for text, where in found.items() if where & known}


def _links(pages: Sequence[Path], place: Path) -> dict[str, set[str]]:
    known = {str(path.relative_to(place)) for path in pages}
    found: dict[str, set[str]] = {}
    for path in pages:
        for target, said in _LINK.findall(path.read_text(encoding="utf-8", errors="replace")):
            text, where = _text(said), os.path.normpath(path.relative_to(place).parent / target)
            if len(text.split()) >= 3 and where != str(path.relative_to(place)):
                found.setdefault(text, set()).add(where)
    return {text: where for text, where in found.items() if len(where) == 1 and where <= known}


def _text(markup: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", markup)).split())
