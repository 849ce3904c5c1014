"""Conversation: the packets of one stride that an isolated component works on, and what has come of each so far."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from pypes.core.limits import MIB
from pypes.placement.executor import Outcome
from pypes.placement.words import Sent

#: Values and bytes that wait to be sent on before the component has to wait.
PART_VALUES, PART_BYTES = 256, MIB


class Conversation:
    """Filled by the executor as a listener, emptied by the proxy; whichever is ahead waits for the other."""

    def __init__(self, packets: Sequence[Any]) -> None:
        self._changed = threading.Condition()
        #: Of each packet, what was sent over it and not taken yet, with the bytes of that.
        self._parts: list[deque[tuple[Sent, int]]] = [deque() for _ in packets]
        self._outcomes: list[Outcome | None] = [None] * len(packets)
        self._values = self._bytes = 0
        #: The last packet is done, or nothing more will come.
        self._is_over = False
        self._is_left = False
        #: Whoever waits for news waits for this.
        self._news: Future[None] = Future()

    # -- the executor's side ------------------------------------------------------------------------------

    def part(self, at: int, value: Any, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_full or self._is_left)
            self._parts[at].append((value, size))
            self._values += 1
            self._bytes += size
            self._look()

    def outcome(self, at: int, outcome: Outcome) -> None:
        with self._changed:
            self._outcomes[at] = outcome
            self._is_over = None not in self._outcomes
            self._look()

    def ended(self, future: Future[list[Outcome]]) -> None:
        """Nothing more will come."""
        error = future.exception()
        with self._changed:
            if error is not None:
                self._outcomes = [outcome or Outcome(None, error) for outcome in self._outcomes]
            else:  # of which another thread may be about to tell
                self._outcomes = [*future.result()]
            self._is_over = True
            self._look()

    # -- the proxy's side ---------------------------------------------------------------------------------

    def take(self, at: int) -> tuple[list[Sent], Outcome | None]:
        """Parts of a packet that came since this was last asked, and its outcome if these were the last."""
        with self._changed:
            taken = [*self._parts[at]]
            self._parts[at].clear()
            self._values -= len(taken)
            self._bytes -= sum(size for _, size in taken)
            if taken:
                self._changed.notify_all()
            return [part for part, _ in taken], self._outcomes[at]

    def news(self) -> Future[None]:
        """Done when all packets are, or so much was sent that it has to be taken before more comes."""
        with self._changed:
            self._news = Future()
            self._look()
            return self._news

    def _look(self) -> None:
        if not self._news.done() and (self._is_over or self._is_full or self._is_left):
            self._news.set_result(None)

    def leave(self) -> None:
        """Take nothing more: what comes is dropped."""
        with self._changed:
            self._is_left = True
            self._look()
            self._changed.notify_all()

    @property
    def _is_full(self) -> bool:
        return self._values >= PART_VALUES or self._bytes >= PART_BYTES
