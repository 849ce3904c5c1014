"""Values of packets as all destinations take them, and who may see a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pypes import Reject

#: Metadata kept with a document; the rest says how it travelled, not what it is.
KEPT_META: Final[tuple[str, ...]] = (
    *("filename", "path", "within", "url", "modified", "mimetype", "route", "receipt", "row", "pages_lost", "rows_lost"),
    *("charset", "charset_declared", "charset_guessed", "replaced_characters"),
)
#: The name on the access list of a document that nobody may see: to servers, an empty list is none at all. Nobody asks under it.
NOBODY: Final = "pypes:nobody"
#: Stands for characters that databases refuse: NUL, and halves of surrogate pairs.
NO_CHARACTER: Final = "\ufffd"
#: Bits of an integer that all destinations take, without its sign.
MOST_BITS: Final = 63
#: Levels of lists and objects within one another: writers of JSON take 254, with those around a document.
MOST_LEVELS: Final = 240


def acl_of(meta: Mapping[str, Any]) -> list[str] | None:
    """Those who may see a document: names of users and groups, :data:`NOBODY` if there is none; ``None`` for everybody.

    Without metadata ``acl`` it is everybody. ``null``, an empty text and an empty list are nobody. Raises ``Reject`` for all that
    is no name: who may see the document is not known then.
    """
    if "acl" not in meta:
        return None
    given = meta["acl"]
    if given is None or given == "":
        return [NOBODY]
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple | set | frozenset) else None
    if names is None or not all(isinstance(name, str) and name.strip() and text_of(name) == name for name in names):
        raise Reject(
            f"metadata 'acl' is {given!r}; it has to be a name of a user or group, or a list of names (an empty one for nobody)",
            "publisher.acl",
        )
    return names or [NOBODY]


def fitting(name: str, value: Any) -> Any:
    """The value of a field or of metadata as :func:`plain` gives it. Raises ``Reject`` that names it where there is none."""
    try:
        return plain(value)
    except ValueError as error:
        raise Reject(f"{name!r} holds {error}", "publisher.value") from error


def plain(value: Any, levels: int = MOST_LEVELS) -> Any:
    """A value as JSON that every database takes: binary values are named by their size. Raises ``ValueError`` for others."""
    kind = type(value)
    if kind is str:
        return text_of(value)
    if value is None or kind is bool or kind is float:
        return value
    if isinstance(value, int):
        if value.bit_length() > MOST_BITS:
            raise ValueError(
                f"an integer of {value.bit_length()} bits, and up to {MOST_BITS} can be stored; make it a text before"
            )
        return int(value)
    if not levels:
        raise ValueError(f"more than {MOST_LEVELS} levels of lists and objects within one another")
    if isinstance(value, Mapping):
        return {text_of(str(name)): plain(each, levels - 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each, levels - 1) for each in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist(), levels - 1)
    return stand_in(value)


def stand_in(value: Any) -> str:
    """Text in place of what JSON has not. Binary values are not stored: their size says that there was one."""
    if isinstance(value, bytes | bytearray):
        return f"({len(value)} bytes)"
    size = getattr(value, "size", None)
    return text_of(str(value)) if size is None else f"({size} bytes)"


def text_of(text: str) -> str:
    """Text without the characters that databases refuse."""
    return unicode_of(text.replace("\x00", NO_CHARACTER) if "\x00" in text else text)


def unicode_of(text: str) -> str:
    """Text in which halves of a surrogate pair are joined, and those that are alone replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def printable(text: str) -> str:
    """An id or a route with NUL as the six characters of its escape."""
    return text_of(text.replace("\x00", "\\u0000"))
