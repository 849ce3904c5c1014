"""Options of a pool: the threads or processes in which filters of a graph run, as graphs and ``pypes.ini`` give them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from threading import TIMEOUT_MAX
from types import MappingProxyType
from typing import Any, Final

from pypes.core.limits import MIB
from pypes.core.sizes import size_of

#: Most pool workers of one pool.
MOST_PROCESSES: Final = 64
MOST_THREADS: Final = 256
#: Bytes of address space with which Python, the runtime and a small component can be loaded.
LEAST_MEMORY: Final = 128 * MIB
#: Most packets that travel together.
MOST_STRIDE: Final = 1024
#: Packets that travel together where a pool does not say so; a thread takes them one by one, as nothing travels, or in batches.
STRIDE: Final = 16

#: Options that only processes have, and the reason why.
_NOT_OF_THREADS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "stride": "nothing travels to threads; leave it out (batch_size of the component bounds its batches)",
        "timeout_s": "a thread cannot be ended; give the filter its timeout_s, or use processes",
        "memory": "a thread has the memory of its instance; leave it out, or use processes",
        "python": "a thread is run by the interpreter of its instance; leave it out, or use processes",
    }
)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool: so many ``processes`` or ``threads``, of which the other is 0.

    ``stride`` packets at most go to a pool worker together. A packet may take ``timeout_s``, a process have ``memory`` bytes of
    address space, and be run by the interpreter ``python``; ``None``, and an empty text: as the node has it.
    """

    processes: int = 0
    threads: int = 0
    stride: int | None = None
    timeout_s: float | None = None
    memory: int | None = None
    python: str = ""

    @property
    def width(self) -> int:
        """Pool workers."""
        return self.processes or self.threads

    def most_together(self, *, batches: bool, batch_size: int | None) -> int:
        """Packets of one filter that go to a pool worker together at most; ``batches``: they are one batch there."""
        if batches:
            return min([count for count in (self.stride, batch_size) if count is not None], default=STRIDE)
        return self.stride or (STRIDE if self.processes else 1)

    def to_obj(self) -> dict[str, Any]:
        """As JSON values, without options that are not set."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}


#: Names of the options, in the order in which they are shown.
POOL_OPTIONS: Final = tuple(each.name for each in fields(Pool))

#: A pool of which nothing is known.
ONE_PROCESS: Final = Pool(processes=1)
#: The pools of a node that has none, or of no node.
NO_POOLS: Final[Mapping[str, Pool]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PoolRules:
    """The pools that a node has for all of its graphs, and the interpreters that a graph's own may name.

    ``named`` is ``None`` where the pools of the node are not known, ``pythons`` where any interpreter will do.
    """

    named: Mapping[str, Pool] | None = None
    pythons: Collection[str] | None = None


@dataclass(slots=True)
class _Reading:
    """Takes the options of one pool from an object; ``add(option, message)`` is told what is wrong."""

    obj: Mapping[str, Any]
    add: Callable[[str, str], None]
    read: dict[str, Any] = field(default_factory=dict)

    def count(self, option: str, most: int) -> None:
        value = self.obj.get(option)
        if value is None:
            return
        if type(value) is int and 0 < value <= most:
            self.read[option] = value
        else:
            self.add(option, f"must be a whole number from 1 to {most}")

    def seconds(self, option: str) -> None:
        value = self.obj.get(option)
        if value is None:
            return
        if type(value) in (int, float) and 0 < value <= TIMEOUT_MAX:  # more than any lock can wait
            self.read[option] = value
        else:
            self.add(option, "must be a number of seconds greater than zero")

    def size(self, option: str) -> None:
        value = self.obj.get(option)
        if value is None:
            return
        number = 0.0
        with suppress(ValueError):
            number = size_of(value) if isinstance(value, str) else value if type(value) is int else 0.0
        if number != int(number) or number <= 0:
            self.add(option, 'must be a size in bytes, such as 2147483648 or "2GiB"')
        elif number < LEAST_MEMORY:
            self.add(option, f"must be {LEAST_MEMORY // MIB} MiB or more: no process can be set up with less")
        else:
            self.read[option] = int(number)

    def path(self, option: str) -> None:
        value = self.obj.get(option)
        if value is None:
            return
        if isinstance(value, str) and value.startswith("/"):
            self.read[option] = value
        else:
            self.add(option, 'must be the whole path of an interpreter, such as "/opt/models/bin/python"')


def read_pool(obj: Mapping[str, Any], add: Callable[[str, str], None]) -> Pool:
    """The pool that an object describes; ``add(option, message)`` is told what is wrong, of the whole with an empty option."""
    for option in obj:
        if option not in POOL_OPTIONS:
            add(option, f"unknown key; a pool has {', '.join(POOL_OPTIONS)}")
    reading = _Reading(obj, add)
    reading.count("processes", MOST_PROCESSES)
    reading.count("threads", MOST_THREADS)
    reading.count("stride", MOST_STRIDE)
    reading.seconds("timeout_s")
    reading.size("memory")
    reading.path("python")
    has_processes, has_threads = obj.get("processes") is not None, obj.get("threads") is not None
    if has_processes and has_threads:
        add("threads", "a pool has processes or threads, not both; leave out one of them")
    elif not (has_processes or has_threads):
        add("", 'a pool says how many pool workers it has: "processes": 2, or "threads": 16')
    elif has_threads:
        for option in _NOT_OF_THREADS:
            if obj.get(option) is not None:
                add(option, _NOT_OF_THREADS[option])
    return Pool(**reading.read)


def read_section(options: Mapping[str, str], add: Callable[[str, str], None]) -> Pool:
    """As :func:`read_pool`, of a section of ``pypes.ini``: all values are text there."""
    return read_pool({option: _value(text.strip()) for option, text in options.items()}, add)


def _value(text: str) -> Any:
    """A number, if it is one."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
