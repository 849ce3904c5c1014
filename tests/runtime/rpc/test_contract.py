from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import pytest

from pypes.errors import PypesError
from pypes.ingest.dispatch.topology import Topology
from pypes.runtime.contracts import control, shard, supervisor
from pypes.runtime.rpc.contract import Method, answer, events, handle_event, methods_of, once, stub, while_wanted


class Parcel(msgspec.Struct, frozen=True):
    label: str
    weights: dict[int, float]


class Clerk(Protocol):
    async def weigh(self, parcel: Parcel, tare: float = 0.0) -> dict[int, float] | None: ...

    @once
    async def send(self, *, to: str) -> str: ...

    @while_wanted
    async def watch(self) -> None: ...


class Bell(Protocol):
    def ring(self, times: int, parcel: Parcel) -> None: ...


class Desk:
    def __init__(self) -> None:
        self.heard: list[tuple[int, Parcel]] = []

    async def weigh(self, parcel: Parcel, tare: float = 0.0) -> dict[int, float] | None:
        return {number: weight - tare for number, weight in parcel.weights.items()} or None

    async def send(self, *, to: str) -> str:
        return f"sent to {to}"

    async def watch(self) -> None:
        return None

    def ring(self, times: int, parcel: Parcel) -> None:
        self.heard.append((times, parcel))


def over_the_wire(value: Any) -> Any:
    """What is left of a value when it has travelled as JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


class Carrier:
    """Carries calls to a desk as JSON would; keeps what it carried."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.carried: list[tuple[str, Method, Mapping[str, Any]]] = []

    async def __call__(self, name: str, method: Method, params: dict[str, Any], /) -> Any:
        self.carried.append((name, method, params))
        return over_the_wire(await answer(Clerk, self.desk, method.name, over_the_wire(params)))


def test_arguments_and_results_keep_their_types() -> None:
    carrier = Carrier(Desk())
    clerk = stub(Clerk, carrier, "post.")
    parcel = Parcel("books", {1: 2.5, 7: 1.0})
    assert asyncio.run(clerk.weigh(parcel, 0.5)) == {1: 2.0, 7: 0.5}
    assert asyncio.run(clerk.weigh(Parcel("", {}))) is None
    assert asyncio.run(clerk.send(to="grace")) == "sent to grace"
    assert [name for name, _, _ in carrier.carried] == ["post.weigh", "post.weigh", "post.send"]
    # defaults belong to the side that answers
    assert carrier.carried[1][2].keys() == {"parcel"}


def test_a_stub_is_no_class_of_its_own_and_each_has_its_caller() -> None:
    one, other = Carrier(Desk()), Carrier(Desk())
    first, second = stub(Clerk, one), stub(Clerk, other)
    assert asyncio.run(second.send(to="ada")) == "sent to ada"
    assert (len(one.carried), len(other.carried)) == (0, 1)
    assert type(first) is type(second), "making a class costs more than the call"


def test_what_a_method_says_of_itself_reaches_whoever_carries_it() -> None:
    methods = methods_of(Clerk)
    assert methods.keys() == {"weigh", "send", "watch"}
    assert {name: method.is_repeatable for name, method in methods.items()} == {"weigh": True, "send": False, "watch": True}
    assert [name for name, method in methods.items() if method.is_while_wanted] == ["watch"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("wiegh", {}, "control.unknown_method"),
        ("__init__", {}, "control.unknown_method"),
        ("weigh", {}, "control.bad_call"),
        ("weigh", {"parcel": {"label": 7, "weights": {}}}, "control.bad_call"),
        ("send", {"to": "x", "more": 1}, "control.bad_call"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_before_it_is_done(method: str, params: dict[str, Any], code: str) -> None:
    with pytest.raises(PypesError, match=method) as caught:
        asyncio.run(answer(Clerk, Desk(), method, params))
    assert caught.value.code == code


def test_a_result_of_another_type_is_an_error_of_the_caller() -> None:
    async def carry(name: str, method: Method, params: dict[str, Any], /) -> Any:
        return ["not", "a", "text"]

    with pytest.raises(msgspec.ValidationError):
        asyncio.run(stub(Clerk, carry).send(to="x"))


def test_events_arrive_as_they_were_told() -> None:
    desk, parcel = Desk(), Parcel("news", {3: 0.1})
    bell = events(Bell, lambda name, **params: handle_event(Bell, desk, name, over_the_wire(params)))
    bell.ring(2, parcel)
    assert desk.heard == [(2, parcel)]
    with pytest.raises(PypesError, match="Bell has no method 'knock'"):
        handle_event(Bell, desk, "knock", {})


def test_a_topology_travels_whole() -> None:
    told = Topology(
        generation=3,
        instances={1: "/run/i-1.sock", 12: "/run/i-12.sock"},
        graphs={"g": 2},
        failed={"h": "no such model"},
        routes={"news": "g"},
        ordered=frozenset({"g"}),
        runs={12: frozenset({"g"})},
        sources={"g": ["files"]},
        is_complete=False,
    )
    heard: list[Topology] = []

    class Worker:
        def topology(self, topology: Topology) -> None:
            heard.append(topology)

        def gone(self, id: int, death: Any) -> None:
            raise AssertionError

        def drain(self, grace_s: float) -> None:
            raise AssertionError

    def carry(name: str, **params: Any) -> None:
        handle_event(supervisor.WorkerEvents, Worker(), name, over_the_wire(params))

    events(supervisor.WorkerEvents, carry).topology(told)
    assert heard == [told]


@pytest.mark.parametrize(
    "contract",
    [
        supervisor.WorkerCalls,
        supervisor.WorkerEvents,
        control.GraphCalls,
        control.VersionCalls,
        control.DraftCalls,
        control.StoreCalls,
        control.TrialCalls,
        control.FilterCalls,
        control.ComponentCalls,
        shard.ShardCalls,
    ],
    ids=lambda contract: str(contract.__name__),
)
def test_contracts_are_documented_and_typed(contract: type) -> None:
    for name, method in methods_of(contract).items():
        assert getattr(contract, name).__doc__, f"{contract.__name__}.{name} has no docstring"
        assert method.params.keys() == method.signature.parameters.keys(), f"{contract.__name__}.{name} has untyped parameters"
