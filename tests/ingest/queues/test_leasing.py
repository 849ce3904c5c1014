"""What is appended and lent, of every queue: order, leases, streams, room, crashes and reruns."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from pypes.errors import QueueFull, StoreError
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import Outcome, Poison
from pypes.ingest.protocol import Rerun
from tests.ingest.harness import MANY, header, lease_any, some, take, until


def test_deliveries_are_leased_in_order_with_what_was_appended(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        bodies = [f"body {n}".encode() for n in range(50)]
        receipts = await asyncio.gather(*[queue.intake.append(header(body=b), b, b + b"!") for b in bodies])
        assert len(set(receipts)) == 50
        leases = await take(queue, 50)
        assert [lease.id for lease in leases] == list(receipts)
        assert [lease.body for lease in leases] == bodies
        assert all(lease.decoded in (None, body + b"!") for lease, body in zip(leases, bodies, strict=True))
        assert leases[0].header == header(body=bodies[0])
        assert lease_any(queue, 1, MANY) == []

    play(scenario)


def test_a_waiter_is_told_of_its_own_delivery_and_no_more_when_it_is_done(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        told: list[tuple[int, str]] = []

        class Waiter:
            def __init__(self, number: int) -> None:
                self.number = number

            def done(self) -> bool:
                return self.number == 1

            def set_result(self, id: str, /) -> None:
                told.append((self.number, id))

            def set_exception(self, error: BaseException, /) -> None:
                raise AssertionError

        for number in range(3):
            queue.intake.append_for(Waiter(number), header(), b"%d" % number)
        assert not told
        last = await queue.intake.append(header(), b"last")
        leases = await take(queue, 4)
        assert [lease.body for lease in leases] == [b"0", b"1", b"2", b"last"]
        assert told == [(0, leases[0].id), (2, leases[2].id)]
        assert leases[3].id == last

    play(scenario)


def test_an_acknowledged_delivery_is_gone_and_its_token_void(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        assert queue.leasing.ack(lease, Outcome(1))
        assert not queue.leasing.ack(lease, Outcome(1))
        assert not queue.leasing.nack(lease)
        assert not queue.leasing.dead_letter(lease, "x", "y")
        await queue.leasing.settled()
        stats = queue.stats()
        assert (stats.deliveries, stats.bytes, stats.leased, stats.acknowledged) == (0, 0, 0, 1)

    play(scenario)


def test_what_is_given_back_goes_first_under_a_new_token(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        for body in (b"1", b"2"):
            await queue.intake.append(header(), body)
        (first,) = await take(queue)
        assert queue.leasing.nack(first, suspect=True)
        await queue.leasing.settled()
        again, second = await take(queue, 2)
        assert (again.body, again.attempt, again.is_suspect, second.body) == (b"1", 2, True, b"2")
        assert not queue.leasing.ack(first, Outcome(1))
        assert queue.leasing.ack(again, Outcome(1))
        await queue.leasing.settled()

    play(scenario)


def test_a_delay_is_kept(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"1")
        (lease,) = await take(queue)
        queue.leasing.nack(lease, delay_s=0.05)
        await queue.leasing.settled()
        assert lease_any(queue, 1, MANY) == []
        assert queue.stats().delayed == 1
        (again,) = await take(queue)
        assert again.attempt == 2

    play(scenario)


def test_bytes_bound_a_lease_but_never_below_one(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await asyncio.gather(*[queue.intake.append(header(), b"x" * 10) for _ in range(5)])
        (first,) = await take(queue)
        queue.leasing.nack(first)
        await queue.leasing.settled()
        assert len(await some(queue, 5, 1)) == 1
        assert sum(len(lease.body) for lease in await some(queue, 5, 25)) <= 25

    play(scenario)


def test_streams_are_leased_independently(play: Callable[..., None]) -> None:
    """Of commits that hold several, and whatever nobody takes from lies in front."""

    async def scenario(queue: Queue) -> None:
        streams = [Stream(graph, is_bulk) for graph in "gh" for is_bulk in (False, True)]
        appended: dict[Stream, list[str]] = {stream: [] for stream in streams}
        for _ in range(5):
            futures = [(stream, queue.intake.append(Header(stream.graph, is_bulk=stream.is_bulk), b"x")) for stream in streams]
            for stream, future in futures:
                appended[stream].append(await future)
        for stream in reversed(streams):
            leases = await take(queue, 5, stream=stream)
            assert [lease.id for lease in leases] == appended[stream]
            for lease in leases:
                assert queue.leasing.ack(lease, Outcome(1))
                await queue.leasing.settled()
        stats = queue.stats()
        assert (stats.deliveries, stats.bytes, stats.cached_bytes, stats.bulk_deliveries, stats.bulk_bytes) == (0,) * 5

    play(scenario)


def test_documents_of_one_key_are_lent_one_after_the_other(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        a, b = (Header("g", keys=pack_keys([key_of(id)])) for id in "ab")
        first, second, other = await asyncio.gather(*(queue.intake.append(header, b"x") for header in (a, a, b)))
        (lease,) = await take(queue, stream=Stream("g", False))
        assert lease.id == first
        assert [lease.id for lease in await take(queue, stream=Stream("g", False))] == [other]
        await until(lambda: queue.leasing.is_held("g"))
        assert lease_any(queue, 5, MANY) == []
        queue.leasing.nack(lease)
        await queue.leasing.settled()
        (lease,) = await take(queue, stream=Stream("g", False))
        assert (lease.id, lease.attempt) == (first, 2)
        queue.leasing.dead_letter(lease, "test", "it failed")
        await queue.leasing.settled()
        assert [lease.id for lease in await take(queue, stream=Stream("g", False))] == [second]

    play(scenario)


def test_a_full_queue_refuses_and_takes_again_after_acknowledgements(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        appended = [queue.intake.append(header(), b"x") for _ in range(3)]
        with pytest.raises(QueueFull) as caught:
            queue.intake.append(header(), b"x")
        assert caught.value.retry_after_s > 0
        await asyncio.gather(*appended)
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        await queue.intake.append(header(), b"x")
        with pytest.raises(QueueFull):
            queue.intake.append(header(), b"x")

    play(scenario, queue_max_deliveries=3)


def test_bytes_bound_the_queue(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"x" * 60)
        with pytest.raises(QueueFull):
            queue.intake.append(header(), b"x" * 50)
        await queue.intake.append(header(), b"x" * 40)

    play(scenario, queue_max_bytes=100)


def test_crashes_are_counted(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"x")
        for count in (1, 2, 3):
            (lease,) = await take(queue)
            assert lease.crashes == count - 1
            assert queue.leasing.record_crash(lease) == count
            queue.leasing.nack(lease, suspect=True)
            await queue.leasing.settled()

    play(scenario)


def test_poisons_of_earlier_runs_are_known(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(5), b"x")
        (lease,) = await take(queue)
        assert queue.leasing.rerun(lease) is None
        queue.leasing.record_poison(lease, Poison(1, "pdf", "killed by SIGSEGV"))
        queue.leasing.record_poison(lease, Poison(3, "pdf", "killed by SIGSEGV"))
        await queue.leasing.settled()
        poisons = (Poison(1, "pdf", "killed by SIGSEGV"), Poison(3, "pdf", "killed by SIGSEGV"))
        known = Rerun(poisons)
        assert queue.leasing.rerun(lease) == known
        queue.leasing.nack(lease, suspect=True)
        await queue.leasing.settled()
        (lease,) = await take(queue)
        assert queue.leasing.rerun(lease) == known
        queue.leasing.ack(lease, Outcome(5))
        await queue.leasing.settled()
        assert queue.leasing.rerun(lease) is None

    play(scenario)


def test_a_spool_file_goes_with_its_delivery(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(queue: Queue) -> None:
        folder = tmp_path / "shards" / "003" / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "large"
        path.write_bytes(b"large")
        await queue.intake.append(header(), Spooled(str(path), 5))
        (lease,) = await take(queue)
        assert isinstance(lease.body, Spooled)
        with lease.body.open() as file:
            assert file.read() == b"large"
        queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        await queue.close()
        assert not path.exists()

    play(scenario)


def test_a_closed_queue_takes_nothing(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        appended = queue.intake.append(header(), b"x")
        await queue.close()
        assert await appended
        with pytest.raises(StoreError):
            queue.intake.append(header(), b"x")

    play(scenario)
