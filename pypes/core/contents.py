"""Contents: fields and metadata of a packet, shared with its clones until one of them is written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from pypes.core.values import PLAIN, Body, One, Several, deep, loaded, pack, size_of, values_of

# bits of Contents._bits
FIELDS_SHARED: Final = 1  # another packet refers to the same dict of fields
META_SHARED: Final = 2
FIELD_META_SHARED: Final = 4
VALUES_SHARED: Final = 8  # another packet refers to the same lists and dicts inside the fields
EXPOSED: Final = 16  # code outside may hold a mutable value of this packet and change it at any time

SNAPSHOT: Final = FIELDS_SHARED | VALUES_SHARED
#: Values up to here, in bytes, are copied for a snapshot of a packet whose values may be changed from outside.
COPIED_BYTES: Final = 4096

_new = object.__new__


class Contents:
    """Contents that packets own or share: copy on write, and conversion of values at the border to components."""

    # Each entry of _fields is a plain value, a list (the values of a field said to be multi-valued), Several or One.
    # PERF: one word of bits instead of a flag each, and no metadata dicts until there is metadata.
    __slots__ = ("_bits", "_field_meta", "_fields", "_meta")

    _fields: dict[str, Any]
    _meta: dict[str, Any] | None
    _field_meta: dict[str, dict[str, Any]] | None
    _bits: int

    def _own_fields(self) -> dict[str, Any]:
        if self._bits & FIELDS_SHARED:
            self._fields = self._fields.copy()
            self._bits &= ~FIELDS_SHARED
        return self._fields

    def _own_meta(self) -> dict[str, Any]:
        if self._meta is None:
            self._meta = {}
        elif self._bits & META_SHARED:
            self._meta = deep(self._meta)
        self._bits &= ~META_SHARED
        return self._meta

    def _own_field_meta(self) -> dict[str, dict[str, Any]]:
        if self._field_meta is None:
            self._field_meta = {}
        elif self._bits & FIELD_META_SHARED:
            self._field_meta = deep(self._field_meta)
        self._bits &= ~FIELD_META_SHARED
        return self._field_meta

    def snapshot(self) -> dict[str, Any]:
        """The entries of the fields as they are now, only to be read: what is done to the packet from now on leaves them alone.

        Values that code outside may change are copied, but for those over :data:`COPIED_BYTES`, and those that cannot be. PERF:
        otherwise nothing is, until the packet is written to.
        """
        if self._bits & EXPOSED:
            return {name: _kept(value) for name, value in self._fields.items()}
        self._bits |= SNAPSHOT
        return self._fields

    def share_field_meta(self, field_meta: Mapping[str, Mapping[str, Any]]) -> None:
        """Have these metadata of fields, which other packets have as well: whichever is written to gets a copy of its own."""
        self._field_meta = field_meta  # type: ignore[assignment]
        self._bits |= FIELD_META_SHARED

    def _own_values(self, attr: str) -> list[Any]:
        """The values of a field as a list that may be changed in place."""
        value = self._fields[attr]
        if type(value) is not list and type(value) is not Several:
            return Several(values_of(value))
        if self._bits & VALUES_SHARED:
            self._own_all()
            return self._fields[attr]  # type: ignore[no-any-return]
        return value

    def _fields_set(self, attr: str, values: list[Any]) -> None:
        self._own_fields()[attr] = pack(values) if type(values) is Several else values

    def _drop_field_meta(self, attr: str) -> None:
        if self._field_meta and attr in self._field_meta:
            del self._own_field_meta()[attr]

    def _admit(self, value: Any) -> Any:
        """Make a value from outside an entry of the fields."""
        if type(value) not in PLAIN and not isinstance(value, Body):
            self._bits |= EXPOSED
        return One(value) if type(value) is list else value

    def _admit_all(self, values: list[Any]) -> list[Any]:
        for value in values:
            if type(value) not in PLAIN and not isinstance(value, Body):
                self._bits |= EXPOSED
        return list(values)

    def _give(self, attr: str, value: Any) -> Any:
        """Give out an entry that is no plain value, so that nothing the caller does to it reaches another packet."""
        if isinstance(value, Body):
            return value.read()
        several = type(value) is list or type(value) is Several
        if not (several and all(type(v) in PLAIN for v in value)):
            self._own_all()
            self._bits |= EXPOSED
            value = self._fields[attr]
        if several:
            return [loaded(v) for v in value]
        return value.value if type(value) is One else value

    def _own_all(self) -> None:
        """Stop sharing the lists and dicts inside the fields."""
        if self._bits & VALUES_SHARED:
            self._fields = deep(self._fields)
            self._bits &= ~(FIELDS_SHARED | VALUES_SHARED)

    def _copy(self, metas: bool) -> Self:
        packet = _new(type(self))
        packet._fields = deep(self._fields)
        packet._meta = deep(self._meta) if metas else None
        packet._field_meta = deep(self._field_meta) if metas else None
        packet._bits = 0
        return packet


def _kept(value: Any) -> Any:
    """A copy of an entry, or itself if it is large, or of a class that cannot be copied."""
    try:
        return deep(value) if size_of(value) <= COPIED_BYTES else value
    except Exception:
        return value
