"""Protocol Buffers: documents as ``pypes/protobuf/pypes.proto`` describes them, each a packet with its metadata.

A body is a message ``Documents``, which is its documents in a row: two of them, one after the other, are one of all documents.
It is read without the library of the makers, which says nothing of the place where a message is malformed, nor reads values
that are nested as deep as JSON may be. What the schema does not know is refused, so that nothing of a document is lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec

from pypes.core.limits import Limits
from pypes.errors import BadRequest, InvalidInput
from pypes.ingest.codecs import scan
from pypes.ingest.codecs.json import too_deep
from pypes.ingest.codecs.records import Cut, Form, Place, malformed, too_long
from pypes.ingest.codecs.survey import Survey
from pypes.packet import Packet

_NAME: Final = "Protocol Buffers"
_Map = dict[str, Any]
_decoder = msgspec.msgpack.Decoder(list[tuple[_Map, _Map, dict[str, _Map], _Map]])
_DOUBLE: Final = struct.Struct("<d")

#: Wire types: what follows a tag.
_VARINT, _FIXED, _LENGTH = 0, 1, 2
_WIRE_TYPES: Final = {_VARINT: "a number", _FIXED: "eight bytes", _LENGTH: "a length"}
_MAX_VARINT_BYTES: Final = 10

#: Fields of the messages, by number: name and wire type.
_DOCUMENTS: Final = {1: ("documents", _LENGTH)}
_DOCUMENT: Final = {
    1: ("fields", _LENGTH),
    2: ("meta", _LENGTH),
    3: ("field_meta", _LENGTH),
    4: ("id", _LENGTH),
    5: ("deletion", _VARINT),
}
_ENTRY: Final = {1: ("key", _LENGTH), 2: ("value", _LENGTH)}
_LIST: Final = {1: ("items", _LENGTH)}
_MAP: Final = {1: ("entries", _LENGTH)}
_VALUE: Final = {
    1: ("boolean", _VARINT),
    2: ("integer", _VARINT),
    3: ("large_integer", _VARINT),
    4: ("number", _FIXED),
    5: ("text", _LENGTH),
    6: ("binary", _LENGTH),
    7: ("list", _LENGTH),
    8: ("map", _LENGTH),
}


class Protobuf(Form):
    """The form as :mod:`pypes.ingest.codecs.records` reads it; its documents are packets."""

    name = _NAME

    def count(self, body: bytes, start: int, stop: int, limits: Limits) -> tuple[int, int, bool]:
        return scan.in_messages(body, start, stop, limits.json_depth, limits.line_bytes)

    def decode(self, body: bytes, start: int, end: int, count: int) -> list[Any]:
        # PERF: by way of MessagePack, which makes the objects in one call
        found = _decoder.decode(scan.as_msgpack(body, start, end, count))
        return [
            Packet.from_parts(fields, {**meta, **own} if own else meta or None, field_meta or None)
            for fields, meta, field_meta, own in found
        ]

    def read(self, body: bytes, at: int, limits: Limits, place: Place) -> tuple[Any, int]:
        reader = _Reader(body, limits, place)
        field, end = reader.document(at)
        if end - at > limits.line_bytes:
            raise too_long(place.document, limits)
        if end > len(body):
            raise Cut(f"a document of {end - field.start} bytes")
        form = reader.form(field)
        try:
            return Packet.from_json(form), end
        except InvalidInput as error:
            raise malformed(_NAME, place.at(at), str(error)) from error

    def skip(self, body: bytes, at: int) -> int:
        reader = _Reader(body, Limits(), Place(0, 0))
        try:
            end = reader.document(at)[1]
        except BadRequest as error:
            raise ValueError(error.message) from error
        if end > len(body):
            raise Cut("a document")
        return end

    def survey(self, value: Any, seen: Survey, where: str) -> None:
        seen.packet(value, where)


PROTOBUF: Final = Protobuf()


class _Field(NamedTuple):
    """A field of a message: its name, the number that it is, and the bytes of it."""

    name: str
    number: int
    start: int
    end: int


class _Reader:
    """Reads messages, and says of what is refused where it stands."""

    def __init__(self, body: bytes, limits: Limits, place: Place) -> None:
        self._body = body
        self._limits = limits
        self._place = place
        self._path: list[str | int] = []

    def document(self, at: int) -> tuple[_Field, int]:
        """The document that begins here, and its end, which may lie behind the body. Raises :class:`Cut`."""
        try:
            field = self._field(at, len(self._body), _DOCUMENTS, "Documents", is_open=True)
        except IndexError:
            raise Cut("the length of a document") from None
        return field, field.end

    def form(self, field: _Field) -> dict[str, Any]:
        """The JSON form of the packet that a document is, but with bytes as they are."""
        form: dict[str, Any] = {"fields": {}, "meta": {}, "field_meta": {}}
        own: dict[str, Any] = {}
        for each in self._fields(field, _DOCUMENT, "Document"):
            if each.name == "id":
                if id := self._text(each):
                    own["id"] = id
            elif each.name == "deletion":
                if each.number:
                    own["requestmethod"] = "DELETE"
            else:
                self._path.append(each.name)
                key, value = self._entry(each)
                self._path.append(key)
                if each.name == "field_meta":
                    form["field_meta"][key] = {} if value is None else self._items(value, True, 2)
                else:
                    form[each.name][key] = None if value is None else self._value(value, 1)
                del self._path[-2:]
        form["meta"].update(own)
        return form

    def _value(self, message: _Field, level: int) -> Any:
        """The value of a message ``Value``, in so many containers."""
        found = list(self._fields(message, _VALUE, "Value"))
        if not found:
            return None
        if len(found) > 1:
            raise self._malformed(found[1].start, f"a value has one kind, and this has {found[0].name} and {found[1].name}")
        field = found[0]
        match field.name:
            case "boolean":
                return bool(field.number)
            case "integer":
                return field.number - (1 << 64) if field.number >> 63 else field.number
            case "large_integer":
                return field.number
            case "number":
                return self._double(field)
            case "text":
                return self._text(field)
            case "binary":
                return self._body[field.start : field.end]
            case kind:
                return self._items(field, kind == "map", level)

    def _items(self, message: _Field, is_map: bool, level: int) -> Any:
        """The items of a message ``List``, or the entries of a ``Map``."""
        if level >= self._limits.json_depth:
            raise too_deep(self._limits, self._place.at(message.start), _NAME)
        items: list[Any] = []
        entries: dict[str, Any] = {}
        for each in self._fields(message, _MAP if is_map else _LIST, "Map" if is_map else "List"):
            key, value = self._entry(each) if is_map else ("", each)
            self._path.append(key if is_map else len(items))
            found = None if value is None else self._value(value, level + 1)
            self._path.pop()
            if is_map:
                entries[key] = found
            else:
                items.append(found)
        return entries if is_map else items

    def _entry(self, message: _Field) -> tuple[str, _Field | None]:
        """Key and value of an entry; a key that is not there is empty, a value that is not there null."""
        key, value = "", None
        seen = set()
        for each in self._fields(message, _ENTRY, "the entry"):
            if each.name in seen:
                raise self._malformed(each.start, f"an entry has one {each.name}, and this has two")
            seen.add(each.name)
            if each.name == "key":
                key = self._text(each)
            else:
                value = each
        return key, value

    def _text(self, field: _Field) -> str:
        try:
            return self._body[field.start : field.end].decode()
        except UnicodeDecodeError as error:
            reason = f"the text is not UTF-8 ({error.reason} at its byte {error.start}); send bytes as binary, not as text"
            raise self._malformed(field.start, reason) from error

    def _double(self, field: _Field) -> float:
        (number,) = _DOUBLE.unpack_from(self._body, field.start)
        if not isfinite(number):
            raise self._malformed(
                field.start, f"the number {number} has no form in JSON; send no value, or text", "ingest.number"
            )
        return float(number)

    # -- the wire ---------------------------------------------------------------------------------------------

    def _fields(self, message: _Field, known: dict[int, tuple[str, int]], what: str) -> Iterator[_Field]:
        at = message.start
        while at < message.end:
            try:
                field = self._field(at, message.end, known, what)
            except IndexError:
                raise self._malformed(at, f"{what} ends in the middle of a number") from None
            yield field
            at = field.end

    def _field(self, at: int, end: int, known: dict[int, tuple[str, int]], what: str, *, is_open: bool = False) -> _Field:
        """The field that begins at a place, of a message that ends at another; raises ``IndexError`` if it ends within a number.

        ``is_open``: the field may go on behind that.
        """
        tag, start = self._varint(at, end)
        number, wire_type = tag >> 3, tag & 7
        name, wanted = known.get(number, ("", -1))
        if not name:
            raise self._malformed(at, f"{what} has no field {number}; write it as pypes.proto says")
        if wire_type != wanted:
            raise self._malformed(at, f"{name} of {what} must be {_WIRE_TYPES[wanted]} (wire type {wanted}, not {wire_type})")
        if wire_type == _VARINT:
            value, behind = self._varint(start, end)
            return _Field(name, value, start, behind)
        size = _DOUBLE.size
        if wire_type == _LENGTH:
            size, start = self._varint(start, end)
        if start + size > end and not is_open:
            raise self._malformed(at, f"{name} of {what} announces {size} bytes, and {end - start} are there")
        return _Field(name, 0, start, start + size)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of seven bits in each byte, and where it ends."""
        value = shift = 0
        for place in range(at, at + _MAX_VARINT_BYTES):
            if place >= end:
                raise IndexError(place)
            byte = self._body[place]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if value >> 64:
                    break
                return value, place + 1
        raise self._malformed(at, "a number has more than 64 bits")

    def _malformed(self, at: int, reason: str, code: str = "ingest.malformed") -> BadRequest:
        return malformed(_NAME, self._place.at(at, self._path), reason, code)
