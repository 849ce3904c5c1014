"""The destination that tests publish to: what it takes, and how it can be disturbed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.testing.destination import Batch, Destination, Link


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    with Destination(tmp_path / "taken.jsonl") as running:
        yield running


@pytest.fixture
def link(destination: Destination) -> Iterator[Link]:
    link = Link(destination.address)
    yield link
    link.close()


def test_what_is_published_is_taken_in_order(destination: Destination, link: Link) -> None:
    link.publish([{"id": 1}, {"id": 2}])
    link.publish([{"id": "ä" * 100_000}])
    assert list(destination.batches()) == [Batch([{"id": 1}, {"id": 2}], False), Batch([{"id": "ä" * 100_000}], False)]


def test_two_publishers_are_served(destination: Destination, link: Link) -> None:
    other = Link(destination.address)
    for n in range(20):
        link.publish([n])
        other.publish([-n])
    other.close()
    assert len(list(destination.batches())) == 40


def test_one_that_refuses_takes_nothing_until_it_recovers(destination: Destination, link: Link) -> None:
    link.publish([1])
    destination.refuse()
    for _ in range(2):
        with pytest.raises(ConnectionError):
            link.publish([2])
    destination.recover()
    link.publish([3])
    assert [batch.documents for batch in destination.batches()] == [[1], [3]]


def test_one_that_cuts_takes_every_other_batch_and_says_so_in_its_file(destination: Destination, link: Link) -> None:
    destination.cut()
    for n in range(4):
        with pytest.raises(ConnectionError, match="before it took the batch"):
            link.publish([n])
    destination.recover()
    link.publish([4])
    assert list(destination.batches()) == [Batch([1], True), Batch([3], True), Batch([4], False)]


def test_one_that_delays_takes_its_time(destination: Destination, link: Link) -> None:
    destination.delay(0.05, 0.01)
    started = time.monotonic()
    link.publish(list(range(5)))
    assert time.monotonic() - started >= 0.1


def test_what_was_sent_by_the_dead_is_taken_before_what_their_successors_send(destination: Destination, link: Link) -> None:
    """Also while it is slow: the order in the file is one that publishers can answer for."""
    destination.delay(0.05)
    abandoned = [Link(destination.address, timeout_s=0.01) for _ in range(3)]
    for n, each in enumerate(abandoned):
        with pytest.raises(ConnectionError, match="not there"):
            each.publish([n])
    link.publish(["again"])
    link.publish(["newer"])
    taken = [batch.documents[0] for batch in destination.batches()]
    assert taken[-1] == "newer"
    assert set(taken) == {0, 1, 2, "again", "newer"}
