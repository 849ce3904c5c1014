"""Patterns: regular expressions in linear time (RE2) over text, one or many at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import re2

#: Memory for the automaton of one pattern, and of all patterns together; more is computed anew, which takes longer.
ONE_BYTES: Final = 8 << 20
ALL_BYTES: Final = 64 << 20

_REFERENCE: Final = re.compile(r"\\(?:([0-9]{1,2})|g<(\w+)>|(.)|$)", re.DOTALL)


def compiled(pattern: str, *, ignore_case: bool = False) -> Any:
    """A pattern for UTF-8. Raises ``ValueError`` that says what is wrong with it."""
    try:
        return re2.compile(pattern, _options(ONE_BYTES, ignore_case))
    except re2.error as error:
        [reason] = error.args or [b"it is not valid"]
        told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        hint = "; RE2 has no look-around and no back-references" if "(?" in told or "escape" in told else ""
        raise ValueError(f"{told}{hint}") from None


def _options(most_bytes: int, ignore_case: bool) -> Any:
    options = re2.Options()
    options.max_mem = most_bytes
    options.log_errors = False
    options.case_sensitive = not ignore_case
    return options


class Patterns:
    """Several patterns; which of them are found in a text takes one pass. All of them have been compiled once.

    Raises ``ValueError`` for one that is wrong, and if they need too much memory together.
    """

    def __init__(self, patterns: Sequence[str], *, ignore_case: bool = False) -> None:
        self.each = [compiled(pattern, ignore_case=ignore_case) for pattern in patterns]
        self._all = None
        if len(patterns) > 1:
            self._all = re2.Set.SearchSet(_options(ALL_BYTES, ignore_case))
            try:
                for pattern in patterns:
                    self._all.Add(pattern)
                self._all.Compile()
            except re2.error:
                raise ValueError(
                    f"all {len(patterns)} together need more than {ALL_BYTES:,} bytes; use several filters"
                ) from None

    def found_in(self, data: bytes) -> list[int]:
        """Positions of the patterns that are found in UTF-8, in their order."""
        if self._all is None:
            return [0] if self.each[0].search(data) is not None else []
        return sorted(self._all.Match(data) or ())


def matches(pattern: Any, data: bytes) -> Iterator[Any]:
    """The matches of a pattern in UTF-8, from left to right; one that is empty lies between two characters."""
    at = 0
    while at <= len(data):
        # its own iterator would look for the next empty match within a character
        match = pattern.search(data, at)
        if match is None:
            return
        yield match
        start, at = match.span()
        if at == start:
            at += 1
            while at < len(data) and data[at] & 0xC0 == 0x80:
                at += 1


class Replacement:
    r"""A text with references to groups: ``\1``, ``\g<name>``, ``\g<0>`` for all that was found; ``\\`` is a backslash."""

    def __init__(self, text: str) -> None:
        self._pieces: list[bytes | int | str] = []
        end = 0
        for found in _REFERENCE.finditer(text):
            self._pieces.append(text[end : found.start()].encode())
            end = found.end()
            number, name, other = found.groups()
            if number is None and name is None and other != "\\":
                raise ValueError(f"replacement: {found.group()!r} is no reference; write \\1, \\g<name>, or \\\\ for a backslash")
            reference = number if number is not None else name
            self._pieces.append(b"\\" if reference is None else int(reference) if reference.isdecimal() else reference)
        self._pieces.append(text[end:].encode())

    def fault(self, pattern: Any) -> str:
        """The reference that a pattern has no group for; empty if there is none."""
        for piece in self._pieces:
            is_known = piece <= pattern.groups if isinstance(piece, int) else piece in pattern.groupindex
            if not (isinstance(piece, bytes) or is_known):
                return f"replacement refers to group {piece}, which is not in {pattern.pattern}"
        return ""

    def expanded(self, match: Any) -> bytes:
        """The text for one match; a group that took no part is empty."""
        return b"".join(piece if isinstance(piece, bytes) else match.group(piece) or b"" for piece in self._pieces)
