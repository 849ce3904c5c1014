"""Speech: how items, results and errors are put into bytes, between an executor and its pool workers.

:class:`Pickled` is for a program and its own children, which trust each other: what arrives is unpickled. Where a document may
have taken over a pool worker, :mod:`pypes.placement.words` lets nothing but plain values pass.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from pypes.core.secrets import Secrets
from pypes.placement import by_value
from pypes.placement.parcels import APART_BYTES, Buffer, Spoken
from pypes.placement.retold import Told, heard, told

#: Errors of pickling for a value that has no way to another process.
_UNSPEAKABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError, NotImplementedError)


class Unspeakable(Exception):
    """Raised for a value that cannot travel to another process."""


class Speech(Protocol):
    """One side of a conversation about items; ``memo`` belongs to one item, for what was said of it before."""

    @property
    def is_trusting(self) -> bool:
        """True if memory of the other side is mapped, and what it says of its progress believed."""

    @property
    def is_trusted(self) -> bool:
        """True if the other side is trusting."""

    @property
    def there(self) -> Callable[[], Speech]:
        """Makes the other side; it is pickled."""

    def speak(self, value: Any, memo: list[Any]) -> Spoken:
        """A value as bytes. Raises :class:`Unspeakable`, and whatever the value's own code does."""

    def understand(self, value: Spoken, memo: list[Any]) -> Any:
        """The value itself. Raises :class:`~pypes.placement.channel.Broken` or, where it is trusting, what the value raises."""

    def tell(self, error: BaseException, *, is_over_item: bool = True) -> Spoken:
        """An error as bytes; never raises. ``is_over_item`` is false for one of set-up."""

    def hear(self, value: Spoken) -> BaseException:
        """The error as it is raised here. Raises :class:`~pypes.placement.channel.Broken`."""


@runtime_checkable
class CleaningSpeech(Protocol):
    """A speech that takes secrets out of the errors that it tells."""

    secrets: Secrets


class Pickled:
    """Anything that pickle or cloudpickle can take; large buffers apart (protocol 5, PEP 574)."""

    is_trusting = is_trusted = True

    @property
    def there(self) -> Callable[[], Speech]:
        return Pickled

    def speak(self, value: Any, memo: list[Any]) -> Spoken:
        return _pickled(value)

    def understand(self, value: Spoken, memo: list[Any]) -> Any:
        return pickle.loads(value.parts[0], buffers=value.parts[1:])

    def tell(self, error: BaseException, *, is_over_item: bool = True) -> Spoken:
        data = pickle.dumps(tuple(told(error)), 5)
        return Spoken([data], len(data))

    def hear(self, value: Spoken) -> BaseException:
        return heard(Told(*pickle.loads(value.parts[0])))


def _pickled(value: Any) -> Spoken:
    buffers: list[pickle.PickleBuffer] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < APART_BYTES:
            return True
        buffers.append(buffer)
        return False

    try:
        data = pickle.dumps(value, 5, buffer_callback=stays_inside)
    except _UNSPEAKABLE as error:
        buffers.clear()
        data = _by_value(value, stays_inside, error)
    else:
        # by name a class of the main program would be looked for in the main program of the other process
        if b"__main__" in data:
            buffers.clear()
            data = _by_value(value, stays_inside, None)
    if not buffers:
        return Spoken([data], len(data))
    parts: list[Buffer] = [data, *(buffer.raw() for buffer in buffers)]
    return Spoken(parts, sum(map(len, parts)))


def _by_value(value: Any, stays_inside: Any, error: Exception | None) -> bytes:
    try:
        return by_value.dumps(value, stays_inside)
    except Exception as refusal:
        raise Unspeakable(str(error or refusal)) from (error or refusal)
