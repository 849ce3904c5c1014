"""Hiding: documents as people may look at them, with some names hidden and without secrets.

Whatever shows a packet goes through here: taps, traces, dead letters, trials, shadows and log lines. What is shown is a copy: the
packet goes on, and large bodies are not read for it. Deliveries to destinations, outboxes and replays are not showing.
"""

from __future__ import annotations

import dataclasses
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any, Final

import msgspec

from pypes.core import numbers
from pypes.core.form import MARK
from pypes.core.media_types import MSGPACK, PROTOBUF
from pypes.core.secrets import Secrets
from pypes.core.shown import Clean, bounded, shown
from pypes.core.values import Body, One
from pypes.errors import InvalidInput
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
#: In place of a value that is not there.
_NOTHING: Final = object()

#: The field in which a body, or a line of one, is that nobody has read yet.
_DATA: Final = "data"

#: Types of bodies whose documents are not text; one that nobody could read has such a type still.
_BINARY: Final = MSGPACK | PROTOBUF

#: Containers within containers that are copied whole; what is within these is left out.
_NESTED: Final = 200
#: A name in what is no whole JSON, and the value behind it: a text, or as far as a line goes what has parts, or one word.
_NAME_IN_TEXT: Final = re.compile(r'"([^"\\\n]+)"[ \t]*:[ \t]*')
_VALUE_IN_TEXT: Final = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[\[{].*|[^,\]}\s]*')


