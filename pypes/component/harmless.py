"""Harmless: what an address, or options for a library, may hold that lead to no file and no socket of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Any value of an option.
ANY: Final = ".*"
#: ``SCHEME://USER:PASSWORD@HOSTS/PATH?QUERY``. Drivers differ in where they end a user or a path that holds other signs, so a
#: text that does is no such address.
_ADDRESS: Final = re.compile(r"[^:/?#]+://([^@/?#\[\]\s]*@)?(?P<hosts>[^@/?#]*)(/[\w.~-]*)?(\?(?P<query>[^#\s]*))?")
#: One host, by name or number, and its port: no path, no ``@NAME`` of an abstract socket, nothing escaped, and not empty, which
#: stands for a socket of the machine.
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d*)?")
_NAME: Final = re.compile(r"[\w.-]{1,80}")


@dataclass(frozen=True)
class Harmless:
    """A list of what needs no privilege in a parameter that is handed to a library; all else does.

    For a text, an address: its ``schemes``, and the ``options`` of its query. For an object: its ``options``, in lower case.
    Each option has a pattern, which its whole value has to match (``ANY``: any value).
    """

    schemes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        """As the schema of a parameter has it, under ``harmless``."""
        return {"schemes": list(self.schemes), "options": dict(self.options)}


def beyond(harmless: Mapping[str, Any], value: Any) -> Iterator[str]:
    """The parts of a value, with all variables replaced, that are not in the list, in words; no values are in them.

    ``harmless`` is what :meth:`Harmless.to_schema` gave.
    """
    options = harmless["options"]
    if isinstance(value, Mapping):
        for name, each in value.items():
            if not _is_harmless(options, name.lower(), str(each)):
                yield _named(name)
    elif isinstance(value, str) and value and harmless["schemes"]:
        yield from _beyond_address(harmless["schemes"], options, value)


def _beyond_address(schemes: list[str], options: Mapping[str, str], value: str) -> Iterator[str]:
    scheme, is_any, _ = value.partition("://")
    if is_any and scheme not in schemes:
        yield f"a scheme other than {', '.join(schemes)}"
        return
    found = _ADDRESS.fullmatch(value)
    if found is None:
        yield f"its form, which is not {schemes[0]}://USER:PASSWORD@HOST:PORT/NAME?OPTION=VALUE"
        return
    if not all(_HOST.fullmatch(host) for host in found["hosts"].split(",")):
        yield "the host, which is no name or number"
    for part in (found["query"] or "").split("&"):
        name, _, each = part.partition("=")
        if part and not _is_harmless(options, name, each):
            yield _named(name)


def _is_harmless(options: Mapping[str, str], name: str, value: str) -> bool:
    return name in options and re.fullmatch(options[name], value, re.DOTALL) is not None


def _named(name: str) -> str:
    # anything else may be the rest of a password
    return f"option {name}" if _NAME.fullmatch(name) else "an option"
