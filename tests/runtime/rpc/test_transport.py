import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from pypes.errors import (
    ComponentError,
    InternalError,
    InvalidGraph,
    LettersFull,
    NotFound,
    Problem,
    PypesError,
    QueueFull,
    TooLarge,
    Unavailable,
)
from pypes.runtime.rpc import Peer, RpcClient, RpcServer
from pypes.runtime.rpc.contract import stub, while_wanted
from pypes.runtime.rpc.transport import error_from_obj, error_to_obj


@asynccontextmanager
async def server(path: Path, handle: Any, **more: Any) -> AsyncIterator[RpcServer]:
    running = RpcServer(handle, **more)
    await running.start(str(path))
    try:
        yield running
    finally:
        await running.close()


async def echo(peer: Peer, method: str, params: dict[str, Any]) -> Any:
    return [method, params]


def test_calls_are_answered_in_any_order(tmp_path: Path) -> None:
    async def run() -> None:
        gate = asyncio.Event()

        async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
            if method == "slow":
                await gate.wait()
            else:
                gate.set()
            return [method, params]

        async with server(tmp_path / "s", handle):
            client = await RpcClient.connect(str(tmp_path / "s"))
            slow, fast = await asyncio.gather(client.call("slow", text="é\n"), client.call("fast", big="x" * 200_000))
            assert slow == ["slow", {"text": "é\n"}]
            assert len(fast[1]["big"]) == 200_000
            await client.close()

    asyncio.run(run())


def test_errors_come_back_as_what_they_were(tmp_path: Path) -> None:
    class Special(ComponentError):
        pass

    raised: list[Exception] = [
        InvalidGraph("bad", where="g", problems=[Problem("nodes.a", "no", "graph.x")]),
        QueueFull("full", retry_after_s=2.5, where="g", limit="queue_max_bytes"),
        LettersFull("full", where="g", limit="disk_bytes"),
        NotFound("none", code="graph.not_found"),
        Special("cannot", code="graph.setup_failed", where="g.n"),
        ValueError("ours"),
    ]

    async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
        raise raised[params["n"]]

    async def run() -> list[Any]:
        async with server(tmp_path / "s", handle):
            client = await RpcClient.connect(str(tmp_path / "s"))
            found = await asyncio.gather(*(client.call("fail", n=n) for n in range(len(raised))), return_exceptions=True)
            await client.close()
            return found

    graph, full, letters, missing, special, internal = asyncio.run(run())
    assert isinstance(graph, InvalidGraph)
    assert (graph.where, graph.problems) == ("g", (Problem("nodes.a", "no", "graph.x"),))
    assert isinstance(full, QueueFull)
    assert (full.retry_after_s, full.where, full.limit) == (2.5, "g", "queue_max_bytes")
    assert isinstance(letters, LettersFull)
    assert letters.limit == "disk_bytes"
    assert isinstance(missing, NotFound)
    assert missing.code == "graph.not_found"
    assert type(special) is ComponentError
    assert (special.code, special.where) == ("graph.setup_failed", "g.n")
    assert isinstance(internal, InternalError)
    assert "ours" not in str(internal)


def test_an_unknown_class_is_an_internal_error() -> None:
    assert type(error_from_obj({"class": "os", "code": "x", "message": "m"})) is InternalError
    assert error_to_obj(PypesError("m"))["class"] == "PypesError"


def test_events_reach_every_client_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with server(tmp_path / "s", echo) as running:
            seen: asyncio.Queue[Any] = asyncio.Queue()
            clients = [await RpcClient.connect(str(tmp_path / "s"), lambda *e: seen.put_nowait(e)) for _ in range(2)]
            for client in clients:
                await client.call("hello")
            running.broadcast("one", n=1)
            running.broadcast("two")
            events = [await asyncio.wait_for(seen.get(), 5) for _ in range(4)]
            assert events.count(("one", {"n": 1})) == 2
            assert events.index(("one", {"n": 1})) < events.index(("two", {}))
            for client in clients:
                await client.close()

    asyncio.run(run())


