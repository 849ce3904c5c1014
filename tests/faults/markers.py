"""Markers: values that are planted where secrets stand, and the search for them in all that a node has written or answered.

Each has a core of letters and digits, which nobody has to quote or escape. So a value turns up if its core does, as it is or in
any case, in base64 by itself or within more, or in hexadecimal digits. The search does not use what Pypes knows of such forms.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple


class Marker(NamedTuple):
    """A secret, by its core."""

    place: str
    core: str
    value: str


def core(number: int) -> str:
    return f"Mk7Q{number:02d}xZ"


#: Environment variables that graphs name, by what is special about their values.
VARIABLES = {
    "PARAMETER": f"mark-parameter-{core(1)}",
    "ODD": f"q\"u\\o'te <&> \u00fc/%41+ {core(2)}",
    "HEADER": f"mark-header-{core(3)}",
    "PASSWORD": f"mark%2Fpassword-{core(4)}",
    "QUERY": f"mark-query/{core(5)}",
    "DSN": f"postgresql://me:mark%40{core(6)}@host.invalid:5432/x?sslmode=require",
    "LOGIN": f"Mark-Host-{core(7)}",
    "LINES": f"-----BEGIN KEY-----\nfirst-line-{core(8)}\nsecond-{core(9)}\n-----END KEY-----\n",
    "LIST": f"mark-list-{core(10)}",
    "DEEP": f"mark-deep-{core(11)}",
    "SHORT": "7Qx5",
}

#: Secrets of the node itself, in files that its settings name.
FILES = {
    "token": f"mark-token-{core(20)}",
    "callback": f"mark-callback-{core(21)}",
    "otlp": f"mark-otlp-{core(22)}",
}

#: In a graph as it is: the store has it, nobody is shown it.
LITERAL = f"mark-literal-{core(30)}"
#: In documents, under names that are hidden: they are stored and delivered, nobody is shown them.
DOCUMENT = f"mark-document-{core(40)}"
MADE = f"mark-made-{core(41)}"

_CORES = re.compile(rb"mk7q(\d\d)xz", re.IGNORECASE)


def codes(secret: bytes) -> set[bytes]:
    """The forms of a secret in which none of its characters are left: base64 within anything, and hexadecimal digits."""
    found = {secret.hex().encode()}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret + b"\0\0\0")
        # what the neighbours have a part in is cut off
        part = whole[-(-8 * before // 6) : 8 * (before + len(secret)) // 6]
        found |= {part, part.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


_CODES = {code: number for number in range(100) for code in codes(core(number).encode())}
_CODED = re.compile(b"|".join(map(re.escape, sorted(_CODES))))
_HEX = re.compile(rb"4d6b3751(3\d)(3\d)785a", re.IGNORECASE)


def found_in(data: bytes, *others: str) -> set[str]:
    """The cores, and the ``others``, that are in ``data`` in any form."""
    found = {core(int(number)) for number in _CORES.findall(data)}
    found |= {core(_CODES[code]) for code in _CODED.findall(data)}
    found |= {core(int(bytes.fromhex(f"{(a + b).decode()}"))) for a, b in _HEX.findall(data)}
    if re.search(rb"(?<![A-Za-z0-9])7Qx5(?![A-Za-z0-9])", data):
        found.add("7Qx5")
    for other in others:
        if any(form in data for form in (other.encode(), *codes(other.encode()))):
            found.add(other)
    return found


def around(data: bytes, what: str) -> str:
    """Some of ``data`` around what was found in it."""
    at = data.lower().find(what.lower().encode())
    return repr(data[max(0, at - 300) : at + 100] if at >= 0 else data[:400])


def core_of(value: str) -> set[str]:
    """The cores in a value."""
    return {core(int(number)) for number in _CORES.findall(value.encode())}


def all_markers() -> Iterator[str]:
    """Everything that is planted and nobody is to see."""
    for value in (*VARIABLES.values(), *FILES.values(), LITERAL, DOCUMENT, MADE):
        yield from core_of(value) or {value}
