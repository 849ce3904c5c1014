"""Protocol Buffers for clients in Python: the schema ``pypes.proto``, the module generated of it, and messages of packets.

The generated module needs the library of the makers (``pip install 'pypes-server[protobuf]'``). A node does without: it reads
bodies by itself (``pypes/ingest/codecs/protobuf.py``). Clients in other languages generate a module of their own of the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from pypes.core.values import Body, One, Several, values_of
from pypes.errors import InvalidInput
from pypes.packet import Packet

if TYPE_CHECKING:
    from pypes.protobuf.pypes_pb2 import Document, Value

__all__ = ["MEDIA_TYPE", "body_of", "message_of"]

MEDIA_TYPE: Final = "application/x-protobuf"
#: The first integer that does not fit into 63 bits and a sign.
_LARGE: Final = 1 << 63


def body_of(packets: Iterable[Packet]) -> bytes:
    """The body of a POST of packets: a message ``Documents``. Raises as :func:`message_of`."""
    body: bytes = _schema().Documents(documents=map(message_of, packets)).SerializeToString()
    return body


def message_of(packet: Packet) -> Document:
    """The message that says all that a packet says. Reads its bodies.

    Raises :class:`InvalidInput` for a value that no message can say, or if the library is missing.
    """
    fields, meta, field_meta = packet.parts()
    document: Document = _schema().Document()
    metas: dict[str, dict[str, Any]] = {name: {**of_field} for name, of_field in (field_meta or {}).items()}
    for name, value in fields.items():
        if type(value) is One or (type(value) is Several and len(value) < 2):
            # a list that is one value, which the message has to say
            metas.setdefault(name, {})["pypes"] = {"multi": False}
        _set(document.fields[name], values_of(value) if type(value) in (One, Several) else value, name)
    for name, value in (meta or {}).items():
        _set(document.meta[name], value, f"meta.{name}")
    for name, values in metas.items():
        document.field_meta[name].SetInParent()
        for key, value in values.items():
            _set(document.field_meta[name].entries[key], value, f"field_meta.{name}.{key}")
    return document


def _set(message: Value, value: Any, where: str) -> None:
    """Set the kind of a message to that of a value; ``None`` is the message without a kind."""
    match value:
        case None:
            message.SetInParent()
        case bool():
            message.boolean = value
        case int() if -_LARGE <= value < _LARGE:
            message.integer = value
        case int() if 0 <= value < 2 * _LARGE:
            message.large_integer = value
        case float():
            message.number = value
        case str():
            message.text = value
        case bytes() | bytearray() | memoryview():
            message.binary = bytes(value)
        case Body():
            message.binary = value.read()
        case list() | tuple():
            message.list.SetInParent()
            for index, item in enumerate(value):
                _set(message.list.items.add(), item, f"{where}[{index}]")
        case dict():
            message.map.SetInParent()
            for key, item in value.items():
                _set(message.map.entries[key], item, f"{where}.{key}")
        case _:
            raise InvalidInput(f"{where}: no message can say a value of type {type(value).__name__}", code="packet.value")


def _schema() -> Any:
    try:
        from pypes.protobuf import pypes_pb2
    except ImportError as error:
        message = f"messages need the library protobuf ({error}): pip install 'pypes-server[protobuf]'"
        raise InvalidInput(message, code="protobuf.missing") from error
    return pypes_pb2
