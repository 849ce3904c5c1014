"""Back-pressure end to end: a destination slower than what is posted makes clients wait, and no process larger."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
import urllib3

from pypes.testing.destination import Destination
from pypes.testing.node import until
from tests.faults.chaos.memory import Memory
from tests.faults.chaos.node import running

#: What the destination takes, and what one POST brings: posting is faster by far.
DOCUMENT_S = 0.002
BATCH = 20
TEXT = "x" * 1000
POSTERS = 4
#: Bodies waiting per queue shard: what is posted in a second or two.
QUEUE_BYTES = 2 << 20
#: Largest growth of any process from the second third of the time to the last.
GROWTH = 1.10
#: The least share of clients that find room when they come back after Retry-After.
SUFFICED = 0.5


class Poster(threading.Thread):
    """Posts batches without a pause; when told to come back later, it comes back just then, with the same batch."""

    def __init__(self, url: str, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged: list[str] = []
        #: What 429 promised, in seconds, and whether there was room then.
        self.promises: list[tuple[float, bool]] = []
        self.failures: list[str] = []
        self._url = url + "/docs"
        self._stop_asked = stop
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(30.0))

    def run(self) -> None:
        posted = 0
        promised_s: float | None = None
        while not self._stop_asked.is_set():
            serials = [f"{self.name}-{posted + n}" for n in range(BATCH)]
            body = "\n".join(json.dumps({"id": each, "serial": each, "text": TEXT}) for each in serials)
            answer = self._http.request("POST", self._url, body=body, headers={"Content-Type": "application/x-ndjson"})
            if promised_s is not None:
                self.promises.append((promised_s, answer.status == 202))
                promised_s = None
            if answer.status == 202:
                self.acknowledged += serials
                posted += BATCH
            elif answer.status == 429:
                promised_s = float(answer.headers["Retry-After"])
                self._stop_asked.wait(promised_s)
            else:
                self.failures.append(f"{serials[0]}: {answer.status} {answer.data[:300]!r}")
                return
        self._http.clear()


@pytest.mark.timeout(1800)
def test_a_slow_publisher_leaves_memory_flat_and_loses_nothing(tmp_path: Path) -> None:
    seconds = float(os.environ.get("PYPES_SOAK_S", 15.0))
    stop = threading.Event()
    with (
        Destination(tmp_path / "taken.jsonl") as destination,
        running(tmp_path / "node", destination, ("plain",), PYPES_LIMITS_QUEUE_MAX_BYTES=str(QUEUE_BYTES)) as node,
    ):
        destination.delay(0.0, DOCUMENT_S)
        posters = [Poster(node.url, f"p{n}", stop) for n in range(POSTERS)]
        for poster in posters:
            poster.start()
        with Memory(node, 0.25) as memory:
            started = time.monotonic()
            try:
                until(lambda: time.monotonic() - started > seconds or any(p.failures for p in posters), seconds + 10, "soaked")
            finally:
                stop.set()
                for poster in posters:
                    poster.join(60)
        acknowledged = {each for poster in posters for each in poster.acknowledged}
        promises = [each for poster in posters for each in poster.promises]
        destination.recover()
        until(lambda: acknowledged <= {d["serial"] for b in destination.batches() for d in b.documents}, 60, "all published")
        assert node.stop() == 0
    assert not [failure for poster in posters for failure in poster.failures]
    assert promises, "nobody was told to wait"
    growth = {role: memory.growth(role) for role in memory.samples}
    sufficed = sum(has_room for _, has_room in promises) / len(promises)
    peaks = ", ".join(f"{role} {size:.0f} (x{growth[role]:.3f})" for role, size in sorted(memory.peaks().items()))
    print(f"\n{seconds:g} s: {len(acknowledged)} documents acknowledged, {len(promises)} times 429")  # noqa: T201
    print(f"Retry-After of {min(promises)[0]:g} to {max(promises)[0]:g} s; there was room then: {sufficed:.0%}")  # noqa: T201
    print(f"peaks of resident memory in MB, and last third over second: {peaks}")  # noqa: T201
    assert all(ratio <= GROWTH for ratio in growth.values()), growth
    assert sufficed >= SUFFICED, f"of {len(promises)} promises of Retry-After, {sufficed:.0%} were kept"
