"""JSON bodies: an object is one document, an array of objects as many as it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from pypes.core import numbers
from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs import scan
from pypes.ingest.codecs.survey import Survey, Unreadable

#: Code of what is JSON, but not an object where a document is.
NOT_DOCUMENTS = "ingest.not_documents"

_BOM = b"\xef\xbb\xbf"
#: As far as it takes to tell an array, without a copy of the body.
_ARRAY = re.compile(rb"[ \t\r\n]*+\[")
_NESTED = frozenset({dict, list})
_raw_array = msgspec.json.Decoder(list[msgspec.Raw])


def parse(text: bytes, limits: Limits, what: str = "", *, is_checked: bool = False) -> Any:
    """Parse one JSON document. Raises :class:`BadRequest` that names line and column (``what``: "line 7 of the body, ").

    ``is_checked``: it was parsed before, when it was accepted, and neither its numbers nor its depth are looked at again.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(_BOM):
            return parse(text[3:], limits, what, is_checked=is_checked)
        if "ecursion" in error.msg or "depth" in error.msg:
            raise too_deep(limits, what) from error
        place = f"{what}column {error.colno}" if what else f"line {error.lineno}, column {error.colno}"
        is_of_lines = not what and error.msg.startswith("unexpected content after")
        advice = "; if each line is a document, its type is application/x-ndjson" if is_of_lines else ""
        raise BadRequest(f"malformed JSON at {place}: {error.msg}{advice}", where=place) from error
    if is_checked:
        return value
    if numbers.may_change(text):  # PERF: a call less for most
        numbers.check(text, what)
    if may_be_deeper(text, limits.json_depth):
        check_depth(value, limits, what)
    return value


def may_be_deeper(text: bytes, most: int) -> bool:
    """True if JSON text has more than ``most`` opening brackets, which bound its depth from above.

    PERF: asked of every body. ``replace`` and ``find`` have the speed of memchr, twice to eight times that of ``count``.
    """
    return text.replace(b"[", b"{").replace(b"{", b"[", most).find(b"{") >= 0


def check_depth(value: Any, limits: Limits, what: str = "") -> None:
    """Raise :class:`BadRequest` if a document, or one in an array of documents, is nested deeper than allowed."""
    if is_deeper(value if isinstance(value, list) else [value], limits.json_depth):
        raise too_deep(limits, what)


def is_deeper(values: list[Any], most: int) -> bool:
    """True if one of ``values``, as they were parsed, is nested deeper than ``most`` levels."""
    level = [item for item in values if type(item) in _NESTED]
    for _ in range(most):
        if not level:
            return False
        level = [
            child for parent in level for child in (parent.values() if type(parent) is dict else parent) if type(child) in _NESTED
        ]
    return bool(level)


def too_deep(limits: Limits, what: str, form: str = "JSON") -> BadRequest:
    return BadRequest(f"{form} is nested deeper than {limits.json_depth} levels; flatten it", code="ingest.too_deep", where=what)


def check_size(size: int, limits: Limits) -> None:
    if size > limits.json_bytes:
        raise TooLarge(
            f"a JSON body has at most {limits.json_bytes} bytes; "
            "send many documents as NDJSON (application/x-ndjson), which is streamed"
        )


def not_documents(index: int | None = None) -> BadRequest:
    """``index`` is that of an item that is no object, if there are items."""
    where = "" if index is None else f"index {index}"
    message = "JSON must be an object, or an array of at least one object"
    return BadRequest(f"{message}: {where} is none" if where else message, code=NOT_DOCUMENTS, where=where)


def check(body: bytes, limits: Limits) -> int:
    """Count the documents of a JSON body; raises :class:`BadRequest` or :class:`TooLarge`."""
    if len(body) <= limits.json_bytes and (count := scan.count_value(body, limits)) is not None:
        return count
    if len(body) > limits.json_bytes or len(body) > MIB:
        return sum(1 for _ in documents(body, limits))
    value = parse(body, limits)
    if isinstance(value, dict):
        return 1
    if not isinstance(value, list) or not value:
        raise not_documents()
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise not_documents(index)
    return len(value)


def documents(body: bytes, limits: Limits, *, is_checked: bool = False) -> Iterator[dict[str, Any]]:
    """The documents of a JSON body; those of a large array are parsed one by one, so that memory stays near the body's size.

    ``is_checked`` as in :func:`parse`.
    """
    check_size(len(body), limits)
    if len(body) > MIB and _ARRAY.match(body):
        try:
            items: list[Any] = _raw_array.decode(body)
        except (msgspec.DecodeError, RecursionError):
            parse(body, limits)  # names line and column
            raise
        values: Iterator[Any] = (_item(body, bytes(item), limits, is_checked) for item in items)
    else:
        value = parse(body, limits, is_checked=is_checked)
        items = value if isinstance(value, list) else [value]
        values = iter(items)
    if not items:
        raise not_documents()
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise not_documents(index if _ARRAY.match(body) else None)
        yield value


def _item(body: bytes, item: bytes, limits: Limits, is_checked: bool) -> Any:
    try:
        return parse(item, limits, is_checked=is_checked)
    except BadRequest as error:
        if error.code == "ingest.malformed":
            parse(body, limits)  # the place within the whole body
        raise


def elements(body: bytes, limits: Limits) -> Iterator[dict[str, Any] | Unreadable]:
    """The documents of a JSON body; an element of an array that is no document appears as :class:`Unreadable` in its place.

    Raises as :func:`documents` does for a body that is not JSON at all.
    """
    text = body[3:] if body.startswith(_BOM) else body
    if not _ARRAY.match(text):
        yield from documents(body, limits)
        return
    check_size(len(body), limits)
    try:
        items: list[Any] = _raw_array.decode(text)
    except (msgspec.DecodeError, RecursionError):
        parse(body, limits)  # names line and column
        raise
    if not items:
        raise not_documents()
    for index, item in enumerate(items):
        raw = bytes(item)
        where = f"index {index}"
        try:
            value = parse(raw, limits, f"{where}, ")
        except BadRequest as error:
            yield Unreadable(error.message, raw, where, error.code)
            continue
        yield value if isinstance(value, dict) else Unreadable(f"{where} is not a JSON object", raw, where, NOT_DOCUMENTS)


def survey(body: bytes, limits: Limits, seen: Survey) -> int:
    """:func:`check`, showing each document to ``seen``."""
    index = -1
    for index, value in enumerate(elements(body, limits) if seen.is_lenient else documents(body, limits)):
        if isinstance(value, Unreadable):
            seen.rejected += 1
        else:
            seen.document(value, f"index {index}")
    return index + 1


class Checker:
    """Gathers a JSON body that arrives in pieces, up to ``json_bytes``."""

    def __init__(self, limits: Limits, seen: Survey | None = None) -> None:
        self._limits = limits
        self._seen = seen
        self._body = bytearray()

    @property
    def held_bytes(self) -> int:
        """Bytes kept of the body."""
        return len(self._body)

    @property
    def most_bytes(self) -> int:
        """Most bytes kept of any body."""
        return self._limits.json_bytes

    def feed(self, piece: bytes) -> None:
        check_size(len(self._body) + len(piece), self._limits)
        self._body += piece

    def finish(self) -> int:
        body, self._body = bytes(self._body), bytearray()
        return check(body, self._limits) if self._seen is None else survey(body, self._limits, self._seen)
