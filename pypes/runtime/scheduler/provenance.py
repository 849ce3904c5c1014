"""Provenance: which filter set each field, in the metadata of the fields (``provenance`` of a graph)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import is_
from typing import Any, Final

from pypes.core.contents import EXPOSED, FIELD_META_SHARED, SNAPSHOT, VALUES_SHARED
from pypes.core.returned import are_packets
from pypes.graph.model import Graph
from pypes.packet import Packet

#: The metadata of a field that says which filter set it.
SET_BY: Final = "set_by"
#: Packets in hand whose values are compared with those of a new one, which is made of one of them; else identity tells.
_COMPARED: Final = 4
#: Metadata of fields that are remembered: names of fields come with documents.
_REMEMBERED: Final = 4096

_MISSING: Final = object()

#: The metadata of a packet's fields, by field.
FieldMeta = Mapping[str, Mapping[str, Any]]


def marks_of(graph: Graph, version: int, versions: Mapping[str, str]) -> dict[str, str]:
    """By filter of a graph, the mark of the fields that it sets; ``versions`` are those of components, by name, as far as known.

    A mark is ``graph@version filter Component@version``, such as ``mails@3 language Language@2.0.1``. Version 0 is left out.
    """
    made = {}
    for name, node in graph.nodes.items():
        of_component = versions.get(node.component)
        component = f"{node.component}@{of_component}" if of_component else node.component
        made[name] = f"{graph.name}@{version} {name} {component}" if version else f"{graph.name} {name} {component}"
    return made


class Marks:
    """The marks of the filters of a graph, and metadata of fields that were made of them, which many packets share."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        #: By filter, identity of the metadata before, and changed fields: these metadata, and those after.
        self._made: dict[tuple[str, int, tuple[str, ...]], tuple[FieldMeta | None, FieldMeta]] = {}
        #: By identity, the metadata that nobody changes.
        self._shared: dict[int, FieldMeta] = {}

    def replace(self, texts: Mapping[str, str]) -> None:
        """Go on with other marks, those of another version."""
        self._texts = texts
        self._forget()

    def _forget(self) -> None:
        self._made.clear()
        self._shared.clear()

    def put(self, filter: str, packet: Packet, names: tuple[str, ...]) -> FieldMeta | None:
        """Mark these fields of a packet as set by a filter; returns the metadata of its fields if they are shared.

        PERF: packets that fare alike share their metadata of fields, so that it takes a look into a dict to mark one.
        """
        before = packet.parts()[2]
        made = self._made.get((filter, id(before), names))
        if made is not None and made[0] is before:
            packet.share_field_meta(made[1])
            return made[1]
        if before is None or self._shared.get(id(before)) is before:
            if len(self._made) >= _REMEMBERED:
                self._forget()
            text = self._texts[filter]
            after = {**(before or {}), **{name: {**(before or {}).get(name, {}), SET_BY: text} for name in names}}
            self._made[filter, id(before), names] = before, after
            self._shared[id(after)] = after
            packet.share_field_meta(after)
            return after
        for name in names:
            packet.set_meta(SET_BY, self._texts[filter], name)
        return None