def test_both_sides_notice_the_end_of_the_other(tmp_path: Path) -> None:
    async def run() -> None:
        gone, lost, never = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
            await never.wait()

        async with server(tmp_path / "s", handle, on_gone=lambda peer: gone.set()):
            leaver = await RpcClient.connect(str(tmp_path / "s"))
            await leaver.close()
            await asyncio.wait_for(gone.wait(), 5)
            client = await RpcClient.connect(str(tmp_path / "s"), on_lost=lost.set)
            with pytest.raises(Unavailable, match="longer than"):
                await client.call("hang", timeout_s=0.01)
            waiting = asyncio.create_task(client.call("hang"))
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(lost.wait(), 5)
        with pytest.raises(Unavailable):
            await client.call("again")
        await client.close()

    asyncio.run(run())


def test_what_does_not_fit_fails_alone(tmp_path: Path) -> None:
    async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
        return "x" * params["size"]

    async def run() -> None:
        async with server(tmp_path / "s", handle, max_line_bytes=1000):
            lost = asyncio.Event()
            client = await RpcClient.connect(str(tmp_path / "s"), None, lost.set, 1000)
            for call in (client.call("get", size=2000), client.call("get", size=1, rest="x" * 2000)):
                with pytest.raises(TooLarge, match="at most 1000") as caught:
                    await call
                assert (caught.value.code, caught.value.where) == ("control.too_large", "get")
            assert await client.call("get", size=3) == "xxx"
            assert client.is_open
            assert not lost.is_set()
            await client.close()

    asyncio.run(run())


def test_an_answer_that_is_no_json_fails_alone(tmp_path: Path) -> None:
    async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
        return {"odd": object(), "surrogate": "\ud800", "fine": 1}[method]

    async def run() -> None:
        async with server(tmp_path / "s", handle):
            client = await RpcClient.connect(str(tmp_path / "s"))
            for method in ("odd", "surrogate"):
                with pytest.raises(InternalError):
                    await client.call(method, timeout_s=10)
            assert await client.call("fine") == 1
            await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"x" * 2000 + b"\n", b"no json\n", b'{"event": "bad", "params": {}}\n', b"[]\n"])
def test_a_connection_that_cannot_be_listened_to_is_lost(tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is: whoever waits is told, the log has the cause, and the owner can make another one."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line)
        await reader.read()
        writer.close()

    def on_event(name: str, params: dict[str, Any]) -> None:
        raise ValueError("a bug of ours")

    async def run() -> None:
        listening = await asyncio.start_unix_server(speak, str(tmp_path / "s"))
        lost = asyncio.Event()
        client = await RpcClient.connect(str(tmp_path / "s"), on_event, lost.set, 1000)
        with pytest.raises(Unavailable) as caught:
            await client.call("anything", timeout_s=10)
        assert caught.value.code == "control.lost"
        await asyncio.wait_for(lost.wait(), 10)
        assert not client.is_open
        await client.close()
        listening.close()

    asyncio.run(run())
    assert [record.work for record in caplog.records] == ["control connection"]  # type: ignore[attr-defined]


class Wanted(Protocol):
    @while_wanted
    async def first(self) -> None: ...

    @while_wanted
    async def second(self) -> None: ...


def test_what_nobody_wants_any_more_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        begun: asyncio.Queue[str] = asyncio.Queue()
        given_up: asyncio.Queue[str] = asyncio.Queue()

        async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
            begun.put_nowait(method)
            try:
                await asyncio.Event().wait()
            finally:
                given_up.put_nowait(method)

        async with server(tmp_path / "s", handle):
            client = await RpcClient.connect(str(tmp_path / "s"))
            wanted = stub(Wanted, client.carry)
            first = asyncio.ensure_future(wanted.first())
            second = asyncio.ensure_future(wanted.second())
            third = asyncio.ensure_future(client.call("third"))
            for _ in range(3):
                await asyncio.wait_for(begun.get(), 10)
            first.cancel()
            assert await asyncio.wait_for(given_up.get(), 10) == "first"
            third.cancel()  # a change that somebody asked for is made, even if they do not wait for it
            await client.close()
            assert await asyncio.wait_for(given_up.get(), 10) == "second"
            assert given_up.empty()
            await asyncio.gather(first, second, third, return_exceptions=True)

    asyncio.run(run())
