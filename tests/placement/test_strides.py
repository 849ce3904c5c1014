"""What becomes of items whose pool worker is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pypes.errors import Reject, Unreachable
from pypes.placement.channel import PassingChannel
from pypes.placement.executor import Outcome
from pypes.placement.pool_process import KILLED, TIMEOUT, Loss
from pypes.placement.progress import InHand, SeenProgress
from pypes.placement.strides import LOSSES, Seat, Strides


@pytest.fixture
def strides() -> Iterator[Strides]:
    """Two seats with pool workers."""
    made = Strides(2)
    ends = socket.socketpair()
    for seat, sock in zip(made.seats, ends, strict=True):
        seat.channel = PassingChannel(sock, 1)
    yield made
    for sock in ends:
        sock.close()


def sent(strides: Strides, seat: Seat) -> tuple[int, list[int]]:
    """Number and items of the next part for a seat."""
    found = strides.next_for(seat)
    assert found is not None
    number, part = found
    return number, [part.stride.items[index] for index in part.unfinished]


def done(strides: Strides, seat: Seat, number: int, *indices: int) -> None:
    strides.settle(seat, number, [(index, Outcome(index)) for index in indices])


def test_parts_go_to_the_idlest_seat_and_no_deeper_than_it_is_quick(strides: Strides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes.placement.strides.LONG_S", 1e9)
    first, second = strides.seats
    for item in range(4):
        strides.add([item])
    assert strides.idlest() is first
    number, _ = sent(strides, first)
    assert strides.next_for(first) is None
    assert strides.idlest() is second
    done(strides, first, number, 0)
    assert first.depth == 2
    assert sent(strides, first)[1] == [1]
    assert sent(strides, first)[1] == [2]
    assert strides.next_for(first) is None
    monkeypatch.setattr("pypes.placement.strides.LONG_S", 0.0)
    done(strides, first, max(first.out), 0)
    assert first.depth == 1


def test_a_seat_without_a_pool_worker_gets_nothing(strides: Strides) -> None:
    strides.add([0])
    for seat in strides.seats:
        seat.channel = None
    assert strides.idlest() is None
    assert strides.next_for(strides.seats[0]) is None


def test_only_the_stride_that_was_run_is_taken_apart(strides: Strides) -> None:
    seat, other = strides.seats
    seat.depth = 2
    run, waits = strides.add([10, 11, 12, 13]), strides.add([20, 21])
    number, _ = sent(strides, seat)
    sent(strides, seat)
    done(strides, seat, number, 0)
    strides.lost(seat, Loss("killed", KILLED, InHand(1, number, 2)), 1)
    assert strides.news() == ([], [])
    assert sent(strides, other)[1] == [20, 21]
    for item in (11, 12, 13):
        number, items = sent(strides, seat)
        assert items == [item]
        assert strides.next_for(seat) is None  # it is alone
        done(strides, seat, number, item - 10)
    assert run.left == 0
    assert waits.left == 2


def test_an_item_that_ended_two_has_failed(strides: Strides) -> None:
    seat = strides.seats[0]
    stride = strides.add([0, 1])
    number, _ = sent(strides, seat)
    strides.lost(seat, Loss("first", KILLED, InHand(1, number, 0)), 1)
    number, items = sent(strides, seat)
    assert items == [0]
    strides.lost(seat, Loss("second", KILLED, InHand(1, number, 0)), 1)
    assert strides.news() == ([], [])
    error = stride.outcomes[0] and stride.outcomes[0].error
    assert isinstance(error, Reject)
    assert (error.code, error.reason) == (KILLED, "second")
    number, items = sent(strides, seat)
    assert items == [1]
    done(strides, seat, number, 1)
    assert not strides.open


def test_an_item_that_was_late_has_failed_at_once(strides: Strides) -> None:
    seat = strides.seats[0]
    stride = strides.add([0])
    number, _ = sent(strides, seat)
    strides.lost(seat, Loss("late", TIMEOUT, InHand(1, number, 0)), 1)
    assert strides.news() == ([], [stride])
    assert strides.next_for(seat) is None


def test_the_item_of_another_user_takes_nothing_apart(strides: Strides) -> None:
    seat = strides.seats[0]
    strides.add([0, 1])
    number, _ = sent(strides, seat)
    strides.lost(seat, Loss("killed", KILLED, InHand(2, number, 0)), 1)
    assert sent(strides, seat)[1] == [0, 1]


def test_deaths_between_items_come_to_an_end(strides: Strides) -> None:
    seat = strides.seats[0]
    stride = strides.add([0, 1])
    for _ in range(5):
        if strides.next_for(seat) is None:
            break
        strides.lost(seat, Loss("killed", KILLED, None), 1)
    assert stride.left == 0


def test_what_happened_to_one_stride_is_not_the_fault_of_another(strides: Strides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes.placement.strides.LONG_S", 1e9)
    seat = strides.seats[0]
    late, other = strides.add([0, 1, 2]), strides.add([3, 4, 5])
    seat.depth = 2
    number, _ = sent(strides, seat)
    _, part = strides.next_for(seat) or (0, None)
    assert part is not None
    part.losses = LOSSES - 1
    strides.lost(seat, Loss("late", TIMEOUT, InHand(1, number, 2)), 1)
    assert late.left == 2
    assert (other.left, other.ends) == (3, {})


def test_an_outcome_is_kept(strides: Strides) -> None:
    seat = strides.seats[0]
    stride = strides.add([0, 1])
    number, _ = sent(strides, seat)
    strides.settle(seat, number, [(0, Outcome("first"))])
    strides.settle(seat, number, [(0, Outcome("second")), (1, Outcome("last"))])
    assert [outcome and outcome.value for outcome in stride.outcomes] == ["first", "last"]
    strides.settle(seat, number, [(1, Outcome("late"))])
    assert strides.news() == ([], [stride])


def test_without_any_pool_worker_what_waits_fails(strides: Strides) -> None:
    first, second = strides.seats
    stride = strides.add([0])
    first.channel = None
    strides.unreachable(first, Unreachable(1.0, "none"))
    assert strides.news() == ([], [])
    second.channel = None
    strides.unreachable(second, Unreachable(1.0, "none"))
    assert strides.news() == ([], [stride])
    assert isinstance(stride.outcomes[0] and stride.outcomes[0].error, Unreachable)


def test_time_is_counted_as_long_as_something_is_out(strides: Strides) -> None:
    seat = strides.seats[0]
    seat.seen, seat.depth = SeenProgress(), 2
    strides.add([0, 1])
    strides.add([2])
    first, _ = sent(strides, seat)
    begun = [seat.seen.begun]
    second, _ = sent(strides, seat)
    strides.settle(seat, second, [(0, Outcome(None, ValueError("it cannot travel")))], is_answer=False)
    assert seat.seen.begun == begun[0] > 0  # the item in hand is the same
    done(strides, seat, first, 0)
    begun.append(seat.seen.begun)
    assert begun[1] not in (0, begun[0])
    done(strides, seat, first, 1)
    assert seat.seen.begun == 0
    strides.add([3])
    number, _ = sent(strides, seat)
    assert seat.seen.begun
    strides.settle(seat, number, [(0, Outcome(None, ValueError("it cannot travel")))], is_answer=False)
    assert seat.seen.begun == 0
