"""Fetching: sources that an instance runs for ingest workers, each run in a thread of its own.

What a source yields goes to the worker pair by pair: the next is only asked for when the last one is stored.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from pypes.component import Component
from pypes.core.culprit import culprit_of
from pypes.core.limits import Limits
from pypes.core.returned import packets_of
from pypes.core.secrets import Secrets
from pypes.core.shown import shown
from pypes.core.watched import watched_thread
from pypes.core.wording import counted
from pypes.errors import ComponentError, PypesError
from pypes.ingest import protocol
from pypes.ingest.protocol import Trigger
from pypes.packet import Packet
from pypes.runtime.instance.runner import Runner

#: The connection that asked for a run, and its number there.
Place = tuple[Any, int]


class Run:
    """One run of one source. ``stored`` is released when it may go on, and for good once ``is_void``."""

    def __init__(self, graph: str) -> None:
        self.graph = graph
        self.stored = threading.Semaphore(0)
        self.is_void = False

    def end(self) -> None:
        """Nobody takes what it fetches any more."""
        self.is_void = True
        self.stored.release()


class Fetching:
    """The runs of an instance. ``send(connection, frame)`` is called in the thread of the loop only."""

    def __init__(self, runners: Mapping[str, Runner], send: Callable[[Any, bytes], None], secrets: Secrets | None = None) -> None:
        self._runners = runners
        self._secrets = secrets or Secrets()
        self._send = send
        self._runs: dict[Place, Run] = {}
        self._said: queue.SimpleQueue[tuple[Place, bytes, bool]] = queue.SimpleQueue()
        #: Readable when :meth:`report` has something to do.
        self.wakeup_fd, self._wake_fd = os.pipe()
        os.set_blocking(self.wakeup_fd, False)
        os.set_blocking(self._wake_fd, False)

    def start(self, connection: Any, trigger: Trigger) -> None:
        """Run a source, or all those that take no documents."""
        place = connection, trigger.number
        runner = self._runners.get(trigger.graph)
        if runner is None:
            self._send(connection, protocol.ended(trigger.number, f"graph {trigger.graph!r} does not run here"))
        elif runner.is_leaving:
            pass  # the worker hears when the graph is gone from here, and asks another instance
        elif not trigger.filter:
            runner.trigger(lambda error: self._send(connection, protocol.ended(trigger.number, error)))
        elif (found := runner.source(trigger.filter)) is None:
            self._send(connection, protocol.ended(trigger.number, f"filter {trigger.filter!r} does not fetch"))
        else:
            run = self._runs[place] = Run(trigger.graph)
            # one that hangs must not keep the process from ending
            work = partial(self._fetch, place, run, *found, trigger)
            watched_thread(work, f"pypes-fetch-{trigger.filter}")

    def go_on(self, connection: Any, number: int) -> None:
        """Let a run go on, since the last pair that it yielded is stored."""
        run = self._runs.get((connection, number))
        if run is not None:
            run.stored.release()

    def stop(self, connection: Any, number: int) -> None:
        """A run has been given up by the worker that asked for it."""
        run = self._runs.pop((connection, number), None)
        if run is not None:
            run.end()

    def drop(self, connection: Any) -> None:
        """A worker is gone: its successor begins anew where the store says."""
        for place in [place for place in self._runs if place[0] is connection]:
            self._runs.pop(place).end()

    def leave(self, graph: str) -> None:
        """End the runs of a graph; what was not stored is fetched again elsewhere."""
        for place in [place for place, run in self._runs.items() if run.graph == graph]:
            self._runs.pop(place).end()

    def close(self) -> None:
        """End all runs; what was not stored is fetched again elsewhere."""
        for run in self._runs.values():
            run.end()
        self._runs.clear()

    def report(self) -> None:
        """Pass on to the workers what the threads have to say."""
        with suppress(BlockingIOError):
            os.read(self.wakeup_fd, 4096)
        while True:
            try:
                place, frame, is_last = self._said.get_nowait()
            except queue.Empty:
                return
            if place in self._runs:
                if is_last:
                    del self._runs[place]
                self._send(place[0], frame)

    # -- in the thread of a run --------------------------------------------------------------------------

    def _fetch(self, place: Place, run: Run, component: Component, limits: Limits, trigger: Trigger) -> None:
        number, error, code = place[1], "", ""
        try:
            component.is_confirmed = trigger.is_confirmed  # type: ignore[attr-defined]
            component.fetched_bytes = limits.json_bytes  # type: ignore[attr-defined]
            cursor = orjson.loads(trigger.cursor) if trigger.cursor else None
            pairs = packets_of(component.fetch(cursor), "fetch")  # type: ignore[attr-defined]
            try:
                for pair in pairs:
                    self._say(place, _frame(number, pair, limits, self._secrets))
                    run.stored.acquire()
                    if run.is_void:
                        return
            finally:
                if hasattr(pairs, "close"):
                    pairs.close()
        except BaseException as raised:  # nothing of ours ends this thread
            if run.is_void:
                return
            component.log.warning("fetching failed", exc_info=raised)
            error = shown(raised, self._secrets.redact)
            code = raised.code if isinstance(raised, PypesError) else ""
        self._say(place, protocol.ended(number, self._secrets.redact(error), code), is_last=True)

    def _say(self, place: Place, frame: bytes, *, is_last: bool = False) -> None:
        self._said.put((place, frame, is_last))
        with suppress(BlockingIOError):  # full: then the loop will wake all the same
            os.write(self._wake_fd, b"\0")


def _frame(number: int, pair: Any, limits: Limits, secrets: Secrets) -> bytes:
    """A frame with what a source yielded. Raises :class:`ComponentError` for all but a list of packets with a cursor."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise _invalid(f"a {type(pair).__name__}, not a pair of packets and their cursor")
    packets, cursor = pair
    if not isinstance(packets, list | tuple) or not all(isinstance(packet, Packet) for packet in packets):
        raise _invalid(f"a value that is no list of packets: {shown(packets, secrets.redact)}")
    try:
        json.dumps(cursor, allow_nan=False)  # the encoder below would write NaN as null, which is the beginning
        behind = orjson.dumps(cursor)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(f"a cursor that is no JSON value: {shown(error, secrets.redact)}") from error
    try:
        body = orjson.dumps([_clean(packet.to_json(), secrets) for packet in packets])
    except (TypeError, ValueError, RecursionError) as error:
        places = (culprit_of(packet, orjson.dumps, (TypeError, ValueError, RecursionError)) for packet in packets)
        place = next((f", in {place}" for place in places if place), "")
        raise _invalid(f"a packet that JSON cannot express{place}: {shown(error, secrets.redact)}") from error
    if len(body) > limits.json_bytes:
        raise ComponentError(
            (
                f"{counted(len(packets), 'packet')} of {len(body)} bytes came at once, at most {limits.json_bytes} are "
                "possible; yield fewer at a time, or raise limits.json_bytes"
            ),
            code="source.too_large",
        )
    return protocol.fetched(number, len(packets), body, behind.decode())


def _invalid(what: str) -> ComponentError:
    return ComponentError(f"fetch yielded {what}", code="source.invalid")


def _clean(form: dict[str, Any], secrets: Secrets) -> dict[str, Any]:
    """The JSON form of a packet without secrets in its metadata: it is stored, and published with the document."""
    meta = form.get("meta")
    return {**form, "meta": secrets.clean_meta(meta)} if meta else form
