"""Inflow: the items of a run, taken from what the user gave as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Protocol

from pypes.core.raised import is_interruption


class Inflow(Protocol):
    """Items, as they come."""

    #: Nothing more comes.
    is_over: bool
    #: The exception of the user's own code; then nothing more comes.
    error: BaseException | None
    #: The time (``time.monotonic``) at which it wants to be asked again, whether something came or not.
    due: float | None = None
    #: Nothing comes for now, because somebody holds it back.
    is_held: bool = False

    def take(self, count: int) -> list[Any]:
        """At most so many items that are there. Does not block."""

    def each(self) -> Iterator[Any]:
        """Those that are there, one at a time."""
        while items := self.take(1):
            yield items[0]

    def hold_back(self) -> None:
        """Take nothing from the user's own iterator before somebody asks again."""
        return

    def close(self) -> None:
        """Take nothing more."""


class Held(Inflow):
    """Items of a list, or of another collection that has them all."""

    def __init__(self, items: Collection[Any]) -> None:
        self._each = iter(items)
        self._left = len(items)
        self.is_over = not items
        self.error: BaseException | None = None

    def take(self, count: int) -> list[Any]:
        try:
            taken = [*islice(self._each, count)]
        except Exception as error:  # it was changed meanwhile
            self.error, taken = error, []
        self._left -= len(taken)
        self.is_over = self._left <= 0 or len(taken) < count
        return taken

    def each(self) -> Iterator[Any]:
        return self._each

    def close(self) -> None:
        self.is_over = True


class Read(Inflow):
    """Items of an iterator, which may keep whoever asks it waiting: so a thread asks it, for as many as were asked for.

    ``wake`` is called when there is news.
    """

    def __init__(self, items: Iterable[Any], wake: Callable[[], None]) -> None:
        self._each = iter(items)
        self._wake = wake
        #: PERF: a list, whose front is cut off at once; the thread appends meanwhile, which harms neither.
        self._taken: list[Any] = []
        self._change = threading.Condition()
        #: Items that were handed over, and that may be read in all.
        self._given = self._asked = 0
        #: Whoever takes has found nothing, and waits to be woken.
        self._is_awaited = False
        #: One for each item that is read without a look at whether somebody waits, or has enough.
        self._permits: list[None] = []
        self._is_closed = self._has_ended = False
        self._thread: threading.Thread | None = None
        self.is_over = False
        self.error: BaseException | None = None

    def take(self, count: int) -> list[Any]:
        taken = self._taken
        with self._change:
            # before the look: what the thread appends after it, it tells of
            self._is_awaited = True
            has_ended = self._has_ended
            found = taken[:count]
            del taken[: len(found)]
            self._given += len(found)
            self.is_over = has_ended and not taken
            if found:
                self._is_awaited = False
            else:
                self._permits.clear()
            if self._given + count - len(found) > self._asked:
                self._asked = self._given + count - len(found)
                self._change.notify()
        if self._thread is None and not self.is_over:
            self._thread = threading.Thread(target=self._read, name="pypes-reading", daemon=True)
            self._thread.start()
        return found

    def _read(self) -> None:
        """The life of the thread."""
        error: BaseException | None = None
        items, taken = chain(self._each, self._ending()), self._taken
        try:
            while True:
                with self._change:
                    while (count := self._asked - self._given - len(taken)) <= 0 and not self._is_closed:
                        self._change.wait()
                    permits = self._permits = [None] * (1 if self._is_awaited else count)
                if self._is_closed:
                    break
                # PERF: a loop in C, which appends each item as it comes, and ends before the next one if the permits are gone
                taken.extend(map(itemgetter(1), zip(permits, items, strict=False)))
                if self._is_awaited and taken:
                    self._is_awaited = False
                    self._wake()
        except BaseException as raised:
            error = raised
        _close(self._each)
        with self._change:
            self._has_ended, self.error = True, error
        self._wake()

    def hold_back(self) -> None:
        with self._change:
            self._asked = min(self._asked, self._given + len(self._taken))
            self._permits.clear()

    def _ending(self) -> Iterator[Any]:
        """Nothing, behind the last item."""
        self._is_closed = True
        yield from ()

    def close(self) -> None:
        """Take nothing more. Does not wait for an iterator that keeps its thread waiting."""
        with self._change:
            self._is_closed = self.is_over = True
            self._permits.clear()
            self._taken.clear()
            self._change.notify()


def inflow(items: Iterable[Any], wake: Callable[[], None]) -> Inflow:
    """The inflow of what a user gave."""
    # a collection of Python's own has its items; others may be anything behind a length
    if isinstance(items, Collection) and type(items).__module__ in ("builtins", "collections"):
        return Held(items)
    return Read(items, wake)


def together(inputs: dict[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """The items of several inputs, one of each. Raises ``ValueError`` where one ends before another."""
    each = {name: iter(items) for name, items in inputs.items()}
    while True:
        found = {name: item for name, items in each.items() if (item := next(items, each)) is not each}
        if not found:
            return
        if len(found) < len(each):
            missing = ", ".join(sorted(each.keys() - found.keys()))
            raise ValueError(f"the input of {missing} ended before that of {', '.join(sorted(found))}")
        yield found


def _close(items: Iterator[Any]) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        try:
            close()
        except BaseException as error:
            if is_interruption(error):
                raise
