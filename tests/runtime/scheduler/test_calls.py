"""Calls in threads, with and without room for a thread or memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import deque
from select import select
from typing import Any

import pytest

from pypes.component import Transformer
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed
from pypes.runtime.scheduler.calls import Calls
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


class Slow(Keep):
    """Publishes by calls in threads."""

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.offload(self.numbers.extend, taken)


def test_without_a_thread_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by what had waited for the thread that could not be started: it must not be done twice."""
    publisher = Slow()
    start = threading.Thread.start
    failures = 2

    def no_room(thread: threading.Thread) -> None:
        nonlocal failures
        if failures and thread.name.startswith("pypes-offload"):
            failures -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_room)
    with running({"pass": Pass(), "out": publisher}, [("pass.out", "out.in")]) as scheduler:
        for number in (0, 10):
            scheduler.submit(Feed(iter([("pass", packets(3, number), range(3))]), 3))
            scheduler.drain()
    assert not failures
    assert sorted(publisher.numbers) == [0, 1, 2, 10, 11, 12]


def test_a_call_that_cannot_say_that_it_has_ended_says_it_again() -> None:
    class Short(deque[Any]):
        """Has no memory at first."""

        refused = 0

        def append(self, item: Any) -> None:
            if self.refused < 3:
                self.refused += 1
                raise MemoryError
            super().append(item)

    publisher = Slow()
    with running({"out": publisher}, []) as scheduler:
        calls = scheduler.core.calls
        done = calls.done = Short()
        for number in (0, 10):
            scheduler.submit(Feed(iter([("out", packets(3, number), range(3))]), 3))
            scheduler.drain()
    assert done.refused == 3
    assert publisher.numbers == [0, 1, 2, 10, 11, 12]


@pytest.mark.parametrize("is_offloaded", [False, True])
def test_what_a_packet_took_is_let_go_with_it(is_offloaded: bool) -> None:
    """Without waiting for the garbage collector: it may have been all the memory there was."""

    class Large:
        """Stands for the memory."""

    held: list[weakref.ref[Large]] = []
    alive: list[bool] = []

    def take() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise MemoryError

    class Greedy(Transformer):
        def process(self, packet: Packet) -> Packet:
            alive.extend(reference() is not None for reference in held)
            if packet.get("n") == 1:
                if is_offloaded:
                    self.offload(take)
                take()
            return packet

    publisher = Slow()
    gc.disable()
    try:
        with running({"greedy": Greedy(), "out": publisher}, [("greedy.out", "out.in")]) as scheduler:
            for number in (0, 1, 2):
                scheduler.submit(Feed(iter([("greedy", packets(3, number), range(3))]), 3))
                scheduler.drain()
    finally:
        gc.enable()
    assert len(held) == 2
    assert not any(alive)
    assert not any(reference() for reference in held)
    assert len(publisher.numbers) == 7


def test_a_ring_of_causes_is_told_once() -> None:
    class Ring(Transformer):
        def process(self, packet: Packet) -> Packet:
            error, other = ValueError("one"), ValueError("two")
            other.__cause__ = error
            raise error from other

    publisher = Keep()
    with running({"ring": Ring(), "out": publisher}, [("ring.out", "out.in")]) as scheduler:
        scheduler.submit(Feed(iter([("ring", packets(1), range(1))]), 1))
        scheduler.drain()
    assert not publisher.numbers


def test_a_wake_up_ends_one_wait() -> None:
    calls = Calls(time.monotonic)
    try:
        calls.wake()
        for timeout_s in (20.0, 0.01):
            calls.wait(timeout_s)
        readable, _, _ = select([calls.fd], [], [], 0)
        assert not readable
    finally:
        calls.close()