class Provenance:
    """Marks the fields that one filter has set: those that are new or have another value when it sends a packet.

    A field of a packet that the filter has made itself counts as the filter's, unless a packet in hand has the same value under
    the same name: then it stays whose it was.
    """

    __slots__ = ("_are_copies", "_before", "_changes", "_filter", "_kept", "_known", "_marks", "_values")

    def __init__(self, filter: str, marks: Marks) -> None:
        self._filter = filter
        self._marks = marks
        #: The packets that were taken in this turn, and the fields that they had then; none of what is no packet.
        self._values: list[Any] = []
        self._before: list[dict[str, Any] | None] = []
        #: True if it had changed all packets that it sent last, and if those fields are copies that nobody else has.
        #: PERF: to copy them at once is quicker than to have the first write do it; where nothing is written, neither is needed.
        self._changes = self._are_copies = False
        #: The same of what is in hand for longer than a turn, by identity.
        self._kept: dict[int, tuple[Any, dict[str, Any]]] = {}
        #: By name and identity of a value in hand, whose it is; made when it is needed.
        self._known: dict[tuple[str, int], Packet] | None = None

    def taken(self, values: Sequence[Any], again: Container[int]) -> None:
        """The filter is given packets; those ``again``, by identity, were given to it before, and count as they were then."""
        before: list[dict[str, Any] | None] = []
        copies = self._changes and are_packets(values)
        self._are_copies = copies and not self._values
        if copies or are_packets(values):  # PERF: as snapshot(), mostly without the call
            for value in values:
                bits = value._bits
                if bits & EXPOSED:
                    before.append(value.snapshot())
                elif copies:
                    value._bits = bits | VALUES_SHARED
                    before.append(value._fields.copy())
                else:
                    value._bits = bits | SNAPSHOT
                    before.append(value._fields)
        else:
            before = [value.snapshot() if isinstance(value, Packet) else None for value in values]
        if self._kept:
            before = [
                self._kept[id(v)][1] if id(v) in again and id(v) in self._kept else b for v, b in zip(values, before, strict=True)
            ]
        if self._values:
            self._values += values
            self._before += before
        else:
            self._values, self._before = [*values], before
        self._known = None

    def sent(self, values: Sequence[Any]) -> None:
        """Mark packets that the filter sends."""
        taken = self._values
        pairs: Iterable[tuple[Any, dict[str, Any] | None]]
        if len(values) == len(taken) and all(map(is_, values, taken)):  # PERF: what nearly every chunk comes to
            pairs = zip(values, self._before, strict=True)
        else:
            known = {id(value): before for value, before in zip(taken, self._before, strict=True)}
            known.update((at, before) for at, (_, before) in self._kept.items())
            pairs = [(value, known.get(id(value))) for value in values]
        put, filter = self._marks.put, self._filter
        are_own = self._are_copies and not self._kept
        names: tuple[str, ...] = ()
        only: str | None = None
        changes_all = True
        meta, made = _MISSING, None
        for packet, before in pairs:
            if before is None:
                if isinstance(packet, Packet):
                    self._made(packet)
                continue
            fields = packet._fields  # PERF: as parts(), without the call
            if fields is before:
                changes_all = False
                continue
            if only is not None and are_own and only in fields and only not in before:
                before[only] = fields[only]
                try:  # PERF: as _is_equal(), without the call
                    is_alike = before == fields
                except Exception:
                    is_alike = False
                if not is_alike:
                    del before[only]
            else:
                is_alike = bool(names) and _are_changed(names, before, fields)
            if not is_alike:
                if not (changed := _changed(before, fields)):
                    changes_all = False
                    continue
                names, meta = changed, _MISSING
                only = names[0] if len(names) == 1 else None
            if packet._field_meta is meta:  # PERF: packets of a chunk fare alike; as share_field_meta(), without the call
                packet._field_meta, packet._bits = made, packet._bits | FIELD_META_SHARED
            else:
                meta = packet._field_meta
                made = put(filter, packet, names)
                if made is None:
                    meta = _MISSING
        self._changes = changes_all and bool(names)

    def _made(self, packet: Packet) -> None:
        """Mark the fields of a packet that the filter has made."""
        own = []
        for name, value in list(packet.parts()[0].items()):
            parent = self._parent_of(name, value)
            if parent is None:
                own.append(name)
            elif not packet.has_meta(SET_BY, name) and (mark := parent.get_meta(SET_BY, name)) is not None:
                packet.set_meta(SET_BY, mark, name)
        if own:
            self._marks.put(self._filter, packet, tuple(own))

    def _in_hand(self) -> Iterator[tuple[Packet, dict[str, Any]]]:
        yield from ((value, before) for value, before in zip(self._values, self._before, strict=True) if before is not None)
        yield from self._kept.values()

    def _parent_of(self, name: str, value: Any) -> Packet | None:
        """A packet in hand that has this value under this name."""
        if len(self._values) + len(self._kept) <= _COMPARED:
            for packet, before in self._in_hand():
                if _is_equal(before.get(name, _MISSING), value):
                    return packet
            return None
        if self._known is None:
            self._known = {(field, id(found)): packet for packet, before in self._in_hand() for field, found in before.items()}
        return self._known.get((name, id(value)))

    def forget(self, kept: Container[int] = ()) -> None:
        """The turn is over: forget what was in hand, but for packets that are held or tried again."""
        if kept:
            self._keep()
        if self._kept:
            self._kept = {at: pair for at, pair in self._kept.items() if at in kept} if kept else {}
        self._values, self._before, self._known = [], [], None

    def forget_one(self, packet: Any) -> None:
        """The work on one packet is over; others are in hand beyond this turn."""
        self._keep()
        self._kept.pop(id(packet), None)

    def _keep(self) -> None:
        self._kept.update((id(packet), (packet, before)) for packet, before in self._in_hand())
        self._values, self._before, self._known = [], [], None


def _changed(before: dict[str, Any], fields: dict[str, Any]) -> tuple[str, ...]:
    """The names of fields that are new, or have other values than before."""
    get = before.get
    return tuple([name for name, value in fields.items() if not _is_equal(get(name, _MISSING), value)])


def _are_changed(names: tuple[str, ...], before: dict[str, Any], fields: dict[str, Any]) -> bool:
    """True if these are the fields that are changed, as they were in the packet before; False where that is not plain to see.

    PERF: dicts compare quickly, names that are looked at one by one do not.
    """
    others = fields.copy()
    for name in names:
        if (value := others.pop(name, _MISSING)) is _MISSING:
            return False
        if name in before:
            if value is (was := before[name]) or _is_equal(value, was):
                return False
            others[name] = was
    return _is_equal(others, before)


def _is_equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except Exception:  # values of its own classes that do not behave as their bases do
        return False
