"""Transfer encodings of parts (RFC 2045, 6): what clients built on mail libraries wrap files in."""

from __future__ import annotations

import binascii
import re
from typing import Protocol

from pypes.errors import BadRequest

_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})
_BLANKS = b" \t\r\n"
#: An equals sign that begins no escape: the decoder takes two of them for one, and one at the end of a piece for none.
_NO_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[\r\n])")


class Transfer(Protocol):
    """Undoes one transfer encoding."""

    def feed(self, piece: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Base64:
    """Decodes base64 with blanks and line breaks; holds back up to three characters. Raises :class:`BadRequest`."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_ended = False

    def feed(self, piece: bytes) -> bytes:
        text = self._rest + piece.translate(None, _BLANKS)
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        return self._decode(text[:whole])

    def finish(self) -> bytes:
        """The rest; the padding may be missing."""
        rest, self._rest = self._rest, b""
        return self._decode(rest + b"=" * (-len(rest) % 4))

    def _decode(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._is_ended:
            raise _damaged("base64", "characters follow the padding")
        self._is_ended = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise _damaged("base64", str(error)) from error


class QuotedPrintable:
    """Decodes quoted-printable; holds back up to two characters. Invalid escapes stay as they are, as RFC 2045 (6.7) advises."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._rest + piece
        at = text.rfind(b"=", max(0, len(text) - 2))
        cut = len(text) if at < 0 else at
        self._rest = text[cut:]
        return _unquoted(text[:cut])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return b"" if rest in (b"=", b"=\r") else _unquoted(rest)


def _unquoted(text: bytes) -> bytes:
    text = _NO_ESCAPE.sub(b"=3D", text)
    return binascii.a2b_qp(text.replace(b"=\r\n", b"").replace(b"=\n", b"").replace(b"=\r", b""))


def normalize_transfer(name: str) -> str:
    """``""``, ``base64`` or ``quoted-printable``; raises :class:`BadRequest` for another."""
    name = name.strip().lower()
    if name in _AS_IT_IS:
        return ""
    if name not in ("base64", "quoted-printable"):
        raise BadRequest(
            f"Content-Transfer-Encoding {name[:80]!r} is not known; send binary, base64 or quoted-printable",
            code="ingest.malformed_encoding",
        )
    return name


def transfer_of(name: str) -> Transfer | None:
    """Decoder of a transfer encoding from :func:`normalize_transfer`; ``None`` if there is nothing to decode."""
    if not name:
        return None
    return Base64() if name == "base64" else QuotedPrintable()


def _damaged(name: str, reason: str) -> BadRequest:
    return BadRequest(f"the content is not valid {name}: {reason}", code="ingest.malformed_encoding")
