"""Words: packets and other plain values as msgpack, for pool workers that are not trusted.

A hostile document may have taken over such a pool worker: nothing that it says is unpickled or names a file, and no memory of it
is mapped. A value is the three parts of a packet, or the one of anything else; one that is sent to a port has the name of that
before. Large bodies (:class:`Body`) travel as handles: towards the pool worker pickled, back as their number among those that
came with the same item.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.msgpack import Ext

from pypes.core.culprit import culprit_of
from pypes.core.raised import Raised
from pypes.core.secrets import Secrets
from pypes.core.shown import REASON_CHARS, TRACE_CHARS, Clean, bounded, shown, trace_of
from pypes.core.unreachable import is_unreachable
from pypes.core.values import Body, One, Several
from pypes.errors import Reject, Retry, Unreachable
from pypes.packet import Packet
from pypes.placement.channel import Broken
from pypes.placement.parcels import Spoken
from pypes.placement.retold import InChild, like
from pypes.placement.speech import Speech, Unspeakable

# extension types within a value
_PACKET, _ONE, _SEVERAL, _BODY, _BODY_NUMBER = range(5)


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An exception of the component. ``steers`` is ``Reject``, ``Retry`` or ``Unreachable`` for those, which have a
    ``reason`` in ``message``, and a ``code`` or a ``delay_s``."""

    type: str
    message: str
    traceback: str
    steers: str = ""
    code: str = ""
    delay_s: float = 0.0


class Sent(NamedTuple):
    """A value that a component sends to a port."""

    port: str
    value: Any


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

    def decode(self, data: bytes | bytearray | memoryview) -> list[Any]:
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


class UserWords:
    """The side of whoever has items."""

    is_trusting = False
    is_trusted = True

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._secrets = dict(secrets or {})
        # each thread has its own: bodies are those of the value in hand
        self._own = _Own(InstanceValues)

    @property
    def there(self) -> Callable[[], Speech]:
        return partial(WorkerWords, self._secrets)

    def speak(self, value: Any, memo: list[Any]) -> Spoken:
        return _spoken(self._own.values, value, memo)

    def understand(self, value: Spoken, memo: list[Any]) -> Any:
        return _understood(self._own.values, value, memo)

    def tell(self, error: BaseException, *, is_over_item: bool = True) -> Spoken:
        raise NotImplementedError("errors come from pool workers")

    def hear(self, value: Spoken) -> BaseException:
        try:
            return raised(msgspec.msgpack.decode(value.parts[0], type=Failure))
        except ValueError as error:
            raise Broken(str(error)) from error


class WorkerWords:
    """The side of a pool worker. ``secrets`` are taken out of what it tells: secret → what is shown instead."""

    is_trusting = True
    is_trusted = False

    def __init__(self, secrets: dict[str, str]) -> None:
        #: The work may know more of them.
        self.secrets = Secrets(secrets)
        self._values = ChildValues()

    @property
    def there(self) -> Callable[[], Speech]:
        return UserWords

    def speak(self, value: Any, memo: list[Any]) -> Spoken:
        return _spoken(self._values, value, memo)

    def understand(self, value: Spoken, memo: list[Any]) -> Any:
        return _understood(self._values, value, memo)

    def tell(self, error: BaseException, *, is_over_item: bool = True) -> Spoken:
        try:
            failure = failure_of(error, self.secrets.redact, is_over_item=is_over_item)
        except MemoryError:
            failure = Failure("MemoryError", "", "")
        data = msgspec.msgpack.encode(failure)
        return Spoken([data], len(data))

    def hear(self, value: Spoken) -> BaseException:
        raise NotImplementedError("errors go to users")


class _Own(threading.local):
    def __init__(self, make: Callable[[], Values]) -> None:
        self.values = make()


def _spoken(values: Values, value: Any, memo: list[Any]) -> Spoken:
    values.bodies = memo
    data = values.encode(value.value, value.port) if type(value) is Sent else values.encode(value)
    return Spoken([data], len(data))


def _understood(values: Values, value: Spoken, memo: list[Any]) -> Any:
    values.bodies = memo
    parts = values.decode(value.parts[0])
    if len(parts) in (2, 4) and type(parts[0]) is str:
        return Sent(parts[0], values.value(parts[1:]))
    return values.value(parts)


def failure_of(error: BaseException, clean: Clean, *, is_over_item: bool = True) -> Failure:
    """Everything that may be said of an error of the work."""
    name = bounded(type(error).__name__, REASON_CHARS)
    trace = trace_of(error, clean)
    steers, code, reason, delay_s = Raised.of(error, clean)
    if steers:
        return Failure(name, reason, trace, steers, code, delay_s or 0.0)
    if is_over_item and is_unreachable(error):  # the user gets no class by which it could tell
        return Failure(name, reason, trace, "Unreachable", "retry.exhausted")
    return Failure(name, shown(error, clean, named=False), trace)


def raised(failure: Failure) -> Exception:
    """The exception of which the pool worker told: the ones that steer as they are, others in a class of the same name."""
    error: Exception
    message = bounded(failure.message, REASON_CHARS)
    if failure.steers == "Reject":
        error = Reject(message, failure.code)
    elif failure.steers:
        error = (Unreachable if failure.steers == "Unreachable" else Retry)(failure.delay_s, message)
    else:
        error = like(failure.type, message)
    error.__cause__ = InChild(bounded(failure.traceback, TRACE_CHARS))
    return error
