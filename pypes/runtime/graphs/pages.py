"""Pages of lists: what is asked of the supervisor comes in bounded pieces, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

#: A page ends with the entry that goes beyond this, in bytes of JSON.
PAGE_BYTES = 4 << 20


def _by_name(entry: Mapping[str, Any]) -> Any:
    return entry["name"]


def _newest_first(entry: Mapping[str, Any]) -> Any:
    return -int(entry["version"])


def _drafts_last(entry: Mapping[str, Any]) -> Any:
    graph, dot, node = str(entry["id"]).partition(".")
    return not dot, graph, node


#: By list: the field that tells entries apart, and the order in which it has them.
ORDERS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = MappingProxyType(
    {
        "graphs.list": ("name", _by_name),
        "graphs.drafts": ("name", _by_name),
        "graphs.versions": ("version", _newest_first),
        "components.list": ("name", _by_name),
        "filters.list": ("id", _drafts_last),
    }
)


def page(of: str, entries: Iterable[dict[str, Any]], limit: int, after: str | int | None) -> dict[str, Any]:
    """``{entries, next}``: up to ``limit`` entries of a list behind the one called ``after``, which may be gone by now.

    ``next`` is what to say as ``after`` for the next page, ``None`` on the last one.
    """
    field, order = ORDERS[of]
    behind = None if after is None else order({field: after})
    found: list[dict[str, Any]] = []
    size = 0
    for entry in sorted(entries, key=order):
        if behind is not None and order(entry) <= behind:
            continue
        if len(found) == limit or size >= PAGE_BYTES:
            return {"entries": found, "next": found[-1][field]}
        found.append(entry)
        size += len(msgspec.json.encode(entry))
    return {"entries": found, "next": None}
