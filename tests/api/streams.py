"""A client of streams of events, and documents while it looks."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pypes.testing.node import Node

WAIT_S = 20.0


class Told(NamedTuple):
    """One event; ``id`` is that of the newest event whose id was seen."""

    id: str
    kind: str
    data: dict[str, Any]


class Watching:
    """A client that looks at a stream; as a context it hangs up at the end."""

    def __init__(self, port: int, path: str, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        self._connection.request("GET", path, headers={"Accept": "text/event-stream", **(headers or {})})
        self.response = self._connection.getresponse()
        self.status = self.response.status
        self.id = ""
        if self.status == 200:
            assert self.response.headers["content-type"] == "text/event-stream"
            self.comments = self._block()
            assert self.comments[0] == ": pypes"

    def _block(self) -> list[str]:
        """The next lines up to an empty one; none at the end."""
        lines = []
        while (line := self.response.readline().decode()) not in ("", "\n"):
            lines.append(line.rstrip("\n"))
            name, _, value = lines[-1].partition(": ")
            if name == "id":
                self.id = value
        return lines

    def next(self) -> Told | None:
        """The next event, ``None`` at the end."""
        deadline = time.monotonic() + WAIT_S
        while block := self._block():
            # signs of life would keep it for ever
            assert time.monotonic() < deadline, f"nothing was told in {WAIT_S} s"
            given = dict(line.split(": ", 1) for line in block if not line.startswith(":"))
            if "data" in given:
                return Told(self.id, given["event"], json.loads(given["data"]))
        return None

    def until(self, is_it: Callable[[Told], bool]) -> list[Told]:
        """All events up to one; fails at the end of the stream."""
        found: list[Told] = []
        while not found or not is_it(found[-1]):
            told = self.next()
            assert told is not None, f"the stream ended after {found}"
            found.append(told)
        return found

    def rest(self) -> list[Told]:
        """All events to the end of the stream."""
        found: list[Told] = []
        while (told := self.next()) is not None:
            found.append(told)
        return found

    def close(self) -> None:
        self.response.close()
        self._connection.close()

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Feeding:
    """Posts documents with rising numbers until the end of the block."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.count = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over.wait(0.002):
            answer = self.node.post(json.dumps({"n": self.count}).encode())
            self.count += answer.status == 202

    def __enter__(self) -> Feeding:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
