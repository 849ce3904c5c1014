"""Pages of lists: what is asked of the supervisor comes in bounded pieces, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from pypes.runtime.contracts.control import Page

#: A page ends with the entry that goes beyond this, in bytes of JSON.
PAGE_BYTES = 4 << 20


def _by_name(entry: Mapping[str, Any]) -> Any:
    return entry["name"]


def _by_filter(entry: Mapping[str, Any]) -> Any:
    return entry["filter"]


def _newest_first(entry: Mapping[str, Any]) -> Any:
    return -int(entry["version"])


def _drafts_last(entry: Mapping[str, Any]) -> Any:
    graph, dot, filter = str(entry["id"]).partition(".")
    return not dot, graph, filter


class Listing(NamedTuple):
    """The rule by which a list is cut into pages: the field that tells its entries apart, and their order."""

    field: str
    order: Callable[[Mapping[str, Any]], Any]


GRAPHS = DRAFTS = COMPONENTS = COMPOSITES = TOKENS = Listing("name", _by_name)
STORES = Listing("filter", _by_filter)
VERSIONS = Listing("version", _newest_first)
FILTERS = Listing("id", _drafts_last)


def page(listing: Listing, entries: Iterable[dict[str, Any]], limit: int, after: str | int | None) -> Page:
    """Up to ``limit`` entries of a list behind the one called ``after``, which may be gone by now."""
    field, order = listing
    behind = None if after is None else order({field: after})
    found: list[dict[str, Any]] = []
    size = 0
    for entry in sorted(entries, key=order):
        if behind is not None and order(entry) <= behind:
            continue
        if len(found) == limit or size >= PAGE_BYTES:
            return Page(found, found[-1][field])
        found.append(entry)
        size += len(msgspec.json.encode(entry))
    return Page(found, None)
