"""Index truth: after thousands of random operations with two instances that are killed now and then, nothing is stale or missing.

``PYPES_TRUTH_OPERATIONS`` sets how many there are (600), ``PYPES_TRUTH_S`` after how many seconds no more begin,
``PYPES_TRUTH_SEED`` repeats a run; ``make truth`` is a long one.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pypes.component import Component
from tests.servers.truth_worker import Delivery, post, work

OPERATIONS = int(os.environ.get("PYPES_TRUTH_OPERATIONS", "600"))
SECONDS = float(os.environ.get("PYPES_TRUTH_S", "inf"))
SEED = int(os.environ.get("PYPES_TRUTH_SEED", random.randrange(1_000_000)))

#: Time that even a slow machine does not need.
TIMEOUT_S = max(120, OPERATIONS // 5) if math.isinf(SECONDS) else 300 + 2 * SECONDS

#: Documents of a generation: after so many operations, others are new; of which so many generations are not deleted yet.
IDS, GENERATION, KEPT = 30, 200, 3
#: One delivery of so many is interrupted, and one of so many waits until younger ones are through.
KILLED, LATE = 8, 5

#: What a reader sees: id, part, text.
Reader = Callable[[], set[tuple[str, str, str]]]
#: By id the newest version, as receipt and index, and what a reader sees of it.
Newest = dict[str, tuple[tuple[int, int], set[tuple[str, str, str]]]]
#: What makes a publisher, and a reader.
Destination = tuple[Callable[[], Component], Reader]


class Instance:
    """A process with a publisher."""

    def __init__(self, make: Callable[[], Component]) -> None:
        self._make = make
        self.kills = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._child, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(self._make, theirs), daemon=True)
        with warnings.catch_warnings():
            # other threads of a test may be alive: the child needs nothing that they hold
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()

    def begin(self, run: int, delivery: Delivery) -> None:
        self._child.send((run, delivery))

    def end(self, kill_at: int | None) -> bool:
        """Wait until a delivery is published; with ``kill_at``, only for so many steps: false if it was killed then."""
        steps = 0
        while steps != kill_at:
            said = self._child.recv()
            assert not said.startswith("failed"), said
            if said == "done":
                return True
            steps += 1
        self.close()
        self.kills += 1
        self._start()
        return False

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._child.close()


def deliveries(chance: random.Random) -> Iterator[Delivery]:
    """Versions of some documents, several of one among them, up to the number of operations."""
    made = receipt = generation = 0
    end_s = time.monotonic() + SECONDS
    while made < OPERATIONS and time.monotonic() < end_s:
        receipt += 1
        # some twice
        ids = chance.choices(range(IDS), k=chance.randint(1, 16))
        yield receipt, [(f"doc-{generation}-{id}", chance.choice((-1, 0, 1, 1, 1, 2, 3, 6))) for id in ids]
        made += len(ids)
        if made // GENERATION > generation:
            generation += 1
            receipt += 1
            yield receipt, [(f"doc-{generation - KEPT}-{id}", -1) for id in range(IDS)]


def made(component: type[Component], folder: Path, **params: Any) -> Callable[[], Component]:
    """What makes a publisher with these parameters."""

    def make() -> Component:
        publisher = component()
        publisher.configure(params)
        publisher.data_dir = str(folder)
        return publisher

    return make


def check_truth(make: Callable[[], Component], seen: Reader) -> None:
    """Publish at random with two instances, kill them now and then, and compare what a reader sees after each two deliveries."""
    chance = random.Random(SEED)
    newest: Newest = {}
    began_s, operations, compared = time.monotonic(), 0, 0
    instances = [Instance(make), Instance(make)]
    waiting: list[Delivery] = []
    runs = 0

    def publish(pair: list[Delivery]) -> None:
        """Have both instances publish at the same time, again as long as one is killed."""
        nonlocal runs
        left = dict(zip(instances, pair, strict=False))
        while left:
            for instance, delivery in left.items():
                runs += 1
                instance.begin(runs, delivery)
            for instance in list(left):
                if instance.end(chance.randint(0, 6) if chance.randrange(KILLED) == 0 else None):
                    del left[instance]
        for receipt, documents in pair:
            for index, (id, parts) in enumerate(documents):
                if newest.get(id, ((0, 0),))[0] < (receipt, index):
                    parts_of_it = post(receipt, 1, index, id, parts).made()
                    newest[id] = (receipt, index), {(id, each.part, each.text) for each in parts_of_it}

    try:
        pair: list[Delivery] = []
        for delivery in deliveries(chance):
            operations += len(delivery[1])
            (waiting if chance.randrange(LATE) == 0 else pair).append(delivery)
            if waiting and chance.randrange(LATE) == 0:
                pair.append(waiting.pop(chance.randrange(len(waiting))))
            while len(pair) >= 2:
                publish([pair.pop(0), pair.pop(0)])
                _compare(newest, seen())
                compared += 1
        for delivery in pair + waiting:
            publish([delivery])
        _compare(newest, seen())
        kills = sum(instance.kills for instance in instances)
        print(  # noqa: T201
            f"\n{operations} operations, {kills} kills, compared {compared + 1} times, in {time.monotonic() - began_s:.0f} s,"
            f" seed {SEED}: 0 stale, 0 missing"
        )
        assert kills >= operations // 400, SEED
    finally:
        for instance in instances:
            instance.close()


def _compare(newest: Newest, seen: set[tuple[str, str, str]]) -> None:
    expected: set[tuple[str, str, str]] = set().union(*(parts for _, parts in newest.values()))
    stale, missing = seen - expected, expected - seen
    assert not stale, f"{len(stale)} are stale, such as {sorted(stale)[:3]} (PYPES_TRUTH_SEED={SEED})"
    assert not missing, f"{len(missing)} are missing, such as {sorted(missing)[:3]} (PYPES_TRUTH_SEED={SEED})"
