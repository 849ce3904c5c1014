"""Routing: which adapters of a graph take a document, by its media type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import orjson

from pypes.component import Adapter, Component, is_told, kind_of
from pypes.core.media_types import PACKETS
from pypes.graph.model import Graph
from pypes.graph.schedule import loose_sources
from pypes.ingest.codecs import media
from pypes.packet import Packet

#: Media types and content types whose adapters are remembered.
MAX_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """An adapter that takes documents. ``wants_bytes``: in the original style, where a JSON document is bytes too."""

    filter: str
    wants_bytes: bool = False


class JsonRoute(NamedTuple):
    """A JSON content type, taken apart, and the only adapter that takes it."""

    media_type: str
    charset: str | None
    entry: Entry


class Router:
    """The adapters of one running graph. The most specific match takes a document; on a tie, all of them do."""

    def __init__(self, graph: Graph, components: Mapping[str, Component]) -> None:
        fed = {wire.target for wire in graph.wires}
        fetching = [name for name, component in components.items() if getattr(component, "fetch", None) is not None]
        #: Sources that no wire leads on from: what they fetch goes to the adapters by its media type.
        self.loose = loose_sources(graph, fetching)
        #: Filters that are told of complete documents, and compare versions of them.
        self.told = frozenset(name for name, component in components.items() if component.complete is not None)
        #: True if a component is told of documents: these have the index and the time of their run, then.
        self.wants_versions = any(map(is_told, components.values()))
        #: True if a component is told of documents that have no id, too.
        self.wants_nameless = any(component.conclude is not None for component in components.values())
        self._accepts: list[tuple[Entry, Sequence[str]]] = [
            (Entry(name, component.is_original_style()), getattr(component, "accepts", Adapter.accepts))
            for name, component in components.items()
            if kind_of(component) == Adapter.__metatype__ and name not in fed | self.loose
        ]
        #: Entries of deletions, if no adapter takes packets: any may have taken the document, and all pass deletions on.
        self._passing = tuple(entry for entry, _ in self._accepts if not entry.wants_bytes)
        #: The class of each filter, by name.
        self.components = {name: type(component).__name__ for name, component in components.items()}
        # types come from clients: what is remembered of them is bounded
        self._found: dict[str, tuple[Entry, ...]] = {}
        self._json: dict[str, JsonRoute | None] = {}

    def entries(self, media_type: str) -> tuple[Entry, ...]:
        """Adapters for a bare media type; empty if none accepts it. Deletions and packets have a type of their own."""
        found = self._found.get(media_type)
        if found is None:
            scores = [(media.match(accepts, media_type), entry) for entry, accepts in self._accepts]
            best = max((score for score, _ in scores), default=0)
            found = tuple(entry for score, entry in scores if score == best and best)
            if len(self._found) < MAX_REMEMBERED:
                self._found[media_type] = found
        return found

    def routed(self, start: str, media_type: str, packets: list[Packet]) -> Iterator[tuple[str, tuple[Entry, ...], list[Packet]]]:
        """The adapters at which documents of one delivery enter the graph, in runs of neighbours, each with its media type.

        A replay starts at any filter (none of its name fails in the scheduler). What a loose source fetched goes by media type
        packet by packet, a deletion where the document went. What has no fields is no document: the source's ``process`` sees it.
        """
        if start not in self.loose:
            entries = (Entry(start),) if start else self.entries(media_type)
            if entries or media_type != PACKETS:
                yield media_type, entries, packets
                return
            for is_deletion, run in groupby(packets, lambda packet: packet.is_deletion):
                yield media_type, self._passing if is_deletion else (), list(run)
            return
        for (kind, entries), run in groupby(packets, lambda packet: self._fetched(start, packet)):
            yield kind, entries, list(run)

    def _fetched(self, source: str, packet: Packet) -> tuple[str, tuple[Entry, ...]]:
        given = packet.get_meta("mimetype")
        media_type = given.partition(";")[0].strip().lower() if isinstance(given, str) else PACKETS
        if packet.is_deletion:
            return media_type, self.entries(media_type) or self.entries(PACKETS) or self._passing
        if not packet.get_attribute_names():
            return media_type, (Entry(source),)
        return media_type, self.entries(media_type)

    def json_route(self, content_type: str) -> JsonRoute | None:
        """PERF: all there is to know for a JSON object that goes to one adapter; ``None`` for anything else."""
        try:
            return self._json[content_type]
        except KeyError:
            pass
        parsed = media.parse(content_type)
        entries = self.entries(parsed.type)
        route = None
        if parsed.codec == "json" and len(entries) == 1:
            route = JsonRoute(parsed.type, parsed.parameters.get("charset"), entries[0])
        if len(self._json) < MAX_REMEMBERED:
            self._json[content_type] = route
        return route


def as_bytes(packet: Packet) -> Packet:
    """A JSON document as adapters in the original style expect it: its text in field ``data``, the metadata kept."""
    if packet.has("data") and len(packet.get_attribute_names()) == 1 and isinstance(packet.get("data"), bytes):
        return packet
    whole = Packet(meta=packet.get_metas()[0])
    whole.set("data", orjson.dumps(packet.to_json()["fields"]))
    return whole
