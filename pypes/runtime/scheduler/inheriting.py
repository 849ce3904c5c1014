"""Inheriting: metadata that reach every packet made of a document, whatever components do (``inherit`` of a graph)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pypes.core.values import deep
from pypes.packet import Packet
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage, flatten

#: Fails a packet: epoch, packet, lineage, code, reason.
Refuse = Callable[[Epoch, Any, Lineage, str, str], None]

#: Stands for a value in which the packets differ that another one was made of.
_DIFFERENT: Final = object()


class Inheriting:
    """The metadata ``names`` at one filter: given to what it makes, asked of what it publishes.

    A packet of several that differ in one of them, and does not have it itself, is not sent on: nobody knows which holds.
    """

    __slots__ = ("_conflicts", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        #: Packets, by identity, that are not to be sent on, with the name in which their parents differ.
        self._conflicts: dict[int, tuple[Any, str]] = {}

    # -- what is sent -------------------------------------------------------------------------------------

    def give(self, values: Iterable[Any], parents: Iterable[Any]) -> None:
        """Give packets that were made of ``parents`` what they lack and those have."""
        known = [parent for parent in parents if isinstance(parent, Packet)]
        if not known:
            return
        given = {id(parent) for parent in known}
        common: Mapping[str, Any] | None = None
        for value in values:
            if not isinstance(value, Packet) or id(value) in given or all(map(value.has_meta, self.names)):
                continue
            if common is None:
                common = self._common(known)
            for name, found in common.items():
                if value.has_meta(name):
                    continue
                if found is _DIFFERENT:
                    self._conflicts[id(value)] = value, name
                else:
                    value.set_meta(name, deep(found))

    def _common(self, parents: Sequence[Packet]) -> dict[str, Any]:
        common: dict[str, Any] = {}
        for name in self.names:
            having = [parent for parent in parents if parent.has_meta(name)]
            if not having:
                continue
            first = (having[0].parts()[1] or {})[name]
            is_same = len(having) == len(parents) and all((each.parts()[1] or {})[name] == first for each in having[1:])
            common[name] = first if is_same else _DIFFERENT
        return common

    def without_conflicts(
        self, refuse: Refuse, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]
    ) -> tuple[list[Any], Sequence[Lineage]]:
        """Fail the packets that are not to be sent on; returns the others."""
        conflicts = self._conflicts
        if not conflicts:
            return values, lineages
        left: list[tuple[Any, Lineage]] = []
        for value, lineage in zip(values, lineages, strict=True):
            conflict = conflicts.pop(id(value), None)
            if conflict is None:
                left.append((value, lineage))
                continue
            reason = f"it is made of packets that differ in the metadata {conflict[1]!r}, which the graph inherits; set it"
            refuse(epoch, value, lineage, "meta.conflict", f"{reason} on what is sent, or keep such packets apart")
        if not left:
            # an epoch that was made for these ends, since nothing is in it
            epoch.acquire()
            epoch.release()
        return [value for value, _ in left], [lineage for _, lineage in left]

    # -- what is published ----------------------------------------------------------------------------------

    def without_missing(
        self, refuse: Refuse, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]
    ) -> tuple[list[Any], Sequence[Lineage]]:
        """Fail the packets without what their document had when it was fed; returns the others."""
        if not any(self._missing(value, epoch, lineage) for value, lineage in zip(values, lineages, strict=True)):
            return values, lineages
        left: list[tuple[Any, Lineage]] = []
        for value, lineage in zip(values, lineages, strict=True):
            name = self._missing(value, epoch, lineage)
            if not name:
                left.append((value, lineage))
                continue
            reason = f"the document had the metadata {name!r}, which the graph inherits, and this packet of it has not"
            refuse(epoch, value, lineage, "meta.missing", f"{reason}; keep it in the filters before")
        return [value for value, _ in left], [lineage for _, lineage in left]

    def _missing(self, value: Any, epoch: Epoch, lineage: Lineage) -> str:
        for name in self.names:
            if not (isinstance(value, Packet) and value.has_meta(name)) and _bore(epoch, lineage, name):
                return name
        return ""


def note(names: tuple[str, ...], epoch: Epoch, packets: Iterable[Any], documents: Iterable[int]) -> None:
    """Note which documents have what is to be inherited, as they are fed."""
    borne = epoch.borne
    for packet, document in zip(packets, documents, strict=True):
        if not isinstance(packet, Packet):
            continue
        for name in names:
            if packet.has_meta(name):
                if name not in borne:
                    borne[name] = bytearray(epoch.feed.documents)
                borne[name][document] = 1


def _bore(epoch: Epoch, lineage: Lineage, name: str) -> bool:
    """True if a document of a packet had this metadata."""
    if epoch.parents:
        return any(_bore(*epoch.parents[own], name) for own in flatten((lineage,)))
    table = epoch.borne.get(name)
    return table is not None and any(table[document] for document in flatten((lineage,)))
