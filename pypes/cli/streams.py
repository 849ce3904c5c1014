"""Streams of events of a running node, for commands that follow them: read as they come, and taken up again when they end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import click
import orjson
import urllib3

from pypes.cli.client import Client
from pypes.errors import Unavailable

#: Seconds until a stream that has ended is asked for again.
AGAIN_S = 1.0


class Told(NamedTuple):
    """One event."""

    kind: str
    data: dict[str, Any]


class EventStream:
    """The events of an address, over as many answers as it takes; ``id`` is that of the last one.

    ``query`` may be changed meanwhile; it holds for the next answer.
    """

    def __init__(self, client: Client, path: str, query: dict[str, Any]) -> None:
        self._client = client
        self._path = path
        self.query = query
        self.id = ""

    def follow(self) -> Iterator[Told]:
        """All events until whoever reads has enough. A node that is away is waited for, once it has answered.

        Raises ``InvalidInput`` for what it refuses, and ``Unavailable`` if it cannot be reached at first.
        """
        has_answered = False
        while True:
            try:
                for told in self.once():
                    has_answered = True
                    yield told
                has_answered = True
            except Unavailable as error:
                if not has_answered:
                    raise
                click.echo(f"{error}; trying again", err=True)
            time.sleep(AGAIN_S)

    def once(self) -> Iterator[Told]:
        """The events of one answer, which ends with the ingest worker that gives it."""
        headers = {"Last-Event-ID": self.id} if self.id else {}
        answer = self._client.open(self._path, self.query, headers, "text/event-stream")
        # of what was before, an id says more
        self.query["recent"] = None
        block: dict[str, str] = {}
        try:
            for line in _lines(answer):
                if not line:
                    if "data" in block:
                        yield Told(block["event"], orjson.loads(block["data"]))
                    block = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    block[name] = value
                    if name == "id":
                        self.id = value
        except urllib3.exceptions.HTTPError:
            return  # cut off: as any other end
        finally:
            answer.close()


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[str]:
    rest = b""
    for chunk in answer.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode()


def clock_of(data: Mapping[str, Any]) -> str:
    """The time of an event, as a clock on the wall here shows it."""
    return f"{datetime.fromisoformat(data['time']).astimezone():%H:%M:%S}" if "time" in data else " " * 8
