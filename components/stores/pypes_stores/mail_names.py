"""Names of folders as IMAP sends them: in lines of LIST, and in the form of UTF-7 of RFC 3501, 5.1.3."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Sequence
from typing import Final

_LINE: Final = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (?P<name>.*)', re.DOTALL | re.IGNORECASE)
_LITERAL: Final = re.compile(rb"\{\d+\}$")
_SHIFTED: Final = re.compile("&([^-]*)-")
#: Flags of what is only a node of the tree.
_NO_FOLDERS: Final = {rb"\noselect", rb"\nonexistent"}


def folders_of(lines: Sequence[bytes | tuple[bytes, bytes] | None]) -> dict[str, bytes]:
    """The names of folders that hold mails, and how a server spells each, from the answer to LIST as ``imaplib`` gives it."""
    found: dict[str, bytes] = {}
    for line in lines:
        literal = None
        if isinstance(line, tuple):
            line, literal = line
        match = _LINE.match(line or b"")
        if match is None or _NO_FOLDERS & set(match["flags"].lower().split()):
            continue
        spelt = match["name"]
        if literal is not None and _LITERAL.search(spelt):
            spelt = literal
        elif spelt.startswith(b'"'):
            spelt = re.sub(rb"\\(.)", rb"\1", spelt[1:-1])
        name = decoded(spelt)
        found["INBOX" if name.upper() == "INBOX" else name] = spelt
    return found


def quoted(text: bytes) -> bytes:
    """A quoted string of the protocol. Raises ``ValueError`` for line breaks and NUL, which none can hold."""
    if re.search(rb"[\r\n\0]", text):
        raise ValueError("line breaks and NUL cannot be sent")
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'


def decoded(spelt: bytes) -> str:
    """The name of a folder as people read it; one that is not of that form as it is."""
    try:
        return _SHIFTED.sub(_unshifted, spelt.decode("ascii"))
    except ValueError:
        return spelt.decode("utf-8", "replace")


def is_among(name: str, patterns: Collection[str]) -> bool:
    """True if one of the patterns is that name; ``*`` stands for any text."""
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) for pattern in patterns)


def _unshifted(found: re.Match[str]) -> str:
    if not found[1]:
        return "&"
    packed = found[1].replace(",", "/")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode("utf-16-be")
