"""How many deliveries are traced because their callers are."""

from __future__ import annotations

from pypes.api.sampling import Sampling, context_in

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_second_are_allowed_and_no_more() -> None:
    clock = Clock()
    sampling = Sampling(5, clock)
    assert [sampling.take() for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.5
    assert [sampling.take() for _ in range(4)] == [True, True, False, False]
    clock.now += 3600
    assert [sampling.take() for _ in range(7)] == [True] * 5 + [False] * 2


def test_looking_takes_nothing() -> None:
    sampling = Sampling(1, Clock())
    assert [sampling.has_room for _ in range(3)] == [True] * 3
    assert sampling.take()
    assert not sampling.has_room


def test_a_share_below_one_a_second_allows_one_at_last() -> None:
    clock = Clock()
    sampling = Sampling(0.1, clock)
    assert [sampling.take(), sampling.take()] == [True, False]
    clock.now += 11
    assert [sampling.take(), sampling.take()] == [True, False]


def test_none_is_none() -> None:
    clock = Clock()
    sampling = Sampling(0, clock)
    clock.now += 3600
    assert not sampling.has_room
    assert not sampling.take()


def test_fields_that_are_there_twice_are_seen_twice() -> None:
    parent = f"00-{TRACE}-{SPAN}-01".encode()
    found = context_in([(b"host", b"a"), (b"traceparent", parent), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")])
    assert found is not None
    assert (found.trace_id, found.span_id, found.is_sampled, found.state) == (TRACE, SPAN, True, "a=1,b=2")
    assert context_in([(b"traceparent", parent), (b"traceparent", parent)]) is None
    assert context_in([(b"tracestate", b"a=1")]) is None
