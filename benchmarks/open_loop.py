"""A load at a steady rate, whether answers come or not, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answers:
    """Milliseconds from the start of a POST to its 202, and to the answer that says that it is published; counts of statuses."""

    accepted: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Client:
    """Speaks HTTP/1.1 to one address, one request at a time on each of its connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length:")
        answer = await reader.readexactly(int(head[at + 15 : head.index(b"\r", at)])) if at >= 0 else b""
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head[9:12]), answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def steady(
    client: Client,
    path: str,
    make: Callable[[int], tuple[bytes, Mapping[str, str]]],
    *,
    rate: float,
    seconds: float,
    after: float = 0.0,
    follows: bool = True,
) -> Answers:
    """POST what ``make(number)`` gives, body and headers, ``rate`` times a second; ``follows``: until each is published.

    It begins later by ``after`` of the time between two.
    """
    answers = Answers()
    count = round(rate * seconds)

    async def one(number: int) -> None:
        body, headers = make(number)
        start = time.perf_counter()
        status, answer = await client.request("POST", path, body, headers)
        answers.statuses[status] += 1
        if status != 202:
            return
        answers.accepted.append((time.perf_counter() - start) * 1000)
        if follows:
            receipt = json.loads(answer)["receipt"]
            status, answer = await client.request("GET", f"/receipts/{receipt}?wait=30")
            answers.published.append((time.perf_counter() - start) * 1000)
            state = json.loads(answer)["state"]
            if state != "done":
                raise RuntimeError(f"receipt {receipt} is {state}, answered with {status}")

    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            due = begin + (number + after) / rate
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            tasks.create_task(one(number))
    return answers


async def flood(
    client: Client, path: str, make: Callable[[int], tuple[bytes, Mapping[str, str]]], *, until: int, most: int
) -> int:
    """POST as fast as answers come until one has the status ``until``; the number of those before. Raises after ``most``."""
    numbers = iter(range(most))
    done = asyncio.Event()
    accepted = 0

    async def post() -> None:
        nonlocal accepted
        for number in numbers:
            if done.is_set():
                return
            status, answer = await client.request("POST", path, *make(number))
            if status == until:
                done.set()
            elif status == 202:
                accepted += 1
            else:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
        raise RuntimeError(f"no {until} after {most} documents")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(32):
            tasks.create_task(post())
    return accepted


def quantile(values: list[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
