"""Services: what a component may ask of the turn it runs in, as far as not every style has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pypes.errors import ComponentError
from pypes.runtime.scheduler.holding import Holding


class Services:
    """The answers of a tasklet whose style has no better ones."""

    __slots__ = ()

    name: str
    holding: Holding | None

    def release(self) -> None:
        """What the component held so far goes with what it has sent; settled at the end of the packet or turn."""
        if self.holding is not None:
            self.holding.release_asked = True

    def current(self) -> Any:
        """The packet that is worked on, ``None`` if there is none or it is one of many."""
        return None

    def upcoming(self, count: int) -> Sequence[Any]:
        """The packets that are worked on next in this turn, as far as they are known, at most so many."""
        return ()

    def receive(self, port: str) -> Any:
        raise _only_in_run("receive", self.name)

    def receive_all(self, port: str) -> Iterator[Any]:
        raise _only_in_run("receive_all", self.name)

    def yield_ctrl(self) -> None:
        raise _only_in_run("yield_ctrl", self.name)

    def send(self, port: str, data: Any) -> bool:
        raise NotImplementedError

    def flush(self) -> None:
        """Let the component send on what it holds; runs in its own greenlet."""
        raise NotImplementedError


def _only_in_run(method: str, name: str) -> ComponentError:
    return ComponentError(
        f"{method} belongs to the run() loop of the original style; with process() packets are handed to the component",
        code="component.style",
        where=name,
    )
