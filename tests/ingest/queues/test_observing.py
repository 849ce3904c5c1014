"""What an observer is told of the deliveries of a queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.observe import Observer, Settlement
from tests.ingest.harness import letter, open_queue, run, take, until


class Notes(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def of(self, hook: str) -> list[list[Any]]:
        return [rest for name, *rest in self.calls if name == hook]

    def deliveries_accepted(self, graph: str, deliveries: int, documents: int, size: int) -> None:
        self.calls.append(("accepted", graph, deliveries, documents, size))

    def deliveries_leased(self, graph: str, deliveries: int) -> None:
        self.calls.append(("leased", graph, deliveries))

    def deliveries_settled(self, graph: str, settlement: Settlement) -> None:
        self.calls.append(("settled", graph, *settlement))


Scenario = Callable[[EmbeddedQueue, Notes], Coroutine[Any, Any, None]]


def observed(test: Scenario) -> Callable[[Path], None]:
    """Play a scenario on a queue with an observer."""

    def wrapped(tmp_path: Path) -> None:
        async def play() -> None:
            notes = Notes()
            queue = await open_queue(tmp_path, observer=notes)
            try:
                await test(queue, notes)
            finally:
                await queue.close()

        run(play())

    return wrapped


async def post(queue: EmbeddedQueue, *graphs: str, documents: int = 1) -> None:
    """Append a delivery for each of these graphs, all in one write batch."""
    await asyncio.gather(*(queue.intake.append(Header(graph, documents=documents, length=4), b"body") for graph in graphs))


@observed
async def test_what_one_write_batch_accepts_is_told_at_once(queue: EmbeddedQueue, notes: Notes) -> None:
    await post(queue, "g", "h", "g", documents=3)
    assert notes.of("accepted") == [["g", 2, 6, 8], ["h", 1, 3, 4]]
    await post(queue, "h")
    assert notes.of("accepted")[2:] == [["h", 1, 1, 4]]


@observed
async def test_what_is_lent_is_told_at_once_and_again_if_it_is_given_back(queue: EmbeddedQueue, notes: Notes) -> None:
    await post(queue, "g", "g", "g")
    leases = await take(queue, 3)
    assert notes.of("leased") == [["g", 3]]
    queue.leasing.nack(leases[0])
    await take(queue, 1)
    assert notes.of("leased") == [["g", 3], ["g", 1]]
    assert notes.of("settled") == []


@observed
async def test_what_ends_in_one_iteration_is_told_at_once_however_it_ended(queue: EmbeddedQueue, notes: Notes) -> None:
    await post(queue, *["g"] * 3, documents=2)
    one, two, three = await take(queue, 3)
    await post(queue, "h", documents=5)
    (other,) = await take(queue)
    queue.leasing.ack(one, Outcome(published=1, dropped=1))
    queue.leasing.ack(two, Outcome(failed=2, dead_letters=(letter(two.id), letter(two.id, 1))))
    queue.leasing.ack(other, Outcome(published=5))
    # of a graph that is gone: one letter for both documents
    queue.leasing.dead_letter(three, "graph.gone", "it is gone")
    # a lease that is over counts for nothing
    assert not queue.leasing.ack(one, Outcome(published=2))
    assert notes.of("settled") == []
    await until(lambda: bool(notes.of("settled")))
    assert notes.of("settled") == [["g", 3, 1, 1, 4, 3], ["h", 1, 5, 0, 0, 0]]


@observed
async def test_a_replay_is_accepted_like_any_delivery(queue: EmbeddedQueue, notes: Notes) -> None:
    await post(queue, "g")
    (lease,) = await take(queue)
    queue.leasing.dead_letter(lease, "graph.gone", "it is gone")
    await queue.leasing.settled()
    (found,) = await queue.letters.find()
    notes.calls.clear()
    await queue.letters.replay(found.id, from_start=True)
    assert [call[:3] for call in notes.calls if call[0] == "accepted"] == [("accepted", "g", 1)]


def test_an_observer_that_raises_harms_no_delivery(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Raises(Notes):
        def deliveries_accepted(self, graph: str, deliveries: int, documents: int, size: int) -> None:
            super().deliveries_accepted(graph, deliveries, documents, size)
            raise ValueError("no such metric")

    async def play() -> None:
        notes = Raises()
        queue = await open_queue(tmp_path, observer=notes)
        await post(queue, "g", "h")
        for lease in await take(queue, 2):
            queue.leasing.ack(lease, Outcome(published=1))
        await queue.close()
        assert notes.calls == [("accepted", "g", 1, 1, 4)]
        assert queue.stats().acknowledged == 2

    with caplog.at_level(logging.ERROR):
        run(play())
    assert [r.getMessage() for r in caplog.records] == ["Raises raised in deliveries_accepted and is switched off"]
