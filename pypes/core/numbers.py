"""Numbers that would not arrive as they were sent.

Integers in Pypes have 64 bits (-2**63 to 2**64-1). The JSON parser makes a double of any other, silently, so that two of them
become one: a body with such a number is refused. Fractions and exponents are IEEE doubles, as in most JSON (RFC 8259, 6).
"""

from __future__ import annotations

import re
from typing import Final

from pypes.errors import BadRequest

LEAST: Final = -(2**63)
MOST: Final = 2**64 - 1

#: The shortest number outside of 64 bits has 19 digits, so of every sixth byte of it three in a row are digits.
_STRIDE: Final = 6
_DIGITS: Final = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else 0 for byte in range(256))
_RUN: Final = b"000"
_LONG_DIGITS: Final = 19

#: A map of bytes: those before a number to a comma, digits to zeros, the sign to itself, all else to an x. So many zeros, behind
#: a comma or a sign, are what may have more than 64 bits: neither a fraction nor the id of 19 digits that many services give.
_SHAPE: Final = bytes(
    ord("0" if chr(byte) in "0123456789" else "," if chr(byte) in "[:, \t\r\n" else "-" if chr(byte) == "-" else "x")
    for byte in range(256)
)
_LONG: Final = b"," + b"0" * (_LONG_DIGITS + 1)
_LONG_NEGATIVE: Final = b"-" + b"0" * _LONG_DIGITS

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER: Final = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def fits(number: int) -> bool:
    """True if an integer has at most 64 bits, with its sign or without one."""
    return LEAST <= number <= MOST


def may_change(text: bytes) -> bool:
    """True if a number in JSON text may have more than 64 bits.

    PERF: asked of every body, so only every sixth byte is looked at; about a tenth of what checking a body costs. Times of day
    and fractions look like long numbers from afar, and are looked at closer. ``find`` is twice as fast as ``in``, which tries the
    pattern as a number first; ``rfind`` begins with the rarest byte, the first, and is twice to seven times as fast as ``find``.
    """
    if text[::_STRIDE].translate(_DIGITS).find(_RUN) < 0:
        return False
    shape = text.translate(_SHAPE)
    return shape.rfind(_LONG) >= 0 or shape.rfind(_LONG_NEGATIVE) >= 0


def check(text: bytes, what: str = "") -> None:
    """Raise :class:`BadRequest` if JSON text, known to be well-formed, has an integer of more than 64 bits; ``what`` is where."""
    if not may_change(text):
        return
    for found in _NUMBER.finditer(_STRING.sub(b'""', text)):
        digits, fraction, exponent = found.group(0, 1, 2)
        if fraction or exponent or len(digits) < _LONG_DIGITS:
            continue
        if len(digits) > 2 * _LONG_DIGITS or not fits(int(digits)):
            shown = digits.decode() if len(digits) <= 2 * _LONG_DIGITS else f"{digits[:_LONG_DIGITS].decode()}…"
            raise BadRequest(
                f"the number {shown} has more than 64 bits and would lose digits; send the number as text",
                code="ingest.number",
                where=what.rstrip(", "),
            )
