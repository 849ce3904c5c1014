"""Hiding: packets as people may look at them while they pass, with some fields hidden and everything bounded.

What is shown of a packet is a copy: the packet goes on, and large bodies are not read for it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any, Final

import msgspec

from pypes.core import numbers
from pypes.core.secrets import Secrets
from pypes.core.shown import Clean, bounded, shown
from pypes.core.values import Body, One
from pypes.packet import Packet

#: In place of a value whose name is hidden.
HIDDEN: Final = "(hidden)"
#: Characters of a text that are shown, and entries of an object or array.
TEXT_CHARS: Final = 400
ENTRIES: Final = 50
#: Containers within containers that are shown, and characters of one packet, about, wherever they stand.
DEPTH: Final = 6
CHARS: Final = 16_000
#: A value that is no text, and the name of one, count as so many characters.
_VALUE_CHARS: Final = 16
#: Names whose verdict is remembered: they come with documents.
_REMEMBERED: Final = 4096
#: Values that nobody can change, and how many of them, of so many characters, are remembered of one delivery.
_UNCHANGING: Final = frozenset({str, int, float, bool, type(None)})
_SEEN: Final = 512
_SEEN_CHARS: Final = 4096

#: A value, by whose name it is found, with that name and itself as they are shown, and what both take of the room.
_Seen = tuple[Any, str, Any, int]


class Hiding:
    """Tells which names are hidden: those that a pattern (``password``, ``*_token``) matches as a whole, in any case.

    ``secrets`` are taken out of all texts that are shown.
    """

    def __init__(self, patterns: Iterable[str] = (), secrets: Secrets | None = None) -> None:
        self._pattern = re.compile("|".join(map(translate, patterns)) or r"(?!)", re.IGNORECASE)
        # short values of variables are left: they would be found in any text
        self._clean: Clean = secrets.clean_text if secrets is not None else str
        self._known: dict[str, bool] = {}

    def hides(self, name: str) -> bool:
        """True if a field, a metadata or a key of this name is hidden."""
        found = self._known.get(name)
        if found is None:
            found = self._pattern.match(name) is not None
            if len(self._known) < _REMEMBERED:
                self._known[name] = found
        return found

    def excerpts(self) -> Callable[[Any], dict[str, Any]]:
        """:meth:`excerpt` for the packets of one delivery: most values of a packet were in it at the filter before."""
        seen: dict[str, _Seen] = {}
        return lambda packet: self.excerpt(packet, seen)

    def excerpt(self, packet: Any, seen: dict[str, _Seen] | None = None) -> dict[str, Any]:
        """The JSON form of a packet, with what is hidden and what is long left out; ``{"value": …}`` of any other value.

        Whatever a component has put there, the result can be encoded, and has about :data:`CHARS` characters at most. ``seen``
        is for :meth:`excerpts`.
        """
        try:
            cutter = _Cutter(self, self._clean, {} if seen is None else seen)
            if not isinstance(packet, Packet):
                return {"value": cutter.cut(packet)}
            fields, meta, field_meta = packet.parts()
            form: dict[str, Any] = {"fields": cutter.named(fields)}
            if meta:
                form["meta"] = cutter.named(meta)
            if field_meta:
                form["field_meta"] = cutter.named({name: metas for name, metas in field_meta.items() if not self.hides(name)})
        except Exception as error:  # values of its own classes that do not behave as their bases do
            return {"value": f"<{type(packet).__name__} that cannot be shown: {shown(error, self._clean)}>"}
        return form


class _Cutter:
    """Copies the values of one packet, as far as there is room."""

    def __init__(self, hiding: Hiding, clean: Clean, seen: dict[str, _Seen]) -> None:
        self._hiding = hiding
        self._clean = clean
        self._seen = seen
        self._left = CHARS

    def named(self, values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """Values by their names, those that are hidden without what they are."""
        found: dict[str, Any] = {}
        for name, value in values.items():
            if len(found) >= ENTRIES or self._left <= 0:
                found["…"] = f"{len(values) - len(found)} more"
                break
            # PERF: a value is cut once for all filters that it passes
            seen = self._seen.get(name) if type(name) is str else None
            if seen is not None and seen[0] is value:
                found[seen[1]] = seen[2]
                self._left -= seen[3]
                continue
            before, whole = self._left, _name(name)
            as_shown = self._text(whole)
            found[as_shown] = form = HIDDEN if self._hiding.hides(whole) else self.cut(value, depth)
            if type(name) is str and _is_small(value) and len(self._seen) < _SEEN:
                self._seen[name] = value, as_shown, form, before - self._left
        return found

    def cut(self, value: Any, depth: int = 0) -> Any:
        """A value as it is shown."""
        self._left -= _VALUE_CHARS
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        # classes derived from numbers (NumPy has one) are none to JSON
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, int):
            number = int.__int__(value)
            return number if numbers.fits(number) else bounded(hex(number), TEXT_CHARS)
        if isinstance(value, Body):
            return f"<body of {value.size} bytes>"
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if type(value) is One:
            return [self.cut(value.value, depth)]
        parts = _parts(value)
        inner = value if parts is None else parts
        if isinstance(inner, Mapping | list | tuple) and depth >= DEPTH:
            return f"<{len(inner)} values>"
        if parts is not None:
            return self.named(parts, depth + 1)
        if isinstance(value, list | tuple):
            items: list[Any] = []
            for item in value:
                if len(items) >= ENTRIES or self._left <= 0:
                    items.append(f"… {len(value) - len(items)} more")
                    break
                items.append(self.cut(item, depth + 1))
            return items
        return self._text(repr(value))

    def _text(self, text: str) -> str:
        text = bounded(text, TEXT_CHARS, self._clean)
        self._left -= len(text)
        return text


def _is_small(value: Any) -> bool:
    """True of a value that nobody can change, and that may be kept."""
    return type(value) in _UNCHANGING and (type(value) is not str or len(value) <= _SEEN_CHARS)


def _name(name: Any) -> str:
    """The key of an object, as patterns look at it."""
    if isinstance(name, bytes):
        return name.decode(errors="backslashreplace")
    return str.__str__(name) if isinstance(name, str) else repr(name)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """The values within one that have names: of a mapping, or of an object whose text has its attributes by their names."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}
    return None
