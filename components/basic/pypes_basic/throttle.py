"""Throttle: no more than so many packets a second."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pypes import Example, Filter, Help, Packet, Parameters
from pypes.component import Changes

_KEY: Final = b"%.6f"
#: Seconds of packets that go on together: the store is asked once for them.
TOGETHER_S: Final = 0.1
#: A shorter wait is none.
LEAST_S: Final = 0.0001
#: A time that lies further in the future was written before the clock was set back.
FAR_S: Final = 60.0


class Throttle(Filter):
    """Let ``per_s`` packets a second pass, in all instances of the node together; others wait, and none is lost.

    While packets wait, the other filters go on; when the wire before this one is full, the filters before it stop, and documents
    wait in the queue. Packets keep their order within an instance. After a pause, ``burst`` packets may pass at once. At high
    rates, those of a tenth of a second go on together. Packets that run again after a crash count again. Deletions count as well.
    ``waited_ms`` counts the time.
    """

    icon = "gauge"
    tags = ("flow",)
    example = Example(takes=Packet({"n": 1}), gives=Packet({"n": 1}), params={"per_s": 100})

    class Params(Parameters):
        per_s: Annotated[float, Help("Packets a second; 0.1 is one in ten seconds.", gt=0, le=1_000_000)]
        burst: Annotated[int, Help("Packets that may pass at once after a pause.", ge=1)] = 1

    def configure(self, given: Mapping[str, Any]) -> None:
        super().configure(given)
        self.batch_size = min(10_000, max(1, int(self.params.per_s * TOGETHER_S)))

    #: It waits in peace: nobody is to take that for hanging.
    timeout_s = math.inf

    def setup(self) -> None:
        self._store = self.open_store(1)
        self._is_over = threading.Event()
        self._now = time.time
        self._wait: Callable[[float], object] = self._is_over.wait

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        wait_s = self.offload(self._reserved, len(packets))
        if wait_s > LEAST_S:
            self.offload(self._wait, wait_s)
            self.count("waited_ms", round(wait_s * 1000))
        return packets

    def teardown(self) -> None:
        if hasattr(self, "_is_over"):
            self._is_over.set()

    def _reserved(self, count: int) -> float:
        """Take the place of so many packets among those of the node; returns the seconds until it is reached. Blocks.

        The store has the time at which all that were let in so far are due (the generic cell rate algorithm).
        """
        per_s, burst = self.params.per_s, max(self.params.burst, count)
        waits: list[float] = []

        def decide(entries: Mapping[str, bytes]) -> Changes:
            now_s = self._now()
            due_s = float(entries.get("due", b"0"))
            if due_s > now_s + FAR_S + 1000 * count / per_s:
                due_s = now_s
            due_s = max(due_s, now_s) + count / per_s
            waits.append(due_s - now_s - burst / per_s)
            return Changes({"due": _KEY % due_s})

        self._store.change(["due"], decide)
        return waits[-1]
