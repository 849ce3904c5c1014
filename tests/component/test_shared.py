"""Shared resources: one object for all who ask for the same, closed after the last of them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from pypes.component import Component, Resources
from pypes.component.shared import Shares
from pypes.errors import ComponentError
from tests.component.clients import Client, Faulty


class Left:
    """A context manager without ``close``."""

    def __enter__(self) -> str:
        Client.told.append("entered")
        return "inside"

    def __exit__(self, *exception: object) -> None:
        Client.told.append("left")


class Both(Left):
    def close(self) -> None:
        Client.told.append("closed")


@contextlib.contextmanager
def opened(name: str) -> Iterator[Client]:
    client = Client(name=name)
    yield client
    client.close()


def several(count: int) -> list[Shares]:
    """What so many components of one process have to share."""
    resources = Resources()
    made = [Shares(Component()) for _ in range(count)]
    for shares in made:
        shares.resources = resources
    return made


def is_one(first: Any, second: Any, make: Callable[..., Any] = Client) -> bool:
    """True if two components get one object for two lists of arguments."""
    one, other = several(2)
    found = [shares.take(make, given, {}) for shares, given in ((one, first), (other, second))]
    return found[0] is found[1]


# -- what is the same -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [(), ("x", 1), (None, True), ([1, {"a": [2.0]}],), ({"b": 1, "a": {}},), ({1, 2}, (1, [2])), (len, Client), (b"x",)],
    ids=repr,
)
def test_equal_arguments_are_the_same(given: Any) -> None:
    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copied(value[key]) for key in reversed(value)}
        return type(value)(map(copied, value)) if isinstance(value, list | tuple | set) else value

    assert is_one(given, copied(given))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1,), (1.0,)),
        ((1,), (True,)),
        ((0,), (False,)),
        (([1],), ([True],)),
        (({"n": 1},), ({"n": 1.0},)),
        (((1,),), ((1.0,),)),
        (([1],), ((1,),)),
        (([],), ({},)),
        (([1, 2],), ([2, 1],)),
        (({"a": 1},), ({"a": 2},)),
        (({"a": 1},), ([("a", 1)],)),
        (("1",), (1,)),
        (("x",), (b"x",)),
        (("x",), ("x", None)),
        ((None,), (False,)),
        (([["a"], "b"],), ([["a", "b"]],)),
    ],
    ids=repr,
)
def test_other_arguments_are_not(first: Any, second: Any) -> None:
    assert not is_one(first, second)


def test_the_maker_and_the_names_of_arguments_count() -> None:
    one, other = several(2)
    assert one.take(Client, (), {"name": "a", "x": 1}) is other.take(Client, (), {"x": 1, "name": "a"})
    assert one.take(Client, ("a",), {}) is not other.take(Faulty, ("a",), {})
    assert one.take(Client, ("a",), {}) is not other.take(Client, (), {"name": "a"})
    assert one.take(Client.of, ("a",), {}) is other.take(Client.of, ("a",), {})
    make = partial(Client, "a")
    assert one.take(make, (), {}) is other.take(make, (), {})
    assert one.take(partial(Client, "a"), (), {}) is not other.take(partial(Client, "a"), (), {})


def test_a_list_counts_as_it_was_when_it_was_given() -> None:
    one, other = several(2)
    hosts = ["a"]
    found = one.take(Client, (hosts,), {})
    hosts.append("b")
    assert other.take(Client, (["a"],), {}) is found
    assert other.take(Client, (hosts,), {}) is not found


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        (("x", bytearray(b"s3cret")), {}, "argument 2 is, or holds, a bytearray"),
        ((), {"url": "s3cret", "keys": [{"k": bytearray(b"s3cret")}]}, "argument keys is, or holds, a bytearray"),
    ],
)
def test_an_argument_that_cannot_be_compared_is_named_and_not_shown(args: Any, kwargs: Any, named: str) -> None:
    [shares] = several(1)
    with pytest.raises(ComponentError, match=named) as refused:
        shares.take(Client, args, kwargs)
    assert refused.value.code == "component.unshareable"
    assert "s3cret" not in str(refused.value)
    assert Client.told == []


def test_a_maker_that_cannot_be_compared_is_refused() -> None:
    class Maker(list[int]):
        def __call__(self) -> Client:
            return Client(*self)

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> Client:
            return Client()

    [shares] = several(1)
    with pytest.raises(ComponentError, match="the maker is, or holds, a Unhashable"):
        shares.take(Unhashable(), (), {})
    assert shares.take(Maker([1]), (), {}).args == (1,)


# -- making -----------------------------------------------------------------------------------------------


def test_a_maker_that_raises_is_not_remembered() -> None:
    failures = [OSError("down"), OSError("still down")]

    def make(url: str) -> Client:
        if failures:
            raise failures.pop(0)
        return Client(url)

    one, other = several(2)
    for shares in (one, other):
        with pytest.raises(OSError, match="down"):
            shares.take(make, ("x",), {})
    assert one.take(make, ("x",), {}) is other.take(make, ("x",), {})
    one.give_back_all()
    other.give_back_all()
    assert Client.told == ["made client", "closed client"]


def generated() -> Iterator[Client]:
    yield Client()


async def awaited() -> Client:
    return Client()


@pytest.mark.parametrize(("make", "said"), [(generated, "contextlib.contextmanager"), (awaited, "define it with def")])
def test_a_maker_that_only_promises_is_refused(make: Any, said: str) -> None:
    [shares] = several(1)
    with pytest.raises(ComponentError, match=said) as refused:
        shares.take(make, (), {})
    assert refused.value.code == "component.returned"


def test_a_resource_may_use_another() -> None:
    one, other = several(2)
    for shares in (one, other):
        pool = shares.take(Client, (), {"name": "pool"})
        shares.take(Client, (pool,), {"name": "client"})
        # made by hand within the maker of another: the component has both
        shares.take(nested, (shares,), {})
    assert Client.told == ["made pool", "made client", "made inner"]
    one.give_back_all()
    assert Client.told[3:] == []
    other.give_back_all()
    assert Client.told[3:] == ["closed inner", "closed client", "closed pool"]


def nested(shares: Shares) -> Any:
    return [shares.take(Client, (), {"name": "inner"})]


def endless(shares: Shares) -> Any:
    return shares.take(endless, (shares,), {})


def test_a_maker_that_asks_for_itself_is_told() -> None:
    [shares] = several(1)
    with pytest.raises(ComponentError, match="asks for the same object again") as refused:
        shares.take(endless, (shares,), {})
    assert refused.value.code == "component.unshareable"


def test_who_asks_in_another_thread_meanwhile_waits_for_it() -> None:
    one, other = several(2)
    found: list[Any] = []
    another = threading.Thread(target=lambda: found.append(other.take(make, (), {})))

    def make() -> Client:
        another.start()
        another.join(0.05)  # it would be over long before, if it did not wait
        return Client()

    found.append(one.take(make, (), {}))
    another.join(10)
    assert found[0] is found[1]
    assert Client.told == ["made client"]


# -- giving back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "value", "ends"),
    [
        (Client, None, ["made client", "closed client"]),
        (partial(opened, "x"), None, ["made x", "closed x"]),
        (Left, "inside", ["entered", "left"]),
        (Both, None, ["closed"]),
        (dict, {}, []),
        (partial(getattr, None, "nothing", None), None, []),
    ],
    ids=["close", "contextmanager", "context manager", "both", "neither", "none"],
)
def test_it_is_closed_as_it_says(make: Any, value: Any, ends: list[str]) -> None:
    one, other = several(2)
    found = one.take(make, (), {})
    assert other.take(make, (), {}) is found
    assert value is None or found == value
    one.give_back_all()
    assert Client.told == ends[:-1]
    other.give_back_all()
    assert Client.told == ends


def test_a_lock_is_neither_taken_nor_let_go() -> None:
    [shares] = several(1)
    lock = shares.take(threading.Semaphore, (1,), {})
    assert lock.acquire(blocking=False)
    shares.give_back_all()
    assert not lock.acquire(blocking=False)


def test_it_is_made_anew_after_the_last() -> None:
    one, other = several(2)
    first = one.take(Client, (), {})
    one.give_back_all()
    assert not first.is_open
    assert other.take(Client, (), {}) is not first


def test_what_was_asked_for_twice_is_given_back_twice() -> None:
    [shares] = several(1)
    client = shares.take(Client, (), {})
    assert shares.take(Client, (), {}) is client
    shares.give_back(client)
    assert client.is_open
    shares.give_back(client)
    assert not client.is_open
    with pytest.raises(ComponentError, match="a Client that this component did not ask for") as refused:
        shares.give_back(client)
    assert refused.value.code == "component.not_shared"


def test_one_that_cannot_be_closed_is_logged_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    [shares] = several(1)
    made = [shares.take(make, ("s3cret",), {}) for make in (Client, Faulty, partial(Faulty, "s3cret"))]
    shares.give_back_all()
    assert not any(client.is_open for client in made)
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.ERROR, "closing the shared partial failed"),
        (logging.ERROR, "closing the shared Faulty failed"),
    ]
    assert "s3cret" not in caplog.text
    shares.give_back_all()


class Async(Client):
    async def close(self) -> None:  # type: ignore[override]
        raise AssertionError("nobody runs it")


def test_a_close_that_only_promises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    [shares] = several(1)
    shares.take(Async, (), {})
    shares.give_back_all()
    assert "close of the shared Async returned a coroutine" in caplog.text
