"""Telling: the greenlet in which a filter is told of complete documents between its turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from pypes.runtime.scheduler.core import Ended
from pypes.runtime.scheduler.listening import Listener

T = TypeVar("T")


class Telling:
    """A call of ``complete`` and ``commit`` that may wait for offloaded calls; its filter is blocked while it does.

    While its code runs it stands in for the filter as the component's context.
    """

    __slots__ = ("_body", "_driver", "_greenlet", "_is_waiting", "_listener", "_on_resumable")

    def __init__(self, listener: Listener, on_resumable: Callable[[Telling], None], body: Callable[[], None]) -> None:
        self._listener = listener
        self._driver = listener.driver
        self._on_resumable = on_resumable
        self._body = body
        self._greenlet = greenlet(body)
        self._is_waiting = False

    @property
    def name(self) -> str:
        """The filter whose call it is, for whoever looks at calls that take long."""
        return self._driver.name

    def go_on(self) -> None:
        """Run until it waits for something, or is done."""
        component, core = self._driver.component, self._driver.core
        core.begin_turn(self._driver)
        self._greenlet.parent = getcurrent()
        self._listener.telling = self
        component._run_context = _Context(self._driver, self)
        try:
            self._greenlet.switch()
        finally:
            component._run_context = self._driver
            core.end_turn()
            if self._greenlet.dead:
                self._listener.telling = None

    def call_ended(self) -> None:
        """A call that it waited for has ended."""
        if self._listener.telling is self:  # else it was given up meanwhile
            self._is_waiting = False
            self._on_resumable(self)

    def offload(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        """Run a call in a thread, and leave the greenlet until it has ended.

        The filter stays blocked until the greenlet goes on, so that no turn begins while it is being told.
        """
        core = self._driver.core
        began_s = core.clock()
        future = core.calls.start(self, fn, args, kwargs)
        core.ready.block(self._driver)
        self._is_waiting = True
        while self._is_waiting:  # also if the call has ended by now: the filter is blocked until that is told
            assert self._greenlet.parent is not None
            try:
                self._greenlet.parent.switch()
            except GreenletExit as error:
                raise Ended from error
        core.ready.unblock(self._driver)
        core.waited(self._driver, core.clock() - began_s)
        return future.result()

    def kill(self) -> None:
        """End it where it waits."""
        self._listener.telling = None
        if not self._greenlet.dead:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)


class _Context:
    """The context of a component that is told: as its filter, but for calls that wait."""

    def __init__(self, driver: Any, telling: Telling) -> None:
        self._driver = driver
        self._telling = telling

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self._telling.offload(fn, args, kwargs)

    def current(self) -> Any:
        return None

    def in_work(self) -> tuple[Any, ...]:
        return ()

    def upcoming(self, count: int) -> tuple[Any, ...]:
        return ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)
