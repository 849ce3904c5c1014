"""Call: functions as filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes import Component, Done, Packet, Pipeline, Publisher, Transformer
from pypes.core.paths import Paths
from pypes.errors import ComponentError
from pypes.testing import ComponentSuite, run_component
from pypes_basic.call import Call, CallJoin

HERE = __name__


def more(packet: Packet, by: int = 1) -> Packet | None:
    packet.set("n", packet.get("n") + by)
    return packet if packet.get("n") < 100 else None


def each(packet: Packet) -> Iterator[Any]:
    yield packet.derive("part", 0, {"n": 1})
    yield None
    yield Done(packet.derive("part", 1, {"n": 2}))


def two(packet: Packet) -> list[Packet]:
    return [packet.derive("part", n, {"n": n}) for n in range(packet.get("n"))]


def number(packet: Packet) -> Any:
    return 1


def summed(left: Packet, right: Packet) -> Packet:
    left.set("n", left.get("n") * 10 + right.get("n"))
    return left


def done(packet: Packet) -> Any:
    return Done(packet)


class TestCall(ComponentSuite):
    component = Call
    params = {"function": f"{HERE}:more"}


class TestCallJoin(ComponentSuite):
    component = CallJoin
    params = {"function": f"{HERE}:summed", "parameters": ["left", "right"]}


class Kept(Publisher):
    def setup(self) -> None:
        self.found: list[Any] = []

    def process(self, packet: Packet) -> None:
        self.found.append(packet.get("n"))


class Same(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


def run(function: str, n: int, *, wires: Any = (), **params: Any) -> tuple[list[Any], list[str]]:
    call: Component = Call(function=f"{HERE}:{function}", **params)
    with Pipeline(Same, call) as pipeline:
        found = sorted(packet.get("n") for packet in pipeline.run([Packet({"n": n})]))
        return found, [letter.reason for letter in pipeline.dead_letters]


@pytest.mark.parametrize(
    ("function", "n", "params", "found"),
    [
        ("more", 1, {}, [2]),
        ("more", 1, {"options": {"by": 5}}, [6]),
        ("more", 99, {}, []),
        ("each", 0, {}, [1, 2]),
        ("two", 2, {"produces": 2}, [0, 1]),
        ("more", 1, {"produces": 3, "repeat": True}, [2, 2, 2]),
        ("done", 7, {}, [7]),
        ("done", 7, {"produces": 2}, [7]),
    ],
)
def test_it_sends_what_the_function_returns(function: str, n: int, params: dict[str, Any], found: list[Any]) -> None:
    assert run(function, n, **params) == (found, [])


@pytest.mark.parametrize(
    ("function", "params", "said"),
    [
        ("number", {}, "test_call:number returned int, not a packet"),
        ("two", {"produces": 3}, "returned 2 results, not 3 as produces says"),
    ],
)
def test_another_result_is_a_dead_letter(function: str, params: dict[str, Any], said: str) -> None:
    found, [reason] = run(function, 2, **params)
    assert not found
    assert said in reason


def test_what_is_done_needs_a_wire() -> None:
    call, kept = Call(function=f"{HERE}:done"), Kept()
    wires = [("call.out", "kept.in")]
    with Pipeline(nodes={"call": call, "kept": kept}, wires=[*wires, ("call.done", "kept.in")]) as pipeline:
        pipeline.push([Packet({"n": 1})])
        assert kept.found == [1]


def test_deletions_pass_without_a_call() -> None:
    with Pipeline(Call(function=f"{HERE}:number")) as pipeline:
        [packet] = pipeline.push([Packet({}, {"id": "a", "requestmethod": "DELETE"})])
        assert packet.is_deletion


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"function": f"{HERE}:nothing"}, "there is no 'nothing'"),
        ({"function": "no_such_module:f"}, "No module named 'no_such_module'"),
        ({"function": f"{HERE}:more", "consumes": 2}, "gather parts with Gather"),
        ({"function": f"{HERE}:more", "repeat": True}, "repeat needs produces"),
    ],
)
def test_what_cannot_be_called_is_told_at_set_up(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ComponentError) as raised:
        Pipeline(Call(**params))
    assert said in str(raised.value)


def test_a_node_calls_only_what_its_settings_permit() -> None:
    call = Call(function="os:system")
    call.paths = Paths(modules=("pypes_basic",))
    with pytest.raises(ComponentError, match="os, which graphs may not call"):
        call.setup()
    call = Call(function="pypes_basic.call:find_function")
    call.paths = Paths(modules=("pypes_basic",))
    with pytest.raises(ComponentError, match=r"is defined in pypes\.core\.functions"):
        call.setup()


def joined(lefts: list[Packet], rights: list[Packet], **params: Any) -> Any:
    join = CallJoin(function=f"{HERE}:summed", parameters=["left", "right"], **params)
    return run_component(join, {"in": lefts, "in2": rights})


def numbers(*found: int) -> list[Packet]:
    return [Packet({"n": n}) for n in found]


@pytest.mark.parametrize(
    ("lefts", "rights", "found"),
    [
        ([1], [2], [12]),
        ([1, 2], [3, 4], [13, 24]),
        ([1], [3, 4], [13, 14]),
        ([1, 2], [3], [13, 23]),
        ([1], [], []),
        ([], [3], []),
    ],
)
def test_a_join_calls_it_with_what_came_of_one_document(lefts: list[int], rights: list[int], found: list[int]) -> None:
    assert [packet.get("n") for packet in joined(numbers(*lefts), numbers(*rights)).packets] == found
    twice = joined(numbers(*lefts), numbers(*rights), produces=2, repeat=True)
    assert [packet.get("n") for packet in twice.packets] == [n for n in found for _ in range(2)]


def test_packets_that_do_not_meet_are_dead_letters() -> None:
    result = joined(numbers(1, 2), numbers(1, 2, 3))
    assert not result.packets
    assert {letter.code for letter in result.dead_letters} == {"call.unequal"}
    assert "2 by 'left', 3 by 'right'" in result.dead_letters[0].error
    result = run_component(CallJoin(function=f"{HERE}:summed", parameters=["left", "right"]), {"in": numbers(1)})
    assert {letter.code for letter in result.dead_letters} == {"call.unwired"}


def test_of_deletions_one_goes_on_without_a_call() -> None:
    gone = Packet({}, {"id": "a", "requestmethod": "DELETE"})
    [packet] = joined([gone.clone()], [gone]).packets
    assert packet.is_deletion
