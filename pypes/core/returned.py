"""Return values of a component's hooks, checked where they enter the machinery."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

from pypes.errors import Reject
from pypes.packet import Packet

CODE: Final = "component.returned"
_PACKETS: Final = frozenset({Packet})
#: Types that nobody means to send on as one value: several at once, a promise of a value, a yes or no.
_NO_VALUE: Final = (list, tuple, Mapping, Set, Iterator, bool, type, BaseException)


def are_packets(values: Sequence[Any]) -> bool:
    """True if all of them are packets, and of no subclass. PERF: asked for whole chunks."""
    return _PACKETS.issuperset(map(type, values))


def fault_of(result: Any, given: Any = None, hook: str = "process") -> Reject | None:
    """The fault of a hook that should not have returned this for ``given``; ``None`` if it may.

    It may return a packet, ``None``, what it was given, and any value that is neither several values nor the promise of one.
    """
    if result is None or isinstance(result, Packet) or result is given:
        return None
    fault = unrun(result, hook)
    if fault is None and isinstance(result, _NO_VALUE):
        made = type(result).__name__
        fault = Reject(f"{hook} returned a {made}, not a packet: return one packet or None; send(port, packet) any more", CODE)
    return fault


def unrun(result: Any, hook: str) -> Reject | None:
    """The fault of a hook none of whose work was done: it is a generator function, or ``async``; ``None`` if it is neither."""
    if result is None or isinstance(result, Packet):
        return None
    if inspect.iscoroutine(result):
        result.close()  # or Python warns that it was never awaited
        return Reject(f"{hook} returned a coroutine: it is called as an ordinary function, so define it with def", CODE)
    if inspect.isgenerator(result) or inspect.isasyncgen(result) or inspect.isawaitable(result):
        made = type(result).__name__
        return Reject(f"{hook} returned a {made}, so nothing of it has run: use return and send(port, packet), not yield", CODE)
    return None


def packets_of(results: Any, hook: str) -> Iterator[Any]:
    """An iterator over the results of a hook that returns several. Raises :class:`Reject` for any other value."""
    if type(results) is list:  # PERF: as nearly always
        return iter(results)
    if results is None:
        return iter(())
    if inspect.iscoroutine(results):
        raise unrun(results, hook)  # type: ignore[misc]
    if isinstance(results, Packet | str | bytes | bytearray | Mapping) or not hasattr(type(results), "__iter__"):
        made = type(results).__name__
        raise Reject(f"{hook} returned a {made}, not a list of packets: return a list, a generator or None", CODE)
    return iter(results)


def checked(results: list[Any], hook: str) -> list[Any]:
    """The results that continue: those that are not ``None``. Raises :class:`Reject`."""
    if are_packets(results):
        return results
    for result in results:
        fault = fault_of(result, hook=hook)
        if fault is not None:
            raise fault
    return [result for result in results if result is not None]
