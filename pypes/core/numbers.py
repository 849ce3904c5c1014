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
_LONG_RUN: Final = b"0" * _LONG_DIGITS

#: A long run of digits where JSON may have a number. Most are within quotes, and do not match.
_SUSPECT: Final = re.compile(rb"[\[:,\s]-?[0-9]{19}")
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER: Final = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def fits(number: int) -> bool:
    """True if an integer has at most 64 bits, with its sign or without one."""
    return LEAST <= number <= MOST


def may_change(text: bytes) -> bool:
    """True if a number in JSON text may have more than 64 bits.

    PERF: asked of every body, so only every sixth byte is looked at; about a tenth of what checking a body costs. Times of day
    may look like long numbers from afar, and are looked at closer. ``find`` is twice as fast as ``in``, which tries the pattern
    as a number first.
    """
    return text[::_STRIDE].translate(_DIGITS).find(_RUN) >= 0 and text.translate(_DIGITS).find(_LONG_RUN) >= 0


def check(text: bytes, what: str = "") -> None:
    """Raise :class:`BadRequest` if JSON text, known to be well-formed, has an integer of more than 64 bits; ``what`` is where."""
    # searching by an expression costs ten times as much as looking from afar
    if not may_change(text) or _SUSPECT.search(text) is None:
        return
    for found in _NUMBER.finditer(_STRING.sub(b'""', text)):
        digits, fraction, exponent = found.group(0, 1, 2)
        if fraction or exponent or len(digits) < _LONG_DIGITS:
            continue
        if len(digits) > 2 * _LONG_DIGITS or not fits(int(digits)):
            shown = digits.decode() if len(digits) <= 2 * _LONG_DIGITS else f"{digits[:_LONG_DIGITS].decode()}…"
            raise BadRequest(
                f"the number {shown} has more than 64 bits and would be changed on its way; send it as text",
                code="ingest.number",
                where=what.rstrip(", "),
            )
