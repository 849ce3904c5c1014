"""Protocol between an instance and the process of an isolated component: frames over a socket pair.

The payload of a frame (:mod:`pypes.placement.channel`) is msgpack; a value is the three parts of a packet, or the one of anything
else::

    instance → child    ORDER    Order                  once, first
                        VALUE    [*value]               process it; one at a time
                        (end)                           tear down, exit 0
    child → instance    READY    nil, or FAILED Failure once, when set-up is over
                        SENT     [port, *value]         sent by the component
                        LOG      Line                   at any time
                        DONE     [*value]               what ``process`` returned (``[nil]``: dropped)
                        RAISED   Failure                it raised

The child is not trusted, since a hostile document may have taken it over: nothing that it says is unpickled or names a file.
Large bodies (:class:`Body`) travel as handles: towards the child pickled, back as their number among those that were sent.
"""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from pypes.core.culprit import culprit_of
from pypes.core.values import Body, One, Several
from pypes.packet import Packet
from pypes.placement.channel import Broken

ORDER, VALUE, READY, FAILED, SENT, LOG, DONE, RAISED = range(8)

# extension types within a value
_PACKET, _ONE, _SEVERAL, _BODY, _BODY_NUMBER = range(5)


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Component that a child runs. ``module`` and ``attr`` are those of ``ComponentSpec``; ``params`` are for ``configure``."""

    module: str
    attr: str
    name: str
    graph: str
    params: dict[str, Any]
    data_dir: str
    max_bytes: int
    connected: tuple[str, ...]
    log_level: int
    #: Secrets that are taken out of text: secret → what is shown instead.
    secrets: dict[str, str] = msgspec.field(default_factory=dict)


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An exception of the component. ``steers`` is ``Reject``, ``Retry`` or ``Unreachable`` for those, which have a
    ``reason`` in ``message``, and a ``code`` or a ``delay_s``."""

    type: str
    message: str
    traceback: str
    steers: str = ""
    code: str = ""
    delay_s: float = 0.0
    #: The process has no memory left that could be relied on.
    is_exhausted: bool = False


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line that the component logged; ``extra`` holds the values bound to it."""

    level: int
    logger: str
    message: str
    extra: dict[str, Any]


class Unspeakable(Exception):
    """A value that cannot travel to another process; the message says in which field it is, and of what type."""


#: Errors of the encoder for values that it cannot express.
_WORDLESS = (TypeError, OverflowError, RecursionError, UnicodeEncodeError)


class Values:
    """Packets and other values as msgpack, for one packet after the other: ``bodies`` are those of the one in hand.

    Lists, dictionaries, text, numbers of up to 64 bits, bytes and times with a zone arrive as they were; tuples and sets arrive
    as lists.
    """

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._hook)
        self._decoder = msgspec.msgpack.Decoder(ext_hook=self._ext)

    def encode(self, value: Any, *before: str) -> bytes:
        """``[*before, *value]``. Raises :class:`Unspeakable` for what msgpack has no words for, naming its field."""
        try:
            return self._encoder.encode([*before, *(_parts(value) if isinstance(value, Packet) else (_worded(value),))])
        except _WORDLESS as error:
            place = culprit_of(value, lambda part: self._encoder.encode(_worded(part)), _WORDLESS)
            raise Unspeakable(f"{place}: {error}" if place else str(error)) from error

    def decode(self, data: bytes | bytearray) -> list[Any]:
        """Inverse of :meth:`encode`, with the value still in its parts; see :meth:`value`. Raises :class:`Broken`."""
        try:
            found = self._decoder.decode(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise Broken(str(error)) from error
        if type(found) is not list:
            raise Broken("a value that is no list of parts")
        return found

    @staticmethod
    def value(parts: list[Any]) -> Any:
        """Put the parts of a value together."""
        if len(parts) == 1:
            return parts[0]
        if len(parts) != 3 or type(parts[0]) is not dict:
            raise Broken("a list with an odd number of parts")
        return Packet.from_parts(*parts)

    def _hook(self, value: Any) -> Any:
        if isinstance(value, Packet):
            return Ext(_PACKET, self._encoder.encode(_parts(value)))
        if type(value) is One:
            return Ext(_ONE, self._encoder.encode(value.value))
        if type(value) is _Words:
            return Ext(_SEVERAL, self._encoder.encode(value.values))
        if isinstance(value, Body):
            return self._body(value)
        raise TypeError(f"{type(value).__name__} cannot travel to another process")

    def _ext(self, code: int, data: memoryview) -> Any:
        if code == _PACKET:
            return self.value(self._decoder.decode(data))
        if code == _ONE:
            return One(self._decoder.decode(data))
        if code == _SEVERAL:
            return Several(self._decoder.decode(data))
        return self._known_body(code, data)

    def _body(self, body: Body) -> Any:
        raise NotImplementedError

    def _known_body(self, code: int, data: memoryview) -> Body:
        raise NotImplementedError


class InstanceValues(Values):
    """The instance's side."""

    def _body(self, body: Body) -> Any:
        self.bodies.append(body)
        return Ext(_BODY, pickle.dumps(body))

    def _known_body(self, code: int, data: memoryview) -> Body:
        if code != _BODY_NUMBER:
            raise Broken(f"an extension of type {code}")
        try:
            return self.bodies[int.from_bytes(data, "little")]
        except IndexError as error:
            raise Broken("a body that was never sent") from error


class ChildValues(Values):
    """The child's side."""

    def _body(self, body: Body) -> Any:
        for number, known in enumerate(self.bodies):
            if known is body:
                return Ext(_BODY_NUMBER, number.to_bytes(4, "little"))
        return body.read()  # one of the component's own making

    def _known_body(self, code: int, data: memoryview) -> Body:
        body: Body = pickle.loads(data)
        self.bodies.append(body)
        return body


class _Words:
    """Stands for a :class:`Several` on its way to the encoder, which would take that for a list."""

    __slots__ = ("values",)

    def __init__(self, values: Several) -> None:
        self.values = list(values)


def _worded(value: Any) -> Any:
    return _Words(value) if type(value) is Several else value


def _parts(packet: Packet) -> tuple[Any, Any, Any]:
    entries, meta, field_meta = packet.parts()
    if any(type(entry) is Several for entry in entries.values()):
        entries = {name: _worded(entry) for name, entry in entries.items()}
    return entries, meta, field_meta
