"""Spellings: the forms in which one text turns up in addresses, JSON, tracebacks, pages and headers.

Whoever knows a secret looks for all of them. Others, such as what a component encrypts or compresses, nobody can look for.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from os.path import commonprefix
from typing import Final
from urllib.parse import quote, quote_plus

#: Characters that libraries leave in addresses as they are: none but letters and digits, those of paths, those of queries.
_LEFT: Final = ("", "/", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?")

#: The characters of base64 that the variant for addresses has others for.
_FOR_ADDRESSES: Final = str.maketrans("+/", "-_")

#: As html.escape has it. PERF: that module has a table of all entities, half a megabyte in each process of a node.
_IN_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def spellings(text: str) -> Iterator[str]:
    """``text`` as it is, quoted for addresses, and escaped for JSON, Python and HTML; some forms more than once."""
    yield text
    data = _bytes_of(text)
    for left in _LEFT:
        yield from _quoted(quote(data, safe=left))
    yield from _quoted(quote_plus(data))
    yield from _quoted(quote(quote(data, safe=""), safe=""))
    escaped = json.dumps(text)[1:-1]
    yield from (escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (repr(text)[1:-1], ascii(text)[1:-1], repr(data)[2:-1])
    in_html = text.translate(_IN_HTML)
    quoted = in_html.replace('"', "&quot;")
    yield from (in_html, quoted.replace("'", "&#x27;"), quoted.replace("'", "&#39;"))


def in_base64(text: str) -> Iterator[str]:
    """``text`` in base64, by itself, also in the variant for addresses."""
    yield from _coded(b64encode(_bytes_of(text)).decode())


def disguises(text: str) -> Iterator[str]:
    """``text`` in base64, by itself and within more, in hexadecimal digits and, unless it is a word, in other case.

    Names of hosts are put into small letters by those who ask for them.
    """
    data = _bytes_of(text)
    yield from in_base64(text)
    for before in range(3):
        yield from _coded(_within(data, before))
    yield from (data.hex(), data.hex().upper())
    if not text.isalpha():
        for other in {text.lower(), text.upper()} - {text}:
            yield from spellings(other)


def any_of(texts: Iterable[str]) -> str:
    """A regular expression for the longest of ``texts``, one at least, that begins at a place.

    PERF: beginnings that they share are tried once, and what no text begins with is passed over; so six times as many forms of a
    secret cost one to three times as much as an alternative for each of the few.
    """
    return _any_of(sorted({*texts}))


def _any_of(texts: list[str]) -> str:
    """The expression for texts that are sorted, none of them twice."""
    shared = commonprefix([texts[0], texts[-1]])  # noqa: RUF071 - characters are meant
    rests = [text[len(shared) :] for text in texts]
    ways = [_any_of([*group]) for _, group in groupby(filter(None, rests), key=itemgetter(0))]
    behind = f"(?:{'|'.join(ways)}){'' if rests[0] else '?'}" if ways else ""
    return re.escape(shared) + behind


def _quoted(text: str) -> tuple[str, str]:
    """A text that is percent-encoded with digits in capitals, and the same with small ones."""
    first, *rest = text.split("%")
    return text, "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _coded(text: str) -> tuple[str, str]:
    return text, text.translate(_FOR_ADDRESSES)


def _within(data: bytes, before: int) -> str:
    """The part that ``data`` alone decides of the base64 of more, if it begins ``before`` bytes behind a multiple of 3."""
    code = b64encode(bytes(before) + data).decode()
    return code[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, from JSON
        return text.encode("utf-8", "backslashreplace")
