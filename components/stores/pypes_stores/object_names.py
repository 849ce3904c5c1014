"""Names of objects: keys that tell all documents, parts and versions apart, and are read as what they stand for.

The object of a document is ``docs/reports/a.pdf``; its parts are below ``docs/reports/a.pdf.parts/VERSION/``. Letters, digits
and some signs stand for themselves, ``!2A`` for an asterisk, and ``!-`` and a digest for the rest of a long id.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pypes_basic.records import digest

#: The end of the name of a folder of parts. No segment of an id ends so: its dot is escaped.
PARTS: Final = ".parts"
#: Longest names in a key, in bytes: keys have 1,024 at most, and some are needed for the address and the version.
MOST_ID_BYTES: Final = 500
MOST_ROUTE_BYTES: Final = 100
MOST_PART_BYTES: Final = 150
#: Templates of keys: the id is in them, and names of their own are whole segments, or an ending.
TEMPLATE: Final = r"^((\{route\}|[A-Za-z0-9_=-][A-Za-z0-9._=-]*)/)*\{id\}(\.[A-Za-z0-9]+)*$"
#: Stands for no version at all, as outside of a node.
NO_VERSION: Final = "0"

_SIGNS: Final = frozenset("-_.=+,@()' ")
_ESCAPE: Final = "!"
_CUT: Final = "!-"


class Part(NamedTuple):
    """A part as its key tells of it: its version, and the place that it has in each version."""

    key: str
    version: str
    place: str


def key_of(template: str, route: str, id: str | None, document: str) -> str:
    """The key of a document; ``document`` is its digest, which stands for an id where there is none."""
    name = f"{_CUT}{document}" if id is None else _name(id, MOST_ID_BYTES)
    return template.replace("{id}", name).replace("{route}", _segment(route, MOST_ROUTE_BYTES))


def folder_of(key: str) -> str:
    """The beginning of the keys of all parts of a document, of all versions."""
    return f"{key}{PARTS}/"


def part_key(key: str, version: str, part: str) -> str:
    """The key of a part of a version; the part without a name is the document itself."""
    return f"{folder_of(key)}{version.replace('/', '.') or NO_VERSION}/{_name(part, MOST_PART_BYTES)}"


def part_of(key: str, part_key: str) -> Part:
    """The inverse of :func:`part_key`, as far as versions and places have to be compared."""
    version, _, place = part_key.removeprefix(folder_of(key)).partition("/")
    return Part(part_key, "" if version == NO_VERSION else version.replace(".", "/"), place)


def _name(text: str, most_bytes: int) -> str:
    """A name of several segments."""
    return _within("/".join(map(_escaped, text.split("/"))), text, most_bytes)


def _segment(text: str, most_bytes: int) -> str:
    """A name of one segment: a slash does not part it."""
    return _within(_escaped(text).replace("/", "!2F"), text, most_bytes)


def _within(name: str, text: str, most_bytes: int) -> str:
    data = name.encode()
    if len(data) <= most_bytes:
        return name
    end = f"{_CUT}{digest(text)}"
    return data[: most_bytes - len(end)].decode(errors="ignore") + end


def _escaped(text: str) -> str:
    if not text:
        return _ESCAPE  # stores take no empty names
    if not text.strip("."):
        return _bytes_of(text)
    name = "".join(char if char.isalnum() or char in _SIGNS or char == "/" else _bytes_of(char) for char in text)
    return name.removesuffix(PARTS) + _bytes_of(".") + PARTS[1:] if name.endswith(PARTS) else name


def _bytes_of(text: str) -> str:
    return "".join(f"{_ESCAPE}{byte:02X}" for byte in text.encode())
