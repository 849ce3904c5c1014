"""Counts of a queue in the tallies of its process, and the lanes that it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from pypes.core.nodetime import Clock
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.contracts.queue import LaneUse
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.queues.tallying import MAX_CODES, OTHER, QueueTallies
from pypes.ingest.store.write_batch import Remains
from pypes.observe.metrics import COMMIT_SECONDS, DELIVERY_SECONDS, NEW_DEAD_LETTERS
from pypes.observe.tallies import Tallies
from tests.ingest.harness import letter, open_queue, run, take


def counted(tallies: Tallies) -> dict[tuple[str, ...], list[float]]:
    values, found, at = tallies.read(), {}, 0
    for series in tallies.series:
        found[series.metric, *series.labels] = list(values[at : at + series.width])
        at += series.width
    return found


def test_deliveries_of_which_something_was_published_are_counted_by_their_time(tmp_path: Path) -> None:
    async def play() -> None:
        tallies = Tallies()
        queue = await open_queue(tmp_path, tallies=tallies)
        await asyncio.gather(*(queue.intake.append(Header(graph, documents=2, length=4), b"body") for graph in "gghg"))
        leases = {lease.id: lease for lease in await take(queue, 4)}
        one, two, three, four = leases.values()
        queue.leasing.ack(one, Outcome(published=2))
        queue.leasing.ack(two, Outcome(dropped=2))
        queue.leasing.ack(three, Outcome(failed=2, dead_letters=(letter(three.id), letter(three.id, 1))))
        queue.leasing.ack(four, Outcome(published=1, dropped=1))
        await queue.leasing.settled()
        await queue.close()
        found = counted(tallies)
        published = {key[1]: values for key, values in found.items() if key[0] == DELIVERY_SECONDS.name}
        assert sum(sum(values[:-1]) for values in published.values()) == 2
        assert all(0 <= values[-1] < 60 for values in published.values())
        assert found[NEW_DEAD_LETTERS.name, "g", "component.failed"] == [2.0]
        commits = found[COMMIT_SECONDS.name,]
        assert sum(commits[:-1]) >= 2
        assert commits[-1] > 0

    run(play())


def test_codes_of_dead_letters_are_bounded() -> None:
    tallies = Tallies()
    counting = QueueTallies(tallies)
    for number in range(MAX_CODES + 20):
        counting.buried([_remains(f"code.{number}")])
    counting.buried([_remains("code.0"), _remains("code.0", 2)])
    found = {key[2]: values for key, values in counted(tallies).items() if key[0] == NEW_DEAD_LETTERS.name}
    assert len(found) == MAX_CODES + 1
    assert (found["code.0"], found[OTHER]) == ([4.0], [20.0])


def _remains(code: str, letters: int = 1) -> Remains:
    return Remains("receipt", (structs.replace(letter("receipt"), code=code),) * letters, None, None, None, 0, False)


def test_lanes_tell_what_is_not_done_and_how_old_it_is(tmp_path: Path) -> None:
    async def play() -> None:
        now = [1e9]
        clock = Clock(lambda: now[0])
        queue = await open_queue(tmp_path, clock=clock)
        await queue.intake.append(Header("g", documents=3, length=4), b"body")
        now[0] += 5.0
        await queue.intake.append(Header("g", documents=1, length=2), b"bo")
        await queue.intake.append(Header("g", documents=2, length=6, is_bulk=True), b"bodies")
        now[0] += 5.0
        assert lanes(queue) == {"live": (2, 4, 6, 10), "bulk": (1, 2, 6, 5)}
        first, second = await take(queue, 2, Stream("g", False))
        assert lanes(queue) == {"live": (2, 4, 6, 10), "bulk": (1, 2, 6, 5)}
        queue.leasing.nack(second)
        queue.leasing.ack(first, Outcome(published=3))
        assert lanes(queue) == {"live": (1, 1, 2, 5), "bulk": (1, 2, 6, 5)}
        await queue.close()
        # as it is found by the next one
        queue = await open_queue(tmp_path, clock=clock)
        assert lanes(queue) == {"live": (1, 1, 2, 5), "bulk": (1, 2, 6, 5)}
        for lease in await take(queue, 2):
            queue.leasing.ack(lease, Outcome(published=lease.header.documents))
        assert queue.uses() == {}
        await queue.close()

    run(play())


def lanes(queue: EmbeddedQueue) -> dict[str, tuple[int, int, int, int]]:
    found: Mapping[str, LaneUse] = queue.uses()["g"].lanes
    return {lane: (use.deliveries, use.documents, use.bytes, round(use.oldest_s)) for lane, use in found.items()}
