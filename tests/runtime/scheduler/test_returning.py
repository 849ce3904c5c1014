"""What hooks return: natural uses do what was meant, and the filter that returned something odd is the one that fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pypes import Reject, Retry, Unreachable, component
from pypes.component import Component, Publisher, Transformer
from pypes.errors import ComponentError, InvalidComponent
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


async def _async() -> None:
    pass


def _yields(packet: Packet) -> Any:
    yield packet


#: What is returned for a packet that should not be.
ODD: dict[str, Callable[[Packet], Any]] = {
    "list": lambda packet: [packet],
    "tuple": lambda packet: (packet, packet),
    "set": lambda packet: {1},
    "dict": lambda packet: {"n": 1},
    "generator": _yields,
    "map": lambda packet: map(str, [packet]),
    "coroutine": lambda packet: _async(),
    "true": lambda packet: True,
    "class": lambda packet: Packet,
    "exception": lambda packet: ValueError("no"),
}


class Returns(Transformer):
    def __init__(self, result: Callable[[Packet], Any]) -> None:
        super().__init__()
        self.result = result

    def process(self, packet: Packet) -> Any:
        return self.result(packet) if packet.get("n") == 3 else packet


class ReturnsInBatch(Returns):
    def process_batch(self, packets: list[Packet]) -> list[Any]:
        return [self.process(packet) for packet in packets]


class YieldsInBatch(Returns):
    def process_batch(self, packets: list[Packet]) -> Any:
        for packet in packets:
            yield self.process(packet)


class SendsBefore(Returns):
    def process(self, packet: Packet) -> Any:
        if packet.get("n") == 2:
            self.send("out", packet)
            return None
        return super().process(packet)


def push(scheduler: Scheduler, values: list[Any]) -> None:
    scheduler.submit(Feed(iter([("start", values, range(len(values)))]), len(values)))
    scheduler.drain()


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("cls", [Returns, ReturnsInBatch, YieldsInBatch, SendsBefore])
def test_the_filter_that_returned_it_fails(cls: type[Returns], kind: str) -> None:
    keep = Keep()
    done: list[Epoch] = []
    nodes = {"start": Pass(), "odd": cls(ODD[kind]), "after": Pass(), "keep": keep}
    with running(
        nodes, [("start.out", "odd.in"), ("odd.out", "after.in"), ("after.out", "keep.in")], on_done=done.append
    ) as scheduler:
        push(scheduler, packets(6))
        push(scheduler, [Packet({"n": 7})])
        push(scheduler, [Packet({"n": 3})])
    assert keep.numbers == [0, 1, 2, 4, 5, 7]
    assert [[(each.filter, each.code, each.documents) for each in epoch.dead_letters] for epoch in done] == [
        [("odd", "component.returned", (3,))],
        [],
        [("odd", "component.returned", (0,))],
    ]
    assert "returned a" in done[0].dead_letters[0].error


@pytest.mark.parametrize("odd", [Packet({"n": 1}), "text", b"bytes", {"a": 1}, 5, True, _async])
def test_a_batch_that_returns_no_packets_fails(odd: Any) -> None:
    class Batch(Transformer):
        def process_batch(self, packets: list[Packet]) -> Any:
            return odd() if odd is _async else odd

    class Holds(Transformer):
        holds = True

        def process(self, packet: Packet) -> None:
            pass

        def flush(self) -> Any:
            return odd() if odd is _async else odd

    for cls, code in ((Batch, "component.returned"), (Holds, "component.flush_failed")):
        keep = Keep()
        done: list[Epoch] = []
        with running({"start": cls(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
            push(scheduler, packets(2))
        assert [(each.code, each.documents) for each in done[0].dead_letters] == [(code, (0,)), (code, (1,))]
        assert not keep.numbers


def test_a_generator_leaves_out_what_is_none() -> None:
    class Some(Transformer):
        def process_batch(self, packets: list[Packet]) -> Any:
            for packet in packets:
                yield packet if packet.get("n") % 2 else None

    keep = Keep()
    done: list[Epoch] = []
    with running({"start": Some(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, packets(4))
    assert keep.numbers == [1, 3]
    assert [done[0].fate_of(n).outcome for n in range(4)] == ["dropped", "published", "dropped", "published"]


def test_a_publisher_that_yields_does_its_work_before_it_counts() -> None:
    class Yields(Keep):
        def process_batch(self, packets: list[Packet]) -> Any:
            for packet in packets:
                self.process(packet)
                yield packet

    keep = Yields()
    with running({"start": keep}, []) as scheduler:
        push(scheduler, packets(3))
    assert keep.numbers == [0, 1, 2]


@pytest.mark.parametrize("hook", ["process", "process_batch", "commit"])
def test_a_publisher_whose_work_was_not_done_has_published_nothing(hook: str) -> None:
    class Unrun(Publisher):
        pass

    async def work(self: Any, *packets: Any) -> None:
        raise AssertionError

    setattr(Unrun, hook, work)
    if hook == "commit":
        Unrun.process = lambda self, packet: None  # type: ignore[method-assign]
    done: list[Epoch] = []
    with running({"start": Unrun()}, [], on_done=done.append) as scheduler:
        push(scheduler, packets(2))
    assert [(each.code, each.documents) for each in done[0].dead_letters] == [
        ("component.returned", (0,)),
        ("component.returned", (1,)),
    ]


def test_set_up_that_was_not_done_fails() -> None:
    class Unrun(Pass):
        async def setup(self) -> None:  # type: ignore[override]
            raise AssertionError

    with pytest.raises(ComponentError, match="define it with def"), running({"start": Unrun()}, []):
        pass


def test_what_a_large_batch_has_sent_before_it_raised_is_not_sent_again() -> None:
    class Breaks(Transformer):
        def process_batch(self, packets: list[Packet]) -> Any:
            yield from packets[:-1]
            if len(packets) > 1:
                for n in range(2000):
                    yield Packet({"n": 100 + n})
                raise ValueError("late")
            yield packets[-1]

    keep = Keep()
    done: list[Epoch] = []
    with running({"start": Breaks(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, packets(4))
    assert len(keep.numbers) == len(set(keep.numbers))
    assert [each.documents for each in done[0].dead_letters] == [(3,)]


def test_values_that_are_no_packets_pass_as_they_came() -> None:
    seen: list[Any] = []

    class See(Publisher):
        def process(self, value: Any) -> None:
            seen.append(value)

    with running({"start": Pass(), "see": See()}, [("start.out", "see.in")]) as scheduler:
        push(scheduler, [1, "two", [3], {"four": 4}])
    assert seen == [1, "two", [3], {"four": 4}]


def test_who_fails_over_a_value_that_is_no_packet_says_where_it_came_from() -> None:
    @component
    def texts(packet: Packet) -> Any:
        return packet.get("n") and "text"

    done: list[Epoch] = []
    keep = Keep()
    with running({"start": texts(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, packets(2, 1))
    assert all("no packet but a str: start.out -> keep.in" in letter.error for letter in done[0].dead_letters)
    assert len(done[0].dead_letters) == 2


#: What is raised over a packet, and what its dead letter says.
STEERING: dict[str, tuple[Callable[[], Exception], str, str]] = {
    "text": (lambda: Retry("service is down"), "retry.exhausted", "service is down"),
    "none": (lambda: Retry(None), "retry.exhausted", "retry requested"),
    "nan": (lambda: Retry(math.nan), "retry.exhausted", "retry requested"),
    "negative": (lambda: Retry(-1e308), "retry.exhausted", "retry requested"),
    "unreachable": (lambda: Unreachable("index is down"), "retry.exhausted", "index is down"),
    "object": (lambda: Reject(ValueError("no price")), "rejected", "ValueError: no price"),
    "code": (lambda: Reject("no price", object()), "rejected", "no price"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", STEERING)
@pytest.mark.parametrize("batch", [False, True])
def test_odd_arguments_of_retry_and_reject(kind: str, batch: bool) -> None:
    error, code, reason = STEERING[kind]

    class Raises(Transformer):
        max_attempts = 2

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1:
                raise error()
            return packet

    class RaisesInBatch(Raises):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            return [self.process(packet) for packet in packets]

    keep = Keep()
    done: list[Epoch] = []
    odd: Component = RaisesInBatch() if batch else Raises()
    options: dict[str, Any] = {"on_done": done.append, "has_breakers": False}
    with running({"start": odd, "keep": keep}, [("start.out", "keep.in")], **options) as scheduler:
        for number in range(3):
            push(scheduler, [Packet({"n": number})])
    assert keep.numbers == [0, 2]
    assert [(letter.code, letter.error) for epoch in done for letter in epoch.dead_letters] == [(code, reason)]


def test_an_enormous_delay_is_a_day() -> None:
    now = 100.0

    class Raises(Pass):
        def process(self, packet: Packet) -> Packet:
            raise Retry(1e300)

    with running({"start": Raises()}, [], clock=lambda: now) as scheduler:
        scheduler.submit(Feed(iter([("start", packets(1), range(1))]), 1))
        scheduler.run()
        assert scheduler.core.timers.next_s == 100.0 + 86_400.0


@pytest.mark.parametrize("port", ["nowhere", "", None, 5, ["out"], "\ud800"])
def test_sending_to_a_port_that_is_not_there_fails_the_packet(port: Any) -> None:
    class Sends(Pass):
        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1:
                self.send(port, packet)
            return packet

    keep = Keep()
    done: list[Epoch] = []
    with running({"start": Sends(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, packets(3))
    assert keep.numbers == [0, 2]
    [letter] = done[0].dead_letters
    letter.error.encode()
    assert letter.documents == (1,)


@pytest.mark.parametrize("value", [None, "5", "\ud800", math.nan, object()])
@pytest.mark.parametrize("name", ["max_attempts", "max_hold_s", "timeout_s"])
def test_an_attribute_that_is_no_number_is_refused_before_anything_runs(name: str, value: Any) -> None:
    if name == "timeout_s" and value is None:
        return
    made = Pass()
    setattr(made, name, value)
    with pytest.raises(InvalidComponent, match=name), running({"start": made}, []):
        pass
