"""Bytes that Python's decoders do not know, and the web's do.

To be given as ``errors`` to whatever decodes: :data:`STRICT` still raises for bytes that the web does not know either,
:data:`REPLACE` puts U+FFFD in their place.
"""

from __future__ import annotations

import codecs
from typing import Final

STRICT: Final = "pypes-strict"
REPLACE: Final = "pypes-replace"

#: Rows of JIS X 0208 that NEC and IBM filled (circled digits, company marks, rare names).
_VENDOR_ROWS: Final = frozenset({13, 89, 90, 91, 92})


def _meant(error: UnicodeDecodeError) -> tuple[str, int] | None:
    """The text that the web reads at the place of an error, and where to go on; ``None`` if it finds an error there, too."""
    data, start = error.object, error.start
    if error.encoding == "charmap":
        # the free places of Windows' character sets are control characters
        return (chr(data[start]), start + 1) if 0x80 <= data[start] <= 0x9F else None
    if error.encoding == "gb18030":
        return ("€", start + 1) if data[start] == 0x80 else None
    if error.encoding in ("euc_jp", "iso2022_jp_ext") and len(data) > start + 1:
        base = 0xA0 if error.encoding == "euc_jp" else 0x20
        row, cell = data[start] - base, data[start + 1] - base
        if row in _VENDOR_ROWS and 1 <= cell <= 94:
            return _of_vendor(row, cell), start + 2
    return None


def _of_vendor(row: int, cell: int) -> str:
    """A character of JIS X 0208's extensions, by way of Shift JIS, whose decoder in Python has them."""
    lead = (0x81 if row <= 62 else 0xC1) + (row - 1) // 2
    trail = cell + 0x9E if row % 2 == 0 else cell + (0x3F if cell <= 63 else 0x40)
    return bytes((lead, trail)).decode("cp932", "replace")


def _strict(error: UnicodeError) -> tuple[str, int]:
    meant = _meant(error) if isinstance(error, UnicodeDecodeError) else None
    if meant is None:
        raise error
    return meant


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _meant(error) or ("\ufffd", error.end)


codecs.register_error(STRICT, _strict)
codecs.register_error(REPLACE, _replace)