class Hiding:
    """Tells which names are hidden: those that a pattern (``password``, ``*_token``) matches as a whole, in any case.

    ``secrets`` are taken out of all texts that are shown.
    """

    def __init__(self, patterns: Iterable[str] = (), secrets: Secrets | None = None) -> None:
        patterns = tuple(patterns)
        self._has_names = bool(patterns)
        self._pattern = re.compile("|".join(map(translate, patterns)) or r"(?!)", re.IGNORECASE)
        self.secrets = secrets if secrets is not None else Secrets()
        # short values of variables are left: they would be found in any text
        self._clean: Clean = self.secrets.clean_text
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
            if isinstance(data := fields.get(_DATA), str) and not self.hides(_DATA) and _DATA in form["fields"]:
                form["fields"][_DATA] = self._excerpt_of(data)
            if meta:
                form["meta"] = cutter.named(meta)
            if field_meta:
                form["field_meta"] = cutter.named({name: metas for name, metas in field_meta.items() if not self.hides(name)})
        except Exception as error:  # values of its own classes that do not behave as their bases do
            return {"value": f"<{type(packet).__name__} that cannot be shown: {shown(error, self._clean)}>"}
        return form

    def _excerpt_of(self, data: str) -> str:
        if len(data) > CHARS:
            return f"<a text of {len(data)} characters that was not read yet>"
        return bounded(self.body(data), TEXT_CHARS)

    def packet(self, form: Any) -> Any:
        """The whole JSON form of a packet, with what is hidden left out; any other value as :meth:`value` has it."""
        if not isinstance(form, Mapping):
            return self.value(form)
        found = {part: self.value(values) for part, values in form.items()}
        fields = form.get("fields")
        if isinstance(fields, Mapping) and isinstance(data := fields.get(_DATA), str) and not self.hides(_DATA):
            mark = ((form.get("field_meta") or {}).get(_DATA) or {}).get(MARK) or {}
            if self._has_names and (form.get("meta") or {}).get("mimetype") in _BINARY:
                found["fields"][_DATA] = HIDDEN  # it has names that cannot be read
            else:
                found["fields"][_DATA] = self._in_base64(data) if mark.get("base64") is True else self.body(data)
        if isinstance(metas := form.get("field_meta"), Mapping):
            found["field_meta"] = {
                name: {key: value if key == MARK else HIDDEN for key, value in own.items()}
                if self.hides(_name(name)) and isinstance(own, Mapping)
                else self.value(own)
                for name, own in metas.items()
            }
        return found

    def value(self, value: Any, name: str = "", clean: Clean | None = None) -> Any:
        """A JSON value that has this name, with what is hidden in it left out, and nothing shortened."""
        if name and self.hides(name):
            return HIDDEN
        return self._copied(value, clean or self._clean, ())

    def logged(self, value: Any) -> Any:
        """A value that was given to a log: a packet as an excerpt of it, what has names without what is hidden."""
        return self.excerpt(value) if isinstance(value, Packet) else self.value(value, clean=self.secrets.redact)

    def body(self, text: str) -> str:
        """The text of a body without what is hidden, as far as it has names: as JSON, as lines of JSON, or as part of one."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            # other ends of lines may be within a value
            return self._clean("\n".join(map(self._line, text.split("\n"))))
        return self._rewritten(value, text)

    def _in_base64(self, data: str) -> str:
        try:
            return b64encode(self.body(b64decode(data, validate=True).decode()).encode()).decode()
        except ValueError:  # it is no text
            return data

    def restored(self, value: Any, former: Any) -> Any:
        """The JSON form of a packet that was shown, and perhaps changed, with what was hidden in it as it is in ``former``.

        Raises :class:`InvalidInput` (``packet.hidden``) for what is hidden and has no former value.
        """
        return self._restored(value, former, self.packet(former), ())

    def _restored(self, value: Any, former: Any, shown: Any, path: tuple[str | int, ...]) -> Any:
        if not isinstance(value, dict | list) or len(path) > _NESTED:
            if former is not _NOTHING and type(value) is type(shown) and value == shown:
                return former
            if path == ("fields", _DATA) and isinstance(value, str) and HIDDEN in value and HIDDEN not in str(former):
                raise _nothing_to_restore(path)
            return value
        if isinstance(value, list):
            size = len(former) if isinstance(former, list) and isinstance(shown, list) else 0
            return [
                self._restored(each, former[at] if at < size else _NOTHING, shown[at] if at < size else None, (*path, at))
                for at, each in enumerate(value)
            ]
        known: dict[Any, Any] = {}
        if isinstance(former, dict) and isinstance(shown, dict):
            # by the names that are shown, which have no secrets either
            known = {name: (key, former[key], shown[name]) for name, key in zip(shown, former, strict=False)}
        found = {}
        for name, each in value.items():
            key, was, as_shown = known.get(name, (name, _NOTHING, None))
            if was is _NOTHING and each == HIDDEN and self.hides(name):
                raise _nothing_to_restore((*path, name))
            found[key] = self._restored(each, was, as_shown, (*path, name))
        return found

    def _copied(self, value: Any, clean: Clean, within: tuple[int, ...]) -> Any:
        if isinstance(value, str):
            return clean(value)
        if not isinstance(value, Mapping | list | tuple):
            return value
        if id(value) in within or len(within) > _NESTED:
            return f"<{len(value)} values>"
        within += (id(value),)
        if isinstance(value, Mapping):
            return {
                clean(key) if isinstance(key, str) else key: (
                    HIDDEN if self.hides(_name(key)) else self._copied(item, clean, within)
                )
                for key, item in value.items()
            }
        items = [self._copied(item, clean, within) for item in value]
        return tuple(items) if isinstance(value, tuple) else items

    def _rewritten(self, value: Any, text: str) -> str:
        """``text``, or the JSON ``value`` that it has, if something is hidden in that."""
        if not isinstance(value, dict | list):
            return self._clean(text)
        hidden = self._copied(value, str, ())
        return self._clean(text if hidden == value else json.dumps(hidden, ensure_ascii=False))

    def _line(self, line: str) -> str:
        try:
            return self._rewritten(json.loads(line), line)
        except (ValueError, RecursionError):
            return "".join(self._pieces(line))

    def _pieces(self, line: str) -> Iterator[str]:
        """The pieces of a text that is no JSON, or not all of one."""
        at = 0
        while found := _NAME_IN_TEXT.search(line, at):
            yield line[at : found.end()]
            at = found.end()
            if self.hides(found[1]):
                value = _VALUE_IN_TEXT.match(line, at)
                at = value.end() if value is not None else at
                yield f'"{HIDDEN}"'
        yield line[at:]


def _nothing_to_restore(path: tuple[str | int, ...]) -> InvalidInput:
    message = f"{HIDDEN} stands for a value, and nobody can tell which; give the value"
    return InvalidInput(message, code="packet.hidden", where=".".join(map(str, path)))


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
