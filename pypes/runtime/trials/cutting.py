"""Cutting: packets of a report made small enough to be looked at, with marks where something is missing."""

from __future__ import annotations

from typing import Any, Final

import orjson

#: Characters of a text, and entries of an array or object, that are shown.
TEXT_CHARS: Final = 16 << 10
ENTRIES: Final = 1000
#: Characters of one packet, about; a value that is no text counts as some.
PACKET_CHARS: Final = 256 << 10
_VALUE_CHARS: Final = 8
#: Packets of one report in bytes of JSON; those beyond it are left out.
REPORT_BYTES: Final = 8 << 20

#: In place of a packet for which there is no room.
LEFT_OUT: Final = {"left_out": True}


class Cutter:
    """Cuts the packets of one report, as long as there is room for them."""

    def __init__(self, room: int = REPORT_BYTES) -> None:
        self._room = room

    def packet(self, form: dict[str, Any]) -> dict[str, Any]:
        """A packet, in JSON form, of which what is long is cut.

        ``cut`` has then, by the path of each value that was, how long it is: a text in characters, others in entries.
        """
        if self._room <= 0:
            return LEFT_OUT
        cut = _Cut()
        found: dict[str, Any] = cut.value(form, "")
        if cut.lengths:
            found["cut"] = cut.lengths
        self._room -= len(orjson.dumps(found))
        return found


class _Cut:
    """The values of one packet, cut."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}
        self._left = PACKET_CHARS

    def value(self, value: Any, path: str) -> Any:
        most = TEXT_CHARS if isinstance(value, str) else ENTRIES
        if not isinstance(value, str | list | dict):
            self._left -= _VALUE_CHARS
            return value
        most = min(most, max(0, self._left))
        if len(value) > most:
            self.lengths[path] = len(value)
        if isinstance(value, str):
            self._left -= min(len(value), most)
            return value[:most]
        if isinstance(value, list):
            return [self.value(each, f"{path}.{place}") for place, each in enumerate(value[:most])]
        prefix = f"{path}." if path else ""
        return {name: self.value(each, f"{prefix}{name}") for name, each in list(value.items())[:most]}
