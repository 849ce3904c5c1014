"""The character set that a page declares, found where the HTML standard looks for it.

The algorithm is that of the standard ("prescan a byte stream to determine its encoding"): in the first 1024 bytes, by
``<meta charset>`` or ``<meta http-equiv=content-type content=…>``, else by an XML declaration. Nothing in comments, in other
tags or in other attributes declares anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from pypes_basic.labels import labelled

PRESCAN_BYTES: Final = 1024

_META: Final = re.compile(rb"<meta[\t\n\f\r /]", re.IGNORECASE)
# Whatever is no <meta> tag and not cut off. PERF: passed over at once.
_ATTRIBUTES: Final = (
    r"(?:[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+"
    r"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\t\n\f\r >]*+)|(?![\t\n\f\r ]*+=)))*+[\t\n\f\r /]*+"""
)
_OTHERS: Final = re.compile(
    rf"(?:[^<]++|<(?:(?!meta[\t\n\f\r /])/?+[a-z][^\t\n\f\r >]*+{_ATTRIBUTES}>"
    # the dashes that end a comment may be those that began it
    r"|!(?=--)(?s:.*?)-->|(?!!--|/[a-z])[!?/][^>]*+>|(?![a-z!?/])))*+".encode(),
    re.IGNORECASE,
)
_ATTRIBUTE: Final = re.compile(
    rb"""[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r />=]*)"""
    rb"""(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)("?)|'([^']*)('?)|([^\t\n\f\r >]*)))?"""
)
_SPACE: Final = b"\t\n\f\r "
_CHARSET: Final = re.compile(rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*", re.IGNORECASE)
_VALUE: Final = re.compile(rb""""([^"]*)"|'([^']*)'|([^"'\t\n\f\r ;][^\t\n\f\r ;]*)""")
_XML: Final = re.compile(rb"""<\?xml[^>]*?encoding[\0- ]*=[\0- ]*(?:"([^"\0- ]+)"|'([^'\0- ]+)')[^>]*>""")


def declared_charset(page: bytes) -> str | None:
    """The label of the character set that a page declares, or ``None``.

    A label that nobody knows is passed over for one that follows, and returned if none does. UTF-16 comes out as UTF-8: a page
    whose declaration can be read as ASCII is not in it.
    """
    head = page[:PRESCAN_BYTES]
    if b"charset" not in head.lower() and not head.startswith(b"<?xml"):
        return None
    unknown: str | None = None
    for label in chain(_labels_of_meta(head), _labels_of_xml(head)):
        charset = labelled(label)
        if charset is not None:
            return "utf-8" if charset.is_utf_16 else label
        unknown = unknown or label
    return unknown


def _labels_of_meta(head: bytes) -> Iterator[str]:
    """The labels that ``<meta>`` tags declare, in their order.

    PERF: each is found when it is asked for, since the first will mostly do.
    """
    at = 0
    while (others := _OTHERS.match(head, at)) and (meta := _META.match(head, others.end())):
        attributes, at = _attributes(head, meta.end())
        if at < 0:
            break
        if label := _label(attributes):
            yield label


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of a tag, names and values in lower case, and where it ends; -1 if it is cut off."""
    attributes: dict[bytes, bytes] = {}
    while found := _ATTRIBUTE.match(head, at):
        at = found.end()
        name, double, double_end, single, single_end, bare = found.groups()
        if at == len(head) or double_end == b"" or single_end == b"":
            return {}, -1
        attributes.setdefault(name.lower(), (double or single or bare or b"").lower())
    end = head.find(b">", at)
    return attributes, end if end >= 0 else -1


def _label(attributes: dict[bytes, bytes]) -> str | None:
    """The label that the attributes of a ``<meta>`` tag declare."""
    if b"charset" in attributes:
        label = attributes[b"charset"]
    elif attributes.get(b"http-equiv") == b"content-type":
        content = attributes.get(b"content", b"")
        begin = _CHARSET.search(content)
        value = _VALUE.match(content, begin.end()) if begin else None
        label = (value[1] or value[2] or value[3] or b"") if value else b""
    else:
        return None
    return label.strip(_SPACE).decode("latin-1") or None


def _labels_of_xml(head: bytes) -> list[str]:
    found = _XML.match(head)
    return [(found[1] or found[2]).decode("latin-1")] if found else []
