"""Identified: the document that contents are, or are part of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self

from pypes.core.contents import EXPOSED, META_SHARED, Contents
from pypes.core.identity import MAX_ID_BYTES, Identity, Version, id_of
from pypes.core.parts import part_of
from pypes.core.values import PLAIN, deep
from pypes.errors import BadId

_new = object.__new__
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Identified(Contents):
    """Contents that know their document, their place in it, and its version, all from their metadata.

    Without the metadata ``part`` they are the document itself; with it, one of the *parts* that were made of it.
    """

    __slots__ = ()

    @property
    def is_deletion(self) -> bool:
        """True if the packet asks publishers to delete the document of its id."""
        return self._meta is not None and self._meta.get("requestmethod") == "DELETE"

    @property
    def id(self) -> str | None:
        """The id, of a part its own: the metadata ``id``, or else the field, if that is text or a whole number; ``None`` without.

        Raises ``BadId`` for text that cannot be an id.
        """
        given = None if self._meta is None else self._meta.get("id")
        return id_of(self._fields.get("id") if given is None else given)

    @property
    def identity(self) -> Identity | None:
        """Route and id: what makes this the same packet as another one; ``None`` without an id. Raises as :attr:`id` does."""
        id = self.id
        if id is None:
            return None
        route = None if self._meta is None else self._meta.get("route")
        return Identity(route if type(route) is str else "", id)

    @property
    def document(self) -> Identity | None:
        """Route and id of the posted document that this is, or is part of; ``None`` without an id. Raises as :attr:`id` does."""
        meta = self._meta or _NOTHING
        # PERF: without a call of `identity`; whoever follows documents asks this of each packet
        given = meta.get("document" if meta.get("part") else "id")
        id = id_of(self._fields.get("id") if given is None and not meta.get("part") else given)
        if id is None:
            return None
        route = meta.get("route")
        return Identity(route if type(route) is str else "", id)

    @property
    def part(self) -> str:
        """The place in the document, such as ``row=17`` or ``attachment=2/chunk=4``; empty for the document itself."""
        part = None if self._meta is None else self._meta.get("part")
        return part if type(part) is str else ""

    @property
    def version(self) -> Version | None:
        """The version of the document, by the receipt of its first run; ``None`` outside of a node."""
        meta = self._meta or {}
        receipt = meta.get("origin") or meta.get("receipt")
        if type(receipt) is not str or not receipt:
            return None
        index, run = meta.get("index"), meta.get("run")
        return Version(receipt, index if type(index) is int else 0, run if type(run) is int else 0)

    def derive(
        self, kind: str, place: int | str, fields: dict[str, Any] | None = None, meta: dict[str, Any] | None = None
    ) -> Self:
        """Make a part of this packet: a row, a chunk, an attachment, known by its ``kind`` and its ``place`` among these.

        ``kind`` is a word of ``a-z``, ``0-9`` and ``_``. ``place`` is a whole number or text, the same in every run of the same
        document, and another one for each part of a kind. ``fields`` are those of a parsed JSON object, as for
        :meth:`Packet.from_document`, and belong to the part from then on. It has the metadata of this packet, and ``meta``.

        Where the document has an id, the part has one: ``ID/kind=place``, or ``ID/page=2/chunk=4`` for a part of a part.
        Raises ``BadId`` if that is longer than an id may be, ``ValueError`` for another kind or place.
        """
        own = self._meta or {}
        part = part_of(kind, place)
        outer = own.get("part")
        document = own.get("document") if outer else self.id
        if outer:
            part = f"{outer}/{part}"
        if self._bits & EXPOSED:
            own = deep(own)
        derived = {**own, **meta} if meta else {**own}
        derived["part"] = part
        if type(document) is str:
            derived["document"] = document
            derived["id"] = id_of(f"{document}/{part}")
        else:
            derived.pop("id", None)
        derived.pop("made", None)
        packet = _new(type(self))
        packet._fields = {} if fields is None else fields
        packet._meta = derived
        packet._field_meta = None
        packet._bits = 0
        # PERF: metadata are plain, as a rule; lists and dicts in them are shared with this packet until somebody wants one
        if not PLAIN.issuperset(map(type, derived.values())):
            packet._bits = META_SHARED
            self._bits |= META_SHARED
        return packet

    def _without_place(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Metadata of another packet without what makes that one a part, or would make this part another one."""
        if not (self.part or "part" in meta):
            return meta
        return {name: value for name, value in meta.items() if name not in ("id", "document", "part", "made")}


def ids_of(packets: Sequence[Identified]) -> list[str | None]:
    """The id of each packet; ``None`` also where it cannot be one.

    PERF: nearly all ids are short text of ASCII, of which many are looked at as fast as one.
    """
    given: list[Any] = [
        packet._fields.get("id") if (meta := packet._meta) is None or (id := meta.get("id")) is None else id for packet in packets
    ]
    if {*map(type, given)} == {str} and all(given) and max(map(len, given)) * 4 <= MAX_ID_BYTES and "".join(given).isascii():
        return given
    return [id_or_none(value) for value in given]


def id_or_none(value: Any) -> str | None:
    """The id that a value stands for; ``None`` also where it cannot be one, which publishers will tell."""
    try:
        return id_of(value)
    except BadId:
        return None
