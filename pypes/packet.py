"""Packet: one document in flight, with fields, packet metadata and field metadata."""

from __future__ import annotations

import io
import pprint
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, Self

from pypes.core.contents import EXPOSED
from pypes.core.form import read, write
from pypes.core.identified import Identified
from pypes.core.values import PLAIN, Body, Several, deep, loaded, pack, size_of, values_of

__all__ = ["Body", "Packet"]

_MISSING: Final = object()
_new = object.__new__


class Packet(Identified):
    """Ordered lists of values under names, and metadata for the packet and for each field.

    A packet is always true (it has no length). ``clone`` is copy-on-write: the two share everything until one of
    them is written to, or gives out a list or dict that could be.
    """

    __slots__ = ()

    def __init__(
        self,
        doc: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        attr_meta: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Build a packet from copies of ``doc`` (name → list of values, or one value that is no list) and metadata."""
        self._fields = {name: pack(deep(value)) for name, value in doc.items()} if doc else {}
        self._meta = {name: deep(value) for name, value in meta.items()} if meta else None
        self._field_meta = {name: deep(dict(metas)) for name, metas in attr_meta.items()} if attr_meta else None
        self._bits = 0

    @classmethod
    def from_document(cls, fields: dict[str, Any], meta: dict[str, Any] | None = None, *, shared: bool = False) -> Self:
        """Make a packet of a parsed JSON object: arrays become multi-valued fields, anything else one value.

        Takes ownership of ``fields`` and ``meta``: the caller does not touch them again. With ``shared``, ``meta``
        belongs to other packets too and is copied when this one writes to it.
        """
        packet = _new(cls)
        packet._fields = fields
        packet._meta = meta
        packet._field_meta = None
        packet._bits = 2 if shared else 0  # PERF: META_SHARED
        return packet

    # -- fields ------------------------------------------------------------------------------------------

    def get(self, attr: str, default: Any = None) -> Any:
        """The value of a field; a list (a copy) if it is multi-valued; ``default`` if there is none."""
        value = self._fields.get(attr, _MISSING)
        if type(value) in PLAIN:
            return value
        return default if value is _MISSING else self._give(attr, value)

    def set(self, attr: str, value: Any, multi: bool = False, keep_meta: bool = True) -> None:
        """Replace a field. A list is one value unless ``multi``; without ``keep_meta`` the field's metadata goes."""
        if type(value) in PLAIN and not multi and keep_meta and not self._bits & 1:  # PERF: FIELDS_SHARED
            self._fields[attr] = value
            return
        if not keep_meta:
            self._drop_field_meta(attr)
        if multi:
            self._own_fields()[attr] = self._admit_all(value if isinstance(value, list) else [value])
        else:
            self._own_fields()[attr] = self._admit(value)

    def add(self, attr: str, value: Any, multi: bool = False) -> None:
        """Set a field only if it is absent."""
        if attr not in self._fields:
            self.set(attr, value, multi, keep_meta=False)

    def append(self, attr: str, value: Any, extend: bool = False) -> None:
        """Add a value behind those a field has; with ``extend``, a list adds each of its items."""
        more = self._admit_all(value if extend and isinstance(value, list) else [value])
        values = self._own_values(attr) if attr in self._fields else None
        if values is None:
            values = Several()
        values += more
        self._fields_set(attr, values)

    def delete(self, attr: str) -> bool:
        """Delete a field with its metadata; False if there is none."""
        if attr not in self._fields:
            return False
        del self._own_fields()[attr]
        self._drop_field_meta(attr)
        return True

    def remove(self, attr: str, index: int = 0) -> bool:
        """Remove one value of a field, and the field with its last value; False if there is no such value."""
        if attr not in self._fields:
            return False
        values = self._own_values(attr)
        if not -len(values) <= index < len(values):
            return False
        del values[index]
        if values:
            self._fields_set(attr, values)
        else:
            self.delete(attr)
        return True

    def replace(self, attr: str, value: Any, index: int = 0) -> bool:
        """Replace one value of a field; False if there is no such value."""
        if attr not in self._fields:
            return False
        values = self._own_values(attr)
        if not -len(values) <= index < len(values):
            return False
        values[index] = self._admit_all([value])[0]
        self._fields_set(attr, values)
        return True

    def has(self, attr: str) -> bool:
        return attr in self._fields

    def is_multivalued(self, attr: str) -> bool:
        """True if the field has more than one value, or was set with ``multi``."""
        value = self._fields.get(attr)
        return type(value) is list or (type(value) is Several and len(value) > 1)

    def get_attributes(self) -> dict[str, list[Any]]:
        """All fields as lists of values; a deep copy."""
        return {name: [deep(loaded(v)) for v in values_of(value)] for name, value in self._fields.items()}

    def get_attribute_names(self) -> list[str]:
        return sorted(self._fields)

    def open(self, attr: str) -> BinaryIO:
        """A binary stream over the one value of a field: a :class:`Body`, bytes, or text (as UTF-8).

        Raises ``KeyError`` if there is no such field, ``TypeError`` if it holds anything else.
        """
        value = self._fields[attr]
        if isinstance(value, Body):
            return value.open()
        if isinstance(value, str):
            return io.BytesIO(value.encode())
        if isinstance(value, (bytes, bytearray, memoryview)):
            return io.BytesIO(value)
        raise TypeError(f"field {attr!r} holds {type(value).__name__}, only a single binary or text value can be opened")

    def drop_bodies(self) -> bool:
        """Delete the fields whose value is a :class:`Body`, which may be larger than memory; True if there were any."""
        names = [name for name, value in self._fields.items() if isinstance(value, Body)]
        for name in names:
            self.delete(name)
        return bool(names)

    def __getitem__(self, attr: str) -> Any:
        value = self._fields[attr]
        return value if type(value) in PLAIN else self._give(attr, value)

    def __setitem__(self, attr: str, value: Any) -> None:
        self.set(attr, value)

    def __delitem__(self, attr: str) -> None:
        if not self.delete(attr):
            raise KeyError(attr)

    def __contains__(self, attr: object) -> bool:
        return attr in self._fields

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        """Sorted pairs of name and list of values."""
        for name in sorted(self._fields):
            value = self._fields[name]
            if type(value) in PLAIN:
                yield name, [value]
            else:
                given = self._give(name, value)
                yield name, (given if type(value) is list or type(value) is Several else [given])

    # -- metadata ----------------------------------------------------------------------------------------

    def get_meta(self, meta: str, attr: str | None = None, default: Any = None) -> Any:
        """A metadata value of the packet, or of the field ``attr``."""
        metas = self._meta if attr is None else self._field_meta.get(attr) if self._field_meta else None
        if not metas:
            return default
        value = metas.get(meta, default)
        if type(value) in PLAIN or meta not in metas:
            return value
        self._bits |= EXPOSED
        return self._own_meta()[meta] if attr is None else self._own_field_meta()[attr][meta]

    def set_meta(self, meta: str, value: Any, attr: str | None = None) -> bool:
        """Set a metadata value of the packet, or of the field ``attr``; False if there is no such field."""
        if attr is not None and attr not in self._fields:
            return False
        if type(value) not in PLAIN:
            self._bits |= EXPOSED
        if attr is None:
            self._own_meta()[meta] = value
        else:
            self._own_field_meta().setdefault(attr, {})[meta] = value
        return True

    def delete_meta(self, meta: str, attr: str | None = None) -> bool:
        """Delete a metadata value of the packet, or of the field ``attr``; False if there is none."""
        if not self.has_meta(meta, attr):
            return False
        if attr is None:
            del self._own_meta()[meta]
        else:
            metas = self._own_field_meta()
            del metas[attr][meta]
            if not metas[attr]:
                del metas[attr]
        return True

    def has_meta(self, meta: str, attr: str | None = None) -> bool:
        if attr is None:
            return self._meta is not None and meta in self._meta
        return self._field_meta is not None and meta in self._field_meta.get(attr, ())

    def get_metas(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The packet's metadata, and the metadata of each field that has some; deep copies."""
        return deep(self._meta or {}), deep(self._field_meta or {})

    def get_meta_names(self) -> tuple[list[str], dict[str, list[str]]]:
        """Sorted names of the packet's metadata, and of each field's."""
        return sorted(self._meta or ()), {name: sorted(metas) for name, metas in (self._field_meta or {}).items()}

    # -- whole packets -----------------------------------------------------------------------------------

    def clone(self, metas: bool = True) -> Self:
        """An independent copy, made without copying anything yet."""
        if self._bits & EXPOSED:
            return self._copy(metas)
        packet = _new(type(self))
        packet._fields = self._fields
        packet._meta = self._meta if metas else None
        packet._field_meta = self._field_meta if metas else None
        # PERF: all the shared bits at once; a dict that is not there is never copied
        packet._bits = self._bits = 15
        return packet

    def merge(self, other: Packet, metas: bool = False) -> None:
        """Take over the fields of another packet, its values replacing; with ``metas`` its metadata too.

        It stays the document, or the part, that it is; from a part, not even the id is taken.
        """
        self._own_fields().update({name: deep(value) for name, value in other._fields.items()})
        if metas:
            if other._meta:
                self._own_meta().update(deep(self._without_place(other._meta)))
            if other._field_meta:
                self._own_field_meta().update(deep(other._field_meta))

    def take_over(self, other: Packet) -> None:
        """Become what another packet is, which is given up by its owner: a copy of this one that was worked on elsewhere."""
        self._fields, self._meta, self._field_meta, self._bits = other._fields, other._meta, other._field_meta, other._bits

    def __eq__(self, other: object) -> bool:
        """Same values under the same names, same metadata; how a field came to its values does not matter."""
        if not isinstance(other, Packet):
            return NotImplemented
        if (self._meta or {}) != (other._meta or {}) or (self._field_meta or {}) != (other._field_meta or {}):
            return False
        return self._fields == other._fields or self.get_attributes() == other.get_attributes()

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._copy(True)

    def __repr__(self) -> str:
        return f"Packet({self.get_attributes()!r})"

    def pprint(self, meta: bool = False) -> None:
        """Print the fields, and with ``meta`` the metadata, to standard output."""
        parts: list[tuple[str, Any]] = [("Attributes:", sorted(self.get_attributes().items()))]
        if meta:
            packet_meta, field_meta = self.get_metas()
            parts += [("Packet Meta:", sorted(packet_meta.items())), ("Attribute Meta:", sorted(field_meta.items()))]
        for title, content in parts:
            sys.stdout.write(f"{title}\n{pprint.pformat(content, indent=4)}\n")

    def size_bytes(self) -> int:
        """A cheap estimate of the memory that the values take; a :class:`Body` counts as a handle only."""
        total = 64 + 64 * len(self._fields)
        for value in self._fields.values():
            kind = type(value)
            if kind is str or kind is bytes:
                total += len(value)
            elif kind not in PLAIN:
                total += size_of(value)
        return total

    # -- JSON form ---------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The JSON form ``{"fields", "meta", "field_meta"}``, sharing its values with the packet: serialise it, don't keep it.

        An array is a multi-valued field, anything else one value. What JSON cannot say stands in the field's metadata
        under ``"pypes"``: ``{"multi": false}`` for a list that is *one* value (wrapped in another array), and
        ``{"base64": true}`` (all values) or ``{"base64": [path, …]}`` for binary values. Reads the bodies.
        """
        return write(self._fields, self._meta or {}, self._field_meta or {})

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """Read the JSON form; takes ownership of ``obj``. Raises ``InvalidInput`` that says where it is malformed."""
        fields, meta, field_meta = read(obj)
        packet = cls.from_document(fields, meta or None)
        packet._field_meta = field_meta or None
        return packet

    # -- parts -------------------------------------------------------------------------------------------

    def parts(self) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, dict[str, Any]] | None]:
        """Entries (see :mod:`pypes.core.values`), metadata and metadata of the fields, for serialising: only to be read."""
        return self._fields, self._meta, self._field_meta

    @classmethod
    def from_parts(
        cls, entries: dict[str, Any], meta: dict[str, Any] | None, field_meta: dict[str, dict[str, Any]] | None
    ) -> Self:
        """Inverse of :meth:`parts`; takes ownership of all three."""
        packet = cls.from_document(entries, meta)
        packet._field_meta = field_meta
        return packet
