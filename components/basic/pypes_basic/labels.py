"""Character sets by the names that documents call them: the web's table of labels, and never Python's own.

The table is that of the WHATWG Encoding Standard, as ``webencodings`` has it. What the web takes for a character set is often a
larger one than its label says: ``iso-8859-1`` and ``us-ascii`` are windows-1252, ``gb2312`` is GBK. Python's own look-up would
also take ``utf-7``, ``unicode_escape`` or ``rot13`` from outside.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import webencodings  # type: ignore[import-untyped]


class Charset(NamedTuple):
    """A character set: its name in the web's table, in lower case, and Python's decoder for it."""

    name: str
    codec: str

    @property
    def is_utf_16(self) -> bool:
        return self.codec.startswith("utf-16")


UTF_8: Final = Charset("utf-8", "utf-8")
WINDOWS_1252: Final = Charset("windows-1252", "cp1252")

#: Byte order marks. UTF-32 first, which the web does not know: its little-endian mark begins with that of UTF-16.
MARKS: Final[Mapping[bytes, Charset]] = MappingProxyType(
    {
        codecs.BOM_UTF8: UTF_8,
        codecs.BOM_UTF32_LE: Charset("utf-32le", "utf-32-le"),
        codecs.BOM_UTF32_BE: Charset("utf-32be", "utf-32-be"),
        codecs.BOM_UTF16_LE: Charset("utf-16le", "utf-16-le"),
        codecs.BOM_UTF16_BE: Charset("utf-16be", "utf-16-be"),
    }
)

_MARK_BEGINNINGS: Final = frozenset(mark[:2] for mark in MARKS)

# Decoders of Python that come closer to the web's than the one of the same name: what GBK's does not know, GB 18030's does;
# katakana in ISO-2022-JP; and a page in x-user-defined is one in windows-1252.
_CODECS: Final[Mapping[str, Charset]] = MappingProxyType(
    {
        "gbk": Charset("gbk", "gb18030"),
        "iso-2022-jp": Charset("iso-2022-jp", "iso2022_jp_ext"),
        "x-user-defined": WINDOWS_1252,
    }
)
# Browsers do not read these ("replacement"), lest a page hide scripts in them. Nothing here runs scripts.
_REPLACED: Final[Mapping[str, Charset]] = MappingProxyType(
    {
        "hz-gb-2312": Charset("hz-gb-2312", "hz"),
        "iso-2022-kr": Charset("iso-2022-kr", "iso2022_kr"),
        "csiso2022kr": Charset("iso-2022-kr", "iso2022_kr"),
    }
)


def labelled(label: str) -> Charset | None:
    """The character set that a label from outside means; ``None`` if the web does not know it."""
    if label in ("utf-8", "UTF-8"):
        return UTF_8
    try:
        found = webencodings.lookup(label)
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    if found is None:
        return None
    if found.name == "replacement":
        return _REPLACED.get(label.strip("\t\n\f\r ").lower())
    return _CODECS.get(found.name) or Charset(found.name, found.codec_info.name)


def split_mark(head: bytes) -> tuple[int, Charset | None]:
    """Length of the byte order mark that ``head`` (four bytes) begins with, and the character set it stands for."""
    if head[:2] in _MARK_BEGINNINGS:  # PERF: few documents have one
        for mark, charset in MARKS.items():
            if head.startswith(mark):
                return len(mark), charset
    return 0, None
